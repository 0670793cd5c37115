/* otlp_name.c - see otlp_name.h; http-protocols.md section 14. */
#include "wire/otlp_name.h"

struct unit_word {
    const char *unit;
    const char *word;
};

static const struct unit_word units[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tebibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
};

static const struct unit_word per_units[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_text(const char *text, size_t len, const char *other)
{
    return strlen(other) == len && memcmp(text, other, len) == 0;
}

/* Appends the words of `text`, joined by '_', without those equal to `drop`. */
static void put_words(struct buf *out, size_t start, const char *text, size_t len, const char *drop)
{
    for (size_t i = 0; i < len;) {
        size_t from = i;

        while (i < len && (is_word_byte(text[i]) || text[i] == ':'))
            i++;
        if (i > from && (drop == NULL || !is_text(text + from, i - from, drop))) {
            if (out->len > start)
                buf_putc(out, '_');
            buf_append(out, text + from, i - from);
        }
        i += i == from || i < len;
    }
}

static bool has_word(const struct buf *out, size_t start, const char *word, size_t len)
{
    const char *text = (const char *)out->data;

    for (size_t i = start; i + len <= out->len; i++) {
        if (memcmp(text + i, word, len) == 0 && (i == start || text[i - 1] == '_') &&
            (i + len == out->len || text[i + len] == '_'))
            return true;
    }
    return false;
}

/* One half of a unit, in words where they are known; annotations in braces are no unit. */
static void put_unit(struct buf *out, size_t start, const char *unit, size_t len,
                     const struct unit_word *known, size_t count, const char *before)
{
    const char *word = unit;

    while (len > 0 && *unit == ' ') {
        unit++;
        len--;
    }
    if (len == 0 || memchr(unit, '{', len) != NULL)
        return;
    word = unit;
    for (size_t i = 0; i < count; i++) {
        if (is_text(unit, len, known[i].unit)) {
            word = known[i].word;
            len = strlen(word);
            break;
        }
    }
    if (len == 0 || has_word(out, start, word, len))
        return;
    put_words(out, start, before, strlen(before), NULL);
    put_words(out, start, word, len, NULL);
}

void otlp_put_metric_name(struct buf *out, const char *name, size_t len, const char *unit,
                          size_t unit_len, bool is_gauge, bool is_counter)
{
    bool is_ratio = is_gauge && is_text(unit, unit_len, "1");
    const char *slash = unit_len != 0 ? memchr(unit, '/', unit_len) : NULL;
    size_t start = out->len, main_len = slash != NULL ? (size_t)(slash - unit) : unit_len;

    if (len != 0 && name[0] >= '0' && name[0] <= '9') {
        buf_putc(out, '_');
        start++;
    }
    put_words(out, start, name, len, is_counter ? "total" : is_ratio ? "ratio" : NULL);
    put_unit(out, start, unit, main_len, units, sizeof(units) / sizeof(units[0]), "");
    if (slash != NULL)
        put_unit(out, start, slash + 1, unit_len - main_len - 1, per_units,
                 sizeof(per_units) / sizeof(per_units[0]), "per");
    if (is_counter)
        put_words(out, start, "total", 5, NULL);
    if (is_ratio)
        put_words(out, start, "ratio", 5, NULL);
}

void otlp_put_label_name(struct buf *out, const char *key, size_t len)
{
    uint8_t *to;

    if (len != 0 && key[0] >= '0' && key[0] <= '9')
        buf_puts(out, "key_");
    to = buf_reserve(out, len);
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)(is_word_byte(key[i]) ? key[i] : '_');
    out->len += len;
}
