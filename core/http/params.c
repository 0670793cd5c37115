#include "http/params.h"

#include <math.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/number.h"
#include "model/label_name.h"

/* --- url-encoded texts -------------------------------------------------------------------------
 */

struct http_text params_decode(struct http_text text, bool plus, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int byte = percent_byte(text.at + i, text.len - i);

        if (byte >= 0) {
            out[len++] = (char)byte;
            i += 2;
        } else {
            out[len++] = plus && text.at[i] == '+' ? ' ' : text.at[i];
        }
    }
    out[len] = '\0';
    return (struct http_text){out, len};
}

static int check_escapes(struct http_text text, struct error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '%' && percent_byte(text.at + i, text.len - i) < 0)
            return error_set(err, ERR_INVALID, "invalid URL escape \"%.*s\"",
                             (int)TIDE_MIN(text.len - i, (size_t)3), text.at + i);
    }
    return 0;
}

static size_t count_pairs(struct http_text text)
{
    size_t count = 1;

    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == '&';
    return count;
}

static int parse_pairs(struct http_text text, struct arena *arena, struct params *params,
                       struct error *err)
{
    const char *at = text.at, *end;

    if (text.len == 0) /* and perhaps nowhere */
        return 0;
    end = text.at + text.len;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at)), *equals;
        struct http_text name, value = {"", 0};

        if (stop == NULL)
            stop = end;
        equals = memchr(at, '=', (size_t)(stop - at));
        name = (struct http_text){at, (size_t)((equals != NULL ? equals : stop) - at)};
        if (equals != NULL)
            value = (struct http_text){equals + 1, (size_t)(stop - equals - 1)};
        at = stop + 1;
        if (name.len == 0 && value.len == 0)
            continue;
        if (check_escapes(name, err) != 0 || check_escapes(value, err) != 0)
            return -1;
        params->list[params->count].name = params_decode(name, true, arena);
        params->list[params->count++].value = params_decode(value, true, arena);
    }
    return 0;
}

int params_parse(struct http_text query, struct http_text form, struct arena *arena,
                 struct params *params, struct error *err)
{
    size_t count = count_pairs(query) + count_pairs(form);

    *params = (struct params){0};
    if (count > PARAMS_MAX)
        return error_set(err, ERR_INVALID, "more than %d parameters", PARAMS_MAX);
    params->list = arena_alloc(arena, count * sizeof(*params->list));
    if (parse_pairs(form, arena, params, err) != 0)
        return -1;
    return parse_pairs(query, arena, params, err);
}

bool params_is_form(const struct http_head *head)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const struct http_field *field = http_head_field(head, "Content-Type");
    struct http_text text;

    if (field == NULL || field->value.len < sizeof(type) - 1)
        return false;
    text = (struct http_text){field->value.at, sizeof(type) - 1};
    return http_text_is(text, type) &&
           (field->value.len == text.len || strchr("; \t", field->value.at[text.len]) != NULL);
}

struct http_text params_get(const struct params *params, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < params->count; i++) {
        if (params->list[i].name.len == len && memcmp(params->list[i].name.at, name, len) == 0)
            return params->list[i].value;
    }
    return (struct http_text){NULL, 0};
}

/* --- times -------------------------------------------------------------------------------------
 */

