/* append.c - a batch into the series (append.h).
 *
 * In passes over the batch, each fetching ahead what the next one reads, since at a million series
 * every step is a cache miss: hash blocks and look them up; resolve what was not found; then
 * apply with the id table, the series and the end of its head on their way. A series that is
 * archived or purged between resolve and apply is seen by its generation, under its stripe, and
 * resolved again. */
#include "base/bytes.h"
#include "base/mem.h"
#include "store/append_impl.h"

#define FIND_BLOCKS 16 /* blocks hashed before those that need it are looked up in the index */
#define ATTEMPTS 4
#define SPILL_SAMPLES 16 /* between looks at whether the log's record is to be written */

struct appender *appender_new(struct store *store)
{
    struct appender *appender = mem_zalloc(1, sizeof(*appender));

    appender->store = store;
    labels_builder_init(&appender->labels);
    block_cursor_init(&appender->cursor);
    appender->log = mem_zalloc(1, sizeof(*appender->log));
    log_batch_init(appender->log, store);
    return appender;
}

void appender_free(struct appender *appender)
{
    if (appender == NULL)
        return;
    log_batch_destroy(appender->log);
    mem_free(appender->log);
    arena_destroy(&appender->scratch);
    labels_builder_destroy(&appender->labels);
    buf_destroy(&appender->text);
    mem_free(appender->found);
    mem_free(appender->keys);
    mem_free(appender->again);
    mem_free(appender->pairs);
    mem_free(appender->times_ms);
    mem_free(appender->values);
    mem_free(appender->intervals);
    mem_free(appender->dropped);
    mem_free(appender);
}

enum duplicate_rule appender_rule(const struct appender *appender)
{
    return appender->store->options.duplicates;
}

static void reserve(struct appender *appender, size_t entries)
{
    if (appender->found_cap >= entries)
        return;
    appender->found_cap = entries + entries / 2;
    appender->found = mem_realloc(appender->found, appender->found_cap * sizeof(*appender->found));
    appender->keys = mem_realloc(appender->keys, appender->found_cap * sizeof(*appender->keys));
    appender->again = mem_realloc(appender->again, appender->found_cap * sizeof(*appender->again));
}

static void refuse_entry(struct push *push, size_t i, enum refusal reason, const char *why)
{
    const struct batch_entry *entry = &push->batch->entries[i];

    append_result_refuse(push->result, reason, entry->sample_count, (uint32_t)i, entry->line, "%s",
                         why[0] != '\0' ? why : refusal_name(reason));
}

/* Resolves entry i by its labels. */
static int resolve_entry(struct push *push, size_t i, struct error *err)
{
    struct appender *appender = push->appender;
    char why[160];

    if (resolve_block(appender, push->batch, &push->batch->entries[i], appender->keys[i],
                      &appender->found[i], why, sizeof(why), err) != 0)
        return -1;
    if (is_refusal(appender->found[i]))
        refuse_entry(push, i, (enum refusal)(appender->found[i].id - BLOCK_REFUSED), why);
    return 0;
}

/* A refusal that the cache knew. The reason in full is worth a parse only while it is shown. */
static int known_refusal(struct push *push, size_t i, struct error *err)
{
    if (push->result->example_count < APPEND_EXAMPLES)
        return resolve_entry(push, i, err);
    refuse_entry(push, i, (enum refusal)(push->appender->found[i].id - BLOCK_REFUSED), "");
    return 0;
}

/* What the index of the cache knows of an entry, by its block alone or as long as quotas are as
 * they are. */
static bool find_block(struct push *push, size_t i, struct block_value *value)
{
    struct block_cache *cache = &push->store->cache;
    struct block_cursor *cursor = &push->appender->cursor;
    struct block_key key = push->appender->keys[i];

    return block_cache_find(cache, cursor, key, push->now_s, value) ||
           (push->has_rules &&
            block_cache_find(cache, cursor, block_key_while(key, push->room), push->now_s, value));
}

/* An entry that does not stand where the cache expected it, or is refused. */
static int find_entry(struct push *push, size_t i, struct error *err)
{
    struct block_value *value = &push->appender->found[i];

    if (push->batch->entries[i].sample_count == 0) {
        *value = (struct block_value){BLOCK_REFUSED, 0};
        return 0;
    }
    if (!find_block(push, i, value) || (is_refusal(*value) && value->generation != push->version)) {
        counter_add(&push->store->counters.cache_misses, 1);
        return resolve_entry(push, i, err);
    }
    return is_refusal(*value) ? known_refusal(push, i, err) : 0;
}

