/* exposition.c - see exposition.h; http-protocols.md sections 6 and 7. */
#include "wire/exposition.h"

#include "wire/decimal.h"

/* How much of a bad line is told back. */
#define EXCERPT_BYTES ((ptrdiff_t)60)

struct decoder {
    struct push *push;
    struct batch *batch;
    struct append_result *result;
    bool openmetrics;
    bool has_nul; /* somewhere in the body */
    bool ended;   /* # EOF was read */
    uint32_t line;
    const char *family; /* of the last TYPE line whose samples may have a _created */
    size_t family_len;
};

struct token {
    const char *at;
    const char *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void refuse(struct decoder *decoder, const char *what, const char *at, const char *end)
{
    append_result_refuse(decoder->result, REFUSED_MALFORMED, 1,
                         (uint32_t)decoder->batch->entry_count, decoder->line, "%s: \"%.*s\"", what,
                         (int)TIDE_MIN(end - at, EXCERPT_BYTES), at);
}

/* --- samples -----------------------------------------------------------------------------------
 */

/* The next token behind blanks. OpenMetrics has exactly one space there, and none at the end. */
static bool next_token(const struct decoder *decoder, const char **at, const char *end,
                       struct token *token)
{
    const char *p = *at;

    if (decoder->openmetrics) {
        if (p < end && *p == ' ')
            p++;
    } else {
        while (p < end && is_blank(*p))
            p++;
    }
    token->at = p;
    while (p < end && !is_blank(*p))
        p++;
    token->end = *at = p;
    return token->at != p;
}

/* Seconds with a fraction, to whole milliseconds, towards zero. Digit by digit: 1520879607.789
 * times 1000 would not always be ...789 as a double. */
static bool parse_seconds(const char *at, const char *end, int64_t *time_ms)
{
    const char *point = memchr(at, '.', (size_t)(end - at));
    double seconds;
    int64_t whole, ms = 0;

    if (decimal_parse_integer(at, point != NULL ? point : end, &whole) &&
        whole <= INT64_MAX / 2000 && whole >= INT64_MIN / 2000) {
        const char *p = point != NULL ? point + 1 : end;

        for (int64_t scale = 100; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
            ms += (*p - '0') * scale;
        if (p == end) {
            *time_ms = whole * 1000 + (*at == '-' ? -ms : ms);
            return true;
        }
    }
    if (!decimal_parse(at, end, &seconds) || !(seconds > -9e15 && seconds < 9e15))
        return false;
    *time_ms = (int64_t)(seconds * 1000);
    return true;
}

/* Behind the closing brace of labels that start at `at` ('{'), NULL if there is none. */
static const char *skip_braces(const char *at, const char *end)
{
    bool quoted = false;

    for (; at < end; at++) {
        if (quoted && *at == '\\') {
            if (++at == end)
                break;
        } else if (*at == '"') {
            quoted = !quoted;
        } else if (*at == '}' && !quoted) {
            return at + 1;
        }
    }
    return NULL;
}

/* ` # {labels} value [timestamp]` behind a sample; `at` stands behind "# ". */
static bool is_exemplar(const struct decoder *decoder, const char *at, const char *end)
{
    struct token token;
    double value;
    int64_t time_ms;

    if (at == end || *at != '{' || (at = skip_braces(at, end)) == NULL ||
        !next_token(decoder, &at, end, &token) || !decimal_parse(token.at, token.end, &value))
        return false;
    if (at == end)
        return true;
    return next_token(decoder, &at, end, &token) && at == end &&
           parse_seconds(token.at, token.end, &time_ms);
}

/* Where the block ends. From behind, because value and timestamp are short and hold no brace;
 * a line that may have an exemplar is read from the front. */
static const char *find_block_end(const struct decoder *decoder, const char *at, const char *end)
{
    const char *p;

    if (decoder->openmetrics && memchr(at, '#', (size_t)(end - at)) != NULL) {
        for (p = at; p < end && *p != '{' && *p != ' '; p++)
            continue;
        if (p < end && *p == '{') {
            p = skip_braces(p, end);
            return p != NULL ? p : end;
        }
        return p;
    }
    for (p = end; p > at; p--) {
        if (p[-1] == '}')
            return p;
    }
    while (p < end && !is_blank(*p))
        p++;
    return p;
}

/* `prefix`_created of the family that the last TYPE line named. */
static bool is_created(const struct decoder *decoder, const char *block, const char *end)
{
    static const char suffix[] = "_created";
    size_t name_len = decoder->family_len + strlen(suffix);

    return decoder->family_len != 0 && (size_t)(end - block) >= name_len &&
           memcmp(block, decoder->family, decoder->family_len) == 0 &&
           memcmp(block + decoder->family_len, suffix, strlen(suffix)) == 0 &&
           (block + name_len == end || block[name_len] == '{');
}

/* What follows value and timestamp: nothing, or in OpenMetrics an exemplar. */
static bool check_rest(struct decoder *decoder, const char *at, const char *end)
{
    if (!decoder->openmetrics) {
        while (at < end && is_blank(*at))
            at++;
        return at == end;
    }
    if (at == end)
        return true;
    if (end - at < 3 || memcmp(at, " # ", 3) != 0 || !is_exemplar(decoder, at + 3, end))
        return false;
    decoder->push->skipped.exemplars++;
    return true;
}

static void decode_sample(struct decoder *decoder, const char *at, const char *end)
{
    const char *block_end = find_block_end(decoder, at, end), *p = block_end;
    int64_t time_ms = decoder->push->now_ms;
    struct token token;
    double value;

    if (TIDE_UNLIKELY(!next_token(decoder, &p, end, &token))) {
        refuse(decoder, "no value", at, end);
        return;
    }
    if (TIDE_UNLIKELY(!decimal_parse(token.at, token.end, &value))) {
        refuse(decoder, "not a number", token.at, token.end);
        return;
    }
    if (p < end && (end - p < 2 || p[1] != '#') && next_token(decoder, &p, end, &token) &&
        TIDE_UNLIKELY(!(decoder->openmetrics
                            ? parse_seconds(token.at, token.end, &time_ms)
                            : decimal_parse_integer(token.at, token.end, &time_ms)))) {
        refuse(decoder, "not a timestamp", token.at, token.end);
        return;
    }
    if (TIDE_UNLIKELY(!check_rest(decoder, p, end))) {
        refuse(decoder, "more than a value and a timestamp", at, end);
        return;
    }
    if (decoder->family_len != 0 && is_created(decoder, at, block_end)) {
        decoder->push->skipped.created++;
        return;
    }
    batch_add_entry(decoder->batch, (const uint8_t *)at, (size_t)(block_end - at), decoder->line);
    batch_add_sample(decoder->batch, time_ms, value);
}

/* --- comments ----------------------------------------------------------------------------------
 */

/* A plain or a quoted name; quoted ones without escapes only, which no family needs. */
static bool take_family(const char **at, const char *end, struct token *name)
{
    const char *p = *at, *close;

    if (p < end && *p == '"') {
        close = memchr(p + 1, '"', (size_t)(end - p - 1));
        if (close == NULL)
            return false;
        *name = (struct token){p + 1, close};
        p = close + 1;
    } else {
        name->at = p;
        while (p < end && !is_blank(*p))
            p++;
        name->end = p;
    }
    if (p < end)
        p++; /* the blank; more of them belong to nobody */
    *at = p;
    return name->at != name->end;
}

/* Resolves \\ and \n, in OpenMetrics \" too. */
static struct token unescape_help(struct decoder *decoder, const char *at, const char *end)
{
    char *made, *out;

    if (memchr(at, '\\', (size_t)(end - at)) == NULL)
        return (struct token){at, end};
    made = out = arena_alloc(&decoder->batch->arena, (size_t)(end - at));
    for (; at < end; at++) {
        char c = *at;

        if (c == '\\' && at + 1 < end) {
            if (at[1] == 'n')
                c = '\n', at++;
            else if (at[1] == '\\' || (at[1] == '"' && decoder->openmetrics))
                c = *++at;
        }
        *out++ = c;
    }
    return (struct token){made, out};
}

static void tell(const struct decoder *decoder, const struct metadata *metadata)
{
    if (decoder->push->on_metadata != NULL)
        decoder->push->on_metadata(decoder->push->metadata_ctx, metadata);
}

static struct metadata metadata_of(struct token name)
{
    return (struct metadata){.name = name.at, .name_len = (size_t)(name.end - name.at)};
}

static void decode_help(struct decoder *decoder, const char *at, const char *end)
{
    struct metadata metadata;
    struct token name, help;

    if (!take_family(&at, end, &name)) {
        refuse(decoder, "HELP without a name", at, end);
        return;
    }
    metadata = metadata_of(name);
    help = unescape_help(decoder, at, end);
    metadata.help = help.at;
    metadata.help_len = (size_t)(help.end - help.at);
    tell(decoder, &metadata);
}

static bool is_word(const char *at, const char *end, const char *word)
{
    return (size_t)(end - at) == strlen(word) && memcmp(at, word, strlen(word)) == 0;
}

/* "untyped" belongs to 0.0.4 only; the names that OpenMetrics added belong to it only. */
static bool parse_type(const struct decoder *decoder, const char *at, const char *end,
                       enum metadata_type *type)
{
    if (is_word(at, end, "untyped"))
        return !decoder->openmetrics && metadata_type_parse(at, (size_t)(end - at), type);
    return metadata_type_parse(at, (size_t)(end - at), type) &&
           (decoder->openmetrics || (*type >= METADATA_COUNTER && *type <= METADATA_HISTOGRAM) ||
            *type == METADATA_SUMMARY);
}

static void decode_type(struct decoder *decoder, const char *at, const char *end)
{
    struct metadata metadata;
    struct token name, type;

    if (!take_family(&at, end, &name)) {
        refuse(decoder, "TYPE without a name", at, end);
        return;
    }
    metadata = metadata_of(name);
    for (type.at = at; !decoder->openmetrics && type.at < end && is_blank(*type.at);)
        type.at++;
    type.end = end;
    if (!parse_type(decoder, type.at, type.end, &metadata.type)) {
        refuse(decoder, "not a metric type", type.at, type.end);
        return;
    }
    metadata.has_type = true;
    decoder->family = name.at;
    decoder->family_len = 0;
    if (decoder->openmetrics && !decoder->push->keep_created &&
        (metadata.type == METADATA_COUNTER || metadata.type == METADATA_HISTOGRAM ||
         metadata.type == METADATA_GAUGE_HISTOGRAM || metadata.type == METADATA_SUMMARY))
        decoder->family_len = metadata.name_len;
    tell(decoder, &metadata);
}

static void decode_unit(struct decoder *decoder, const char *at, const char *end)
{
    struct metadata metadata;
    struct token name;
    size_t len;

    if (!take_family(&at, end, &name)) {
        refuse(decoder, "UNIT without a name", at, end);
        return;
    }
    metadata = metadata_of(name);
    len = (size_t)(end - at);
    if (len != 0 && (metadata.name_len < len + 2 || name.end[-(ptrdiff_t)len - 1] != '_' ||
                     memcmp(name.end - len, at, len) != 0)) {
        refuse(decoder, "the unit is not the end of the family's name", name.at, end);
        return;
    }
    metadata.unit = at;
    metadata.unit_len = len;
    tell(decoder, &metadata);
}

/* Behind "# KEYWORD ", or NULL when the comment is another one. */
static const char *after_keyword(const struct decoder *decoder, const char *at, const char *end,
                                 const char *keyword)
{
    size_t len = strlen(keyword);

    at++; /* the # */
    if (at == end || !is_blank(*at))
        return NULL;
    while (at < end && is_blank(*at) && (!decoder->openmetrics || *at == ' '))
        at++;
    if ((size_t)(end - at) <= len || memcmp(at, keyword, len) != 0 || !is_blank(at[len]))
        return NULL;
    at += len;
    while (at < end && is_blank(*at))
        at++;
    return at;
}

static void decode_comment(struct decoder *decoder, const char *at, const char *end)
{
    const char *rest;

    if ((rest = after_keyword(decoder, at, end, "HELP")) != NULL)
        decode_help(decoder, rest, end);
    else if ((rest = after_keyword(decoder, at, end, "TYPE")) != NULL)
        decode_type(decoder, rest, end);
    else if (!decoder->openmetrics)
        return;
    else if ((rest = after_keyword(decoder, at, end, "UNIT")) != NULL)
        decode_unit(decoder, rest, end);
    else if (is_word(at, end, "# EOF"))
        decoder->ended = true;
    else
        refuse(decoder, "OpenMetrics has no comments", at, end);
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void decode_line(struct decoder *decoder, const char *at, const char *end)
{
    if (end > at && end[-1] == '\r')
        end--;
    if (decoder->openmetrics) {
        if (TIDE_UNLIKELY(at == end || is_blank(*at) || (is_blank(end[-1]) && *at != '#'))) {
            refuse(decoder, "OpenMetrics has no empty lines, and no blanks around a line", at, end);
            return;
        }
    } else {
        while (at < end && is_blank(*at))
            at++;
        if (at == end)
            return;
    }
    if (TIDE_UNLIKELY(decoder->has_nul && memchr(at, '\0', (size_t)(end - at)) != NULL))
        refuse(decoder, "a NUL byte in the line", at, end);
    else if (*at == '#')
        decode_comment(decoder, at, end);
    else
        decode_sample(decoder, at, end);
}

static int decode(struct decoder *decoder, const uint8_t *body, size_t len, struct error *err)
{
    const char *at = (const char *)body, *end = at + len;

    decoder->batch->format = LABEL_FORMAT_TEXT;
    decoder->batch->parse = exposition_parse_labels;
    decoder->batch->parse_ctx = NULL;
    if (len > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "body of %zu bytes is over 4 GiB", len);
    decoder->has_nul = len != 0 && memchr(body, '\0', len) != NULL;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline != NULL ? newline : end;

        decoder->line++;
        if (TIDE_UNLIKELY(decoder->ended)) {
            refuse(decoder, "more lines behind # EOF", at, line_end);
            return 0;
        }
        decode_line(decoder, at, line_end);
        at = line_end + (newline != NULL);
    }
    if (decoder->openmetrics && !decoder->ended) {
        decoder->line++;
        refuse(decoder, "the body does not end in # EOF, it may be cut off", at, end);
    }
    return 0;
}

int exposition_decode_text(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                           struct append_result *result, struct error *err)
{
    struct decoder decoder = {.push = push, .batch = batch, .result = result};

    return decode(&decoder, body, len, err);
}

int exposition_decode_openmetrics(const uint8_t *body, size_t len, struct push *push,
                                  struct batch *batch, struct append_result *result,
                                  struct error *err)
{
    struct decoder decoder = {.push = push, .batch = batch, .result = result, .openmetrics = true};

    return decode(&decoder, body, len, err);
}
