/* influx.c - see influx.h; http-protocols.md section 13. */
#include "wire/influx.h"

#include "wire/decimal.h"

#define EXCERPT_BYTES ((ptrdiff_t)60)
#define NS_PER_MS ((int64_t)1000000)

struct decoder {
    struct push *push;
    struct batch *batch;
    struct append_result *result;
    int64_t unit_ns;
    size_t budget;
    uint32_t line;
    const char *key; /* measurement and tags of the line */
    const char *key_end;
};

enum field_kind { FIELD_NUMBER, FIELD_TEXT, FIELD_BAD };

bool influx_precision_parse(const char *text, size_t len, int64_t *unit_ns)
{
    static const struct {
        const char *name;
        int64_t unit_ns;
    } known[] = {
        {"", 1},
        {"n", 1},
        {"ns", 1},
        {"u", 1000},
        {"us", 1000},
        {"\xc2\xb5", 1000},
        {"\xc2\xb5s", 1000},
        {"ms", 1000000},
        {"s", 1000000000},
        {"m", 60000000000},
        {"h", 3600000000000},
        {"auto", INFLUX_GUESS},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].name) == len && memcmp(known[i].name, text, len) == 0) {
            *unit_ns = known[i].unit_ns;
            return true;
        }
    }
    return false;
}

/* --- the parts of a line -----------------------------------------------------------------------
 */

/* The blank that ends measurement and tags: the first without a backslash before it. */
static const char *find_key_end(const char *at, const char *end)
{
    const char *blank = at;

    do {
        blank = memchr(blank, ' ', (size_t)(end - blank));
        if (blank == NULL)
            return end;
        if (blank == at || blank[-1] != '\\')
            return blank;
    } while (++blank < end);
    return end;
}

static const char *find_equals(const char *at, const char *end)
{
    const char *p = at;

    while (p < end && (*p != '=' || (p > at && p[-1] == '\\')))
        p++;
    return p;
}

/* Behind the closing quote of a text that starts behind its opening one; NULL without one. */
static const char *skip_text(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\' && ++at == end)
            break;
    }
    return NULL;
}

static bool parse_boolean(const char *at, size_t len, double *value)
{
    static const char *const names[] = {"t", "T", "true",  "True",  "TRUE",
                                        "f", "F", "false", "False", "FALSE"};

    for (size_t i = 0; i < 10; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], at, len) == 0) {
            *value = i < 5 ? 1 : 0;
            return true;
        }
    }
    return false;
}

/* Integers carry an i or u behind them; a NaN or Inf is refused, as InfluxDB does. */
static bool parse_value(const char *at, const char *end, double *value)
{
    char first;

    if (at == end)
        return false;
    first = *at;
    if ((first < '0' || first > '9') && first != '-' && first != '+' && first != '.')
        return parse_boolean(at, (size_t)(end - at), value);
    if (end[-1] == 'i' || (end[-1] == 'u' && first != '-')) {
        end--;
        for (const char *p = at + (first == '-' || first == '+'); p < end; p++) {
            if (*p < '0' || *p > '9')
                return false;
        }
    }
    return decimal_parse(at, end, value) && *value - *value == 0;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool to_ms(int64_t time, int64_t unit_ns, int64_t *time_ms)
{
    if (unit_ns == INFLUX_GUESS) {
        uint64_t size = time < 0 ? 0 - (uint64_t)time : (uint64_t)time;

        unit_ns = size >= 100000000000000000 ? 1
                  : size >= 100000000000000  ? 1000
                  : size >= 100000000000     ? 1000000
                                             : 1000000000;
    }
    if (unit_ns < NS_PER_MS) {
        *time_ms = floor_divide(time, NS_PER_MS / unit_ns);
        return true;
    }
    return !__builtin_mul_overflow(time, unit_ns / NS_PER_MS, time_ms);
}

/* A nanosecond time has 19 digits. */
static bool parse_time(const char *at, const char *end, int64_t unit_ns, int64_t *time_ms)
{
    bool negative = at < end && *at == '-';
    uint64_t sum = 0;

    at += negative;
    if (at == end || end - at > 19)
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        sum = sum * 10 + (uint64_t)(*at - '0');
    }
    return sum <= INT64_MAX && to_ms(negative ? -(int64_t)sum : (int64_t)sum, unit_ns, time_ms);
}

/* --- lines -------------------------------------------------------------------------------------
 */

/* The block of a field: part of the line when it follows its key at once, else a copy. */
static bool add_entry(struct decoder *decoder, const char *field, size_t field_len)
{
    size_t key_len = (size_t)(decoder->key_end - decoder->key), len = key_len + 1 + field_len;
    uint8_t *block;

    if (field == decoder->key_end + 1) {
        batch_add_entry(decoder->batch, (const uint8_t *)decoder->key, len, decoder->line);
        return true;
    }
    if (len > decoder->budget)
        return false;
    decoder->budget -= len;
    block = arena_alloc(&decoder->batch->arena, len);
    memcpy(block, decoder->key, key_len);
    block[key_len] = ' ';
    memcpy(block + key_len + 1, field, field_len);
    batch_add_entry(decoder->batch, block, len, decoder->line);
    return true;
}