/* Entries from `from` on, FIND_BLOCKS at most: those that stand where the cache expects them, then
 * all others through its index, fetched ahead. */
static int find_some(struct push *push, struct block_key salt, size_t from, size_t count,
                     struct error *err)
{
    const struct batch_entry *entries = push->batch->entries + from;
    struct block_cache *cache = &push->store->cache;
    struct appender *appender = push->appender;
    struct block_key *keys = appender->keys + from;
    struct block_value *found = appender->found + from;
    uint32_t others = 0;

    for (size_t k = 0; k < count; k++) {
        keys[k] = block_cache_key(cache, salt, entries[k].block, entries[k].block_len);
        if (TIDE_LIKELY(
                block_cache_next(cache, &appender->cursor, keys[k], push->now_s, &found[k]) &&
                !is_refusal(found[k]) && entries[k].sample_count != 0))
            continue;
        others |= 1u << k;
        block_cache_prefetch(cache, keys[k]);
    }
    for (uint32_t rest = others; rest != 0; rest &= rest - 1)
        block_cache_prefetch_entry(cache, keys[__builtin_ctz(rest)]);
    for (uint32_t rest = others; rest != 0; rest &= rest - 1) {
        size_t k = (size_t)__builtin_ctz(rest);

        if (find_entry(push, from + k, err) != 0)
            return -1;
    }
    return 0;
}

/* First pass: every entry gets its series or its refusal. */
static int find_all(struct push *push, struct error *err)
{
    const struct batch *batch = push->batch;
    struct block_cache *cache = &push->store->cache;
    struct block_key salt = block_key_while(
        block_cache_salt(cache, (uint32_t)batch->format, batch->salt, batch->salt_len),
        push->version); /* so that new rules are asked for series that are known, too */
    size_t some = 1;    /* the first tells where the others are */

    for (size_t i = 0; i < batch->entry_count; i += some, some = FIND_BLOCKS) {
        some = TIDE_MIN(some, batch->entry_count - i);
        if (find_some(push, salt, i, some, err) != 0)
            return -1;
    }
    return 0;
}

struct series *push_lock_series(struct push *push, struct block_value value,
                                struct stripe **stripe) TIDE_NO_LOCK_CHECK
{
    struct series_map *map = &push->store->map;
    struct series *series = series_map_lock_id(map, value.id, stripe);

    if (series == NULL)
        return NULL;
    if (series_map_id(map, value.id)->generation == value.generation)
        return series;
    lock_release(&(*stripe)->stripe_lock);
    return NULL;
}

void push_refuse_sample(struct push *push, size_t i, enum refusal reason, int64_t time_ms,
                        int64_t bound_ms)
{
    const struct batch_entry *entry = &push->batch->entries[i];
    static const char *const texts[] = {
        [REFUSED_OUT_OF_ORDER] = "older than the newest sample of the series, at",
        [REFUSED_DUPLICATE] = "another value is stored for this time,",
        [REFUSED_TOO_OLD] =
            "too much older (storage.out_of_order) than the newest of the series, at",
        [REFUSED_FUTURE] = "too far in the future: the latest allowed is",
    };

    append_result_refuse(push->result, reason, 1, (uint32_t)i, entry->line,
                         "sample at %" PRId64 " ms: %s %" PRId64 " ms", time_ms, texts[reason],
                         bound_ms);
}

/* NaN equals NaN whatever the payload, as in 1.x; other values by their bits but for signed 0. */
static bool same_value(double a, double b)
{
    return a == b || (a != a && b != b);
}

/* A sample at or before the newest one, as in 1.x: identical repeats are fine. */
static void judge_late(struct push *push, size_t i, struct series *series, int64_t time_ms,
                       double value)
{
    if (time_ms < series->last_ms) {
        push_refuse_sample(push, i, REFUSED_OUT_OF_ORDER, time_ms, series->last_ms);
        return;
    }
    if (!series->value_known)
        series_learn_value(series);
    if (series->value_known && same_value(series->last_value, value)) {
        push->result->accepted++;
        push->repeats = true;
    } else {
        push_refuse_sample(push, i, REFUSED_DUPLICATE, time_ms, series->last_ms);
    }
}

