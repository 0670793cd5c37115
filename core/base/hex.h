/* hex.h - hexadecimal digits in either letter case, and %XX escapes (RFC 3986, 2.1). Pure, inline.
 */
#ifndef TIDE_BASE_HEX_H
#define TIDE_BASE_HEX_H

#include "base/base.h"

#ifndef TIDE_CDEF

/** The value of a digit; -1 when it is none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** The byte that two digits mean; -1 when they are not two digits. */
static inline int hex_byte(const char *digits)
{
    int high = hex_digit(digits[0]), low = high >= 0 ? hex_digit(digits[1]) : -1;

    return low >= 0 ? high << 4 | low : -1;
}

/** The byte that "%XX" at `text` with `left` bytes means; -1 when there is no such escape. */
static inline int percent_byte(const char *text, size_t left)
{
    return left >= 3 && text[0] == '%' ? hex_byte(text + 1) : -1;
}

#endif

#endif
