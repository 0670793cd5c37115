/* background.c - the clockwork: what is due when, memory, threads.
 *
 * Everything here runs under background_lock, one piece at a time, on the maintenance thread or on
 * that of a caller of store_tick and its like. */
#include "base/logger.h"
#include "store/pass_parts.h"
#include "store/pressure.h"
#include "store/store_log.h"
#include "store/trash_parts.h"
#include "store/use_file.h"

#define SWEEP_MAX_NS ((int64_t)6 * 3600 * 1000000000)
#define CACHE_ENTRY_AGE_S 3600
/* Of a survey, in each tick: a whole one within half a minute. */
#define SURVEY_STRIPES 64
#define TICK_NS ((int64_t)250 * 1000 * 1000)
#define RUSHED_ENTER 80 /* percent of memory_target */
#define RUSHED_FULL 100

/* --- memory
 * ---------------------------------------------------------------------------------------------- */

static uint64_t memory_now(struct store *store)
{
    return slab_pool_bytes(&store->pool) + block_cache_bytes(&store->cache) +
           label_table_bytes(&store->labels) + gauge_read(&store->counters.verdict_bytes);
}

/* Persisted chunks of one stripe leave memory, all but those that are `keep`est. */
static uint64_t evict_stripe(struct store *store, struct stripe *stripe, uint32_t keep)
{
    uint64_t evicted = 0;

    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        struct series *series = stripe->slots[i];

        if (series == NULL || series->archived || series->busy || series->persisted <= keep)
            continue;
        evicted += series->persisted - keep;
        series_drop_chunks(&store->pool, series, series->persisted - keep);
    }
    lock_release(&stripe->stripe_lock);
    return evicted;
}

void store_evict(struct store *store, uint64_t target_bytes)
{
    /* Oldest first: what is far from the head of each series, then nearer. */
    static const uint32_t keep[] = {16, 8, 4, 2, 1, 0};

    for (size_t k = 0; k < TIDE_COUNT(keep) && memory_now(store) > target_bytes; k++) {
        for (uint32_t i = 0; i < SERIES_STRIPES; i++) {
            uint64_t evicted = evict_stripe(store, &store->map.stripes[i], keep[k]);

            gauge_count(&store->counters.chunks, -(int64_t)evicted);
            counter_add(&store->counters.chunks_evicted, evicted);
            if (i % 64 == 0 && memory_now(store) <= target_bytes)
                return;
        }
    }
}

/* --- the clockwork
 * ------------------------------------------------------------------------------------------ */

/* Time for one pass over all series: a tenth of the retention, at most 6 h (behaviour 6). */
static int64_t sweep_ns(const struct store *store)
{
    int64_t retention_ms = store->options.retention_ms;
    int64_t timeout_ns = store->options.head_chunk_timeout_ms * 1000000;

    if (retention_ms > SWEEP_MAX_NS / 1000000 * 10)
        return TIDE_MIN(SWEEP_MAX_NS, TIDE_MAX(timeout_ns / 4, TICK_NS));
    return TIDE_MIN(retention_ms * 100000, TIDE_MAX(timeout_ns / 4, TICK_NS));
}

/* As many stripes as are due since the last call. */
static int maintain_due(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;
    int64_t now_ns = clock_mono_ns(store->clock);
    int64_t per_stripe_ns = TIDE_MAX(sweep_ns(store) / SERIES_STRIPES, (int64_t)1);
    int64_t due = (now_ns - folder->maintained_mono_ns) / per_stripe_ns;

    if (due <= 0)
        return 0;
    folder->maintained_mono_ns += due * per_stripe_ns;
    for (int64_t i = 0; i < TIDE_MIN(due, (int64_t)SERIES_STRIPES); i++) {
        folder->maintain_stripe = (folder->maintain_stripe + 1) % SERIES_STRIPES;
        if (folder->maintain_stripe == 0)
            pass_guard_begin(store);
        if (maintain_stripe(store, folder->maintain_stripe, err) != 0) {
            pass_guard_spoil(store);
            return -1;
        }
        if (folder->maintain_stripe != SERIES_STRIPES - 1)
            continue;
        pass_guard_end(store);
        audit_pass_flush(store, true); /* a pass is done */
        if (maintain_archive(store, err) != 0)
            return -1;
    }
    audit_pass_flush(store, false);
    return 0;
}

