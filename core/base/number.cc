/* number.cc - see number.h. C++ because <charconv> is the fastest exact printer Debian ships. */
#include "base/number.h"

#include <charconv>
#include <cmath>
#include <cstring>

static size_t put(char *out, const char *text)
{
    size_t len = strlen(text);

    memcpy(out, text, len);
    return len;
}

static size_t put_special(char *out, double value)
{
    if (std::isnan(value))
        return put(out, "NaN");
    return put(out, value > 0 ? "+Inf" : "-Inf");
}

/* Small integers are most of what is printed; this path costs a third of to_chars. */
static size_t put_integer(char *out, int64_t value)
{
    return static_cast<size_t>(std::to_chars(out, out + NUMBER_MAX_BYTES, value).ptr - out);
}

static size_t put_double(char *out, double value, std::chars_format format)
{
    return static_cast<size_t>(std::to_chars(out, out + NUMBER_MAX_BYTES, value, format).ptr - out);
}

static bool is_small_integer(double value)
{
    return std::fabs(value) < 1e15 && value == static_cast<double>(static_cast<int64_t>(value)) &&
           !(value == 0 && std::signbit(value));
}

extern "C" size_t number_format_api(char *out, double value)
{
    if (!std::isfinite(value))
        return put_special(out, value);
    if (is_small_integer(value))
        return put_integer(out, static_cast<int64_t>(value));
    double size = std::fabs(value);
    if (size != 0 && (size < 1e-6 || size >= 1e21))
        return put_double(out, value, std::chars_format::scientific);
    if (size >= 1e15)
        return number_format_plain(out, value);
    return put_double(out, value, std::chars_format::fixed);
}

/* to_chars prints large numbers in full; Go prints the shortest digits and then zeros. */
extern "C" size_t number_format_plain(char *out, double value)
{
    if (!std::isfinite(value))
        return put_special(out, value);
    if (is_small_integer(value))
        return put_integer(out, static_cast<int64_t>(value));
    char text[NUMBER_MAX_BYTES], *p = out;
    size_t len = put_double(text, value, std::chars_format::scientific), at = 0, count = 0;
    char digits[NUMBER_MAX_BYTES];

    if (text[at] == '-') {
        *p++ = '-';
        at++;
    }
    for (; at < len && text[at] != 'e'; at++) {
        if (text[at] != '.')
            digits[count++] = text[at];
    }
    int exponent = 0; /* the point stands behind digit `exponent` */
    const char *number = text + at + 1 + (text[at + 1] == '+');
    std::from_chars(number, text + len, exponent);
    exponent++;
    if (exponent <= 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = exponent; i < 0; i++)
            *p++ = '0';
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && static_cast<int>(i) == exponent)
            *p++ = '.';
        *p++ = digits[i];
    }
    for (int i = static_cast<int>(count); i < exponent; i++)
        *p++ = '0';
    return static_cast<size_t>(p - out);
}

/* Go takes the exponent form for exp < -4 || exp >= 6 when it prints the shortest digits. */
extern "C" size_t number_format_go(char *out, double value)
{
    if (!std::isfinite(value))
        return put_special(out, value);
    double size = std::fabs(value);
    if (size != 0 && (size < 1e-4 || size >= 1e6))
        return put_double(out, value, std::chars_format::scientific);
    return put_double(out, value, std::chars_format::fixed);
}

extern "C" size_t number_format_seconds(char *out, int64_t ms)
{
    uint64_t size = ms < 0 ? 0 - static_cast<uint64_t>(ms) : static_cast<uint64_t>(ms);
    char *p = out;

    if (ms < 0)
        *p++ = '-';
    p = std::to_chars(p, out + NUMBER_MAX_BYTES, size / 1000).ptr;
    unsigned rest = static_cast<unsigned>(size % 1000);
    if (rest != 0) {
        *p++ = '.';
        *p++ = static_cast<char>('0' + rest / 100);
        *p++ = static_cast<char>('0' + rest / 10 % 10);
        *p++ = static_cast<char>('0' + rest % 10);
    }
    return static_cast<size_t>(p - out);
}

static bool equals_ignoring_case(const char *text, size_t len, const char *lower)
{
    if (len != strlen(lower))
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((text[i] | 0x20) != lower[i])
            return false;
    }
    return true;
}

static bool parse_special(const char *text, size_t len, bool negative, double *value)
{
    if (equals_ignoring_case(text, len, "inf") || equals_ignoring_case(text, len, "infinity")) {
        *value = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (equals_ignoring_case(text, len, "nan")) {
        const uint64_t bits = 0x7ff8000000000001;

        memcpy(value, &bits, sizeof(bits));
        return true;
    }
    return false;
}

/* A text that from_chars calls out of range: too large unless its first digits are all zeros or
 * its exponent is negative. */
static double out_of_range_value(const char *text, const char *end)
{
    for (const char *p = text; p < end; p++) {
        if (*p == 'e' || *p == 'E')
            return p + 1 < end && p[1] == '-' ? 0.0 : INFINITY;
    }
    return *text == '0' || *text == '.' ? 0.0 : INFINITY;
}

extern "C" bool number_parse(const char *text, size_t len, double *value, bool *overflowed)
{
    const char *end = text + len;
    bool negative = false;

    if (overflowed != nullptr)
        *overflowed = false;
    if (len > 0 && (*text == '+' || *text == '-')) {
        negative = *text == '-';
        text++;
    }
    if (text == end)
        return false;
    if ((*text < '0' || *text > '9') && *text != '.')
        return parse_special(text, static_cast<size_t>(end - text), negative, value);
    double parsed = 0;
    std::from_chars_result result = std::from_chars(text, end, parsed);
    if (result.ptr != end || result.ec == std::errc::invalid_argument)
        return false;
    if (result.ec == std::errc::result_out_of_range) {
        parsed = out_of_range_value(text, end);
        if (overflowed != nullptr)
            *overflowed = std::isinf(parsed);
    }
    *value = negative ? -parsed : parsed;
    return true;
}