bool push_is_repeat(const struct series *series, int64_t time_ms, double value)
{
    return time_ms == series->last_ms && series->value_known &&
           double_bits(series->last_value) == double_bits(value);
}

int push_refuse_late(struct error *err)
{
    return error_set(err, ERR_BUSY, "too many late samples wait to be merged: try again");
}

void push_note_late(struct push *push, struct series *series, int64_t time_ms, double value)
{
    log_late_put(push->appender->log, series, time_ms, value, push->rule);
    push->stored++;
    push->late++;
    push->result->late++;
}

/* A sample at or before the newest one. 0, or -1: no room for more of these. */
static int apply_late(struct push *push, size_t i, struct series *series, int64_t time_ms,
                      double value, struct error *err)
{
    const struct store_options *options = &push->store->options;

    if (options->out_of_order_ms == 0) {
        judge_late(push, i, series, time_ms, value);
        return 0;
    }
    if (push_is_repeat(series, time_ms, value)) {
        push->result->accepted++;
        push->repeats = true;
        return 0;
    }
    if ((uint64_t)series->last_ms - (uint64_t)time_ms > (uint64_t)options->out_of_order_ms) {
        push_refuse_sample(push, i, REFUSED_TOO_OLD, time_ms, series->last_ms);
        return 0;
    }
    if (push->edits_full || !edits_have_room(series, time_ms))
        return push_refuse_late(err);
    push->result->accepted++;
    if (edits_put(push->store, series, time_ms, value, push->rule))
        push_note_late(push, series, time_ms, value);
    else
        push->repeats = true;
    return 0;
}

static void note_completed(struct push *push, struct series *series, int completed)
{
    push->chunks_completed += completed;
    if (push->store->queue != NULL && !series->queued) {
        series->queued = true;
        persist_queue_put(push->store->queue, series->id, push->now_s);
    }
}

static inline int put_newest(struct push *push, struct series *series, int64_t time_ms,
                             double value, struct error *err)
{
    bool was_open = series_has_head(series);
    int completed = series_append(&push->store->pool, series, push->store->options.chunk_encoding,
                                  time_ms, value, err);

    if (TIDE_UNLIKELY(completed < 0))
        return -1;
    log_batch_put(push->appender->log, series, time_ms, value);
    push->result->accepted++;
    push->stored++;
    push->heads_opened += !was_open;
    if (completed > 0)
        note_completed(push, series, completed);
    return 0;
}

int push_put_newest(struct push *push, struct series *series, int64_t time_ms, double value,
                    struct error *err)
{
    return put_newest(push, series, time_ms, value, err);
}

/* Samples of entry i, under the stripe of the series. 0, or -1: the head is broken. Inline, for a
 * call costs 38 instructions a sample. */
__attribute__((always_inline)) static inline int
apply_samples(struct push *push, size_t i, const int64_t *times, const double *values, size_t count,
              struct series *series, struct error *err)
{
    series->arrival_s = push->now_s;
    for (size_t k = 0; k < count; k++) {
        if (TIDE_UNLIKELY(times[k] > push->latest_ms)) {
            push_refuse_sample(push, i, REFUSED_FUTURE, times[k], push->latest_ms);
            continue;
        }
        if (TIDE_UNLIKELY(series->has_samples && times[k] <= series->last_ms)) {
            if (apply_late(push, i, series, times[k], values[k], err) != 0)
                return -1;
            continue;
        }
        if (TIDE_UNLIKELY(put_newest(push, series, times[k], values[k], err) != 0))
            return -1;
    }
    return 0;
}

int push_apply_samples(struct push *push, size_t i, const int64_t *times, const double *values,
                       size_t count, struct series *series, struct error *err)
{
    return apply_samples(push, i, times, values, count, series, err);
}

int push_judge_series(struct push *push, struct series *series, int result, struct error *err)
{
    if (result != 0 && err->code == ERR_CORRUPT && !series->broken)
        series->broken = damage_list_put(&push->store->damage, series->fp, err->text);
    if (series->broken)
        return error_set(err, ERR_BUSY, "series %016" PRIx64 " is being quarantined", series->fp);
    return result;
}

