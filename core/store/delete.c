/* delete.c - see delete.h: who is to lose samples, their copy in the trash, the delete, its tale.
 */
#include "store/delete.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "model/fingerprint.h"
#include "store/delete_parts.h"
#include "store/trash_parts.h"

#define DURABLE_MS ((int64_t)60 * 1000)

/* --- whom it concerns
 * --------------------------------------------------------------------------------- */

static int add_set(struct delete_work *work, const struct select_request *set, struct error *err)
{
    struct select_request asked = *set;
    struct selection *selection;
    struct querier *querier = &work->store->querier;

    asked.from_ms = work->request->from_ms;
    asked.to_ms = work->request->to_ms;
    asked.max_series = 0;
    asked.metadata_only = true;
    asked.cancelled = work->request->cancelled;
    if (querier->select(querier->ctx, &asked, &selection, err) != 0)
        return -1;
    work->fps = mem_realloc(work->fps, (work->count + selection->count + 1) * sizeof(*work->fps));
    for (size_t i = 0; i < selection->count; i++)
        work->fps[work->count++] = selection->series[i].fp;
    querier->selection_free(querier->ctx, selection);
    return 0;
}

static int find_series(struct delete_work *work, struct error *err)
{
    for (size_t i = 0; i < work->request->set_count; i++) {
        if (add_set(work, &work->request->sets[i], err) != 0)
            return -1;
    }
    work->count = fingerprint_sort_unique(work->fps, work->count);
    return 0;
}

/* Counts, and leaves only those series that have something in the range. */
static int count_all(struct delete_work *work, struct error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < work->count; i++) {
        const int *cancelled = work->request->cancelled;
        uint64_t before = work->removed->series;

        if (cancelled != NULL && __atomic_load_n(cancelled, __ATOMIC_RELAXED) != 0)
            return error_set(err, ERR_CANCELLED, "cancelled: nothing was deleted");
        if (delete_count_series(work, work->fps[i], err) != 0)
            return error_note(err, "series %016" PRIx64, work->fps[i]);
        if (work->removed->series != before)
            work->fps[kept++] = work->fps[i];
    }
    work->count = kept;
    return 0;
}

/* --- the copy in the trash
 * ---------------------------------------------------------------------------- */

/* Nothing is persisted meanwhile: what pushes add stays in memory, where delete_apply finds it. */
static int fill_trash(struct delete_work *work, const char *folder, struct error *err)
{
    struct snapshot_writer writer;
    int result = snapshot_writer_begin(&writer, work->store, folder, false, err);

    writer.sums = true;
    work->sums = mem_zalloc(work->count + 1, sizeof(*work->sums));
    for (size_t i = 0; i < work->count && result == 0; i++) {
        result = snapshot_writer_add(&writer, work->fps[i], err);
        work->sums[i] = writer.memory_sum;
    }
    if (result == 0)
        result = snapshot_writer_finish(&writer, err);
    return snapshot_writer_close(&writer, result, err);
}

static int make_trash(struct delete_work *work, struct error *err)
{
    struct volume *volume = work->store->folder->volume;
    char temporary[SNAPSHOT_PATH_BYTES], final[64];
    struct error unused;
    int result;

    snprintf(final, sizeof(final), TRASH_FOLDER "/%s", work->removed->id);
    snprintf(temporary, sizeof(temporary), "%s.tmp", final);
    result = fill_trash(work, temporary, err);
    if (result == 0 &&
        (volume->sync_all(volume, err) != 0 || volume->move(volume, temporary, final, err) != 0))
        result = -1;
    if (result == 0)
        result = volume->sync_folder(volume, TRASH_FOLDER, err);
    if (result == 0)
        return 0;
    volume->remove_folder(volume, temporary, &unused);
    volume->remove_folder(volume, final, &unused);
    return error_note(err, "nothing was deleted: trash %s", work->removed->id);
}

/* --- the delete
 * --------------------------------------------------------------------------------------- */

/* Under background_lock: files and archive stand still. */
static int delete_locked(struct delete_work *work, struct error *err)
{
    struct store *store = work->store;
    struct error problem;
    int result;

    quarantine_damaged(store);
    if (merge_series(store, work->fps, work->count, err) != 0)
        return error_note(err, "nothing was deleted: late samples could not be merged");
    if (make_trash(work, err) != 0)
        return -1;
    result = delete_apply(work, err);
    if (!work->begun) {
        (void)!trash_remove(store, work->removed->id, &problem);
        return -1;
    }
    /* A missing manifest reads as an interrupted delete: undelete then takes all of it. */
    if (trash_write_manifest(store, work->removed, result == 0 ? err : &problem) != 0)
        result = -1;
    return result;
}

static void tell(struct delete_work *work, int result)
{
    const struct removal *removed = work->removed;

    if (!work->begun)
        return;
    counter_add(&work->store->counters.deleted_samples, removed->samples);
    audit_write(work->store, "delete", removed);
    log_info("samples deleted",
             "id=%s by=\"%s\" series=%" PRIu64 " gone=%" PRIu64 " samples=%" PRIu64 " whole=%d",
             removed->id, removed->by, removed->series, removed->series_gone, removed->samples,
             result == 0);
}

static int run(struct delete_work *work, struct error *err)
{
    struct store *store = work->store;
    int result;

    if (find_series(work, err) != 0 || count_all(work, err) != 0)
        return -1;
    if (work->request->dry_run || work->count == 0)
        return 0;
    snapshot_make_name(store, work->removed->id);
    lock_acquire(&store->background_lock);
    result = delete_locked(work, err);
    lock_release(&store->background_lock);
    tell(work, result);
    if (!work->begun)
        work->removed->id[0] = '\0';
    if (result == 0)
        result = store_wait_durable(store, &work->ticket, DURABLE_MS, err);
    return result;
}

int store_need_folder(const struct store *store, struct error *err)
{
    if (store->folder != NULL)
        return 0;
    return error_set(err, ERR_UNSUPPORTED, "this store is in memory only: it has no data folder");
}

int store_delete(struct store *store, const struct delete_request *request, struct removal *removed,
                 struct error *err)
{
    struct delete_work work = {.store = store, .request = request, .removed = removed};
    int result;

    *removed = (struct removal){
        .time_ms = clock_wall_ms(store->clock),
        .from_ms = request->from_ms,
        .to_ms = request->to_ms,
        .first_ms = TIDE_LATEST_MS,
        .last_ms = TIDE_EARLIEST_MS,
    };
    snprintf(removed->by, sizeof(removed->by), "%s", request->by != NULL ? request->by : "");
    if (store_need_folder(store, err) != 0)
        return -1;
    if (request->set_count == 0)
        return error_set(err, ERR_INVALID, "no series are named");
    if (request->from_ms > request->to_ms)
        return error_set(err, ERR_INVALID, "the range ends before it begins");
    result = run(&work, err);
    mem_free(work.fps);
    mem_free(work.sums);
    return result;
}
