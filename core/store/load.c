/* load.c - what heads.db and the archive hold becomes series in memory, before any push or query.
 * One thread reads and checks heads.db, another one builds (load_queue.h). */
#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "store/folder.h"
#include "store/load_queue.h"

struct series *lock_fp(struct store *store, uint64_t fp, struct stripe **stripe) TIDE_NO_LOCK_CHECK
{
    struct series *series;

    *stripe = series_map_stripe(&store->map, fp);
    lock_acquire(&(*stripe)->stripe_lock);
    series = series_map_find_locked(*stripe, fp);
    if (series == NULL)
        lock_release(&(*stripe)->stripe_lock);
    return series;
}

struct series *load_series(struct store *store, uint64_t fp, const struct labels *labels,
                           bool archived)
{
    struct stripe *stripe = series_map_stripe(&store->map, fp);
    size_t count = labels_count(labels);
    struct series *series = NULL;

    TIDE_ASSERT(count <= UINT16_MAX);
    lock_acquire(&stripe->stripe_lock);
    if (series_map_find_locked(stripe, fp) == NULL) {
        uint32_t *pairs = series_new_pairs(&store->pool, fp, count);

        for (size_t i = 0; i < count; i++) {
            struct label label = labels_at(labels, i);

            pairs[i] = label_table_intern(&store->labels, &label);
        }
        series = series_create_locked(store, stripe, fp, pairs, (uint16_t)count, archived);
        series->logged = true;
        if (!archived)
            series->arrival_s = store_now_s(store);
    }
    lock_release(&stripe->stripe_lock);
    return series;
}

/* --- heads.db
 * ------------------------------------------------------------------------------------- */

struct heads_load {
    struct store *store;
    struct load_queue *queue;
    bool damaged; /* of the building thread until it has ended */
};

static void load_times(struct series *series, const struct heads_series *head)
{
    const struct heads_chunk *last = &head->chunks[head->count - 1];

    series->has_samples = true;
    series->last_ms = last->last_ms;
    if (head->offset == 0) {
        series->first_ms = head->chunks[0].first_ms;
        series->first_known = true;
    } else if (head->saved_first_ms != TIDE_EARLIEST_MS) {
        series->first_ms = head->saved_first_ms;
        series->first_known = true;
    }
    series->mtime_ns = head->mtime_ns;
    series->file_chunks = FILE_CHUNKS_UNKNOWN;
    if (head->offset < 0 || head->offset + head->watermark > INT32_MAX)
        return;
    /* Version 1 knows no times: the file is asked before the next checkpoint. */
    if (head->mtime_ns == HEADS_MTIME_UNKNOWN && head->offset + head->watermark > 0)
        return;
    series->file_chunks = (int32_t)(head->offset + head->watermark);
    if (head->watermark > 0)
        series->tail_first_ms = head->chunks[head->watermark - 1].first_ms;
}

/* A chunk of heads.db that is in no file: complete, or the open head. */
static int load_chunk(struct heads_load *load, struct series *series,
                      const struct heads_chunk *chunk, bool is_head, struct error *err)
{
    struct store *store = load->store;
    struct chunk_summary summary;

    if (is_head) {
        if (series_load_head(&store->pool, series, chunk->encoding, chunk->payload, err) != 0)
            return -1;
        gauge_count(&store->counters.open_heads, 1);
        series->last_ms = series->head.last_ms;
        series->last_value = series->head.last_value;
        series->value_known = true;
        return 0;
    }
    if (chunk_check(chunk->encoding, chunk->payload, CHUNK_BYTES, &summary, err) != 0)
        return -1;
    series_add_payload(&store->pool, series, chunk->encoding, chunk->payload, summary.first_ms,
                       summary.last_ms);
    gauge_count(&store->counters.chunks, 1);
    gauge_count(&store->counters.chunks_to_persist, 1);
    series->last_ms = summary.last_ms;
    return 0;
}

static void build_series(void *ctx, const struct heads_series *head)
{
    struct heads_load *load = ctx;
    struct store *store = load->store;
    struct series *series = load_series(store, head->fp, head->labels, false);
    struct error problem;

    if (series == NULL) {
        log_warn("heads.db has a series twice: the first one counts", "fp=%016" PRIx64, head->fp);
        load->damaged = true;
        return;
    }
    load_times(series, head);
    for (size_t i = (size_t)head->watermark; i < head->count; i++) {
        if (load_chunk(load, series, &head->chunks[i], i + 1 == head->count, &problem) == 0)
            continue;
        log_warn("a chunk of heads.db is damaged and left out",
                 "fp=%016" PRIx64 " chunk=%zu problem=\"%s\"", head->fp, i, problem.text);
        counter_add(&store->counters.chunks_bad, 1);
        load->damaged = true;
    }
    /* All chunks were damaged: the file is asked what is left. */
    if (head->watermark == 0 && series->chunk_count == 0 && !series_has_head(series))
        series->file_chunks = FILE_CHUNKS_UNKNOWN;
    if (series->chunk_count != 0) {
        series->queued = true;
        persist_queue_put(store->queue, series->id, store_now_s(store));
    }
}