/* After an interval, or many dirty series; never more than half of the time (behaviour 12). */
static bool checkpoint_is_due(struct store *store)
{
    const struct folder *folder = store->folder;
    int64_t since_ns = clock_mono_ns(store->clock) - folder->checkpoint_mono_ns;
    uint64_t dirty = gauge_read(&store->counters.dirty_series);
    uint64_t limit = store->options.checkpoint_dirty_series_limit;

    if (since_ns < folder->checkpoint_took_ns)
        return false;
    if (store->log != NULL)
        return log_checkpoint_is_due(store, since_ns);
    return since_ns >= store->options.checkpoint_interval_ms * 1000000 ||
           (limit != 0 && dirty >= limit);
}

/* Over the target: persist without waiting, evict; full with nothing to evict: pushes wait. */
static int relieve(struct store *store, struct error *err)
{
    uint64_t target = store->options.memory_target_bytes;
    uint64_t used = memory_now(store), persisted;
    int result = 0;

    gauge_put(&store->counters.rushed, used > target / 100 * RUSHED_ENTER);
    if (used > target / 100 * RUSHED_ENTER) {
        do
            result = persist_round(store, true, &persisted, err);
        while (result == 0 && persisted != 0);
        store_evict(store, target / 100 * RUSHED_ENTER);
        used = memory_now(store);
    }
    if (__atomic_exchange_n(&store->throttled, used > target / 100 * RUSHED_FULL,
                            __ATOMIC_RELAXED) == 0 &&
        used > target / 100 * RUSHED_FULL)
        log_error("out of memory_target: pushes are refused until memory is free",
                  "bytes=%" PRIu64 " target=%" PRIu64, used, target);
    return result;
}

static int persist_due(struct store *store, struct error *err)
{
    uint64_t persisted;

    do {
        if (persist_round(store, false, &persisted, err) != 0)
            return -1;
    } while (persisted != 0);
    return 0;
}

bool background_is_crowded(struct store *store)
{
    return memory_now(store) > store->options.memory_target_bytes / 100 * RUSHED_ENTER;
}

int background_breathe(struct store *store, struct error *err)
{
    return persist_due(store, err) == 0 ? relieve(store, err) : -1;
}

/* Over 80 % of the target, or too much of it in late samples? */
static bool is_pressed(struct store *store)
{
    return gauge_read(&store->counters.rushed) != 0 ||
           gauge_read(&store->counters.edit_bytes) >
               store->options.memory_target_bytes / EDITS_SHARE / 2;
}

static int tick_locked(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;
    int result = log_heal(store, err);

    disk_room_look(store);
    store_refresh_rules(store);
    quarantine_damaged(store);
    (void)clock_guard_holds(store, false); /* jumps are seen when they happen */
    if (persist_due(store, err) != 0 || merge_due(store, is_pressed(store), err) != 0)
        result = -1;
    if (pass_guard_survey(store, SURVEY_STRIPES, err) != 0 || maintain_due(store, err) != 0)
        result = -1;
    pass_trash_rest(store);
    if (relieve(store, err) != 0)
        result = -1;
    if (trash_tick(store, err) != 0)
        result = -1;
    if (pressure_tick(store, err) != 0)
        result = -1;
    block_cache_expire(&store->cache, folder->expire_shard++, store_now_s(store),
                       CACHE_ENTRY_AGE_S);
    if (checkpoint_is_due(store) && checkpoint_write(store, err) != 0) {
        counter_add(&store->counters.persist_errors, 1);
        result = -1;
    }
    if (mappings_save_changed(store, err) != 0)
        result = -1;
    use_file_save_due(store);
    return result;
}

/* Runs a piece of background work; without a folder there is none. */
static int run(struct store *store, int (*work)(struct store *, struct error *), struct error *err)
{
    int result;

    if (store->folder == NULL)
        return 0;
    lock_acquire(&store->background_lock);
    result = work(store, err);
    lock_release(&store->background_lock);
    return result;
}

