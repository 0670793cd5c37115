/* store_stats.c - numbers of the store: for status pages and for /metrics (behaviour 22). */
#include <stdlib.h>

#include "base/mem.h"
#include "store/clock_guard.h"
#include "store/engine.h"
#include "store/pass_guard.h"
#include "store/store_log.h"

void store_stats_get(struct store *store, struct store_stats *stats)
{
    const struct store_counters *counters = &store->counters;

    *stats = (struct store_stats){
        .series_in_memory = gauge_read(&counters->active),
        .series_archived = gauge_read(&counters->archived),
        .label_names = label_table_name_count(&store->labels),
        .label_pairs = label_table_pairs(&store->labels),
        .chunks_in_memory = gauge_read(&counters->chunks) + gauge_read(&counters->open_heads),
        .open_heads = gauge_read(&counters->open_heads),
        .chunks_to_persist = gauge_read(&counters->chunks_to_persist),
        .samples_appended = counter_get(&counters->ingested),
        .series_bytes = series_map_bytes(&store->map) + use_table_bytes(&store->use) +
                        gauge_read(&counters->verdict_bytes),
        .chunk_bytes = slab_pool_bytes(&store->pool),
        .label_bytes = label_table_bytes(&store->labels),
        .cache_bytes = block_cache_bytes(&store->cache),
        .min_time_ms = TIDE_LATEST_MS,
        .max_time_ms = TIDE_EARLIEST_MS,
        .started_dirty = store->started_dirty,
        .read_only = __atomic_load_n(&store->read_only, __ATOMIC_RELAXED) != 0,
        .disk_full = disk_room_level(store) == DISK_ROOM_NONE,
        .throttled = __atomic_load_n(&store->throttled, __ATOMIC_RELAXED) != 0,
    };
    stats->memory_bytes =
        stats->series_bytes + stats->chunk_bytes + stats->label_bytes + stats->cache_bytes;
    store_time_range(store, &stats->min_time_ms, &stats->max_time_ms);
}

void store_time_range(struct store *store, int64_t *min_ms, int64_t *max_ms)
{
    for (size_t i = 0; i < SERIES_STRIPES; i++) {
        struct stripe *stripe = &store->map.stripes[i];

        lock_acquire(&stripe->stripe_lock);
        for (uint32_t k = 0; stripe->slots != NULL && k <= stripe->mask; k++) {
            const struct series *series = stripe->slots[k];

            if (series == NULL || !series->has_samples)
                continue;
            if (series->first_known)
                *min_ms = TIDE_MIN(*min_ms, series->first_ms);
            *max_ms = TIDE_MAX(*max_ms, series->last_ms);
        }
        lock_release(&stripe->stripe_lock);
    }
}

/* --- the largest of something
 * --------------------------------------------------------------------- */

/* A min-heap of the `limit` largest would do; lists are short, so insertion is. */
struct top {
    struct text_count_list *out;
    size_t limit;
    struct store *store;
    const char *name; /* of the values that are visited */
    uint64_t bytes;
};

static bool fits(const struct text_count_list *list, size_t limit, uint64_t count)
{
    return list->count < limit || count > list->items[list->count - 1].count;
}

void text_count_list_put(struct text_count_list *out, size_t limit, const char *text, size_t len,
                         uint64_t count)
{
    size_t at;

    if (!fits(out, limit, count))
        return;
    if (out->items == NULL)
        out->items = mem_alloc((limit + 1) * sizeof(*out->items));
    if (out->count < limit)
        out->count++;
    for (at = out->count - 1; at > 0 && out->items[at - 1].count < count; at--)
        out->items[at] = out->items[at - 1];
    out->items[at] = (struct text_count){arena_dup(&out->arena, text, len), (uint32_t)len, count};
}

static bool visit_name_values(void *ctx, const char *name, uint32_t len, uint32_t values)
{
    struct top *top = ctx;

    text_count_list_put(top->out, top->limit, name, len, values);
    return true;
}

/* Values of one name by series; as "name=value" if `with_name`. Returns bytes of all values in all
 * their series. */
static uint64_t top_values(struct top *top, const char *name, size_t name_len, bool with_name)
{
    struct value_copies copies = {0};
    struct buf text = {0};
    uint64_t bytes = 0;
    size_t at = 0;

    value_copies_take(&top->store->labels, name, name_len, &copies);
    for (size_t i = 0; i < copies.count; at += copies.lens[i++]) {
        uint64_t series = label_table_pair_count(&top->store->labels, copies.pairs[i]);

        bytes += series * copies.lens[i];
        if (top->name == NULL || !fits(top->out, top->limit, series))
            continue;
        text.len = 0;
        if (with_name) {
            buf_append(&text, name, name_len);
            buf_putc(&text, '=');
        }
        buf_append(&text, copies.texts.data + at, copies.lens[i]);
        text_count_list_put(top->out, top->limit, (const char *)text.data, text.len, series);
    }
    buf_destroy(&text);
    value_copies_destroy(&copies);
    return bytes;
}

