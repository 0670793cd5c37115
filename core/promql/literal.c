/* literal.c - see literal.h. */
#include "promql/literal.h"

#include <math.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/utf8.h"
#include "model/labels.h"
#include "promql/lexer_scan.h"

/* Underscores must stand between digits, or between a base prefix and a digit. */
static bool underscores_fit(const char *text, size_t len)
{
    bool hex = len >= 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
    char last = hex ? '0' : '^'; /* '0': a digit, '_', or '!': anything else */

    for (size_t i = hex ? 2 : 0; i < len; i++) {
        if (is_digit(text[i]) || (hex && hex_digit(text[i]) >= 0)) {
            last = '0';
        } else if (text[i] == '_') {
            if (last != '0')
                return false;
            last = '_';
        } else {
            if (last == '_')
                return false;
            last = '!';
        }
    }
    return last != '_';
}

/* Go's ParseInt(text, 0, 64) of a text without sign: false when it is none or too big. */
static bool parse_integer(const char *text, size_t len, uint64_t *value)
{
    unsigned base = 10;
    size_t i = 0, digits = 0;
    uint64_t sum = 0;

    if (len >= 2 && text[0] == '0') {
        base = (text[1] | 0x20) == 'x' ? 16 : 8;
        i = base == 16 ? 2 : 1;
    }
    for (; i < len; i++) {
        int digit = hex_digit(text[i]);

        if (text[i] == '_')
            continue;
        if (digit < 0 || (unsigned)digit >= base)
            return false;
        if (__builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)digit, &sum) || sum > INT64_MAX)
            return false;
        digits++;
    }
    *value = sum;
    return digits > 0;
}

static int fail_number(const char *text, size_t len, const char *why, struct error *err)
{
    struct buf quoted = {0};

    labels_quote(&quoted, text, len);
    error_set(err, ERR_INVALID, "error parsing number: strconv.ParseFloat: parsing %.*s: %s",
              (int)quoted.len, (const char *)quoted.data, why);
    buf_destroy(&quoted);
    return -1;
}

int literal_number(const char *text, size_t len, double *value, struct error *err)
{
    bool fits = memchr(text, '_', len) == NULL || underscores_fit(text, len);
    bool overflowed = false, good;
    uint64_t integer;
    char *digits;
    size_t count = 0;

    if (fits && parse_integer(text, len, &integer)) {
        *value = (double)(int64_t)integer;
        return 0;
    }
    digits = mem_try_alloc(len);
    if (digits == NULL)
        return error_set(err, ERR_NOMEM, "no memory for a number of %zu bytes", len);
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '_')
            digits[count++] = text[i];
    }
    good = fits && number_parse(digits, count, value, &overflowed);
    mem_free(digits);
    if (!good)
        return fail_number(text, len, "invalid syntax", err);
    if (overflowed)
        return fail_number(text, len, "value out of range", err);
    return 0;
}

/* --- durations -----------------------------------------------------------------------------------
 */

struct unit {
    const char *text;
    int64_t ns;
};

/* From big to small, the order in which they must stand. */
static const struct unit units[] = {
    {"y", 365 * 86400 * NS_PER_SECOND},
    {"w", 7 * 86400 * NS_PER_SECOND},
    {"d", 86400 * NS_PER_SECOND},
    {"h", 3600 * NS_PER_SECOND},
    {"m", 60 * NS_PER_SECOND},
    {"s", NS_PER_SECOND},
    {"ms", NS_PER_MS},
};

static int fail_duration(const char *text, size_t len, struct error *err)
{
    return error_set(err, ERR_INVALID, "not a valid duration string: \"%.*s\"", (int)len, text);
}

/* Index into units, TIDE_COUNT(units) when it is none. */
static size_t find_unit(const char *text, size_t len)
{
    size_t i = 0;

    while (i < TIDE_COUNT(units) &&
           (strlen(units[i].text) != len || memcmp(units[i].text, text, len) != 0))
        i++;
    return i;
}

