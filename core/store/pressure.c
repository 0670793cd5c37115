/* pressure.c - see pressure.h. */
#include "store/pressure.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "store/folder.h"

#define LOOK_NS ((int64_t)10 * 1000000000)
#define TELL_NS ((int64_t)3600 * 1000000000)
/* A guess, for archived series: their chunks are not counted in memory. */
#define CHUNK_SPAN_MS ((int64_t)3 * 3600 * 1000)

/* --- candidates
 * --------------------------------------------------------------------------------------- */

struct scored {
    uint64_t fp;
    int64_t score;
};

/* Those with the highest scores: a heap with the lowest of them on top. */
struct best {
    struct scored items[PRESSURE_CANDIDATES / 2];
    size_t count;
};

static void best_sink(struct best *best, size_t at)
{
    for (;;) {
        size_t low = at, left = at * 2 + 1;
        struct scored swap;

        for (size_t child = left; child < left + 2 && child < best->count; child++) {
            if (best->items[child].score < best->items[low].score)
                low = child;
        }
        if (low == at)
            return;
        swap = best->items[at];
        best->items[at] = best->items[low];
        best->items[low] = swap;
        at = low;
    }
}

static void best_offer(struct best *best, uint64_t fp, int64_t score)
{
    if (best->count < TIDE_COUNT(best->items)) {
        best->items[best->count++] = (struct scored){fp, score};
        if (best->count == TIDE_COUNT(best->items)) {
            for (size_t i = best->count / 2; i-- > 0;)
                best_sink(best, i);
        }
        return;
    }
    if (score <= best->items[0].score)
        return;
    best->items[0] = (struct scored){fp, score};
    best_sink(best, 0);
}

static bool best_has(const struct best *best, uint64_t fp)
{
    for (size_t i = 0; i < best->count; i++) {
        if (best->items[i].fp == fp)
            return true;
    }
    return false;
}

/* Under its stripe. */
static int64_t chunks_about(const struct series *series)
{
    if (!series->archived)
        return (int64_t)series->chunk_count + TIDE_MAX(series->file_chunks, 0);
    if (!series->first_known || series->last_ms <= series->first_ms)
        return 1;
    return (int64_t)(((uint64_t)series->last_ms - (uint64_t)series->first_ms) /
                     (uint64_t)CHUNK_SPAN_MS) +
           1;
}

static void find_best(struct store *store, struct best *largest, struct best *ended)
{
    for (size_t s = 0; s < SERIES_STRIPES; s++) {
        struct stripe *stripe = &store->map.stripes[s];

        lock_acquire(&stripe->stripe_lock);
        for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
            const struct series *series = stripe->slots[i];

            if (series == NULL || !series->has_samples || series->busy || series->broken ||
                (!series->archived && series->file_chunks == 0))
                continue;
            best_offer(largest, series->fp, chunks_about(series));
            best_offer(ended, series->fp, -TIDE_MAX(series->last_ms, -TIDE_LATEST_MS));
        }
        lock_release(&stripe->stripe_lock);
    }
}

/* Where the series begins: by its file, if nobody knows. */
static int64_t first_of(struct store *store, uint64_t fp, int64_t known_ms)
{
    uint8_t record[SERIES_RECORD_BYTES];
    struct error err;

    if (known_ms != TIDE_EARLIEST_MS ||
        series_file_read(store->folder->volume, fp, 0, 1, record, &err) != 0)
        return known_ms;
    return series_record_get(record).first_ms;
}

/* One candidate, with labels of its own. False: it went meanwhile. */
static bool describe(struct store *store, uint64_t fp, struct pressure_candidate *candidate)
{
    struct series_file_stat stat;
    struct duty duty = {.fp = fp};
    struct stripe *stripe;
    struct series *series = lock_fp(store, fp, &stripe);
    struct error err;

    if (series == NULL)
        return false;
    duty.id = series->id;
    duty.labels = series_labels_locked(store, series);
    duty.first_ms = series->first_known ? series->first_ms : TIDE_EARLIEST_MS;
    duty.last_ms = series->last_ms;
    duty.archived = series->archived;
    lock_release(&stripe->stripe_lock);
    if (series_file_stat(store->folder->volume, fp, &stat, &err) == 0)
        duty.chunks = stat.chunks;
    duty.first_ms = first_of(store, fp, duty.first_ms);
    *candidate = (struct pressure_candidate){duty_view(store, &duty), PRESSURE_KEEP_MS};
    return true;
}

