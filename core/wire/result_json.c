/* result_json.c - see result_json.h. */
#include "wire/result_json.h"

#include "base/number.h"
#include "base/utf8.h"

static void put_escaped(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    switch (c) {
    case '"':
        buf_puts(out, "\\\"");
        break;
    case '\\':
        buf_puts(out, "\\\\");
        break;
    case '\n':
        buf_puts(out, "\\n");
        break;
    case '\r':
        buf_puts(out, "\\r");
        break;
    case '\t':
        buf_puts(out, "\\t");
        break;
    default:
        buf_puts(out, "\\u00");
        buf_putc(out, hex[c >> 4]);
        buf_putc(out, hex[c & 15]);
    }
}

/* Bytes that stand for themselves: ASCII without controls, quote and backslash. */
static size_t plain_bytes(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && text[n] >= 0x20 && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

void json_put_string(struct buf *out, const char *text, size_t len)
{
    size_t i = 0;

    buf_putc(out, '"');
    while (i < len) {
        size_t plain = plain_bytes(text + i, len - i);
        uint32_t code_point;
        size_t used;

        buf_append(out, text + i, plain);
        i += plain;
        if (i == len)
            break;
        if ((unsigned char)text[i] < 0x80) {
            put_escaped(out, (unsigned char)text[i++]);
            continue;
        }
        used = utf8_decode(text + i, len - i, &code_point);
        if (used == 0)
            buf_puts(out, "\xef\xbf\xbd");
        else
            buf_append(out, text + i, used);
        i += used != 0 ? used : 1;
    }
    buf_putc(out, '"');
}

void json_put_labels(struct buf *out, const struct labels *labels)
{
    size_t count = labels_count(labels);

    buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(labels, i);

        if (i != 0)
            buf_putc(out, ',');
        json_put_string(out, label.name, label.name_len);
        buf_putc(out, ':');
        json_put_string(out, label.value, label.value_len);
    }
    buf_putc(out, '}');
}

void json_put_sample(struct buf *out, int64_t time_ms, double value)
{
    char *p = (char *)buf_reserve(out, 2 * NUMBER_MAX_BYTES + 8);
    char *begin = p;

    *p++ = '[';
    p += number_format_seconds(p, time_ms);
    *p++ = ',';
    *p++ = '"';
    p += number_format_api(p, value);
    *p++ = '"';
    *p++ = ']';
    out->len += (size_t)(p - begin);
}

static void put_series(struct buf *out, const struct value *value,
                       const struct value_series *series)
{
    buf_puts(out, "{\"metric\":");
    json_put_labels(out, series->labels);
    if (value->type == VALUE_VECTOR) {
        buf_puts(out, ",\"value\":");
        json_put_sample(out, value->time_ms, series->value);
    } else {
        buf_puts(out, ",\"values\":[");
        for (size_t i = 0; i < series->samples.len; i++) {
            if (i != 0)
                buf_putc(out, ',');
            json_put_sample(out, series->samples.times_ms[i], series->samples.values[i]);
        }
        buf_putc(out, ']');
    }
    buf_putc(out, '}');
}

static void begin(struct result_json *result, struct buf *out)
{
    static const char *const types[] = {
        [VALUE_SCALAR] = "scalar",
        [VALUE_STRING] = "string",
        [VALUE_VECTOR] = "vector",
        [VALUE_MATRIX] = "matrix",
    };
    const struct value *value = result->value;
    char seconds[NUMBER_MAX_BYTES];

    TIDE_ASSERT(value->type != VALUE_NONE);
    buf_printf(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":",
               types[value->type]);
    if (value->type == VALUE_SCALAR) {
        json_put_sample(out, value->time_ms, value->scalar);
    } else if (value->type == VALUE_STRING) {
        size_t len = number_format_seconds(seconds, value->time_ms);

        buf_putc(out, '[');
        buf_append(out, seconds, len);
        buf_putc(out, ',');
        json_put_string(out, value->text, value->text_len);
        buf_putc(out, ']');
    } else {
        buf_putc(out, '[');
    }
    result->begun = true;
}

static void put_texts(struct buf *out, const char *name, const struct json_text *texts,
                      size_t count)
{
    if (count == 0)
        return;
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_putc(out, ',');
        json_put_string(out, texts[i].text, texts[i].len);
    }
    buf_putc(out, ']');
}

static void end(const struct result_json *result, struct buf *out)
{
    if (result->value->type == VALUE_VECTOR || result->value->type == VALUE_MATRIX)
        buf_putc(out, ']');
    if (result->stats != NULL) {
        buf_puts(out, ",\"stats\":");
        buf_append(out, result->stats->data, result->stats->len);
    }
    buf_putc(out, '}');
    put_texts(out, "warnings", result->warnings, result->warning_count);
    put_texts(out, "infos", result->infos, result->info_count);
    buf_putc(out, '}');
}

bool result_json_next(struct result_json *result, struct buf *out, size_t aim)
{
    const struct value *value = result->value;
    size_t count =
        result->max_series != 0 ? TIDE_MIN(value->count, result->max_series) : value->count;
    size_t start = out->len;

    if (!result->begun)
        begin(result, out);
    for (; result->next < count; result->next++) {
        if (out->len - start >= aim)
            return true;
        if (result->next != 0)
            buf_putc(out, ',');
        put_series(out, value, &value->series[result->next]);
    }
    end(result, out);
    return false;
}

void list_json_begin(struct list_json *list, struct buf *out)
{
    *list = (struct list_json){.out = out};
    buf_puts(out, "{\"status\":\"success\",\"data\":[");
}

static void separate(struct list_json *list)
{
    if (list->any)
        buf_putc(list->out, ',');
    list->any = true;
}

void list_json_text(struct list_json *list, const char *text, size_t len)
{
    separate(list);
    json_put_string(list->out, text, len);
}

void list_json_labels(struct list_json *list, const struct labels *labels)
{
    separate(list);
    json_put_labels(list->out, labels);
}

void list_json_end(struct list_json *list, const char *warning)
{
    struct json_text text = {warning, warning != NULL ? strlen(warning) : 0};

    buf_putc(list->out, ']');
    put_texts(list->out, "warnings", &text, warning != NULL ? 1 : 0);
    buf_putc(list->out, '}');
}
