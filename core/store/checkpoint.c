/* checkpoint.c - heads.db and mappings.db (engine-design 5).
 *
 * Stripe by stripe: under its lock the records of its series are copied into a buffer, outside it
 * is written. Pushes wait for one stripe's copy at most. With the log on, its begin is taken first:
 * what is logged before it was applied before it, so the captured state has it (I1), and what comes
 * meanwhile is in both, which a replay sees by time. */
#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "disk/mappings.h"
#include "disk/quarantine.h"
#include "model/fingerprint.h"
#include "store/edits.h"
#include "store/folder.h"
#include "store/log.h"
#include "store/store_log.h"
#include "store/use_file.h"

#define FLUSH_BYTES ((size_t)1 << 20)

void folder_note_unarchived(struct folder *folder, uint64_t fp)
{
    lock_acquire(&folder->unarchived_lock);
    if (folder->unarchived_count == folder->unarchived_cap) {
        folder->unarchived_cap = folder->unarchived_cap != 0 ? folder->unarchived_cap * 2 : 64;
        folder->unarchived =
            mem_realloc(folder->unarchived, folder->unarchived_cap * sizeof(*folder->unarchived));
    }
    folder->unarchived[folder->unarchived_count++] = fp;
    lock_release(&folder->unarchived_lock);
}

void folder_note_archived(struct folder *folder, const uint64_t *fps, size_t count)
{
    size_t kept = 0;

    lock_acquire(&folder->unarchived_lock);
    for (size_t i = 0; i < folder->unarchived_count; i++) {
        if (bsearch(&folder->unarchived[i], fps, count, sizeof(*fps), fingerprint_compare) == NULL)
            folder->unarchived[kept++] = folder->unarchived[i];
    }
    folder->unarchived_count = kept;
    lock_release(&folder->unarchived_lock);
}

int settle_file(struct store *store, uint64_t fp, struct series_file_stat *stat,
                struct series_record *last, struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct stripe *stripe;
    struct series *series;
    struct labels *labels;
    int result = series_file_settle(volume, fp, stat, last, err);

    if (result == 0 || err->code != ERR_CORRUPT)
        return result;
    log_warn("a series file is quarantined", "fp=%016" PRIx64 " reason=\"%s\"", fp, err->text);
    *stat = (struct series_file_stat){.mtime_ns = SERIES_MTIME_NONE};
    series = lock_fp(store, fp, &stripe);
    if (series == NULL)
        return 0;
    labels = series_labels_locked(store, series);
    lock_release(&stripe->stripe_lock);
    result = quarantine_series(volume, fp, labels, "no sound chunk in the series file", err);
    counter_add(result == 0 ? &store->counters.quarantined : &store->counters.quarantine_failed, 1);
    labels_unref(labels);
    return result;
}

int resolve_file(struct store *store, uint64_t fp, struct error *err)
{
    struct series_file_stat stat;
    struct series_record last = {0};
    struct stripe *stripe;
    struct series *series;

    if (settle_file(store, fp, &stat, &last, err) != 0)
        return -1;
    series = lock_fp(store, fp, &stripe);
    if (series != NULL) {
        if (!series->archived && series->file_chunks == FILE_CHUNKS_UNKNOWN) {
            series->file_chunks = (int32_t)TIDE_MIN(stat.chunks, (uint64_t)INT32_MAX);
            series->mtime_ns = stat.mtime_ns;
            series->tail_first_ms = last.first_ms;
        }
        lock_release(&stripe->stripe_lock);
    }
    return 0;
}

/* Asks the files of a stripe's series that are not known, outside its lock. */
int resolve_stripe(struct store *store, struct stripe *stripe, struct error *err)
{
    uint64_t *fps = NULL;
    size_t count = 0, cap = 0;
    int result = 0;

    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        const struct series *series = stripe->slots[i];

        if (series == NULL || series->archived || series->file_chunks != FILE_CHUNKS_UNKNOWN)
            continue;
        if (count == cap) {
            cap = cap != 0 ? cap * 2 : 16;
            fps = mem_realloc(fps, cap * sizeof(*fps));
        }
        fps[count++] = series->fp;
    }
    lock_release(&stripe->stripe_lock);
    for (size_t i = 0; i < count && result == 0; i++)
        result = resolve_file(store, fps[i], err);
    mem_free(fps);
    return result;
}