static int queue_series(void *ctx, const struct heads_series *head, struct error *err)
{
    (void)err;
    load_queue_put(((struct heads_load *)ctx)->queue, head);
    return 0;
}

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct heads_load *load = ctx;
    struct store_progress *progress = load->store->progress;

    __atomic_store_n(&progress->done, done, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->total, total, __ATOMIC_RELAXED);
}

/* Are there series folders? Then a missing heads.db is damage, not emptiness. */
static int find_series_folder(void *ctx, const struct volume_entry *entry, struct error *err)
{
    bool *found = ctx;

    (void)err;
    *found = *found || (entry->stat.is_folder && strlen(entry->name) == 2 &&
                        strspn(entry->name, "0123456789abcdef") == 2);
    return 0;
}

int load_heads(struct store *store, bool *damaged, struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct heads_load load = {.store = store};
    struct heads_visitor visitor = {&load, queue_series, show_progress};
    struct heads_result result;
    int status;

    *damaged = false;
    load.queue = load_queue_start(build_series, &load, err);
    if (load.queue == NULL)
        return -1;
    status = heads_read(volume, HEADS_FILE, HEADS_SALVAGE, &visitor, &result, err);
    load_queue_finish(load.queue);
    if (status == 0) {
        if (result.damages != 0)
            log_warn("heads.db is damaged",
                     "places=%" PRIu64 " bytes=%" PRIu64 " series=%" PRIu64 " of=%" PRIu64
                     " problem=\"%s\"",
                     result.damages, result.bytes_lost, result.series_read, result.series_total,
                     result.problem.text);
        *damaged = load.damaged || result.damages != 0;
        return 0;
    }
    if (err->code == ERR_CORRUPT) {
        log_warn("heads.db cannot be read", "problem=\"%s\"", err->text);
        *damaged = true;
        return 0;
    }
    if (err->code != ERR_NOT_FOUND)
        return -1;
    return volume->list(volume, "", find_series_folder, damaged, err);
}

/* --- the archive
 * ------------------------------------------------------------------------------------ */

struct archive_load {
    struct store *store;
    bool damaged;
    uint64_t without_range;
};

static int load_archived(void *ctx, uint64_t fp, const struct labels *labels, struct error *err)
{
    struct archive_load *load = ctx;

    (void)err;
    if (labels_count(labels) > UINT16_MAX) {
        load->damaged = true;
        return 0;
    }
    /* In memory and in the archive: un-archived before the last checkpoint; memory wins. */
    if (load_series(load->store, fp, labels, true) == NULL)
        folder_note_unarchived(load->store->folder, fp);
    else
        load->without_range++;
    return 0;
}

static int load_range(void *ctx, uint64_t fp, int64_t first_ms, int64_t last_ms, struct error *err)
{
    struct archive_load *load = ctx;
    struct stripe *stripe;
    struct series *series = lock_fp(load->store, fp, &stripe);

    (void)err;
    if (series == NULL)
        return 0;
    if (series->archived && !series->has_samples) {
        load->without_range--;
        series->first_ms = first_ms;
        series->last_ms = last_ms;
        series->first_known = true;
        series->has_samples = true;
    }
    lock_release(&stripe->stripe_lock);
    return 0;
}

static int load_damaged(void *ctx, uint64_t fp, const char *what, struct error *err)
{
    struct archive_load *load = ctx;

    (void)err;
    log_warn("an archive entry cannot be read", "fp=%016" PRIx64 " problem=\"%s\"", fp, what);
    load->damaged = true;
    return 0;
}

int load_archive(struct store *store, struct error *err)
{
    struct archive_load load = {.store = store};
    struct archive_visitor visitor = {&load, load_archived, load_range, load_damaged};
    struct archive *archive = store->folder->archive;

    if (archive_scan_metrics(archive, 0, UINT64_MAX, &visitor, err) != 0 ||
        archive_scan_ranges(archive, 0, UINT64_MAX, &visitor, err) != 0)
        return -1;
    if (load.damaged || load.without_range != 0)
        store->folder->marked_dirty = true;
    return 0;
}
