/* json_lines.c - see json_lines.h; http-protocols.md section 17. */
#include "wire/json_lines.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "wire/decimal.h"
#include "wire/label_pairs.h"
#include "wire/result_json.h"

/* A staleness marker, which the dialect has no word for. */
#define STALE_TEXT "StaleNaN"
#define EXCERPT_BYTES ((ptrdiff_t)60)
#define MAX_DEPTH 32
/* Longer strings are no label of ours; the bound keeps a length prefix within three bytes. */
#define MAX_STRING_BYTES ((ptrdiff_t)1 << 20)

/* One line being read. After a failure `problem` says what was expected at `at`. */
struct parser {
    const char *at;
    const char *end;
    const char *problem; /* static */
    struct batch *batch;
    size_t entry;  /* of the line */
    size_t values; /* seen so far */
    size_t times;
    bool has_metric, has_values, has_times;
};

struct text {
    const char *at; /* behind the opening quote */
    size_t len;
    bool escaped;
};

static bool fail(struct parser *parser, const char *problem)
{
    parser->problem = problem;
    return false;
}

static void skip_blanks(struct parser *parser)
{
    while (parser->at < parser->end &&
           (*parser->at == ' ' || *parser->at == '\t' || *parser->at == '\r'))
        parser->at++;
}

static bool take(struct parser *parser, char c)
{
    skip_blanks(parser);
    if (parser->at == parser->end || *parser->at != c)
        return false;
    parser->at++;
    return true;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* The first quote, backslash or control character, eight bytes at a time; end if there is none. */
static const char *find_special(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = get_le64((const uint8_t *)at);
        uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
        uint64_t hit = ((quote - EACH_BYTE(1)) & ~quote) |
                       ((backslash - EACH_BYTE(1)) & ~backslash) |
                       ((word - EACH_BYTE(0x20)) & ~word);

        hit &= EACH_BYTE(0x80);
        if (hit != 0)
            return at + __builtin_ctzll(hit) / 8; /* the lowest hit is never a false one */
    }
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
        at++;
    return at;
}

static bool take_text(struct parser *parser, struct text *text)
{
    const char *p;

    if (!take(parser, '"'))
        return fail(parser, "expected a string");
    text->escaped = false;
    text->at = parser->at;
    p = find_special(text->at, parser->end);
    while (p < parser->end && *p != '"') {
        if (*p != '\\')
            return fail(parser, "a control character in a string");
        text->escaped = true;
        p = parser->end - p > 2 ? find_special(p + 2, parser->end) : parser->end;
    }
    if (p == parser->end)
        return fail(parser, "a string without its closing quote");
    if (p - text->at > MAX_STRING_BYTES)
        return fail(parser, "a string over 1 MiB");
    text->len = (size_t)(p - text->at);
    parser->at = p + 1;
    return true;
}

static bool parse_hex4(const char *at, const char *end, uint32_t *value)
{
    *value = 0;
    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;

        if (digit == 16)
            return false;
        *value = *value * 16 + digit;
    }
    return true;
}

