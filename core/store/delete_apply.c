/* delete_apply.c - a delete takes its place among the pushes (engine-design 11, I9).
 *
 * In slices: with the gate closed the record goes into the log and the series lose their samples in
 * memory; outside it, files of which nothing is left go. Pushes wait for memory only. */
#include <stdio.h>

#include "base/mem.h"
#include "disk/volume_folder.h"
#include "store/delete_parts.h"
#include "store/edits.h"
#include "store/log.h"
#include "store/trash_parts.h"

#define SLICE_SERIES 500

/* Is every sample of it in the range? */
static bool is_covered(const struct series *series, const struct delete_request *request)
{
    return series->has_samples && series->first_known && series->first_ms >= request->from_ms &&
           series->last_ms <= request->to_ms;
}

/* Late samples that wait for a merge are in no chunk: they get chunks of their own. */
static void keep_pending(struct delete_work *work, const struct series *series)
{
    struct store *store = work->store;
    struct series built = {.fp = series->fp};
    struct heads_series record = {.fp = series->fp, .mtime_ns = HEADS_MTIME_UNKNOWN};
    struct edit_memory heap = {0};
    struct heads_chunk *chunks;
    struct edit_list list;
    struct labels *labels;
    struct error err;

    if (!edits_capture(series, &list))
        return;
    for (uint32_t i = 0; i < list.put_count; i++) {
        if (series_append(&store->pool, &built, store->options.chunk_encoding, list.puts[i].time_ms,
                          list.puts[i].value, &err) < 0)
            break; /* only a head that came from a file can be broken */
    }
    edit_list_destroy(&list, heap);
    series_close_head(&store->pool, &built);
    chunks = mem_alloc(((size_t)built.chunk_count + 1) * sizeof(*chunks));
    for (; record.count < built.chunk_count; record.count++) {
        const struct full_chunk *chunk = built.chunks[record.count];

        chunks[record.count] =
            (struct heads_chunk){chunk->first_ms, chunk->last_ms, chunk->payload, chunk->encoding};
    }
    record.chunks = chunks;
    labels = series_labels_locked(store, series);
    record.labels = labels;
    if (record.count != 0) {
        heads_record_put(&work->changed.records, &record);
        work->changed.count++;
    }
    labels_unref(labels);
    mem_free(chunks);
    series_release(&store->pool, &built);
}

/* Pushes went on since the copy in the trash: what the series has now is kept too. Its file is as
 * it was, for nothing is persisted or merged meanwhile. */
static void keep_changes(struct delete_work *work, struct series *series, uint32_t sum)
{
    struct heads_file none = {.mtime_ns = HEADS_MTIME_UNKNOWN};

    if (series->archived)
        return;
    edits_fold(work->store, series);
    if (snapshot_memory_sum(series) != sum)
        heads_capture_series(work->store, series, &none, false, &work->changed);
    if (series->edits != NULL)
        keep_pending(work, series);
}

static struct series *unarchive(struct store *store, struct stripe *stripe, struct series *series)
{
    series = series_unarchive_locked(store, stripe, series);
    door_attach_locked(store, series);
    return series;
}

/* Under the gate. */
static void delete_one(struct delete_work *work, size_t i)
{
    struct store *store = work->store;
    struct stripe *stripe;
    struct series *series = lock_fp(store, work->fps[i], &stripe);
    bool covered;

    if (series == NULL)
        return;
    keep_changes(work, series, work->sums[i]);
    covered = is_covered(series, work->request);
    if (!covered) {
        if (series->archived)
            series = unarchive(store, stripe, series);
        edits_mark(store, series, work->request->from_ms, work->request->to_ms);
    }
    if (covered || series_is_empty(series)) {
        work->gone[work->gone_count++] = series->fp;
        counter_add(&store->counters.purged_request, 1);
        series_purge_locked(store, stripe, series);
    }
    lock_release(&stripe->stripe_lock);
}

static int mark_slice(struct delete_work *work, size_t from, size_t to, struct error *err)
{
    struct store *store = work->store;
    struct wal_delete record = {
        .range = {work->request->from_ms, work->request->to_ms},
        .fps = work->fps + from,
        .count = to - from,
    };
    int result;

    memcpy(record.trash_id, work->removed->id, sizeof(work->removed->id));
    gate_close(&store->gate);
    result = log_delete(store, &record, &work->ticket, err);
    if (result == 0) {
        work->begun = true;
        for (size_t i = from; i < to; i++)
            delete_one(work, i);
    }
    gate_open(&store->gate);
    return result;
}

/* File, then archive entry: the other order would leave a file without an owner. */
static int remove_gone(struct delete_work *work, struct error *err)
{
    struct volume *volume = work->store->folder->volume;
    struct archive_batch batch = {0};
    int result = 0;

    work->removed->series_gone += work->gone_count;
    for (size_t i = 0; i < work->gone_count && result == 0; i++) {
        result = series_file_delete(volume, work->gone[i], err);
        archive_delete(&batch, work->gone[i]);
    }
    if (result == 0 && work->gone_count != 0)
        result = volume->sync_all(volume, err);
    if (result == 0 && work->gone_count != 0)
        result = archive_write(work->store->folder->archive, &batch, true, err);
    archive_batch_destroy(&batch);
    work->gone_count = 0;
    if (result != 0) /* files or entries without an owner: the next start looks */
        __atomic_store_n(&work->store->folder->inconsistent, 1, __ATOMIC_RELAXED);
    return result;
}

/* trash/ID/again/heads.db */
static int write_changes(struct delete_work *work, struct error *err)
{
    char name[VOLUME_NAME_MAX + 1];
    struct volume *again;
    struct heads_writer *writer;
    int result = -1;

    if (work->changed.count == 0)
        return 0;
    snprintf(name, sizeof(name), TRASH_FOLDER "/%s/" TRASH_AGAIN, work->removed->id);
    again = volume_folder_open(work->store->folder->volume, name);
    writer = heads_writer_begin(again, err);
    if (writer != NULL && heads_capture_flush(&work->changed, writer, 1, err) == 0 &&
        heads_writer_finish(writer, true, err) == 0)
        result = heads_writer_publish(writer, false, NULL, err);
    else
        heads_writer_discard(writer);
    again->close(again);
    return result;
}

/* Without a log only files and heads.db remember. */
static int settle_without_log(struct delete_work *work, struct error *err)
{
    struct store *store = work->store;

    if (store->log != NULL)
        return 0;
    if (merge_series(store, work->fps, work->count, err) != 0)
        return -1;
    return checkpoint_write(store, err);
}

int delete_apply(struct delete_work *work, struct error *err)
{
    int result = 0;

    work->gone = mem_alloc(SLICE_SERIES * sizeof(*work->gone));
    for (size_t from = 0; from < work->count && result == 0; from += SLICE_SERIES) {
        result = mark_slice(work, from, TIDE_MIN(work->count, from + SLICE_SERIES), err);
        if (result == 0)
            result = remove_gone(work, err);
    }
    mem_free(work->gone);
    if (work->begun && write_changes(work, err) != 0)
        result = -1;
    heads_capture_destroy(&work->changed);
    return result == 0 ? settle_without_log(work, err) : -1;
}