static int by_fp(const void *a, const void *b)
{
    const struct pressure_candidate *x = a, *y = b;

    return (x->view.fp > y->view.fp) - (x->view.fp < y->view.fp);
}

/* Owned list, in no order that means anything but always the same one. */
static struct pressure_candidate *find_candidates(struct store *store, size_t *count)
{
    struct best *largest = mem_zalloc(1, sizeof(*largest));
    struct best *ended = mem_zalloc(1, sizeof(*ended));
    struct pressure_candidate *list = mem_zalloc(PRESSURE_CANDIDATES, sizeof(*list));

    *count = 0;
    find_best(store, largest, ended);
    for (size_t i = 0; i < largest->count; i++)
        *count += describe(store, largest->items[i].fp, &list[*count]);
    for (size_t i = 0; i < ended->count; i++) {
        if (!best_has(largest, ended->items[i].fp))
            *count += describe(store, ended->items[i].fp, &list[*count]);
    }
    qsort(list, *count, sizeof(*list), by_fp);
    mem_free(largest);
    mem_free(ended);
    return list;
}

static void free_candidates(struct pressure_candidate *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        labels_unref((struct labels *)(uintptr_t)list[i].view.labels);
    mem_free(list);
}

/* --- dropping
 * ----------------------------------------------------------------------------------------- */

/* Chunks that end before this go. */
static int64_t cut_of(const struct store *store, const struct pressure_candidate *candidate)
{
    const struct series_view *view = &candidate->view;
    int64_t limit_ms, middle_ms;

    if (candidate->keep_ms == RETENTION_FOREVER || view->first_ms > view->last_ms ||
        __builtin_sub_overflow(clock_wall_ms(store->clock), candidate->keep_ms, &limit_ms))
        return TIDE_EARLIEST_MS;
    if (view->last_ms < limit_ms)
        return limit_ms;
    middle_ms = view->first_ms / 2 + view->last_ms / 2;
    return TIDE_MIN(limit_ms, middle_ms);
}

static void add(struct removal *sum, const struct removal *one)
{
    sum->series += one->series;
    sum->series_gone += one->series_gone;
    sum->chunks += one->chunks;
    sum->samples += one->samples;
    sum->bytes += one->bytes;
    sum->first_ms = TIDE_MIN(sum->first_ms, one->first_ms);
    sum->last_ms = TIDE_MAX(sum->last_ms, one->last_ms);
}

/* Room being made. */
struct making {
    struct store *store;
    const struct policy *policy;
    bool dry;
    uint64_t wanted; /* bytes */
    struct removal removed;
    char rule[POLICY_RULE_BYTES];
    struct plan_rule *told; /* NULL: nobody wants examples */
};

static int drop_in_order(struct making *making, struct pressure_candidate *list,
                         const uint32_t *order, size_t count, struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < count && making->removed.bytes < making->wanted &&
                       making->removed.series < PRESSURE_SERIES;
         i++) {
        struct pressure_candidate *candidate = &list[order[i]];
        int64_t before_ms = cut_of(making->store, candidate);
        struct removal dropped = {0};

        if (before_ms == TIDE_EARLIEST_MS)
            continue;
        if (retention_make_room(making->store, candidate->view.fp, before_ms, making->dry, &dropped,
                                err) != 0) {
            result = -1; /* others may have room: a file that goes needs none */
            continue;
        }
        if (dropped.series == 0)
            continue;
        add(&making->removed, &dropped);
        making->removed.to_ms = TIDE_MAX(making->removed.to_ms, before_ms - 1);
        if (making->told != NULL && making->told->example_count < PLAN_EXAMPLES)
            making->told->examples[making->told->example_count++] = (struct plan_example){
                labels_ref((struct labels *)(uintptr_t)candidate->view.labels), dropped.chunks};
    }
    return result;
}

/* Ranks and drops. */
static int make_room(struct making *making, struct error *err)
{
    uint32_t *order = mem_alloc(PRESSURE_CANDIDATES * sizeof(*order));
    size_t count, ordered = 0;
    struct pressure_candidate *list = find_candidates(making->store, &count);
    int result = 0;

    making->removed = (struct removal){.from_ms = TIDE_EARLIEST_MS,
                                       .to_ms = TIDE_EARLIEST_MS,
                                       .first_ms = TIDE_LATEST_MS,
                                       .last_ms = TIDE_EARLIEST_MS};
    if (count != 0 &&
        making->policy->rank(making->policy->ctx, list, count, order, &ordered, making->rule) == 1)
        result = drop_in_order(making, list, order, ordered, err);
    free_candidates(list, count);
    mem_free(order);
    return result;
}