void store_top_get(struct store *store, enum store_top what, size_t limit,
                   struct text_count_list *out)
{
    struct top top = {.out = out, .limit = limit, .store = store, .name = ""};
    struct text_list names;
    struct error err;

    *out = (struct text_count_list){0};
    if (limit == 0)
        return;
    if (what == STORE_TOP_METRIC_NAMES) {
        top_values(&top, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), false);
        return;
    }
    if (what == STORE_TOP_LABEL_NAMES) {
        label_table_walk_names(&store->labels, visit_name_values, &top);
        return;
    }
    if (store_label_names(store, &(struct label_request){0}, &names, &err) != 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        const struct label *name = &names.items[i];
        uint64_t bytes;

        top.name = what == STORE_TOP_LABEL_PAIRS ? "" : NULL;
        bytes = top_values(&top, name->value, name->value_len, true);
        if (what == STORE_TOP_LABEL_BYTES)
            text_count_list_put(out, limit, name->value, name->value_len, bytes);
    }
    text_list_destroy(&names);
}

void text_count_list_destroy(struct text_count_list *list)
{
    mem_free(list->items);
    arena_destroy(&list->arena);
    *list = (struct text_count_list){0};
}

/* --- /metrics
 * --------------------------------------------------------------------------------------- */

static double read_gauge(void *ctx)
{
    return (double)gauge_read(ctx);
}

#define PREFIX "prometheus_local_storage_"

static void show(struct metrics *metrics, enum metric_type type, const char *name, const char *help,
                 const char *labels, void *value)
{
    metrics_callback(metrics, type, name, help, labels, read_gauge, value);
}

static void show_series_ops(struct store *store, struct metrics *metrics)
{
    static const char name[] = PREFIX "series_ops_total";
    static const char help[] = "The total number of series operations by their type.";
    struct store_counters *counters = &store->counters;

    show(metrics, METRIC_COUNTER, name, help, "type=\"create\"", &counters->series_created);
    show(metrics, METRIC_COUNTER, name, help, "type=\"archive\"", &counters->series_archived);
    show(metrics, METRIC_COUNTER, name, help, "type=\"unarchive\"", &counters->series_unarchived);
    show(metrics, METRIC_COUNTER, name, help, "type=\"purge_from_memory\"",
         &counters->purged_memory);
    show(metrics, METRIC_COUNTER, name, help, "type=\"purge_from_archive\"",
         &counters->purged_archive);
    show(metrics, METRIC_COUNTER, name, help, "type=\"purge_on_request\"",
         &counters->purged_request);
    show(metrics, METRIC_COUNTER, name, help, "type=\"maintenance_in_memory\"",
         &counters->maintained_memory);
    show(metrics, METRIC_COUNTER, name, help, "type=\"maintenance_in_archive\"",
         &counters->maintained_archive);
    show(metrics, METRIC_COUNTER, name, help, "type=\"quarantine_completed\"",
         &counters->quarantined);
    show(metrics, METRIC_COUNTER, name, help, "type=\"quarantine_failed\"",
         &counters->quarantine_failed);
    show(metrics, METRIC_COUNTER, name, help, "type=\"quarantine_dropped\"",
         &store->damage.dropped);
}

static void show_chunk_ops(struct metrics *metrics, struct store_counters *counters)
{
    static const char name[] = PREFIX "chunk_ops_total";
    static const char help[] = "The total number of chunk operations by their type.";

    show(metrics, METRIC_COUNTER, name, help, "type=\"create\"", &counters->chunks_created);
    show(metrics, METRIC_COUNTER, name, help, "type=\"persist\"", &counters->chunks_persisted);
    show(metrics, METRIC_COUNTER, name, help, "type=\"drop\"", &counters->chunks_dropped);
    show(metrics, METRIC_COUNTER, name, help, "type=\"evict\"", &counters->chunks_evicted);
    show(metrics, METRIC_COUNTER, name, help, "type=\"load\"", &counters->chunks_loaded);
}

