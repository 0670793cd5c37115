/* replay_apply.c - the threads that apply a replay (replay.h).
 *
 * Series are dealt out by stripe, so a series, and its stripe, has one thread. The reader gathers
 * changes in blocks; each thread has a short queue of them, which bounds what is in flight. */
#include <unistd.h>

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/edits.h"
#include "store/replay.h"

#define BLOCK_OPS 1024
#define QUEUE_BLOCKS 16
#define PARTITIONS_MAX 8

struct op_block {
    struct op_block *next;
    size_t count;
    struct replay_op ops[BLOCK_OPS];
};

struct partition {
    struct replay_apply *apply;
    struct thread thread;
    struct op_block *filling; /* the reader's */

    struct lock lock; /* guards the rest */
    struct cond change;
    struct op_block *first;
    struct op_block **last;
    struct op_block *spare;
    size_t queued; /* blocks, the one in work included */
    bool stopping;
    struct replay_counts counts; /* the thread's, read when queued is 0 */
};

struct replay_apply {
    struct store *store;
    bool foreign;
    uint32_t count;
    struct partition partitions[PARTITIONS_MAX];
};

/* --- one change --------------------------------------------------------------------------------
 */

static void note_completed(struct store *store, struct series *series, int completed)
{
    gauge_count(&store->counters.chunks, completed);
    gauge_count(&store->counters.chunks_to_persist, completed);
    counter_add(&store->counters.chunks_queued, (uint64_t)completed);
    if (series->queued)
        return;
    series->queued = true;
    persist_queue_put(store->queue, series->id, store_now_s(store));
}

static void make_active(struct store *store, struct replay_series *entry)
{
    struct stripe *stripe;

    if (!entry->series->archived)
        return;
    stripe = series_map_stripe(&store->map, entry->fp);
    lock_acquire(&stripe->stripe_lock);
    entry->series = series_unarchive_locked(store, stripe, entry->series);
    lock_release(&stripe->stripe_lock);
}

/* A sample in the past of its series: it overrides what is there, by its rule. */
static void apply_late(struct partition *partition, struct replay_series *entry, int64_t time_ms,
                       double value, uint8_t rule)
{
    struct store *store = partition->apply->store;
    struct stripe *stripe = series_map_stripe(&store->map, entry->fp);

    make_active(store, entry);
    lock_acquire(&stripe->stripe_lock);
    edits_put(store, entry->series, time_ms, value, (enum duplicate_rule)rule);
    lock_release(&stripe->stripe_lock);
    partition->counts.late++;
}

static int apply_put(struct partition *partition, struct replay_series *entry, int64_t time_ms,
                     double value, struct error *err)
{
    struct store *store = partition->apply->store;
    struct series *series = entry->series;
    bool was_open;
    int completed;

    if (series->has_samples && time_ms <= series->last_ms) {
        if (entry->has_base && time_ms <= entry->base_ms && !partition->apply->foreign)
            partition->counts.there++;
        else
            apply_late(partition, entry, time_ms, value, DUPLICATE_LAST);
        return 0;
    }
    make_active(store, entry);
    series = entry->series;
    was_open = series_has_head(series);
    completed =
        series_append(&store->pool, series, store->options.chunk_encoding, time_ms, value, err);
    if (completed < 0)
        return error_note(err, "series %016" PRIx64, entry->fp);
    series->arrival_s = store_now_s(store);
    partition->counts.applied++;
    if (!was_open)
        gauge_count(&store->counters.open_heads, 1);
    if (completed > 0)
        note_completed(store, series, completed);
    return 0;
}

/* What was deleted may have been put again behind it: those samples count anew. */
static void apply_mark(struct partition *partition, struct replay_series *entry,
                       const struct replay_op *op)
{
    struct store *store = partition->apply->store;
    struct stripe *stripe = series_map_stripe(&store->map, entry->fp);

    make_active(store, entry);
    lock_acquire(&stripe->stripe_lock);
    edits_mark(store, entry->series, op->time_ms, op->to_ms);
    lock_release(&stripe->stripe_lock);
    if (entry->has_base && entry->base_ms >= op->time_ms) {
        entry->has_base = op->time_ms != TIDE_EARLIEST_MS;
        entry->base_ms = entry->has_base ? op->time_ms - 1 : TIDE_EARLIEST_MS;
    }
    partition->counts.marks++;
}

static int apply_op(struct partition *partition, const struct replay_op *op, struct error *err)
{
    struct replay_series *entry = op->series;

    if (op->kind != REPLAY_MARK)
        partition->counts.samples++;
    if (entry->series == NULL) {
        entry->orphaned_ms =
            entry->orphaned == 0 ? op->time_ms : TIDE_MAX(entry->orphaned_ms, op->time_ms);
        entry->orphaned++;
        return 0;
    }
    switch ((enum replay_kind)op->kind) {
    case REPLAY_PUT:
        return apply_put(partition, entry, op->time_ms, op->value, err);
    case REPLAY_LATE:
        apply_late(partition, entry, op->time_ms, op->value, op->rule);
        return 0;
    case REPLAY_MARK:
        apply_mark(partition, entry, op);
        return 0;
    }
    return 0;
}

