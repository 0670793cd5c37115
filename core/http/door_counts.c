/* door_counts.c - see door_counts.h. */
#include "http/door_counts.h"

#include <stdlib.h>

#include "base/mem.h"
#include "http/http_site.h"

/* A pair is kept as its name, a zero byte (which no name has) and its value. */
struct pair {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
    uint64_t series;
};

static void count_more(struct text_map *map, const void *key, size_t len, uint64_t more)
{
    uintptr_t before = (uintptr_t)text_map_get(map, key, len);

    text_map_put(map, key, len, (void *)(before + more));
}

static void count_series(struct door_counts *counts, const struct selected_series *series,
                         struct buf *key)
{
    for (size_t i = 0; i < labels_count(series->labels); i++) {
        struct label label = labels_at(series->labels, i);

        key->len = 0;
        buf_append(key, label.name, label.name_len);
        buf_putc(key, '\0');
        buf_append(key, label.value, label.value_len);
        count_more(&counts->pairs, key->data, key->len, 1);
    }
    counts->series++;
    if (series->first_ms != TIDE_EARLIEST_MS)
        counts->min_time_ms = TIDE_MIN(counts->min_time_ms, series->first_ms);
    counts->max_time_ms = TIDE_MAX(counts->max_time_ms, series->last_ms);
}

/* What is outside the times that a reader may see is not told either. */
static void bound_times(struct door_counts *counts, const struct read_request *read)
{
    if (counts->min_time_ms > counts->max_time_ms)
        return;
    counts->min_time_ms = TIDE_MAX(counts->min_time_ms, read->start_ms);
    counts->max_time_ms = TIDE_MIN(counts->max_time_ms, read->end_ms);
}

static int count_shown(struct door_counts *counts, const struct read_door *door, struct error *err)
{
    const struct select_request all = {.from_ms = door->read.start_ms,
                                       .to_ms = door->read.end_ms,
                                       .cancelled = door->request->cancelled,
                                       .metadata_only = true};
    struct selection *selection;
    struct buf key = {0};

    counts->counted = true;
    if (door->querier->select(door->querier->ctx, &all, &selection, err) != 0)
        return -1;
    for (size_t i = 0; i < selection->count; i++)
        count_series(counts, &selection->series[i], &key);
    door->querier->selection_free(door->querier->ctx, selection);
    buf_destroy(&key);
    counts->label_pairs = counts->pairs.count;
    bound_times(counts, &door->read);
    return 0;
}

int door_counts_init(struct door_counts *counts, const struct read_door *door, struct error *err)
{
    struct store_stats stats;

    *counts = (struct door_counts){
        .door = door, .min_time_ms = TIDE_LATEST_MS, .max_time_ms = TIDE_EARLIEST_MS};
    if (!read_door_shows_all(door))
        return count_shown(counts, door, err);
    store_stats_get(http_site_store(door->request->site), &stats);
    counts->series = stats.series_in_memory;
    counts->label_pairs = stats.label_pairs;
    counts->chunks = stats.chunks_in_memory;
    counts->min_time_ms = stats.min_time_ms;
    counts->max_time_ms = stats.max_time_ms;
    return 0;
}

/* --- the largest -------------------------------------------------------------------------------
 */

static struct pair pair_of(const struct text_map_entry *entry)
{
    size_t name_len = strlen(entry->key);

    return (struct pair){entry->key, name_len, entry->key + name_len + 1, entry->len - name_len - 1,
                         (uint64_t)(uintptr_t)entry->value};
}

/* What a pair adds to, under which text. */
static void add_pair(struct text_map *sums, const struct pair *pair, enum store_top what,
                     struct buf *text)
{
    switch (what) {
    case STORE_TOP_METRIC_NAMES:
        if (strcmp(pair->name, LABEL_METRIC_NAME) == 0)
            count_more(sums, pair->value, pair->value_len, pair->series);
        break;
    case STORE_TOP_LABEL_NAMES:
        count_more(sums, pair->name, pair->name_len, 1);
        break;
    case STORE_TOP_LABEL_BYTES:
        count_more(sums, pair->name, pair->name_len, pair->series * pair->value_len);
        break;
    case STORE_TOP_LABEL_PAIRS:
        text->len = 0;
        buf_append(text, pair->name, pair->name_len);
        buf_putc(text, '=');
        buf_append(text, pair->value, pair->value_len);
        count_more(sums, text->data, text->len, pair->series);
        break;
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct text_map_entry *x = *(const struct text_map_entry *const *)a;
    const struct text_map_entry *y = *(const struct text_map_entry *const *)b;
    int order = memcmp(x->key, y->key, TIDE_MIN(x->len, y->len));

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* In order of texts, since of equal ones the first to come stays in front. */
static void put_largest(const struct text_map *sums, size_t limit, struct text_count_list *out)
{
    const struct text_map_entry **sorted = mem_alloc((sums->count + 1) * sizeof(*sorted));
    size_t count = 0;

    for (size_t i = 0; i < sums->cap; i++) {
        if (sums->slots[i].key != NULL)
            sorted[count++] = &sums->slots[i];
    }
    if (count > 1)
        qsort(sorted, count, sizeof(*sorted), compare_keys);
    for (size_t i = 0; i < count; i++)
        text_count_list_put(out, limit, sorted[i]->key, sorted[i]->len,
                            (uint64_t)(uintptr_t)sorted[i]->value);
    mem_free(sorted);
}

void door_counts_top(const struct door_counts *counts, enum store_top what, size_t limit,
                     struct text_count_list *out)
{
    struct text_map sums = {0};
    struct buf text = {0};

    if (!counts->counted) {
        read_door_top(counts->door, what, limit, out);
        return;
    }
    for (size_t i = 0; i < counts->pairs.cap; i++) {
        struct pair pair;

        if (counts->pairs.slots[i].key == NULL)
            continue;
        pair = pair_of(&counts->pairs.slots[i]);
        add_pair(&sums, &pair, what, &text);
    }
    put_largest(&sums, limit, out);
    text_map_destroy(&sums);
    buf_destroy(&text);
}

void door_counts_destroy(struct door_counts *counts)
{
    text_map_destroy(&counts->pairs);
}