/* The record of one series, under its stripe; false: it has nothing to write. A closed head that
 * is not persisted yet is the last chunk with a payload, and so an open head to the next reader:
 * the format knows no other way, and no sample is lost by it. */
static bool put_record(struct store *store, const struct series *series,
                       const struct heads_file *file, bool only_file, struct heads_capture *capture)
{
    struct heads_series record = {
        .fp = series->fp,
        .chunks = capture->chunks,
        .mtime_ns = file->chunks != 0 ? file->mtime_ns : HEADS_MTIME_UNKNOWN,
        .offset = file->chunks,
        .saved_first_ms = series->first_known ? series->first_ms : TIDE_EARLIEST_MS,
    };
    struct labels *labels;

    for (uint32_t i = series->persisted; i < series->chunk_count && !only_file; i++) {
        const struct full_chunk *chunk = series->chunks[i];

        capture->chunks[record.count++] =
            (struct heads_chunk){chunk->first_ms, chunk->last_ms, chunk->payload, chunk->encoding};
    }
    if (series_has_head(series) && !only_file) {
        chunk_head_payload(&series->head, capture->head);
        capture->chunks[record.count++] = (struct heads_chunk){
            series->head.first_ms, series->head.last_ms, capture->head, series->head.encoding};
    }
    if (record.count == 0) {
        if (file->chunks <= 0)
            return false;
        capture->chunks[0] =
            (struct heads_chunk){file->tail_first_ms, file->tail_last_ms, NULL, -1};
        record.count = 1;
        record.watermark = 1;
        record.offset--;
    }
    labels = series_labels_locked(store, series);
    record.labels = labels;
    heads_record_put(&capture->records, &record);
    labels_unref(labels);
    return true;
}

bool heads_capture_series(struct store *store, struct series *series, const struct heads_file *file,
                          bool only_file, struct heads_capture *capture)
{
    size_t need;

    if (!only_file)
        edits_fold(store, series);
    need = (size_t)series->chunk_count + 1;

    if (capture->chunk_cap < need) {
        capture->chunk_cap = need * 2;
        capture->chunks =
            mem_realloc(capture->chunks, capture->chunk_cap * sizeof(*capture->chunks));
    }
    if (!put_record(store, series, file, only_file, capture))
        return false;
    capture->count++;
    capture->series++;
    return true;
}

int heads_capture_flush(struct heads_capture *capture, struct heads_writer *writer, size_t least,
                        struct error *err)
{
    if (capture->count == 0 || capture->records.len < least)
        return 0;
    if (heads_writer_add(writer, capture->records.data, capture->records.len, capture->count,
                         err) != 0)
        return -1;
    capture->records.len = 0;
    capture->count = 0;
    return 0;
}

void heads_capture_destroy(struct heads_capture *capture)
{
    buf_destroy(&capture->records);
    mem_free(capture->chunks);
    capture->chunks = NULL;
}

struct capture {
    struct heads_writer *writer;
    struct heads_capture heads;
};

/* What is still pending is in no chunk: the log has to hold it again (engine-design 5). */
static int capture_edits(struct store *store, const struct series *series, struct error *err)
{
    struct edit_list list;
    struct edit_memory heap = {0};
    struct wal_edits record = {.fp = series->fp};
    int result;

    if (store->log == NULL || !edits_capture(series, &list))
        return 0;
    record.ranges = mem_alloc((list.mark_count + 1) * sizeof(*record.ranges));
    record.lates = mem_alloc((list.put_count + 1) * sizeof(*record.lates));
    for (; record.range_count < list.mark_count; record.range_count++)
        record.ranges[record.range_count] = (struct wal_range){
            list.marks[record.range_count].from_ms, list.marks[record.range_count].to_ms};
    for (; record.late_count < list.put_count; record.late_count++) {
        const struct edit_put *put = &list.puts[record.late_count];

        record.lates[record.late_count] =
            (struct wal_late){put->time_ms, put->value, (enum wal_late_rule)put->rule};
    }
    result = log_edits(store, &record, err);
    mem_free(record.ranges);
    mem_free(record.lates);
    edit_list_destroy(&list, heap);
    return result;
}

