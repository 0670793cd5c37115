/* exposition_put.c - see exposition_put.h. */
#include "wire/exposition_put.h"

#include "base/number.h"

static bool is_plain(const char *name, size_t len, bool colons)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (colons && c == ':') || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return len != 0;
}

static void put_quoted(struct buf *out, const char *text, size_t len)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' || text[i] == '"' || text[i] == '\n')
            buf_putc(out, '\\');
        buf_putc(out, text[i] == '\n' ? 'n' : text[i]);
    }
    buf_putc(out, '"');
}

static void put_name(struct buf *out, const char *name, size_t len, bool colons)
{
    if (is_plain(name, len, colons))
        buf_append(out, name, len);
    else
        put_quoted(out, name, len);
}

void exposition_put_type(struct buf *out, const char *name, size_t len, bool openmetrics)
{
    buf_puts(out, "# TYPE ");
    put_name(out, name, len, true);
    buf_puts(out, openmetrics ? " unknown\n" : " untyped\n");
}

static bool is_metric_name(struct label label)
{
    return label.name_len == strlen(LABEL_METRIC_NAME) &&
           memcmp(label.name, LABEL_METRIC_NAME, label.name_len) == 0;
}

/* The labels of the braces; `first` is what opens them. */
static void put_labels(struct buf *out, const struct labels *labels, const char *first)
{
    bool any = first[0] == ',';

    for (size_t i = 0; i < labels_count(labels); i++) {
        struct label label = labels_at(labels, i);

        if (is_metric_name(label))
            continue;
        buf_puts(out, any ? "," : first);
        any = true;
        put_name(out, label.name, label.name_len, false);
        buf_putc(out, '=');
        put_quoted(out, label.value, label.value_len);
    }
    if (any)
        buf_putc(out, '}');
}

void exposition_put_sample(struct buf *out, const struct labels *labels, int64_t time_ms,
                           double value, bool openmetrics)
{
    struct label name = {0};
    const char *opening = "{";

    if (labels_find(labels, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &name)) {
        if (is_plain(name.value, name.value_len, true)) {
            buf_append(out, name.value, name.value_len);
        } else {
            buf_putc(out, '{');
            put_quoted(out, name.value, name.value_len);
            opening = ",";
        }
    }
    put_labels(out, labels, opening);
    buf_putc(out, ' ');
    out->len += number_format_go((char *)buf_reserve(out, NUMBER_MAX_BYTES), value);
    buf_putc(out, ' ');
    if (openmetrics)
        out->len += number_format_seconds((char *)buf_reserve(out, NUMBER_MAX_BYTES), time_ms);
    else
        buf_printf(out, "%" PRId64, time_ms);
    buf_putc(out, '\n');
}
