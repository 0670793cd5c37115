/* persist.c - completed chunks into the series files, in rounds (engine-design 6).
 *
 * A round takes what waits, in order of fingerprint; appends without syncing; syncs everything
 * once; and only then counts the chunks as persisted. Until then they stay in memory, marked as in
 * no file; readers tell the doubles apart by time. */
#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "disk/quarantine.h"
#include "store/folder.h"
#include "store/log.h"

#define ROUND_SERIES 4096
#define ROUND_WAIT_S 60
#define RETRY_S 5

void persist_queue_put(struct persist_queue *queue, uint32_t id, uint32_t now_s)
{
    lock_acquire(&queue->leaf_lock);
    if (queue->count == queue->cap) {
        queue->cap = queue->cap != 0 ? queue->cap * 2 : 256;
        queue->ids = mem_realloc(queue->ids, queue->cap * sizeof(*queue->ids));
    }
    if (queue->count == 0)
        queue->oldest_s = now_s;
    queue->ids[queue->count++] = id;
    lock_release(&queue->leaf_lock);
}

/* One series of a round. */
struct persist_item {
    uint64_t fp;
    struct full_chunk **chunks; /* referenced */
    uint32_t count;
    int32_t expected; /* chunks in the file */
    struct series_file_stat stat;
    bool written;
};

struct persist_work {
    struct persist_item *items;
    size_t count;
    uint64_t chunks;
};

static size_t take_ids(struct persist_queue *queue, uint32_t *ids, bool all, uint32_t now_s)
{
    size_t count = 0;

    lock_acquire(&queue->leaf_lock);
    if (all || queue->count >= ROUND_SERIES ||
        (queue->count != 0 && now_s - queue->oldest_s >= ROUND_WAIT_S)) {
        count = TIDE_MIN(queue->count, (size_t)ROUND_SERIES);
    }
    if (count != 0) {
        memcpy(ids, queue->ids, count * sizeof(*ids));
        queue->count -= count;
        memmove(queue->ids, queue->ids + count, queue->count * sizeof(*ids));
        queue->oldest_s = now_s;
    }
    lock_release(&queue->leaf_lock);
    return count;
}

/* Under its stripe: marks the series busy and takes references on what no file has. */
static bool take_series(struct store *store, struct series *series, struct persist_item *item)
{
    series->queued = false;
    if (series->archived || series->broken)
        return false;
    if (series->busy) { /* its file is in other hands: next round */
        series->queued = true;
        persist_queue_put(store->queue, series->id, store_now_s(store));
        return false;
    }
    edits_fold(store, series);
    *item = (struct persist_item){
        .fp = series->fp,
        .count = series->chunk_count - series->persisted,
        .expected = series->file_chunks,
    };
    if (item->count == 0)
        return false;
    item->chunks = mem_alloc(item->count * sizeof(struct full_chunk *));
    for (uint32_t i = 0; i < item->count; i++)
        item->chunks[i] = full_chunk_ref(series->chunks[series->persisted + i]);
    series->busy = true;
    return true;
}

static void take_round(struct store *store, const uint32_t *ids, size_t count,
                       struct persist_work *work)
{
    work->items = mem_alloc(count * sizeof(*work->items));
    for (size_t i = 0; i < count; i++) {
        struct stripe *stripe;
        struct series *series = series_map_lock_id(&store->map, ids[i], &stripe);

        if (series == NULL)
            continue;
        if (take_series(store, series, &work->items[work->count]))
            work->count++;
        lock_release(&stripe->stripe_lock);
    }
}

static int compare_items(const void *a, const void *b)
{
    const struct persist_item *x = a, *y = b;

    return (x->fp > y->fp) - (x->fp < y->fp);
}

static int cut_file(struct store *store, uint64_t fp, uint64_t chunks, struct error *err)
{
    struct volume *volume = store->folder->volume;
    char name[SERIES_FILE_NAME_BYTES];

    series_file_name(name, fp);
    return volume->truncate(volume, name, chunks * SERIES_RECORD_BYTES, err);
}

