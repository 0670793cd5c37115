/* series_life.c - series come and go: map, label table and counters stay in step. All functions
 * are called under the stripe of the series. */
#include "base/mem.h"
#include "store/folder.h"

#define STACK_LABELS 64

struct labels *series_labels_locked(struct store *store, const struct series *series)
{
    struct label stack[STACK_LABELS];
    struct label *list =
        series->pair_count <= STACK_LABELS ? stack : mem_alloc(series->pair_count * sizeof(*list));
    struct labels *labels;

    stack[0] = (struct label){0};
    for (uint16_t i = 0; i < series->pair_count; i++)
        list[i] = label_table_text(&store->labels, series->pairs[i]);
    labels = labels_new_sorted(list, series->pair_count);
    if (list != stack)
        mem_free(list);
    return labels;
}

bool series_has_pairs(const struct series *series, const uint32_t *pairs, size_t count)
{
    return series->pair_count == count &&
           (count == 0 || memcmp(series->pairs, pairs, count * sizeof(*pairs)) == 0);
}

static void count_series(struct store *store, bool archived, int64_t by)
{
    gauge_count(archived ? &store->counters.archived : &store->counters.active, by);
}

struct series *series_create_locked(struct store *store, struct stripe *stripe, uint64_t fp,
                                    uint32_t *pairs, uint16_t pair_count, bool archived)
{
    uint32_t id = series_map_new_id(&store->map);
    struct series *series = series_new(&store->pool, fp, id, pairs, pair_count, archived);

    series_map_insert_locked(&store->map, stripe, series);
    use_table_begin(&store->use, id, clock_wall_ms(store->clock) / 1000);
    for (uint16_t i = 0; i < pair_count; i++)
        label_table_add_series(&store->labels, pairs[i], id);
    count_series(store, archived, 1);
    return series;
}

void series_purge_locked(struct store *store, struct stripe *stripe, struct series *series)
{
    uint32_t id = series->id;

    series_map_remove_locked(&store->map, stripe, series);
    for (uint16_t i = 0; i < series->pair_count; i++) {
        label_table_remove_series(&store->labels, series->pairs[i], id);
        label_table_unref(&store->labels, series->pairs[i]);
    }
    count_series(store, series->archived, -1);
    if (series->dirty)
        gauge_count(&store->counters.dirty_series, -1);
    if (!series->archived) {
        door_leave_locked(store, series);
        gauge_count(&store->counters.chunks, -(int64_t)series->chunk_count);
        gauge_count(&store->counters.chunks_to_persist,
                    -(int64_t)(series->chunk_count - series->persisted));
        edits_drop(store, series);
        gauge_count(&store->counters.open_heads, -(int64_t)series_has_head(series));
    }
    series_free(&store->pool, series, true);
    series_map_retire_id(&store->map, id);
}

/* The common part of a series that changes between archived and active. */
static struct series *move_locked(struct store *store, struct stripe *stripe, struct series *series,
                                  bool archived)
{
    struct series *moved = series_new(&store->pool, series->fp, series->id, series->pairs,
                                      series->pair_count, archived);

    memcpy(moved, series, SERIES_ARCHIVED_BYTES);
    moved->archived = archived;
    series_map_replace_locked(&store->map, stripe, series, moved);
    count_series(store, series->archived, -1);
    count_series(store, archived, 1);
    series_free(&store->pool, series, false);
    return moved;
}

struct series *series_unarchive_locked(struct store *store, struct stripe *stripe,
                                       struct series *series)
{
    struct series *active = move_locked(store, stripe, series, false);

    active->value_known = false; /* an archived series keeps no value */
    active->file_chunks = FILE_CHUNKS_UNKNOWN;
    active->mtime_ns = MTIME_UNKNOWN;
    active->logged = false; /* a start drops the archive entry of a file that retention removed */
    counter_add(&store->counters.series_unarchived, 1);
    if (store->folder != NULL)
        folder_note_unarchived(store->folder, active->fp);
    return active;
}

struct series *series_archive_locked(struct store *store, struct stripe *stripe,
                                     struct series *series)
{
    TIDE_ASSERT(series->chunk_count == 0 && !series_has_head(series) && series->edits == NULL);
    if (series->dirty)
        gauge_count(&store->counters.dirty_series, -1);
    series->dirty = false;
    door_leave_locked(store, series);
    counter_add(&store->counters.series_archived, 1);
    return move_locked(store, stripe, series, true);
}

void series_mark_dirty(struct store *store, struct series *series)
{
    if (series->dirty)
        return;
    series->dirty = true;
    gauge_count(&store->counters.dirty_series, 1);
}