int literal_duration(const char *text, size_t len, int64_t *ns, struct error *err)
{
    size_t i = 0, next_unit = 0;
    int64_t sum = 0;

    while (i < len) {
        size_t unit_start, digits = i, unit;
        uint64_t count = 0;
        int64_t part;

        for (; i < len && is_digit(text[i]); i++) {
            if (__builtin_mul_overflow(count, (uint64_t)10, &count) ||
                __builtin_add_overflow(count, (uint64_t)(text[i] - '0'), &count))
                return fail_duration(text, len, err);
        }
        unit_start = i;
        while (i < len && !is_digit(text[i]))
            i++;
        if (unit_start == digits || i == unit_start)
            return fail_duration(text, len, err);
        unit = find_unit(text + unit_start, i - unit_start);
        if (unit == TIDE_COUNT(units))
            return error_set(err, ERR_INVALID, "unknown unit \"%.*s\" in duration \"%.*s\"",
                             (int)(i - unit_start), text + unit_start, (int)len, text);
        if (unit < next_unit)
            return fail_duration(text, len, err);
        next_unit = unit + 1;
        if (count > INT64_MAX || __builtin_mul_overflow((int64_t)count, units[unit].ns, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return error_set(err, ERR_INVALID, "duration out of range");
    }
    *ns = sum;
    return 0;
}

double literal_seconds(int64_t ns)
{
    return (double)(ns / NS_PER_SECOND) + (double)(ns % NS_PER_SECOND) / 1e9;
}

bool literal_seconds_to_ns(double seconds, int64_t *ns)
{
    double exact = round(seconds * 1e9);

    if (!(exact < 9223372036854775808.0 && exact >= -9223372036854775808.0))
        return false;
    *ns = (int64_t)exact;
    return true;
}

void literal_print_duration(int64_t ms, struct buf *out)
{
    uint64_t rest = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;

    if (ms < 0)
        buf_putc(out, '-');
    if (ms == 0) {
        buf_puts(out, "0s");
        return;
    }
    for (size_t i = 0; i < TIDE_COUNT(units); i++) {
        uint64_t unit_ms = (uint64_t)(units[i].ns / NS_PER_MS);
        bool only_exact = i < 2; /* years and weeks */

        if (rest < unit_ms || (only_exact && rest % unit_ms != 0))
            continue;
        buf_printf(out, "%" PRIu64 "%s", rest / unit_ms, units[i].text);
        rest %= unit_ms;
    }
}

/* --- strings
 * -------------------------------------------------------------------------------------- */

/* One escape sequence behind the backslash; returns what it took. */
static size_t unescape(const char *text, char *out, size_t *len)
{
    static const char simple[] = "a\ab\bf\fn\nr\rt\tv\v";
    uint32_t value = 0;
    size_t digits = text[0] == 'x' ? 2 : text[0] == 'u' ? 4 : text[0] == 'U' ? 8 : 0;

    for (size_t i = 0; i + 1 < sizeof(simple); i += 2) {
        if (text[0] == simple[i]) {
            out[(*len)++] = simple[i + 1];
            return 1;
        }
    }
    if (text[0] >= '0' && text[0] <= '7') {
        out[(*len)++] = (char)((text[0] - '0') * 64 + (text[1] - '0') * 8 + (text[2] - '0'));
        return 3;
    }
    for (size_t i = 1; i <= digits; i++)
        value = value * 16 + (uint32_t)hex_digit(text[i]);
    if (digits == 0)
        out[(*len)++] = text[0];
    else if (digits == 2)
        out[(*len)++] = (char)value;
    else
        *len += utf8_encode(out + *len, value);
    return digits + 1;
}

struct query_text literal_string(struct arena *arena, const char *text, size_t len)
{
    struct query_text result = {0};
    char *out;

    TIDE_ASSERT(len >= 2);
    out = arena_alloc(arena, len);
    for (size_t i = 1; i + 1 < len;) {
        if (text[0] == '`' || text[i] != '\\')
            out[result.len++] = text[i++];
        else
            i += 1 + unescape(text + i + 1, out, &result.len);
    }
    out[result.len] = '\0';
    result.bytes = out;
    return result;
}

void literal_print_string(const char *bytes, size_t len, struct buf *out)
{
    labels_quote(out, bytes, len);
}