static int capture_series(struct store *store, struct series *series, struct capture *capture,
                          struct error *err)
{
    struct heads_file file = {series->file_chunks, series->mtime_ns, series->tail_first_ms,
                              series->last_ms};

    uint32_t chunks = series->chunk_count - series->persisted + series_has_head(series);

    heads_capture_series(store, series, &file, false, &capture->heads);
    for (uint32_t i = 0; i < chunks; i++)
        store_observe(&store->checkpoint_chunks, chunks);
    if (series->dirty) {
        series->dirty = false;
        gauge_count(&store->counters.dirty_series, -1);
    }
    return capture_edits(store, series, err);
}

static bool files_known_locked(const struct stripe *stripe)
{
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        const struct series *series = stripe->slots[i];

        if (series != NULL && !series->archived && series->file_chunks == FILE_CHUNKS_UNKNOWN)
            return false;
    }
    return true;
}

/* Locks a stripe all of whose files are known: a push may bring one back from the archive between
 * the asking and the lock. */
static int lock_known(struct store *store, struct stripe *stripe,
                      struct error *err) TIDE_NO_LOCK_CHECK
{
    for (;;) {
        if (resolve_stripe(store, stripe, err) != 0)
            return -1;
        lock_acquire(&stripe->stripe_lock);
        if (files_known_locked(stripe))
            return 0;
        lock_release(&stripe->stripe_lock);
    }
}

static int capture_stripe(struct store *store, struct stripe *stripe, struct capture *capture,
                          struct error *err) TIDE_NO_LOCK_CHECK
{
    int result = 0;

    if (lock_known(store, stripe, err) != 0)
        return -1;
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask && result == 0; i++) {
        struct series *series = stripe->slots[i];

        if (series != NULL && !series->archived && series->has_samples)
            result = capture_series(store, series, capture, err);
    }
    lock_release(&stripe->stripe_lock);
    if (result != 0)
        return -1;
    return heads_capture_flush(&capture->heads, capture->writer, FLUSH_BYTES, err);
}

/* What was un-archived before the checkpoint began is in it now: the archive may forget it. */
static int forget_unarchived(struct store *store, size_t count, struct error *err)
{
    struct folder *folder = store->folder;
    struct archive_batch batch = {0};
    int result;

    if (count == 0)
        return 0;
    lock_acquire(&folder->unarchived_lock);
    for (size_t i = 0; i < count; i++) {
        struct stripe *stripe;
        struct series *series;
        uint64_t fp = folder->unarchived[i];

        lock_release(&folder->unarchived_lock);
        series = lock_fp(store, fp, &stripe);
        if (series == NULL || !series->archived) /* not archived again since */
            archive_delete(&batch, fp);
        if (series != NULL)
            lock_release(&stripe->stripe_lock);
        lock_acquire(&folder->unarchived_lock);
    }
    lock_release(&folder->unarchived_lock);
    result = archive_write(folder->archive, &batch, true, err);
    archive_batch_destroy(&batch);
    if (result != 0)
        return -1;
    lock_acquire(&folder->unarchived_lock);
    memmove(folder->unarchived, folder->unarchived + count,
            (folder->unarchived_count - count) * sizeof(*folder->unarchived));
    folder->unarchived_count -= count;
    lock_release(&folder->unarchived_lock);
    return 0;
}

static int capture_all(struct store *store, struct capture *capture, struct error *err)
{
    for (uint32_t i = 0; i < SERIES_STRIPES; i++) {
        if (capture_stripe(store, &store->map.stripes[i], capture, err) != 0)
            return -1;
    }
    if (heads_capture_flush(&capture->heads, capture->writer, 1, err) != 0)
        return -1;
    return heads_writer_finish(capture->writer, true, err);
}