int store_tick(struct store *store, struct error *err)
{
    return run(store, tick_locked, err);
}

static int persist_all_locked(struct store *store, struct error *err)
{
    uint64_t persisted;

    do {
        if (persist_round(store, true, &persisted, err) != 0)
            return -1;
    } while (persisted != 0);
    return 0;
}

int store_persist(struct store *store, struct error *err)
{
    return run(store, persist_all_locked, err);
}

/* A pass over all stripes. */
static int maintain_whole(struct store *store, struct error *err)
{
    pass_guard_begin(store);
    for (uint32_t i = 0; i < SERIES_STRIPES; i++) {
        if (maintain_stripe(store, i, err) != 0) {
            pass_guard_spoil(store);
            return -1;
        }
    }
    pass_guard_end(store);
    return 0;
}

/* What is a surprise is surveyed first, as the clockwork does over time. */
static int maintain_surveyed(struct store *store, struct error *err)
{
    bool surveyed = pass_guard_wants_survey(store);

    if (pass_guard_survey(store, SERIES_STRIPES, err) != 0 || maintain_whole(store, err) != 0)
        return -1;
    if (surveyed || !pass_guard_wants_survey(store))
        return 0;
    if (pass_guard_survey(store, SERIES_STRIPES, err) != 0)
        return -1;
    return maintain_whole(store, err);
}

static int maintain_all_locked(struct store *store, struct error *err)
{
    int result;

    quarantine_damaged(store);
    (void)clock_guard_holds(store, true);
    result = maintain_surveyed(store, err);
    pass_trash_rest(store);
    if (result != 0 || maintain_archive(store, err) != 0)
        return -1;
    audit_pass_flush(store, true);
    return 0;
}

int store_merge(struct store *store, struct error *err)
{
    return run(store, merge_everything, err);
}

int store_maintain(struct store *store, struct error *err)
{
    return run(store, maintain_all_locked, err);
}

int store_checkpoint(struct store *store, struct error *err)
{
    return run(store, checkpoint_write, err);
}

/* --- threads
 * --------------------------------------------------------------------------------------------------
 */

/* Sleeps; true: the store stops. */
static bool pause_until_stop(struct folder *folder, int64_t ns)
{
    bool stopping;

    lock_acquire(&folder->wake_lock);
    if (!folder->stopping)
        cond_wait_for(&folder->wake, &folder->wake_lock, ns);
    stopping = folder->stopping;
    lock_release(&folder->wake_lock);
    return stopping;
}

static void *maintenance_thread(void *arg)
{
    struct store *store = arg;
    struct error err;

    while (!pause_until_stop(store->folder, TICK_NS)) {
        if (store_tick(store, &err) != 0)
            log_warn_limited("background work failed; it is tried again", "problem=\"%s\"",
                             err.text);
    }
    return NULL;
}

static void *indexer_thread(void *arg)
{
    struct store *store = arg;
    struct error err;

    while (!pause_until_stop(store->folder, 2 * TICK_NS)) {
        if (label_table_changes_due(&store->labels) != 0 && index_flush(store, false, &err) != 0)
            log_warn_limited("the label index could not be written; it is tried again",
                             "problem=\"%s\"", err.text);
    }
    return NULL;
}

int folder_start_threads(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;

    if (store->options.no_background)
        return 0;
    if (thread_start(&folder->maintenance, "maintenance", 0, maintenance_thread, store, err) != 0)
        return -1;
    if (thread_start(&folder->indexer, "indexer", 0, indexer_thread, store, err) == 0)
        return 0;
    folder_stop_threads(store);
    return -1;
}

void folder_stop_threads(struct store *store)
{
    struct folder *folder = store->folder;

    lock_acquire(&folder->wake_lock);
    folder->stopping = true;
    cond_broadcast(&folder->wake);
    lock_release(&folder->wake_lock);
    thread_join(&folder->maintenance);
    thread_join(&folder->indexer);
}