/* Descriptors are not kept apart from their chunks here. */
static void show_descriptor_ops(struct metrics *metrics, struct store_counters *counters)
{
    static const char name[] = PREFIX "chunkdesc_ops_total";
    static const char help[] = "The total number of chunk descriptor operations by their type.";

    show(metrics, METRIC_COUNTER, name, help, "type=\"evict\"", &counters->chunks_evicted);
    show(metrics, METRIC_COUNTER, name, help, "type=\"load\"", &counters->chunks_loaded);
}

static double read_memory(void *ctx)
{
    struct store *store = ctx;

    return (double)(slab_pool_bytes(&store->pool) + block_cache_bytes(&store->cache));
}

static double read_dirty_start(void *ctx)
{
    return ((struct store *)ctx)->started_dirty ? 1 : 0;
}

static double read_mappings(void *ctx)
{
    return (double)mapper_count(&((struct store *)ctx)->mapper);
}

static double read_index_queue(void *ctx)
{
    return (double)label_table_changes_due(&((struct store *)ctx)->labels);
}

static double read_descriptors(void *ctx)
{
    const struct store *store = ctx;

    return (double)(gauge_read(&store->counters.chunks) + gauge_read(&store->counters.open_heads));
}

static double read_target(void *ctx)
{
    return (double)((const struct store *)ctx)->options.memory_target_bytes;
}

static double read_checkpoint_seconds(void *ctx)
{
    return (double)gauge_read(&((const struct store *)ctx)->counters.checkpoint_ns) / 1e9;
}

static void show_background(struct store *store, struct metrics *metrics)
{
    static const double sizes[] = {1, 2, 4, 8, 16, 32, 64, 128};
    struct store_counters *counters = &store->counters;

    show(metrics, METRIC_GAUGE, PREFIX "checkpointing", "1 if a checkpoint is being written.", "",
         &counters->checkpointing);
    show(metrics, METRIC_GAUGE, PREFIX "checkpoint_last_size_bytes",
         "The size of the last checkpoint of open chunks and chunks yet to be persisted.", "",
         &counters->checkpoint_bytes);
    metrics_callback(metrics, METRIC_GAUGE, PREFIX "checkpoint_last_duration_seconds",
                     "The duration in seconds it took to write the last checkpoint.", "",
                     read_checkpoint_seconds, store);
    show(metrics, METRIC_GAUGE, PREFIX "rushed_mode",
         "1 if the storage persists and evicts without waiting, 0 otherwise.", "",
         &counters->rushed);
    metrics_callback(metrics, METRIC_GAUGE, PREFIX "memory_chunkdescs",
                     "The current number of chunk descriptors in memory.", "", read_descriptors,
                     store);
    metrics_callback(metrics, METRIC_GAUGE, PREFIX "target_heap_size_bytes",
                     "The configured target memory size in bytes.", "", read_target, store);
    __atomic_store_n(
        &store->checkpoint_seconds,
        metrics_summary(metrics, PREFIX "checkpoint_duration_seconds",
                        "The duration in seconds taken for checkpointing open chunks and chunks "
                        "yet to be persisted.",
                        "", false),
        __ATOMIC_RELEASE);
    __atomic_store_n(&store->chunks_persisted,
                     metrics_histogram(metrics, PREFIX "series_chunks_persisted",
                                       "The number of chunks persisted per series.", "", sizes,
                                       TIDE_COUNT(sizes)),
                     __ATOMIC_RELEASE);
}

/* As the original's: the part of chunks that wait, times how full memory is; 1 at most. */
static double read_urgency(void *ctx)
{
    struct store *store = ctx;
    double waiting = (double)gauge_read(&store->counters.chunks_to_persist);
    double chunks = (double)gauge_read(&store->counters.chunks);
    double score;

    if (waiting == 0 || chunks == 0)
        return 0;
    score = waiting / chunks * read_memory(store) / read_target(store);
    return score < 1 ? score : 1;
}

/* What the original's queue held before pushes had to wait for it; here they never do. */
static double read_index_capacity(void *ctx)
{
    (void)ctx;
    return 262144;
}

/* The index in memory has no entries of series that are gone. */
static double read_never(void *ctx)
{
    (void)ctx;
    return 0;
}

static void show_summary(struct summary **at, struct metrics *metrics, const char *name,
                         const char *help, const char *labels, bool quantiles)
{
    __atomic_store_n(at, metrics_summary(metrics, name, help, labels, quantiles), __ATOMIC_RELEASE);
}

