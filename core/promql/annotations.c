/* annotations.c - see annotations.h. */
#include "promql/annotations.h"

#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/number.h"

static const char *const prefixes[] = {"PromQL warning: ", "PromQL info: "};

void annotations_destroy(struct annotations *annotations)
{
    for (size_t i = 0; i < annotations->count; i++)
        mem_free(annotations->items[i].text);
    mem_free(annotations->items);
    mem_free(annotations->slots);
    *annotations = (struct annotations){0};
}

static uint64_t hash_text(uint64_t hash, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash;
}

/* Where the text is, or the free slot where it belongs. */
static size_t find_slot(const struct annotations *annotations, enum annotation_kind kind,
                        const char *prefix, const char *text, size_t len)
{
    size_t prefix_len = strlen(prefix), mask = annotations->cap * 2 - 1;
    uint64_t hash = hash_text(0xcbf29ce484222325u, prefix, prefix_len);
    size_t slot = hash_text(hash, text, len) & mask;

    for (; annotations->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct annotation *item = &annotations->items[annotations->slots[slot] - 1];

        if (item->kind == kind && item->len == prefix_len + len &&
            memcmp(item->text, prefix, prefix_len) == 0 &&
            memcmp(item->text + prefix_len, text, len) == 0)
            break;
    }
    return slot;
}

static void grow(struct annotations *annotations)
{
    size_t cap = annotations->cap != 0 ? annotations->cap * 2 : 4;

    annotations->items = mem_realloc(annotations->items, cap * sizeof(*annotations->items));
    mem_free(annotations->slots);
    annotations->slots = mem_zalloc(cap * 2, sizeof(*annotations->slots));
    annotations->cap = cap;
    for (size_t i = 0; i < annotations->count; i++) {
        const struct annotation *item = &annotations->items[i];

        annotations->slots[find_slot(annotations, item->kind, "", item->text, item->len)] =
            (uint32_t)i + 1;
    }
}

/* The entry with this prefix and text; made when there is none. */
static struct annotation *find_or_add(struct annotations *annotations, enum annotation_kind kind,
                                      const char *prefix, const char *text, size_t len)
{
    size_t prefix_len = strlen(prefix), slot;
    struct annotation *item;

    if (annotations->count == annotations->cap)
        grow(annotations);
    slot = find_slot(annotations, kind, prefix, text, len);
    if (annotations->slots[slot] != 0)
        return &annotations->items[annotations->slots[slot] - 1];
    item = &annotations->items[annotations->count++];
    annotations->slots[slot] = (uint32_t)annotations->count;
    *item = (struct annotation){.kind = kind, .len = prefix_len + len};
    item->text = mem_alloc(item->len + 1);
    memcpy(item->text, prefix, prefix_len);
    if (len != 0)
        memcpy(item->text + prefix_len, text, len);
    item->text[item->len] = '\0';
    return item;
}

static void set_offset(struct annotation *item, uint32_t offset)
{
    item->offset = offset;
    item->positioned = offset != UINT32_MAX;
}

void annotations_add(struct annotations *annotations, enum annotation_kind kind, const char *text,
                     size_t len, uint32_t offset)
{
    set_offset(find_or_add(annotations, kind, prefixes[kind], text, len), offset);
}

void annotations_add_plain(struct annotations *annotations, enum annotation_kind kind,
                           const char *text)
{
    set_offset(find_or_add(annotations, kind, "", text, strlen(text)), UINT32_MAX);
}

void annotations_add_forced(struct annotations *annotations, const char *name, size_t name_len,
                            double min_bound, double max_bound, double max_diff, int64_t time_ms,
                            uint32_t offset)
{
    static const char text[] =
        "input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
    struct buf whole = {0};
    struct annotation *item;

    buf_puts(&whole, text);
    if (name_len != 0) {
        buf_puts(&whole, " for metric name ");
        buf_append(&whole, name, name_len);
    }
    item = find_or_add(annotations, ANNOTATION_INFO, prefixes[ANNOTATION_INFO],
                       (const char *)whole.data, whole.len);
    buf_destroy(&whole);
    set_offset(item, offset);
    if (!item->forced) {
        item->forced = true;
        item->min_bound = min_bound;
        item->max_bound = max_bound;
        item->max_diff = max_diff;
        item->first_ms = item->last_ms = time_ms;
    }
    item->samples++;
    item->min_bound = TIDE_MIN(item->min_bound, min_bound);
    item->max_bound = TIDE_MAX(item->max_bound, max_bound);
    item->max_diff = TIDE_MAX(item->max_diff, max_diff);
    item->first_ms = TIDE_MIN(item->first_ms, time_ms);
    item->last_ms = TIDE_MAX(item->last_ms, time_ms);
}

static size_t count_kind(const struct annotations *annotations, enum annotation_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < annotations->count; i++)
        count += annotations->items[i].kind == kind;
    return count;
}

size_t annotations_shown(const struct annotations *annotations, enum annotation_kind kind)
{
    size_t count = count_kind(annotations, kind);

    return count > ANNOTATIONS_SHOWN ? ANNOTATIONS_SHOWN + 1 : count;
}

static void write_number(struct buf *out, double value)
{
    char text[NUMBER_MAX_BYTES];

    buf_append(out, text, number_format_go(text, value));
}

static void write_rfc3339(struct buf *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[64];

    if (gmtime_r(&seconds, &parts) == NULL) {
        buf_printf(out, "%" PRId64, ms);
        return;
    }
    buf_append(out, text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

static void write_forced(struct buf *out, const struct annotation *item)
{
    buf_puts(out, ", from buckets ");
    write_number(out, item->min_bound);
    buf_puts(out, " to ");
    write_number(out, item->max_bound);
    buf_printf(out, ", with a max diff of %.2g, over %" PRIu64 " samples from ", item->max_diff,
               item->samples);
    write_rfc3339(out, item->first_ms);
    buf_puts(out, " to ");
    write_rfc3339(out, item->last_ms);
}

static void write_position(struct buf *out, const char *query, size_t query_len, uint32_t offset)
{
    size_t line = 1, line_start = 0;

    for (size_t i = 0; i < offset && i < query_len; i++) {
        if (query[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    buf_printf(out, " (%zu:%zu)", line, offset - line_start + 1);
}

void annotations_write(const struct annotations *annotations, enum annotation_kind kind, size_t i,
                       const char *query, size_t query_len, struct buf *out)
{
    size_t seen = 0;

    if (i >= ANNOTATIONS_SHOWN) {
        buf_printf(out, "%zu more %s annotations omitted",
                   count_kind(annotations, kind) - ANNOTATIONS_SHOWN,
                   kind == ANNOTATION_WARNING ? "warning" : "info");
        return;
    }
    for (size_t k = 0; k < annotations->count; k++) {
        const struct annotation *item = &annotations->items[k];

        if (item->kind != kind || seen++ != i)
            continue;
        buf_append(out, item->text, item->len);
        if (item->forced)
            write_forced(out, item);
        if (item->positioned && query != NULL)
            write_position(out, query, query_len, item->offset);
        return;
    }
}
