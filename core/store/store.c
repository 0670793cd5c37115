/* store.c - the store's life (store.h): options, opening, closing. What concerns the folder is in
 * open.c and close.c. */
#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "store/folder.h"
#include "store/store_log.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define MIB ((uint64_t)1 << 20)

void store_options_init(struct store_options *options)
{
    *options = (struct store_options){
        .retention_ms = 15 * 24 * HOUR_MS,
        .chunk_encoding = CHUNK_VARBIT,
        .head_chunk_timeout_ms = HOUR_MS,
        .out_of_order_ms = 30 * MINUTE_MS,
        .duplicates = DUPLICATE_LAST,
        .checkpoint_interval_ms = 5 * MINUTE_MS,
        .checkpoint_dirty_series_limit = 5000,
        .series_sync = SERIES_SYNC_ADAPTIVE,
        .min_shrink_ratio = 0.1,
        .memory_target_bytes = 2048 * MIB,
        .clock_slack_ms = 24 * HOUR_MS,
        .trash_ttl_ms = 24 * HOUR_MS,
        .hold_share = 0.2,
        .hold_least_bytes = 16 * MIB,
        .undelete_hold_ms = 7 * 24 * HOUR_MS,
        .block_cache_bytes = 256 * MIB,
        .wal_interval_ms = 200,
        .wal_replay_target_ms = 30000,
        .wal_max_bytes = 4096 * MIB,
    };
}

static void set_default_limits(struct store_limits *limits)
{
    if (limits->future_ms == 0)
        limits->future_ms = 10 * MINUTE_MS;
    if (limits->labels_per_series == 0)
        limits->labels_per_series = 64;
    if (limits->label_name_bytes == 0)
        limits->label_name_bytes = 1024;
    if (limits->label_value_bytes == 0)
        limits->label_value_bytes = 4096;
    if (limits->max_series == 0)
        limits->max_series = 10000000;
    if (limits->max_total_series == 0)
        limits->max_total_series = 100000000;
    limits->labels_per_series = TIDE_MIN(limits->labels_per_series, (uint32_t)UINT16_MAX);
}

static int check_options(const struct store_options *options, struct error *err)
{
    if (options->chunk_encoding < 0 || options->chunk_encoding >= CHUNK_ENCODINGS)
        return error_set(err, ERR_INVALID, "chunk encoding %d: 0, 1 and 2 are known",
                         options->chunk_encoding);
    if (!(options->min_shrink_ratio >= 0 && options->min_shrink_ratio <= 1))
        return error_set(err, ERR_INVALID, "min_shrink_ratio %g is not within 0 to 1",
                         options->min_shrink_ratio);
    if (options->retention_ms <= 0)
        return error_set(err, ERR_INVALID, "a retention of 0 would keep nothing");
    return 0;
}

void store_phase_set(struct store *store, enum store_phase phase, uint64_t total)
{
    struct store_progress *progress = store->progress;

    __atomic_store_n(&progress->done, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->total, total, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->phase, (int)phase, __ATOMIC_RELEASE);
}

void store_progress_add(struct store *store, uint64_t done)
{
    __atomic_add_fetch(&store->progress->done, done, __ATOMIC_RELAXED);
}

struct store_progress_view store_progress_get(const struct store_progress *progress)
{
    static const char *const names[] = {
        [STORE_PHASE_NONE] = "starting", [STORE_PHASE_LOCK] = "lock",
        [STORE_PHASE_HEADS] = "heads",   [STORE_PHASE_RECOVERY] = "recovery",
        [STORE_PHASE_REPLAY] = "replay", [STORE_PHASE_INDEX] = "index",
        [STORE_PHASE_READY] = "ready",   [STORE_PHASE_CLOSING] = "closing",
        [STORE_PHASE_CLOSED] = "closed",
    };

    return (struct store_progress_view){
        .phase = names[__atomic_load_n(&progress->phase, __ATOMIC_ACQUIRE)],
        .done = __atomic_load_n(&progress->done, __ATOMIC_RELAXED),
        .total = __atomic_load_n(&progress->total, __ATOMIC_RELAXED),
    };
}