static void note_checkpoint(struct store *store, const struct volume_stat *stat, int64_t took_ns,
                            uint64_t series)
{
    gauge_put(&store->counters.checkpoint_ns, (uint64_t)took_ns);
    gauge_put(&store->counters.checkpoint_bytes, stat->size);
    store_observe(&store->checkpoint_seconds, (double)took_ns / 1e9);
    log_debug("checkpoint written", "series=%" PRIu64 " bytes=%" PRIu64 " took_ms=%" PRId64, series,
              stat->size, took_ns / 1000000);
}

/* Everything that heads.db counts on is durable, and the log says what is coming. */
static int prepare(struct store *store, struct heads_writer *writer, struct log_checkpoint *log,
                   struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct volume_stat stat = heads_writer_stat(writer);

    if (log_checkpoint_intend(store, log, &stat, err) != 0)
        return -1;
    /* Of series_sync "never" it is promised that checkpoints are synced. */
    return volume->sync_all(volume, err);
}

static int write_heads(struct store *store, struct capture *capture, struct log_checkpoint *log,
                       struct volume_stat *stat, struct error *err)
{
    capture->writer = heads_writer_begin(store->folder->volume, err);
    if (capture->writer == NULL)
        return -1;
    if (capture_all(store, capture, err) != 0 || prepare(store, capture->writer, log, err) != 0) {
        heads_writer_discard(capture->writer);
        return -1;
    }
    return heads_writer_publish(capture->writer, true, stat, err);
}

int checkpoint_write(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;
    int64_t begin_ns = clock_mono_ns(store->clock);
    struct capture capture = {0};
    struct log_checkpoint log;
    struct volume_stat stat = {0};
    struct error problem;
    size_t unarchived;
    int result;

    /* Without a log, what waits for a merge is nowhere else. One that fails is tried again. */
    if (store->log == NULL)
        (void)!merge_everything(store, err);
    gauge_put(&store->counters.checkpointing, 1);
    log_checkpoint_begin(store, &log);
    lock_acquire(&folder->unarchived_lock);
    unarchived = folder->unarchived_count;
    lock_release(&folder->unarchived_lock);
    result = write_heads(store, &capture, &log, &stat, err);
    heads_capture_destroy(&capture.heads);
    if (result == 0)
        result = mappings_save_changed(store, err);
    if (result == 0)
        result = log_checkpoint_end(store, &log, err);
    if (result == 0)
        result = forget_unarchived(store, unarchived, err);
    if (result == 0 && downsample_save(store, &problem) != 0)
        log_warn("what was downsampled will be found again by reading", "problem=\"%s\"",
                 problem.text);
    folder->checkpoint_mono_ns = clock_mono_ns(store->clock);
    folder->checkpoint_took_ns = folder->checkpoint_mono_ns - begin_ns;
    gauge_put(&store->counters.checkpointing, 0);
    if (result == 0)
        use_file_save(store);
    if (result == 0)
        note_checkpoint(store, &stat, folder->checkpoint_took_ns, capture.heads.series);
    return result;
}

static void add_mapping(void *ctx, const struct mapping *mapping)
{
    mappings_add(ctx, mapping->raw, mapping->unique, mapping->unique_len, mapping->fp);
}

void mappings_collect(struct store *store, struct mappings *mappings)
{
    mapper_walk(&store->mapper, add_mapping, mappings);
}

int mappings_save(struct store *store, struct error *err)
{
    uint64_t changes = __atomic_load_n(&store->mapper.changes, __ATOMIC_RELAXED);
    struct mappings mappings = {0};
    int result;

    mappings_collect(store, &mappings);
    result = mappings_write(store->folder->volume, &mappings, err);
    mappings_destroy(&mappings);
    if (result == 0)
        store->folder->mappings_saved = changes;
    return result;
}

int mappings_save_changed(struct store *store, struct error *err)
{
    if (__atomic_load_n(&store->mapper.changes, __ATOMIC_RELAXED) == store->folder->mappings_saved)
        return 0;
    return mappings_save(store, err);
}
