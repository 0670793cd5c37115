/* graphite.c - see graphite.h; http-protocols.md section 15. */
#include "wire/graphite.h"

#include "wire/decimal.h"
#include "wire/label_pairs.h"

#define EXCERPT_BYTES ((ptrdiff_t)60)

struct word {
    const char *at;
    const char *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool next_word(const char **at, const char *end, struct word *word)
{
    while (*at < end && is_blank(**at))
        ++*at;
    word->at = *at;
    while (*at < end && !is_blank(**at))
        ++*at;
    word->end = *at;
    return word->at != word->end;
}

static bool parse_time(struct word word, int64_t now_ms, int64_t *time_ms)
{
    double seconds;

    *time_ms = now_ms;
    if (word.at == word.end)
        return true;
    if (!decimal_parse(word.at, word.end, &seconds) || !(seconds >= -1 && seconds < 9e15))
        return false;
    if (seconds != -1)
        *time_ms =
            (int64_t)seconds * 1000 + (int64_t)((seconds - (double)(int64_t)seconds) * 1000 + 0.5);
    return true;
}

/* NULL, or what is wrong with the line. */
static const char *decode_line(const char *at, const char *end, uint32_t line, struct push *push,
                               struct batch *batch)
{
    struct word path, number, time, more;
    int64_t time_ms;
    double value;

    if (!next_word(&at, end, &path))
        return NULL;
    if (!next_word(&at, end, &number) || !decimal_parse(number.at, number.end, &value))
        return "the value is not a number";
    next_word(&at, end, &time);
    if (!parse_time(time, push->now_ms, &time_ms))
        return "the timestamp is not a number of seconds";
    if (next_word(&at, end, &more))
        return "more than path, value and timestamp";
    if (value != value) {
        push->skipped.empty++;
        return NULL;
    }
    batch_add_entry(batch, (const uint8_t *)path.at, (size_t)(path.end - path.at), line);
    batch_add_sample(batch, time_ms, value);
    return NULL;
}

int graphite_decode(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                    struct append_result *result, struct error *err)
{
    const char *at = (const char *)body, *end = at + len;
    uint32_t line = 0;

    batch->format = LABEL_FORMAT_GRAPHITE;
    batch->parse = graphite_parse_labels;
    batch->parse_ctx = NULL;
    if (len > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "body of %zu bytes is over 4 GiB", len);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline != NULL ? newline : end, *problem;
        const char *text_end = line_end > at && line_end[-1] == '\r' ? line_end - 1 : line_end;

        problem = decode_line(at, text_end, ++line, push, batch);
        if (problem != NULL)
            append_result_refuse(result, REFUSED_MALFORMED, 1, (uint32_t)batch->entry_count, line,
                                 "%s: \"%.*s\"", problem,
                                 (int)TIDE_MIN(text_end - at, EXCERPT_BYTES), at);
        at = newline != NULL ? newline + 1 : end;
    }
    return 0;
}

int graphite_parse_labels(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                          struct labels_builder *out, struct error *err)
{
    const char *at = (const char *)block, *end = at + len;
    const char *semicolon = memchr(at, ';', len);
    const char *name_end = semicolon != NULL ? semicolon : end;

    (void)ctx;
    (void)scratch;
    if (name_end == at)
        return error_set(err, ERR_INVALID, "the path is empty");
    if (label_add_unique(out, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), at,
                         (size_t)(name_end - at), err) != 0)
        return -1;
    for (at = name_end; at < end;) {
        const char *tag = at + 1, *equals;

        semicolon = memchr(tag, ';', (size_t)(end - tag));
        at = semicolon != NULL ? semicolon : end;
        equals = memchr(tag, '=', (size_t)(at - tag));
        if (equals == NULL || equals == tag || equals + 1 == at || equals[1] == '~')
            return error_set(err, ERR_INVALID, "tag \"%.*s\" is not name=value",
                             (int)TIDE_MIN(at - tag, EXCERPT_BYTES), tag);
        if (label_add_unique(out, tag, (size_t)(equals - tag), equals + 1,
                             (size_t)(at - equals - 1), err) != 0)
            return -1;
    }
    return 0;
}
