/* decimal.h - numbers as agents mostly print them, read fast; the rest goes to number_parse.
 *
 * Both read a whole token [at, end). Pure, inline. */
#ifndef TIDE_WIRE_DECIMAL_H
#define TIDE_WIRE_DECIMAL_H

#include "base/base.h"
#include "base/number.h"

#ifndef TIDE_CDEF

/* Digits and one point, up to 2^53: then mantissa and power of ten are exact as doubles, so one
 * division rounds correctly. False: not of this kind (it may still be a number). */
static inline bool decimal_parse_plain(const char *at, const char *end, double *value)
{
    static const double powers[] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                    1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
    bool negative = at < end && *at == '-';
    uint64_t mantissa = 0;
    const char *point = NULL, *first;

    first = at += negative;
    if (end - at > 17 || at == end)
        return false;
    for (; at < end; at++) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';

        if (digit <= 9) {
            mantissa = mantissa * 10 + digit;
        } else if (*at == '.' && point == NULL) {
            point = at;
        } else {
            return false;
        }
    }
    if (mantissa > (uint64_t)1 << 53 || (point != NULL && end - first == 1))
        return false;
    *value = (double)mantissa;
    if (point != NULL)
        *value /= powers[end - point - 1];
    if (negative)
        *value = -*value;
    return true;
}

/** A sample value; false when the token is none or is out of range. NaN becomes 7ff8..01. */
static inline bool decimal_parse(const char *at, const char *end, double *value)
{
    bool overflowed = false;

    return decimal_parse_plain(at, end, value) ||
           (number_parse(at, (size_t)(end - at), value, &overflowed) && !overflowed);
}

/** A signed integer of up to 18 digits (19 would not matter to any time that exists). */
static inline bool decimal_parse_integer(const char *at, const char *end, int64_t *value)
{
    bool negative = at < end && *at == '-';
    int64_t sum = 0;

    at += negative || (at < end && *at == '+');
    if (at == end || end - at > 18)
        return false;
    for (; at < end; at++) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';

        if (digit > 9)
            return false;
        sum = sum * 10 + digit;
    }
    *value = negative ? -sum : sum;
    return true;
}

#endif
#endif