/* Whole and fractional seconds apart, so that milliseconds do not suffer from the size. */
static int64_t seconds_to_ms(double seconds)
{
    double whole, fraction = modf(seconds, &whole);

    if (whole >= 9.2e15)
        return TIDE_LATEST_MS;
    if (whole <= -9.2e15)
        return TIDE_EARLIEST_MS;
    return (int64_t)whole * 1000 + (int64_t)round(fraction * 1000);
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t era, year_of_era, day_of_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    year_of_era = year - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

/* Reads exactly `digits` digits at *at. */
static bool take_digits(const char **at, const char *end, int digits, int64_t *value)
{
    *value = 0;
    for (; digits > 0; digits--) {
        if (*at == end || **at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (*(*at)++ - '0');
    }
    return true;
}

static bool take_char(const char **at, const char *end, const char *set)
{
    if (*at == end || **at == '\0' || strchr(set, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

/* ".123456": milliseconds, the rest is rounded off. */
static bool take_fraction(const char **at, const char *end, int64_t *ms)
{
    int64_t nanos = 0, unit = 100000000;
    const char *from;

    *ms = 0;
    if (*at == end || **at != '.')
        return true;
    from = ++*at;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        nanos += (**at - '0') * unit;
    *ms = (nanos + 500000) / 1000000;
    return *at > from;
}

/* "Z", "+02:00"; a form's '+' that came as a blank is a plus. */
static bool take_zone(const char **at, const char *end, int64_t *minutes)
{
    int64_t hours, rest;
    bool minus;

    *minutes = 0;
    if (take_char(at, end, "Zz"))
        return true;
    if (*at == end || strchr("+- ", **at) == NULL)
        return false;
    minus = *(*at)++ == '-';
    if (!take_digits(at, end, 2, &hours) || !take_char(at, end, ":") ||
        !take_digits(at, end, 2, &rest) || hours > 23 || rest > 59)
        return false;
    *minutes = (hours * 60 + rest) * (minus ? -1 : 1);
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        return 29;
    return days[month - 1];
}

static bool parse_rfc3339(struct http_text text, int64_t *ms)
{
    const char *at = text.at, *end = text.at + text.len;
    int64_t year, month, day, hour, minute, second, fraction, zone;

    if (!take_digits(&at, end, 4, &year) || !take_char(&at, end, "-") ||
        !take_digits(&at, end, 2, &month) || !take_char(&at, end, "-") ||
        !take_digits(&at, end, 2, &day) || !take_char(&at, end, "Tt") ||
        !take_digits(&at, end, 2, &hour) || !take_char(&at, end, ":") ||
        !take_digits(&at, end, 2, &minute) || !take_char(&at, end, ":") ||
        !take_digits(&at, end, 2, &second) || !take_fraction(&at, end, &fraction) ||
        !take_zone(&at, end, &zone) || at != end)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    *ms = ((days_of(year, month, day) * 24 + hour) * 60 + minute - zone) * 60000 + second * 1000 +
          fraction;
    return true;
}

/* The two literals that Go's client sends for the ends of time. */
static bool parse_end_of_time(struct http_text text, int64_t *ms)
{
    static const char earliest[] = "-292273086-05-16T16:47:06Z";
    static const char latest[] = "+292277025-08-18T07:12:54.999999999Z";

    if (text.len == sizeof(earliest) - 1 && memcmp(text.at, earliest, text.len) == 0)
        *ms = TIDE_EARLIEST_MS;
    else if (text.len >= 10 && (text.at[0] == '+' || text.at[0] == ' ' || text.at[0] == '2') &&
             memcmp(text.at + (text.at[0] != '2'), latest + 1, 10) == 0)
        *ms = TIDE_LATEST_MS;
    else
        return false;
    return true;
}

bool params_parse_time(struct http_text text, int64_t *ms)
{
    double seconds;

    if (number_parse(text.at, text.len, &seconds, NULL)) {
        if (isnan(seconds))
            return false;
        *ms = seconds_to_ms(seconds);
        return true;
    }
    return parse_rfc3339(text, ms) || parse_end_of_time(text, ms);
}

bool params_parse_duration(struct http_text text, int64_t *ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"y", INT64_C(365) * 86400000},
                 {"w", INT64_C(7) * 86400000},
                 {"d", 86400000},
                 {"h", 3600000},
                 {"m", 60000},
                 {"s", 1000},
                 {"ms", 1}};
    const char *at = text.at, *end = text.at + text.len;
    size_t next_unit = 0;
    int64_t sum = 0;
    double seconds;

    if (number_parse(text.at, text.len, &seconds, NULL)) {
        if (!(fabs(seconds) < 9.2e9)) /* nanoseconds must fit, as upstream's do; no NaN */
            return false;
        *ms = seconds_to_ms(seconds);
        return true;
    }
    while (at < end) {
        const char *from = at;
        int64_t count = 0, part;
        size_t unit, len;

        for (; at < end && *at >= '0' && *at <= '9'; at++) {
            if (__builtin_mul_overflow(count, 10, &count) ||
                __builtin_add_overflow(count, *at - '0', &count))
                return false;
        }
        if (at == from)
            return false;
        for (len = 0; at + len < end && at[len] >= 'a' && at[len] <= 'z'; len++)
            ;
        for (unit = next_unit; unit < TIDE_COUNT(units); unit++) {
            if (strlen(units[unit].name) == len && memcmp(units[unit].name, at, len) == 0)
                break;
        }
        if (unit == TIDE_COUNT(units) || __builtin_mul_overflow(count, units[unit].ms, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return false;
        next_unit = unit + 1;
        at += len;
    }
    *ms = sum;
    return text.len > 0 && sum <= INT64_MAX / 1000000;
}

/* --- label names in a path ---------------------------------------------------------------------
 */

struct http_text params_label_name(struct http_text text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = label_name_unescape(text.at, text.len, out);

    out[len] = '\0';
    return (struct http_text){out, len};
}

/* --- by name -----------------------------------------------------------------------------------
 */

static int cannot_parse(const char *name, struct http_text text, const char *what,
                        struct error *err)
{
    return error_set(err, ERR_INVALID,
                     "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid %s", name,
                     (int)TIDE_MIN(text.len, (size_t)100), text.at, what);
}

int params_time(const struct params *params, const char *name, int64_t *ms, struct error *err)
{
    struct http_text text = params_get(params, name);

    if (text.at == NULL || text.len == 0 || params_parse_time(text, ms))
        return 0;
    return cannot_parse(name, text, "timestamp", err);
}

int params_duration(const struct params *params, const char *name, int64_t *ms, struct error *err)
{
    struct http_text text = params_get(params, name);

    if (text.at == NULL || text.len == 0 || params_parse_duration(text, ms))
        return 0;
    return cannot_parse(name, text, "duration", err);
}

int params_count(const struct params *params, const char *name, size_t *value, struct error *err)
{
    struct http_text text = params_get(params, name);
    size_t count = 0;

    if (text.at == NULL || text.len == 0)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return cannot_parse(name, text, "number, 0 or more", err);
        if (!size_mul(count, 10, &count) || !size_add(count, (size_t)(text.at[i] - '0'), &count))
            return cannot_parse(name, text, "number, 0 or more", err);
    }
    *value = count;
    return 0;
}