/* The file has other chunks than we thought: a torn write, or a lost answer. Those that it has
 * already, by time, are skipped. */
static int reconcile(struct store *store, struct persist_item *item, uint32_t *skip,
                     struct error *err)
{
    struct series_record last = {.last_ms = TIDE_EARLIEST_MS};
    struct series_file_stat stat;

    *skip = 0;
    if (settle_file(store, item->fp, &stat, &last, err) != 0)
        return -1;
    item->expected = (int32_t)TIDE_MIN(stat.chunks, (uint64_t)INT32_MAX);
    if (stat.chunks == 0)
        return 0;
    while (*skip < item->count && item->chunks[*skip]->last_ms <= last.last_ms)
        ++*skip;
    item->stat = stat;
    return 0;
}

static int append_chunks(struct store *store, struct persist_item *item, uint32_t skip,
                         struct error *err)
{
    bool sync = store->options.series_sync == SERIES_SYNC_ALWAYS;
    struct series_chunk *chunks = mem_alloc(item->count * sizeof(*chunks));
    int result = 0;

    for (uint32_t i = skip; i < item->count; i++) {
        const struct full_chunk *chunk = item->chunks[i];

        chunks[i - skip] =
            (struct series_chunk){chunk->first_ms, chunk->last_ms, chunk->payload, chunk->encoding};
    }
    if (skip < item->count)
        result = series_file_append(store->folder->volume, item->fp, (uint64_t)item->expected,
                                    chunks, item->count - skip, sync, &item->stat, err);
    mem_free(chunks);
    return result;
}

static int write_item(struct store *store, struct persist_item *item, struct error *err)
{
    uint32_t skip = 0;

    if (item->expected == FILE_CHUNKS_UNKNOWN && reconcile(store, item, &skip, err) != 0)
        return -1;
    if (append_chunks(store, item, skip, err) != 0) {
        if (err->code != ERR_CONFLICT && err->code != ERR_CORRUPT)
            return -1;
        log_warn("a series file is not as expected", "fp=%016" PRIx64 " chunks=%d problem=\"%s\"",
                 item->fp, item->expected, err->text);
        if (err->code == ERR_CORRUPT &&
            quarantine_obstacle(store->folder->volume, item->fp, err) != 0)
            return -1;
        if (reconcile(store, item, &skip, err) != 0 || append_chunks(store, item, skip, err) != 0)
            return -1;
    }
    item->written = true;
    return 0;
}

/* Cuts what was written back off again: its bytes may not have reached the disk. */
static void unwrite(struct store *store, struct persist_work *work)
{
    for (size_t i = 0; i < work->count; i++) {
        struct persist_item *item = &work->items[i];
        struct error err;

        if (!item->written)
            continue;
        item->written = false;
        if (cut_file(store, item->fp, (uint64_t)TIDE_MAX(item->expected, 0), &err) != 0)
            log_error("a series file could not be cut back", "fp=%016" PRIx64 " problem=\"%s\"",
                      item->fp, err.text);
    }
}

/* Under its stripe: the round is over for this series. */
static void settle_series(struct store *store, struct series *series,
                          const struct persist_item *item)
{
    struct histogram *sizes = __atomic_load_n(&store->chunks_persisted, __ATOMIC_ACQUIRE);

    series->busy = false;
    if (!item->written) {
        if (!series->queued) {
            series->queued = true;
            persist_queue_put(store->queue, series->id, store_now_s(store));
        }
        return;
    }
    series->persisted += item->count;
    series->file_chunks = (int32_t)TIDE_MIN(item->stat.chunks, (uint64_t)INT32_MAX);
    series->mtime_ns = item->stat.mtime_ns;
    series->tail_first_ms = item->chunks[item->count - 1]->first_ms;
    series_mark_dirty(store, series);
    edits_settle(store, series);
    gauge_count(&store->counters.chunks_to_persist, -(int64_t)item->count);
    counter_add(&store->counters.chunks_persisted, item->count);
    if (sizes != NULL)
        histogram_observe(sizes, item->count);
}

