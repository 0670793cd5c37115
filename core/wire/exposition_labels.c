/* exposition_labels.c - name{label="value",...} of the text formats (exposition.h). */
#include "wire/exposition.h"
#include "wire/label_pairs.h"

struct cursor {
    const char *start;
    const char *at;
    const char *end;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t'))
        cursor->at++;
}

static bool take(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static int expected(const struct cursor *cursor, const char *what, struct error *err)
{
    int rest = (int)TIDE_MIN(cursor->end - cursor->at, (ptrdiff_t)40);

    if (rest == 0)
        return error_set(err, ERR_INVALID, "expected %s at the end of the labels", what);
    return error_set(err, ERR_INVALID, "expected %s at \"%.*s\" (byte %zu)", what, rest, cursor->at,
                     (size_t)(cursor->at - cursor->start) + 1);
}

static size_t take_name(struct cursor *cursor, bool colons)
{
    const char *start = cursor->at;

    for (; cursor->at < cursor->end; cursor->at++) {
        char c = *cursor->at;

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (colons && c == ':') || (cursor->at > start && c >= '0' && c <= '9')))
            break;
    }
    return (size_t)(cursor->at - start);
}

/* \\, \" and \n; any other backslash stands for itself. */
static size_t unescape(char *out, const char *text, size_t len)
{
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '\\' && i + 1 < len && strchr("\\\"n", text[i + 1]) != NULL && text[i + 1] != 0)
            c = text[++i] == 'n' ? '\n' : text[i];
        out[at++] = c;
    }
    return at;
}

/* A quoted text; the cursor stands at its quote. */
static bool take_quoted(struct cursor *cursor, struct arena *scratch, const char **text,
                        size_t *len)
{
    const char *start = cursor->at + 1, *at = start;
    bool escaped = false;

    if (cursor->at == cursor->end || *cursor->at != '"')
        return false;
    while (at < cursor->end && *at != '"') {
        if (*at == '\\') {
            escaped = true;
            at++;
            if (at == cursor->end)
                return false;
        }
        at++;
    }
    if (at == cursor->end)
        return false;
    cursor->at = at + 1;
    *text = start;
    *len = (size_t)(at - start);
    if (escaped) {
        char *made = arena_alloc(scratch, *len);

        *len = unescape(made, start, *len);
        *text = made;
    }
    return true;
}

static int add_metric_name(struct labels_builder *out, const char *name, size_t len,
                           struct error *err)
{
    if (len == 0)
        return error_set(err, ERR_INVALID, "the metric's name is empty");
    return label_add_unique(out, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), name, len, err);
}

/* One label, or (the first in the braces only) the quoted name of the metric; as a label it has the
 * form that `promtool tsdb dump` writes. */
static int parse_pair(struct cursor *cursor, bool first, bool *named, struct arena *scratch,
                      struct labels_builder *out, struct error *err)
{
    const char *name = cursor->at, *value;
    bool quoted = name < cursor->end && *name == '"';
    size_t name_len = 0, value_len;

    if (quoted && !take_quoted(cursor, scratch, &name, &name_len))
        return expected(cursor, "a quoted name with its closing quote", err);
    if (!quoted && (name_len = take_name(cursor, false)) == 0)
        return expected(cursor, "a label name", err);
    skip_blanks(cursor);
    if (!take(cursor, '=')) {
        if (!quoted || !first || *named)
            return expected(cursor, "'='", err);
        *named = true;
        return add_metric_name(out, name, name_len, err);
    }
    skip_blanks(cursor);
    if (!take_quoted(cursor, scratch, &value, &value_len))
        return expected(cursor, "a value in double quotes", err);
    if (name_len == strlen(LABEL_METRIC_NAME) && memcmp(name, LABEL_METRIC_NAME, name_len) == 0 &&
        value_len != 0)
        *named = true;
    return label_add_unique(out, name, name_len, value, value_len, err);
}

static int parse_braces(struct cursor *cursor, bool *named, struct arena *scratch,
                        struct labels_builder *out, struct error *err)
{
    bool first = true;

    skip_blanks(cursor);
    while (!take(cursor, '}')) {
        if (parse_pair(cursor, first, named, scratch, out, err) != 0)
            return -1;
        first = false;
        skip_blanks(cursor);
        if (!take(cursor, ',') && (cursor->at == cursor->end || *cursor->at != '}'))
            return expected(cursor, "',' or '}'", err);
        skip_blanks(cursor);
    }
    return 0;
}

int exposition_parse_labels(const uint8_t *block, size_t len, const void *ctx,
                            struct arena *scratch, struct labels_builder *out, struct error *err)
{
    const char *text = (const char *)block;
    struct cursor cursor = {text, text, text + len};
    size_t name_len = take_name(&cursor, true);
    bool named = name_len != 0;

    (void)ctx;
    if (named && add_metric_name(out, text, name_len, err) != 0)
        return -1;
    skip_blanks(&cursor);
    if (take(&cursor, '{') && parse_braces(&cursor, &named, scratch, out, err) != 0)
        return -1;
    skip_blanks(&cursor);
    if (cursor.at != cursor.end)
        return expected(&cursor, named ? "labels in braces" : "a metric name", err);
    if (!named)
        return error_set(err, ERR_INVALID, "the metric has no name");
    return 0;
}