static void apply_block(struct partition *partition, const struct op_block *block)
{
    struct store *store = partition->apply->store;

    for (size_t i = 0; i < block->count; i++) {
        const struct replay_op *op = &block->ops[i];
        struct series *series = op->series->series;
        struct error problem;

        if (i + 16 < block->count)
            __builtin_prefetch(block->ops[i + 16].series);
        if (i + 8 < block->count)
            __builtin_prefetch(block->ops[i + 8].series->series);
        if (series != NULL && series->broken)
            continue;
        if (apply_op(partition, op, &problem) == 0)
            continue;
        log_warn_limited("a series cannot take samples of the log", "problem=\"%s\"", problem.text);
        series->broken = damage_list_put(&store->damage, series->fp, problem.text);
    }
}

/* --- threads -----------------------------------------------------------------------------------
 */

static struct op_block *take_block(struct partition *partition)
{
    struct op_block *block;

    lock_acquire(&partition->lock);
    while (partition->first == NULL && !partition->stopping)
        cond_wait(&partition->change, &partition->lock);
    block = partition->first;
    if (block != NULL) {
        partition->first = block->next;
        if (partition->first == NULL)
            partition->last = &partition->first;
    }
    lock_release(&partition->lock);
    return block;
}

static void give_back(struct partition *partition, struct op_block *block)
{
    lock_acquire(&partition->lock);
    block->next = partition->spare;
    partition->spare = block;
    partition->queued--;
    cond_broadcast(&partition->change);
    lock_release(&partition->lock);
}

static void *run(void *arg)
{
    struct partition *partition = arg;
    struct op_block *block;

    while ((block = take_block(partition)) != NULL) {
        apply_block(partition, block);
        give_back(partition, block);
    }
    return NULL;
}

/* Queues the block being filled, and has another one ready. */
static void hand_over(struct partition *partition)
{
    struct op_block *block = partition->filling;

    lock_acquire(&partition->lock);
    while (partition->queued >= QUEUE_BLOCKS)
        cond_wait(&partition->change, &partition->lock);
    block->next = NULL;
    *partition->last = block;
    partition->last = &block->next;
    partition->queued++;
    partition->filling = partition->spare;
    if (partition->filling != NULL)
        partition->spare = partition->filling->next;
    cond_broadcast(&partition->change);
    lock_release(&partition->lock);
    if (partition->filling == NULL)
        partition->filling = mem_alloc(sizeof(*partition->filling));
    partition->filling->count = 0;
}

uint32_t replay_apply_partitions(const struct replay_apply *apply)
{
    return apply->count;
}

void replay_apply_put(struct replay_apply *apply, const struct replay_op *op)
{
    struct partition *partition = &apply->partitions[op->series->partition];

    partition->filling->ops[partition->filling->count++] = *op;
    if (partition->filling->count == BLOCK_OPS)
        hand_over(partition);
}

void replay_apply_drain(struct replay_apply *apply)
{
    for (uint32_t i = 0; i < apply->count; i++) {
        if (apply->partitions[i].filling->count != 0)
            hand_over(&apply->partitions[i]);
    }
    for (uint32_t i = 0; i < apply->count; i++) {
        struct partition *partition = &apply->partitions[i];

        lock_acquire(&partition->lock);
        while (partition->queued != 0)
            cond_wait(&partition->change, &partition->lock);
        lock_release(&partition->lock);
    }
}

struct replay_counts replay_apply_counts(const struct replay_apply *apply)
{
    struct replay_counts sum = {0};

    for (uint32_t i = 0; i < apply->count; i++) {
        const struct replay_counts *counts = &apply->partitions[i].counts;

        sum.samples += counts->samples;
        sum.applied += counts->applied;
        sum.there += counts->there;
        sum.late += counts->late;
        sum.marks += counts->marks;
    }
    return sum;
}

struct replay_apply *replay_apply_start(struct store *store, bool foreign, struct error *err)
{
    struct replay_apply *apply = mem_zalloc(1, sizeof(*apply));
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t count = (uint32_t)TIDE_MIN(TIDE_MAX(processors, 1L), (long)PARTITIONS_MAX);

    apply->store = store;
    apply->foreign = foreign;
    for (; apply->count < count; apply->count++) {
        struct partition *partition = &apply->partitions[apply->count];

        partition->apply = apply;
        partition->last = &partition->first;
        partition->filling = mem_alloc(sizeof(*partition->filling));
        partition->filling->count = 0;
        lock_init(&partition->lock);
        cond_init(&partition->change);
        if (thread_start(&partition->thread, "replay", 0, run, partition, err) != 0) {
            apply->count++;
            replay_apply_stop(apply);
            return NULL;
        }
    }
    return apply;
}

static void free_partition(struct partition *partition)
{
    struct op_block *next;

    lock_acquire(&partition->lock);
    partition->stopping = true;
    cond_broadcast(&partition->change);
    lock_release(&partition->lock);
    thread_join(&partition->thread);
    for (struct op_block *block = partition->spare; block != NULL; block = next) {
        next = block->next;
        mem_free(block);
    }
    mem_free(partition->filling);
    lock_destroy(&partition->lock);
    cond_destroy(&partition->change);
}

void replay_apply_stop(struct replay_apply *apply)
{
    if (apply == NULL)
        return;
    replay_apply_drain(apply);
    for (uint32_t i = 0; i < apply->count; i++)
        free_partition(&apply->partitions[i]);
    mem_free(apply);
}
