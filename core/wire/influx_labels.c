/* influx_labels.c - "measurement,tag=value field" into labels (influx.h). */
#include "wire/influx.h"
#include "wire/label_pairs.h"

/* The first of `stops` in [at, end) that no backslash stands before; end if there is none. */
static const char *find_stop(const char *at, const char *end, const char *stops)
{
    for (const char *p = at; p < end; p++) {
        if (*p != '\0' && strchr(stops, *p) != NULL && (p == at || p[-1] != '\\'))
            return p;
    }
    return end;
}

/* Copies, taking the backslash from before any of `escapable`. Returns the length. */
static size_t unescape(char *out, const char *at, const char *end, const char *escapable)
{
    char *start = out;

    for (; at < end; at++) {
        if (*at == '\\' && at + 1 < end && at[1] != '\0' && strchr(escapable, at[1]) != NULL)
            at++;
        *out++ = *at;
    }
    return (size_t)(out - start);
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Makes a plain name of out[0..len), in place; out has room for one byte more. */
static size_t sanitize(char *out, size_t len)
{
    if (len != 0 && out[0] >= '0' && out[0] <= '9') {
        memmove(out + 1, out, len++);
        out[0] = '_';
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_name_byte(out[i]))
            out[i] = '_';
    }
    return len;
}

static int add_name(struct labels_builder *out, const char *measurement,
                    const char *measurement_end, const char *field, const char *end,
                    struct arena *scratch, struct error *err)
{
    bool is_value = end - field == 5 && memcmp(field, "value", 5) == 0;
    char *name = arena_alloc(scratch, (size_t)(end - measurement) + 2);
    size_t len = unescape(name, measurement, measurement_end, ", ");

    if (len == 0 || !is_value) {
        if (len != 0)
            name[len++] = '_';
        len += unescape(name + len, field, end, ",= ");
    }
    len = sanitize(name, len);
    return label_add_unique(out, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), name, len, err);
}

static int add_tag(struct labels_builder *out, const char *at, const char *end,
                   struct arena *scratch, struct error *err)
{
    const char *equals = find_stop(at, end, "=");
    char *name = arena_alloc(scratch, (size_t)(end - at) + 2), *value;
    size_t name_len, value_len;

    if (equals == end || equals == at || equals + 1 == end)
        return error_set(err, ERR_INVALID, "tag \"%.*s\" is not name=value",
                         (int)TIDE_MIN(end - at, (ptrdiff_t)60), at);
    name_len = sanitize(name, unescape(name, at, equals, ",= "));
    value = name + name_len;
    value_len = unescape(value, equals + 1, end, ",= ");
    return label_add_unique(out, name, name_len, value, value_len, err);
}

int influx_parse_labels(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                        struct labels_builder *out, struct error *err)
{
    const char *at = (const char *)block, *end = at + len;
    const char *key_end = find_stop(at, end, " "), *name_end = find_stop(at, key_end, ",");

    (void)ctx;
    if (key_end == end)
        return error_set(err, ERR_INVALID, "no field");
    if (add_name(out, at, name_end, key_end + 1, end, scratch, err) != 0)
        return -1;
    for (at = name_end; at < key_end;) {
        const char *tag = at + 1;

        at = find_stop(tag, key_end, ",");
        if (add_tag(out, tag, at, scratch, err) != 0)
            return -1;
    }
    return 0;
}