static void show_summaries(struct store *store, struct metrics *metrics)
{
    static const char maintain[] = PREFIX "maintain_series_duration_seconds";
    static const char help[] = "The duration in seconds it took to perform maintenance on a series "
                               "that needed some.";

    show_summary(&store->maintain_seconds[0], metrics, maintain, help, "location=\"memory\"", true);
    show_summary(&store->maintain_seconds[1], metrics, maintain, help, "location=\"archived\"",
                 true);
    show_summary(&store->checkpoint_chunks, metrics, PREFIX "checkpoint_series_chunks_written",
                 "The number of chunk written per series while checkpointing open chunks and "
                 "chunks yet to be persisted.",
                 "", false);
    show_summary(&store->index_sizes, metrics, PREFIX "indexing_batch_sizes",
                 "The sizes of batches of label sets that were written to the index.", "", true);
    show_summary(&store->index_seconds, metrics, PREFIX "indexing_batch_duration_seconds",
                 "The duration in seconds of writes to the index.", "", true);
    metrics_callback(metrics, METRIC_GAUGE, PREFIX "indexing_queue_capacity",
                     "The capacity of the original's indexing queue.", "", read_index_capacity,
                     store);
    metrics_callback(metrics, METRIC_GAUGE, PREFIX "persistence_urgency_score",
                     "A score of urgency to persist chunks, 0 is least urgent, 1 most.", "",
                     read_urgency, store);
    metrics_callback(metrics, METRIC_COUNTER, PREFIX "non_existent_series_matches_total",
                     "How often a non-existent series was found by label matching.", "", read_never,
                     store);
}

static double read_held(void *ctx)
{
    struct store_clock clock;

    store_clock_get(ctx, &clock);
    return clock.doubt != CLOCK_TRUSTED;
}

static double read_disk_low(void *ctx)
{
    return (double)gauge_read(&((struct store *)ctx)->counters.disk_low);
}

static double read_held_chunks(void *ctx)
{
    struct store_hold hold;

    store_hold_get(ctx, &hold);
    return (double)hold.chunks;
}

static double read_held_pass(void *ctx)
{
    struct store_hold hold;

    store_hold_get(ctx, &hold);
    return hold.id[0] != '\0';
}

static void show_removal(struct store *store, struct metrics *metrics)
{
    static const char snapshots[] = "tidemark_snapshots_total";
    static const char help[] = "Snapshots that were asked for, by outcome.";
    struct store_counters *counters = &store->counters;

    show(metrics, METRIC_COUNTER, "tidemark_removed_samples_total",
         "Samples that were removed, by reason.", "reason=\"request\"", &counters->deleted_samples);
    show(metrics, METRIC_COUNTER, "tidemark_removed_samples_total",
         "Samples that were removed, by reason.", "reason=\"retention\"",
         &counters->dropped_samples);
    show(metrics, METRIC_COUNTER, "tidemark_removed_samples_total",
         "Samples that were removed, by reason.", "reason=\"downsample\"",
         &counters->thinned_samples);
    show(metrics, METRIC_COUNTER, "tidemark_removed_samples_total",
         "Samples that were removed, by reason.", "reason=\"disk_pressure\"",
         &counters->pressed_samples);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_disk_low",
                     "1 while less space is free than storage.disk_low.", "", read_disk_low, store);
    show(metrics, METRIC_COUNTER, "tidemark_restored_samples_total",
         "Samples of deletes that were brought back.", "", &counters->undeleted_samples);
    show(metrics, METRIC_COUNTER, "tidemark_trash_expired_total",
         "Deletes whose samples went for good, for their time was over.", "",
         &counters->trash_expired);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_retention_held",
                     "1 while the clock is doubted: nothing is deleted by age until it is "
                     "confirmed.",
                     "", read_held, store);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_retention_pass_held",
                     "1 while a pass of retention would drop too much: its series keep everything "
                     "until it is confirmed.",
                     "", read_held_pass, store);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_retention_pass_held_chunks",
                     "Chunks that the held pass would drop.", "", read_held_chunks, store);
    show(metrics, METRIC_COUNTER, "tidemark_retention_held_drops_total",
         "Deletions by age that were held back, for the clock is doubted or the pass would drop "
         "too much; each time a pass met them.",
         "", &counters->drops_held);
    show(metrics, METRIC_COUNTER, snapshots, help, "outcome=\"made\"", &counters->snapshots);
    show(metrics, METRIC_COUNTER, snapshots, help, "outcome=\"failed\"",
         &counters->snapshots_failed);
}