/* \uXXXX at `at` (behind the u), a pair of surrogates too; a lone one is U+FFFD. */
static const char *unescape_unicode(const char *at, const char *end, char **out)
{
    uint32_t code_point, low;

    if (!parse_hex4(at, end, &code_point))
        return NULL;
    at += 4;
    if (code_point >= 0xd800 && code_point < 0xdc00 && end - at >= 6 && at[0] == '\\' &&
        at[1] == 'u' && parse_hex4(at + 2, end, &low) && low >= 0xdc00 && low < 0xe000) {
        code_point = 0x10000 + ((code_point - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
    }
    if (code_point >= 0xd800 && code_point < 0xe000)
        code_point = 0xfffd;
    *out += utf8_encode(*out, code_point);
    return at;
}

/* Into `out`, which has room for text->len bytes; never longer than the escaped form. */
static bool unescape(const struct text *text, char *out, size_t *len)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *at = text->at, *end = at + text->len;
    char *start = out;

    while (at < end) {
        const char *letter;

        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        if (at[1] == 'u') {
            at = unescape_unicode(at + 2, end, &out);
            if (at == NULL)
                return false;
            continue;
        }
        letter = at[1] != '\0' ? strchr(letters, at[1]) : NULL;
        if (letter == NULL)
            return false;
        *out++ = meant[letter - letters];
        at += 2;
    }
    *len = (size_t)(out - start);
    return true;
}

/* Skips any value; objects and arrays by depth, without looking closely. */
static bool skip_value(struct parser *parser)
{
    int depth = 0;
    struct text text;

    do {
        skip_blanks(parser);
        if (parser->at == parser->end)
            return fail(parser, "the line ends within a value");
        if (*parser->at == '"') {
            if (!take_text(parser, &text))
                return false;
        } else if (*parser->at == '{' || *parser->at == '[') {
            if (++depth > MAX_DEPTH)
                return fail(parser, "nested too deep");
            parser->at++;
        } else if (*parser->at == '}' || *parser->at == ']') {
            if (--depth < 0)
                return fail(parser, "expected a value");
            parser->at++;
        } else {
            parser->at++;
        }
    } while (depth > 0);
    while (parser->at < parser->end && strchr(",}] \t\r", *parser->at) == NULL)
        parser->at++; /* the rest of a number or word */
    return true;
}

/* --- the metric --------------------------------------------------------------------------------
 */

/* Makes a text plain, in the arena if it has escapes. */
static bool resolve(struct parser *parser, struct text *text, struct arena *arena)
{
    char *made;

    if (!text->escaped)
        return true;
    made = arena_alloc(arena, text->len);
    if (!unescape(text, made, &text->len))
        return fail(parser, "an escape that JSON does not have");
    text->at = made;
    text->escaped = false;
    return true;
}

/* Labels of an object, into the builder; texts with escapes are made in the arena. */
static bool parse_labels(struct parser *parser, struct arena *scratch, struct labels_builder *out,
                         struct error *err)
{
    bool first = true;

    if (!take(parser, '{'))
        return fail(parser, "expected an object of labels");
    for (; !take(parser, '}'); first = false) {
        struct text name, value;

        if ((!first && !take(parser, ',')) || !take_text(parser, &name) || !take(parser, ':') ||
            !take_text(parser, &value))
            return fail(parser, "expected labels as \"name\":\"value\"");
        if (!resolve(parser, &name, scratch) || !resolve(parser, &value, scratch))
            return false;
        if (label_add_unique(out, name.at, name.len, value.at, value.len, err) != 0)
            return fail(parser, NULL);
    }
    return true;
}

int json_lines_parse_labels(const uint8_t *block, size_t len, const void *ctx,
                            struct arena *scratch, struct labels_builder *out, struct error *err)
{
    struct parser parser = {.at = (const char *)block, .end = (const char *)block + len};

    (void)ctx;
    if (parse_labels(&parser, scratch, out, err) &&
        (parser.at == parser.end || fail(&parser, "expected nothing behind the labels")))
        return 0;
    if (parser.problem == NULL)
        return -1; /* err says what */
    return error_set(err, ERR_INVALID, "%s at column %zu of the labels: \"%.*s\"", parser.problem,
                     (size_t)(parser.at - (const char *)block) + 1,
                     (int)TIDE_MIN(parser.end - parser.at, EXCERPT_BYTES), parser.at);
}

/* How many quotes, eight bytes at a time. */
static unsigned count_quotes(const char *at, const char *end)
{
    unsigned quotes = 0;

    for (; end - at >= 8; at += 8) {
        uint64_t word = get_le64((const uint8_t *)at) ^ EACH_BYTE('"');

        word = ((word & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f)) | word; /* top bit: not a quote */
        word = (word & EACH_BYTE(0x80)) >> 7;
        quotes += 8 - (unsigned)(word * EACH_BYTE(1) >> 56); /* the sum of the bytes */
    }
    for (; at < end; at++)
        quotes += *at == '"';
    return quotes;
}

/* Is [at, end) free of backslashes, with each quote that opens closed? */
static bool is_balanced(const char *at, const char *end)
{
    return memchr(at, '\\', (size_t)(end - at)) == NULL && count_quotes(at, end) % 2 == 0;
}

/* {"name":"value",...} is the block as it stands: only a new one is read. Its end is the first
 * brace, unless that may be within a string: then it is looked for. */
static bool parse_metric(struct parser *parser)
{
    struct batch_entry *entry = &parser->batch->entries[parser->entry];
    const char *begin, *brace;

    if (parser->has_metric)
        return fail(parser, "a second \"metric\"");
    parser->has_metric = true;
    skip_blanks(parser);
    begin = parser->at;
    if (begin == parser->end || *begin != '{')
        return fail(parser, "expected an object of labels");
    brace = memchr(begin, '}', (size_t)(parser->end - begin));
    if (brace != NULL && is_balanced(begin, brace))
        parser->at = brace + 1;
    else if (!skip_value(parser))
        return false;
    entry->block = (const uint8_t *)begin;
    entry->block_len = (uint32_t)(parser->at - begin);
    return true;
}

/* --- the samples -------------------------------------------------------------------------------
 */

static const char *end_of_token(const struct parser *parser)
{
    const char *p = parser->at;

    while (p < parser->end && *p != ',' && *p != ']' && *p != ' ' && *p != '\t' && *p != '\r')
        p++;
    return p;
}

/* vmctl writes NaN and +Inf as Go prints them, without quotes. */
static bool begins_number(char c)
{
    return c == '-' || c == '+' || (c & 0xf0) == 0x30 || c == 'N' || c == 'n' || c == 'I' ||
           c == 'i';
}

static bool parse_value(struct parser *parser, double *value)
{
    const char *token_end;
    struct text text;

    skip_blanks(parser);
    if (parser->at < parser->end && *parser->at == '"') {
        if (!take_text(parser, &text))
            return false;
        if (text.len == strlen(STALE_TEXT) && memcmp(text.at, STALE_TEXT, text.len) == 0) {
            *value = bits_double(SAMPLE_STALE_BITS);
            return true;
        }
        return number_parse(text.at, text.len, value, NULL) ||
               fail(parser, "expected a number in the string");
    }
    token_end = end_of_token(parser);
    if (token_end - parser->at == 4 && memcmp(parser->at, "null", 4) == 0)
        *value = bits_double(SAMPLE_NAN_BITS);
    else if (token_end == parser->at || !begins_number(*parser->at) ||
             !decimal_parse(parser->at, token_end, value))
        return fail(parser, "expected a number");
    parser->at = token_end;
    return true;
}

static bool parse_time(struct parser *parser, int64_t *time_ms)
{
    const char *token_end;
    double value;

    skip_blanks(parser);
    token_end = end_of_token(parser);
    if (!decimal_parse_integer(parser->at, token_end, time_ms)) {
        if (!decimal_parse(parser->at, token_end, &value) || !(value > -9e18 && value < 9e18))
            return fail(parser, "expected a time in milliseconds");
        *time_ms = (int64_t)value;
    }
    parser->at = token_end;
    return true;
}

/* Whichever of the two arrays comes first adds the samples, the other completes them. */
static bool parse_samples(struct parser *parser, bool is_values)
{
    struct batch *batch = parser->batch;
    size_t first = batch->entries[parser->entry].first_sample;
    size_t *count = is_values ? &parser->values : &parser->times;
    bool *seen = is_values ? &parser->has_values : &parser->has_times;

    if (*seen)
        return fail(parser, "a second array of samples");
    *seen = true;
    if (!take(parser, '['))
        return fail(parser, "expected an array");
    while (!take(parser, ']')) {
        int64_t time_ms = 0;
        double value = 0;

        if (*count != 0 && !take(parser, ','))
            return fail(parser, "expected ',' or ']'");
        if (!(is_values ? parse_value(parser, &value) : parse_time(parser, &time_ms)))
            return false;
        if (first + *count == batch->sample_count) {
            if (parser->has_values && parser->has_times)
                return fail(parser, "values and timestamps are not equally many");
            batch_add_sample(batch, time_ms, value);
        } else if (is_values) {
            batch->values[first + *count] = value;
        } else {
            batch->times_ms[first + *count] = time_ms;
        }
        (*count)++;
    }
    return true;
}

static bool is_key(const struct text *key, const char *name)
{
    return key->len == strlen(name) && memcmp(key->at, name, key->len) == 0;
}

static bool parse_line(struct parser *parser)
{
    bool first = true;

    if (!take(parser, '{'))
        return fail(parser, "expected an object");
    for (; !take(parser, '}'); first = false) {
        struct text key;
        bool good;

        if (!first && !take(parser, ','))
            return fail(parser, "expected ',' or '}'");
        if (!take_text(parser, &key))
            return false;
        if (!take(parser, ':'))
            return fail(parser, "expected ':'");
        if (is_key(&key, "metric"))
            good = parse_metric(parser);
        else if (is_key(&key, "values"))
            good = parse_samples(parser, true);
        else if (is_key(&key, "timestamps"))
            good = parse_samples(parser, false);
        else
            good = skip_value(parser);
        if (!good)
            return false;
    }
    skip_blanks(parser);
    if (parser->at != parser->end)
        return fail(parser, "expected nothing behind the object");
    if (!parser->has_metric || !parser->has_values || !parser->has_times)
        return fail(parser, "\"metric\", \"values\" or \"timestamps\" is missing");
    if (parser->values != parser->times)
        return fail(parser, "values and timestamps are not equally many");
    return true;
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void decode_line(const char *at, const char *end, uint32_t line, struct push *push,
                        struct batch *batch, struct append_result *result)
{
    struct parser parser = {.at = at, .end = end, .batch = batch, .entry = batch->entry_count};
    size_t samples = batch->sample_count;

    skip_blanks(&parser);
    if (parser.at == end)
        return;
    batch_add_entry(batch, NULL, 0, line);
    if (parse_line(&parser)) {
        if (parser.values == 0) {
            batch->entry_count--;
            push->skipped.empty++;
        }
        return;
    }
    append_result_refuse(
        result, REFUSED_MALFORMED, TIDE_MAX(batch->sample_count - samples, (size_t)1),
        (uint32_t)parser.entry, line, "%s at column %zu: \"%.*s\"", parser.problem,
        (size_t)(parser.at - at) + 1, (int)TIDE_MIN(end - parser.at, EXCERPT_BYTES), parser.at);
    batch->entry_count = parser.entry;
    batch->sample_count = samples;
}

int json_lines_decode_part(const uint8_t *part, size_t len, bool last, uint32_t *line, size_t *used,
                           struct push *push, struct batch *batch, struct append_result *result,
                           struct error *err)
{
    const char *at = (const char *)part, *end = at + len;

    batch->format = LABEL_FORMAT_JSON;
    batch->parse = json_lines_parse_labels;
    batch->parse_ctx = NULL;
    if (len > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "%zu bytes of JSON lines at once are over 4 GiB", len);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        if (newline == NULL && !last)
            break;
        decode_line(at, newline != NULL ? newline : end, ++*line, push, batch, result);
        at = newline != NULL ? newline + 1 : end;
    }
    *used = (size_t)(at - (const char *)part);
    return 0;
}

int json_lines_decode(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                      struct append_result *result, struct error *err)
{
    uint32_t line = 0;
    size_t used;

    return json_lines_decode_part(body, len, true, &line, &used, push, batch, result, err);
}

static void put_value(struct buf *out, double value)
{
    if (double_bits(value) == SAMPLE_STALE_BITS)
        buf_puts(out, "\"" STALE_TEXT "\"");
    else if (value != value)
        buf_puts(out, "null");
    else if (value - value != 0)
        buf_puts(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        out->len += number_format_api((char *)buf_reserve(out, NUMBER_MAX_BYTES), value);
}

void json_lines_put(struct buf *out, const struct labels *labels, const struct columns *samples,
                    size_t from, size_t to)
{
    buf_puts(out, "{\"metric\":");
    json_put_labels(out, labels);
    buf_puts(out, ",\"values\":[");
    for (size_t i = from; i < to; i++) {
        if (i > from)
            buf_putc(out, ',');
        put_value(out, samples->values[i]);
    }
    buf_puts(out, "],\"timestamps\":[");
    for (size_t i = from; i < to; i++) {
        if (i > from)
            buf_putc(out, ',');
        buf_printf(out, "%" PRId64, samples->times_ms[i]);
    }
    buf_puts(out, "]}\n");
}