static struct store *store_new(const struct store_options *options, struct store_progress *progress)
{
    struct store *store = mem_zalloc(1, sizeof(*store));
    bool on_disk = options->data_dir != NULL || options->volume != NULL;

    store->options = *options;
    store->options.data_dir =
        options->data_dir != NULL ? mem_dup(options->data_dir, strlen(options->data_dir)) : NULL;
    set_default_limits(&store->options.limits);
    store->clock = options->clock != NULL ? options->clock : clock_system();
    store->progress = progress != NULL ? progress : &store->own_progress;
    slab_pool_init(&store->pool);
    epoch_init(&store->epoch);
    label_table_init(&store->labels, &store->epoch, on_disk);
    series_map_init(&store->map, &store->epoch);
    use_table_init(&store->use);
    store->use.counting = !on_disk;
    mapper_init(&store->mapper);
    block_cache_init(&store->cache, options->block_cache_bytes);
    intake_init(&store->intake);
    damage_list_init(&store->damage);
    lock_init(&store->background_lock);
    gate_init(&store->gate, store_log_tell, store);
    lock_init(&store->listener_lock);
    cond_init(&store->durable_change);
    store_querier_init(store);
    return store;
}

/* Frees everything; the folder must have been closed. */
static void store_free(struct store *store)
{
    /* Objects over the slabs' largest class are on the heap: series by series. */
    for (size_t i = 0; i < SERIES_STRIPES; i++) {
        struct stripe *stripe = &store->map.stripes[i];

        for (uint32_t k = 0; stripe->slots != NULL && k <= stripe->mask; k++) {
            struct series *series = stripe->slots[k];

            if (series == NULL)
                continue;
            if (!series->archived)
                door_leave_locked(store, series);
            series_free(&store->pool, series, true);
        }
    }
    intake_destroy(&store->intake);
    series_map_destroy(&store->map);
    use_table_destroy(&store->use);
    mapper_destroy(&store->mapper);
    block_cache_destroy(&store->cache);
    label_table_destroy(&store->labels);
    damage_list_destroy(&store->damage);
    lock_destroy(&store->background_lock);
    gate_destroy(&store->gate);
    lock_destroy(&store->listener_lock);
    cond_destroy(&store->durable_change);
    epoch_destroy(&store->epoch);
    slab_pool_destroy(&store->pool);
    mem_free((char *)(uintptr_t)store->options.data_dir);
    mem_free(store);
}

struct store *store_open(const struct store_options *options, struct store_progress *progress,
                         struct error *err)
{
    struct store *store;

    if (check_options(options, err) != 0)
        return NULL;
    store = store_new(options, progress);
    store_phase_set(store, STORE_PHASE_LOCK, 0);
    if ((options->data_dir != NULL || options->volume != NULL) && folder_open(store, err) != 0) {
        store_free(store);
        return NULL;
    }
    store_refresh_rules(store);
    store_phase_set(store, STORE_PHASE_READY, 0);
    store_show_metrics(store);
    return store;
}

void store_recovery_get(const struct store *store, struct store_recovery *out)
{
    *out = store->recovered;
}

int store_close(struct store *store, struct error *err)
{
    int result = 0;

    store_phase_set(store, STORE_PHASE_CLOSING, 0);
    if (store->folder != NULL)
        result = folder_close(store, err);
    store_phase_set(store, STORE_PHASE_CLOSED, 0);
    store_free(store);
    return result;
}

void store_abandon(struct store *store)
{
    if (store == NULL)
        return;
    if (store->folder != NULL)
        folder_abandon(store);
    store_free(store);
}

bool store_is_read_only(const struct store *store)
{
    return __atomic_load_n(&store->read_only, __ATOMIC_RELAXED) != 0;
}

int store_wait_indexed(struct store *store, struct error *err)
{
    /* Sets in memory change before a push returns: there is nothing to wait for. */
    (void)store;
    (void)err;
    return 0;
}