/* The reading of `series` and `head` is a hint: slabs stay mapped, and nothing is believed. */
__attribute__((no_sanitize("thread", "address"))) static inline void
fetch(const struct push *push, uint32_t id, enum push_fetch what)
{
    const struct series_map *map = &push->store->map;
    const struct id_entry *entry;
    const struct series *series;

    if (id >= BLOCK_REFUSED)
        return;
    entry = series_map_id(map, id);
    if (what == FETCH_ID) {
        __builtin_prefetch(entry);
        return;
    }
    series = __atomic_load_n(&entry->series, __ATOMIC_RELAXED);
    if (series != NULL && what == FETCH_SERIES) {
        __builtin_prefetch(&series->fp, 1);
        __builtin_prefetch(&series->head, 1);
    }
    if (what == FETCH_SERIES)
        __builtin_prefetch(&map->stripes[__atomic_load_n(&entry->stripe, __ATOMIC_RELAXED)], 1);
    else if (series != NULL)
        __builtin_prefetch(series_head_end(series), 1);
}

__attribute__((no_sanitize("thread", "address"))) void push_fetch(const struct push *push,
                                                                  uint32_t id, enum push_fetch what)
{
    fetch(push, id, what);
}

__attribute__((no_sanitize("thread", "address"))) static inline void
fetch_ahead(const struct push *push, size_t i, size_t end)
{
    const struct block_value *found = push->appender->found;

    if (i + AHEAD_ID < end)
        fetch(push, found[i + AHEAD_ID].id, FETCH_ID);
    if (i + AHEAD_SERIES < end)
        fetch(push, found[i + AHEAD_SERIES].id, FETCH_SERIES);
    if (i + AHEAD_HEAD < end)
        fetch(push, found[i + AHEAD_HEAD].id, FETCH_HEAD);
}

/* Samples `from` to `to` of an entry. 0; 1: its series went away; -1 with err. */
static int apply_slice(struct push *push, size_t i, uint32_t from, uint32_t to, struct error *err)
{
    struct stripe *stripe;
    struct series *series = push_lock_series(push, push->appender->found[i], &stripe);
    size_t at = push->batch->entries[i].first_sample + (size_t)from;
    const int64_t *times = push->batch->times_ms + at;
    const double *values = push->batch->values + at;
    int result = 0;

    if (series == NULL)
        return 1;
    if (!series->broken && TIDE_LIKELY((series->door & DOOR_SAMPLES) == 0))
        result = apply_samples(push, i, times, values, to - from, series, err);
    else if (!series->broken)
        result = push_through_door(push, i, times, values, to - from, series, err);
    if (TIDE_UNLIKELY(result != 0 || series->broken))
        result = push_judge_series(push, series, result, err);
    lock_release(&stripe->stripe_lock);
    return result;
}

/* In slices: neither a stripe's lock nor a record of the log grows with what is sent at once. */
static int apply_entry(struct push *push, size_t i, struct error *err)
{
    struct appender *appender = push->appender;
    uint32_t count = push->batch->entries[i].sample_count;

    for (uint32_t from = 0; from < count; from += SLICE_SAMPLES) {
        int result = apply_slice(push, i, from, from + TIDE_MIN(count - from, SLICE_SAMPLES), err);

        if (result == 1) { /* what was applied is a repeat when it comes again */
            appender->again[appender->again_count++] = i;
            return 0;
        }
        if (result != 0 || ((i % SPILL_SAMPLES == 0 || count >= SPILL_SAMPLES) &&
                            log_batch_spill(appender->log, err) != 0))
            return -1;
    }
    return 0;
}

/* Inside the gate: applies the entries, all or those of `again`, and logs them. */
static int apply_and_log(struct push *push, const size_t *entries, size_t count, struct error *err)
{
    struct appender *appender = push->appender;
    struct error problem;
    int result = 0;

    if (log_batch_enter(appender->log, err) != 0)
        return -1;
    if (push->import)
        result = import_entries(push, entries, count, err);
    for (size_t k = 0; k < count && result == 0 && !push->import; k++) {
        size_t i = entries != NULL ? entries[k] : k;

        if (entries == NULL)
            fetch_ahead(push, i, count);
        if (!is_refusal(appender->found[i]))
            result = apply_entry(push, i, err);
    }
    if (log_batch_leave(appender->log, &push->result->ticket, &problem) != 0 && result == 0) {
        *err = problem;
        result = -1;
    }
    return result;
}