static void settle(struct store *store, struct persist_work *work)
{
    for (size_t i = 0; i < work->count; i++) {
        struct persist_item *item = &work->items[i];
        struct stripe *stripe;
        struct series *series = lock_fp(store, item->fp, &stripe);

        if (series != NULL) {
            settle_series(store, series, item);
            lock_release(&stripe->stripe_lock);
        }
        if (item->written)
            work->chunks += item->count;
        for (uint32_t k = 0; k < item->count; k++)
            full_chunk_unref(&store->pool, item->chunks[k]);
        mem_free(item->chunks);
    }
    mem_free(work->items);
}

static void note_sync_failure(struct store *store, const struct error *err)
{
    log_error("a sync of series files failed", "problem=\"%s\"", err->text);
    if (++store->folder->sync_failures < 2)
        return;
    log_error("twice in a row: the storage takes no more samples", NULL);
    __atomic_store_n(&store->read_only, 1, __ATOMIC_RELAXED);
}

/* What a snapshot or the trash shares gets a copy of its own, all with one sync; one by one in the
 * appends that took hundreds of times as long. */
static void unshare_round(struct store *store, const struct persist_work *work)
{
    struct volume *volume = store->folder->volume;
    char(*names)[SERIES_FILE_NAME_BYTES] = mem_alloc(work->count * sizeof(*names));
    const char **list = mem_alloc(work->count * sizeof(*list));
    struct error problem;
    size_t count = 0;

    for (size_t i = 0; i < work->count; i++) {
        if (work->items[i].expected == 0)
            continue; /* there is no file yet */
        series_file_name(names[count], work->items[i].fp);
        list[count] = names[count];
        count++;
    }
    if (count != 0 && volume->unshare != NULL &&
        volume->unshare(volume, list, count, &problem) != 0)
        log_warn_limited("shared series files could not be copied together: each append does it",
                         "problem=\"%s\"", problem.text);
    mem_free(list);
    mem_free(names);
}

static int write_round(struct store *store, struct persist_work *work, struct error *err)
{
    struct error problem;
    int result = 0;

    /* A metric must not be in a series file alone (I8): the log first. */
    if (log_flush(store, err) != 0)
        return -1;

    qsort(work->items, work->count, sizeof(*work->items), compare_items);
    unshare_round(store, work);
    for (size_t i = 0; i < work->count; i++) {
        if (write_item(store, &work->items[i], &problem) == 0)
            continue;
        counter_add(&store->counters.persist_errors, 1);
        log_warn_limited("chunks could not be persisted: they stay in memory",
                         "fp=%016" PRIx64 " problem=\"%s\"", work->items[i].fp, problem.text);
        *err = problem;
        result = -1;
        if (volume_error_is_full(&problem))
            break; /* the others would fail likewise */
    }
    if (store->options.series_sync == SERIES_SYNC_NEVER)
        return result;
    if (store->folder->volume->sync_all(store->folder->volume, &problem) != 0) {
        counter_add(&store->counters.persist_errors, 1);
        unwrite(store, work);
        note_sync_failure(store, &problem);
        *err = problem;
        return -1;
    }
    store->folder->sync_failures = 0;
    return result;
}

int persist_round(struct store *store, bool all, uint64_t *persisted, struct error *err)
{
    struct folder *folder = store->folder;
    uint32_t now_s = store_now_s(store);
    struct persist_work work = {0};
    uint32_t *ids;
    size_t count;
    int result = 0;

    *persisted = 0;
    if (!all && now_s < folder->persist_not_before_s)
        return 0;
    ids = mem_alloc(ROUND_SERIES * sizeof(*ids));
    count = take_ids(store->queue, ids, all, now_s);
    if (count != 0) {
        take_round(store, ids, count, &work);
        if (work.count != 0)
            result = write_round(store, &work, err);
        settle(store, &work);
    }
    mem_free(ids);
    if (result != 0)
        folder->persist_not_before_s = now_s + RETRY_S;
    *persisted = work.chunks;
    return result;
}