/* One field=value at *at, which is moved behind it. `problem` is static. */
static enum field_kind read_field(const char **at, const char *end, const char **equals,
                                  double *value, const char **problem)
{
    const char *p = find_equals(*at, end), *from = *at;

    *equals = p;
    *at = end;
    *problem = "a field is not name=value";
    if (p == end || p == from)
        return FIELD_BAD;
    from = ++p;
    if (p < end && *p == '"') {
        *problem = "a string without its closing quote";
        p = skip_text(p + 1, end);
        if (p == NULL || (p < end && *p != ',' && *p != ' '))
            return FIELD_BAD;
        *at = p;
        return FIELD_TEXT;
    }
    while (p < end && *p != ',' && *p != ' ')
        p++;
    *problem = "a field's value is not a number, boolean or string";
    if (!parse_value(from, p, value))
        return FIELD_BAD;
    *at = p;
    return FIELD_NUMBER;
}

/* All fields of a line, with a time to be set later. Returns false with *problem; *problem NULL
 * says that the budget is spent. */
static bool read_fields(struct decoder *decoder, const char **at, const char *end, size_t *fields,
                        const char **problem)
{
    const char *p = *at;

    for (;; p++) {
        const char *field = p, *equals;
        double value;
        enum field_kind kind = read_field(&p, end, &equals, &value, problem);

        (*fields)++;
        if (kind == FIELD_BAD)
            return false;
        if (kind == FIELD_TEXT) {
            decoder->push->skipped.texts++;
        } else {
            if (!add_entry(decoder, field, (size_t)(equals - field))) {
                *problem = NULL;
                return false;
            }
            batch_add_sample(decoder->batch, decoder->push->now_ms, value);
        }
        if (p == end || *p != ',')
            break;
    }
    *at = p;
    return true;
}

/* The timestamp behind the fields, set on all samples from `first` on. */
static bool read_time(struct decoder *decoder, const char *at, const char *end, size_t first)
{
    int64_t time_ms;

    while (at < end && *at == ' ')
        at++;
    while (end > at && end[-1] == ' ')
        end--;
    if (at == end)
        return true;
    if (!parse_time(at, end, decoder->unit_ns, &time_ms))
        return false;
    for (size_t i = first; i < decoder->batch->sample_count; i++)
        decoder->batch->times_ms[i] = time_ms;
    return true;
}

/* @return -1 when the budget is spent */
static int decode_line(struct decoder *decoder, const char *at, const char *end)
{
    struct batch *batch = decoder->batch;
    size_t entries = batch->entry_count, samples = batch->sample_count, fields = 0;
    uint64_t texts = decoder->push->skipped.texts;
    const char *p, *problem = "no fields";

    decoder->key = at;
    decoder->key_end = p = find_key_end(at, end);
    while (p < end && *p == ' ')
        p++;
    if (p < end && read_fields(decoder, &p, end, &fields, &problem)) {
        if (read_time(decoder, p, end, samples))
            return 0;
        problem = "not a timestamp behind the fields";
    }
    if (problem == NULL)
        return -1;
    batch->entry_count = entries;
    batch->sample_count = samples;
    decoder->push->skipped.texts = texts;
    append_result_refuse(decoder->result, REFUSED_MALFORMED, TIDE_MAX(fields, (size_t)1),
                         (uint32_t)entries, decoder->line, "%s: \"%.*s\"", problem,
                         (int)TIDE_MIN(end - at, EXCERPT_BYTES), at);
    return 0;
}

int influx_decode(const uint8_t *body, size_t len, int64_t unit_ns, struct push *push,
                  struct batch *batch, struct append_result *result, struct error *err)
{
    const char *at = (const char *)body, *end = at + len;
    struct decoder decoder = {.push = push,
                              .batch = batch,
                              .result = result,
                              .unit_ns = unit_ns,
                              .budget = push_block_budget(len)};

    batch->format = LABEL_FORMAT_INFLUX;
    batch->parse = influx_parse_labels;
    batch->parse_ctx = NULL;
    if (len > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "body of %zu bytes is over 4 GiB", len);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline != NULL ? newline : end, *next = line_end;

        decoder.line++;
        if (line_end > at && line_end[-1] == '\r')
            line_end--;
        while (at < line_end && *at == ' ')
            at++;
        if (at < line_end && *at != '#' && decode_line(&decoder, at, line_end) != 0)
            return error_set(err, ERR_LIMIT,
                             "the fields of line %" PRIu32 " repeat too many label bytes",
                             decoder.line);
        at = next + (newline != NULL);
    }
    return 0;
}