static int apply_all(struct push *push, struct error *err)
{
    struct appender *appender = push->appender;
    int result = apply_and_log(push, NULL, push->batch->entry_count, err);

    for (int attempt = 0; result == 0 && appender->again_count != 0; attempt++) {
        size_t again = appender->again_count;

        if (attempt == ATTEMPTS)
            return error_set(err, ERR_BUSY, "series vanish faster than they are found: try again");
        for (size_t k = 0; k < again && result == 0; k++)
            result = resolve_entry(push, appender->again[k], err);
        appender->again_count = 0;
        if (result == 0)
            result = apply_and_log(push, appender->again, again, err);
    }
    if (push->repeats)
        log_ticket_await_others(push->store, &push->result->ticket);
    return result;
}

static void count_push(struct push *push, const uint64_t *refused_before)
{
    struct store_counters *counters = &push->store->counters;
    const struct append_result *after = push->result;

    counter_add(&counters->ingested, push->stored);
    if (push->late != 0)
        counter_add(&counters->late_samples, push->late);
    for (size_t i = 0; i < REFUSED_REASONS; i++) {
        uint64_t more = after->refused[i] - refused_before[i];

        if (more != 0)
            counter_add(&counters->refused[i], more);
    }
    if (push->heads_opened != 0)
        counter_add(&counters->chunks_created, (uint64_t)push->heads_opened);
    if (push->heads_opened != 0)
        gauge_count(&counters->open_heads, push->heads_opened);
    if (push->chunks_completed != 0) {
        gauge_count(&counters->chunks, push->chunks_completed);
        gauge_count(&counters->chunks_to_persist, push->chunks_completed);
        counter_add(&counters->chunks_queued, (uint64_t)push->chunks_completed);
        counter_add(&counters->chunks_created, (uint64_t)push->chunks_completed);
    }
}

static int run_push(struct push *push, struct error *err)
{
    struct store *store = push->store;
    uint64_t refused_before[REFUSED_REASONS];
    int status;

    if (__atomic_load_n(&store->read_only, __ATOMIC_RELAXED))
        return error_set(err, ERR_IO, "the storage is read-only since a write failed; see the log");
    if (__atomic_load_n(&store->throttled, __ATOMIC_RELAXED))
        return error_set(err, ERR_BUSY, "out of memory_target until chunks are on disk: try again");
    if (disk_room_may_append(store, err) != 0)
        return -1;
    if (__builtin_add_overflow(clock_wall_ms(store->clock), store->options.limits.future_ms,
                               &push->latest_ms))
        push->latest_ms = TIDE_LATEST_MS;
    memcpy(refused_before, push->result->refused, sizeof(refused_before));
    reserve(push->appender, push->batch->entry_count);
    push->appender->again_count = 0;
    status = find_all(push, err);
    if (status == 0)
        status = apply_all(push, err);
    count_push(push, refused_before);
    intake_tell(store);
    return status;
}

static struct push begin_push(struct appender *appender, const struct batch *batch,
                              struct append_result *result)
{
    struct store *store = appender->store;

    return (struct push){
        .appender = appender,
        .store = store,
        .batch = batch,
        .result = result,
        .now_s = store_now_s(store),
        .version = policy_version(store),
        .room = intake_room(store),
        .has_rules = !intake_is_current(store, NULL),
        .rule = store->options.duplicates,
        .edits_full = edits_are_full(store),
    };
}

int store_append(struct appender *appender, const struct batch *batch, struct append_result *result,
                 struct error *err)
{
    struct push push = begin_push(appender, batch, result);

    return run_push(&push, err);
}

int store_import(struct appender *appender, const struct batch *batch, enum duplicate_rule rule,
                 struct append_result *result, struct error *err)
{
    struct push push = begin_push(appender, batch, result);
    uint64_t late = result->late;
    int status;

    push.import = true;
    push.rule = rule;
    status = run_push(&push, err);
    if (result->late != late && appender->store->merges != NULL)
        result->ticket.merge = merge_queue_promise(appender->store->merges);
    return status;
}