static void show_late(struct metrics *metrics, struct store_counters *counters)
{
    static const char merges[] = "tidemark_merges_total";
    static const char help[] = "Series that were looked at to merge late samples and deletes into "
                               "their file, by outcome.";

    show(metrics, METRIC_COUNTER, "tidemark_late_samples_total",
         "Samples that were kept though their series had a newer one.", "",
         &counters->late_samples);
    show(metrics, METRIC_GAUGE, "tidemark_late_samples_pending",
         "Late samples that wait to be merged into chunks and files.", "", &counters->edit_puts);
    show(metrics, METRIC_GAUGE, "tidemark_late_bytes",
         "Memory of late samples and deletes that wait to be merged.", "", &counters->edit_bytes);
    show(metrics, METRIC_COUNTER, merges, help, "outcome=\"rewritten\"", &counters->merges);
    show(metrics, METRIC_COUNTER, merges, help, "outcome=\"equal\"", &counters->merges_equal);
    show(metrics, METRIC_COUNTER, merges, help, "outcome=\"failed\"", &counters->merge_errors);
}

void store_show_metrics(struct store *store)
{
    struct metrics *metrics = store->options.metrics;
    struct store_counters *counters = &store->counters;
    static const char ooo[] = PREFIX "out_of_order_samples_total";
    static const char ooo_help[] =
        "The total number of samples that were discarded because their timestamps were at or "
        "before the last received sample for a series.";

    if (metrics == NULL)
        return;
    store_log_show_metrics(store);
    show(metrics, METRIC_COUNTER, PREFIX "ingested_samples_total",
         "The total number of samples ingested.", "", &counters->ingested);
    show(metrics, METRIC_COUNTER, ooo, ooo_help, "reason=\"timestamp_out_of_order\"",
         &counters->refused[REFUSED_OUT_OF_ORDER]);
    show(metrics, METRIC_COUNTER, ooo, ooo_help, "reason=\"multiple_values_for_timestamp\"",
         &counters->refused[REFUSED_DUPLICATE]);
    show(metrics, METRIC_COUNTER, ooo, ooo_help, "reason=\"too_old\"",
         &counters->refused[REFUSED_TOO_OLD]);
    show(metrics, METRIC_GAUGE, PREFIX "memory_series", "The current number of series in memory.",
         "", &counters->active);
    show(metrics, METRIC_GAUGE, PREFIX "open_head_chunks",
         "The current number of open head chunks.", "", &counters->open_heads);
    show(metrics, METRIC_GAUGE, PREFIX "memory_chunks",
         "The current number of complete chunks in memory.", "", &counters->chunks);
    show(metrics, METRIC_GAUGE, PREFIX "memory_dirty_series",
         "The current number of series that would require a disk seek during crash recovery.", "",
         &counters->dirty_series);
    show(metrics, METRIC_GAUGE, PREFIX "chunks_to_persist",
         "The current number of chunks waiting for persistence.", "", &counters->chunks_to_persist);
    show(metrics, METRIC_COUNTER, PREFIX "queued_chunks_to_persist_total",
         "The total number of chunks queued for persistence.", "", &counters->chunks_queued);
    show(metrics, METRIC_COUNTER, PREFIX "persist_errors_total",
         "The total number of errors while writing to the persistence layer.", "",
         &counters->persist_errors);
    show(metrics, METRIC_COUNTER, PREFIX "inconsistencies_total",
         "A counter incremented each time an inconsistency in the local storage is detected.", "",
         &counters->inconsistencies);
    metrics_callback(metrics, METRIC_GAUGE, PREFIX "started_dirty",
                     "Whether the local storage was found to be dirty at start-up.", "",
                     read_dirty_start, store);
    metrics_callback(metrics, METRIC_COUNTER, PREFIX "fingerprint_mappings_total",
                     "The total number of fingerprints being mapped to avoid collisions.", "",
                     read_mappings, store);
    metrics_callback(metrics, METRIC_GAUGE, PREFIX "indexing_queue_length",
                     "The number of label sets waiting to be written to the index.", "",
                     read_index_queue, store);
    show_background(store, metrics);
    disk_room_register(store, metrics);
    show_late(metrics, counters);
    show_removal(store, metrics);
    show_series_ops(store, metrics);
    show_chunk_ops(metrics, counters);
    show_descriptor_ops(metrics, counters);
    show_summaries(store, metrics);
    show(metrics, METRIC_COUNTER, "tidemark_unreadable_chunks_total",
         "Chunks that were skipped because they cannot be read.", "", &counters->chunks_bad);
    show(metrics, METRIC_COUNTER, "tidemark_label_cache_misses_total",
         "Label blocks that had to be parsed.", "", &counters->cache_misses);
    show(metrics, METRIC_GAUGE, "tidemark_archived_series",
         "The current number of series of which only the file has samples.", "",
         &counters->archived);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_storage_memory_bytes",
                     "Memory of series, chunks and the label cache.", "", read_memory, store);
}