/* --- the tick and the plan
 * ---------------------------------------------------------------------------- */

/* How much has to go until a tenth more than the bound is free; 0: enough is. */
static int look(struct store *store, uint64_t *free_bytes, uint64_t *wanted, struct error *err)
{
    struct volume *volume = store->folder->volume;
    uint64_t bound = store->options.disk_low_bytes;
    struct volume_space space;

    *wanted = 0;
    if (volume->space(volume, &space, err) != 0)
        return -1;
    *free_bytes = space.free_bytes;
    if (space.free_bytes < bound)
        *wanted = bound - space.free_bytes + bound / 10;
    return 0;
}

static void tell(struct store *store, uint64_t free_bytes)
{
    const struct policy *policy = store->options.policy;
    struct folder *folder = store->folder;
    int64_t mono_ns = clock_mono_ns(store->clock);

    if (gauge_read(&store->counters.disk_low) != 0 && mono_ns - folder->disk_told_mono_ns < TELL_NS)
        return;
    gauge_put(&store->counters.disk_low, 1);
    folder->disk_told_mono_ns = mono_ns;
    log_warn("the disk has too little free: rules of tide.disk_pressure may drop old samples",
             "free=%" PRIu64 " bound=%" PRIu64, free_bytes, store->options.disk_low_bytes);
    if (policy != NULL && policy->disk_low != NULL)
        policy->disk_low(policy->ctx, free_bytes, store->options.disk_low_bytes);
}

static bool has_rules(const struct policy *policy)
{
    return policy != NULL && policy->rank != NULL && policy->makes_room(policy->ctx);
}

static void account(struct store *store, struct making *making)
{
    struct removal *removed = &making->removed;

    if (removed->series == 0)
        return;
    counter_add(&store->counters.pressed_samples, removed->samples);
    removed->time_ms = clock_wall_ms(store->clock);
    snprintf(removed->by, sizeof(removed->by), "%.*s", (int)sizeof(removed->by) - 1, making->rule);
    audit_write(store, "disk_pressure", removed);
    log_warn("old samples were dropped to make room on the disk",
             "rule=\"%s\" series=%" PRIu64 " samples=%" PRIu64 " bytes=%" PRIu64, making->rule,
             removed->series, removed->samples, removed->bytes);
}

int pressure_tick(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;
    int64_t mono_ns = clock_mono_ns(store->clock);
    struct making making = {.store = store, .policy = store->options.policy};
    uint64_t free_bytes;
    int result;

    if (store->options.disk_low_bytes == 0 ||
        (folder->disk_looked_mono_ns != 0 && mono_ns - folder->disk_looked_mono_ns < LOOK_NS))
        return 0;
    folder->disk_looked_mono_ns = mono_ns;
    if (look(store, &free_bytes, &making.wanted, err) != 0)
        return -1;
    if (making.wanted == 0) {
        gauge_put(&store->counters.disk_low, 0);
        return 0;
    }
    tell(store, free_bytes);
    if (!has_rules(making.policy))
        return 0;
    if (clock_guard_holds(store, false)) {
        counter_add(&store->counters.drops_held, 1);
        return 0;
    }
    result = make_room(&making, err);
    account(store, &making);
    return result;
}

int pressure_plan(struct store *store, const struct policy *policy, struct store_plan *plan,
                  struct error *err)
{
    struct making making = {.store = store, .policy = policy, .dry = true};

    plan->disk_low_bytes = store->options.disk_low_bytes;
    if (look(store, &plan->disk_free_bytes, &making.wanted, err) != 0)
        return -1;
    if (making.wanted == 0 || !has_rules(policy))
        return 0;
    making.told = mem_zalloc(1, sizeof(*making.told));
    plan->pressed = making.told;
    (void)make_room(&making, err); /* what cannot be read is not counted */
    making.told->kind = PLAN_RULE;
    making.told->decides = making.removed.series;
    making.told->removed = making.removed;
    memcpy(making.told->title, making.rule, sizeof(making.told->title));
    return 0;
}
