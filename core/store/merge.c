/* merge.c - edits into series files, in rounds (engine-design 11, I7).
 *
 * A round takes up to 256 series that wait, writes each new file beside the old one, syncs once,
 * gives all of them their names, syncs once more; then the edits are gone from memory. Until then
 * they lie over what is read, old file or new: applied twice they say the same. */
#include "base/logger.h"
#include "base/mem.h"
#include "store/downsample.h"
#include "store/folder.h"
#include "store/log.h"
#include "store/merge_file.h"
#include "store/pass_parts.h"
#include "store/store_log.h"

#define ROUND_SERIES 256
#define RETRY_S 5

struct merge_item {
    struct file_merge file;
    struct thin_job *thin; /* NULL: edits are merged */
    bool failed;
    bool uncertain; /* its new file may have taken the name though that was said to have failed */
};

struct merge_work {
    struct merge_item items[ROUND_SERIES];
    size_t count;
    size_t failed;
    uint64_t before; /* what was logged before this record is being merged */
    size_t busy;     /* could not be taken: they are in the queue again */
};

/* --- taking
 * --------------------------------------------------------------------------------------- */

/* Under its stripe. */
static void take_series(struct store *store, struct series *series, struct merge_work *work)
{
    struct file_merge *file = &work->items[work->count].file;
    struct edit_memory heap = {0};

    if (series->archived || series->broken || series->edits == NULL)
        return;
    if (series->busy) { /* its file is in other hands */
        edits_retry(store, series);
        work->busy++;
        return;
    }
    if (!edits_begin_merge(store, series))
        return;
    *file = (struct file_merge){
        .fp = series->fp,
        .expected = series->file_chunks,
        .pinned = mem_alloc((series->persisted + 1) * sizeof(struct full_chunk *)),
        .pinned_count = series->persisted,
        .store = store,
    };
    for (uint32_t i = 0; i < series->persisted; i++)
        file->pinned[i] = full_chunk_ref(series->chunks[i]);
    edit_list_copy(&series->edits->merging, TIDE_EARLIEST_MS, TIDE_LATEST_MS, &file->edits, heap);
    series->busy = true;
    work->items[work->count++].failed = false;
}

/* --- settling
 * ------------------------------------------------------------------------------------- */

/* The chunks of the new file's end take the place of those that were persisted. */
static void settle_chunks(struct store *store, struct series *series, struct file_merge *file)
{
    int64_t more = (int64_t)file->tail_count - series->persisted;

    gauge_count(&store->counters.chunks, more);
    for (uint32_t i = 0; i < file->tail_count; i++)
        full_chunk_ref(file->tail[i]);
    series_replace_persisted(&store->pool, series, file->tail, file->tail_count);
    series->file_chunks = file->unexpected && series->chunk_count != 0
                              ? FILE_CHUNKS_UNKNOWN
                              : (int32_t)TIDE_MIN(file->stat.chunks, (uint64_t)INT32_MAX);
    series->mtime_ns = file->stat.mtime_ns;
    series->tail_first_ms = file->tail_first_ms;
    series_set_first(series,
                     TIDE_MIN(file->result == MERGE_REPLACE ? file->first_ms : TIDE_LATEST_MS,
                              series_first_in_memory(series)));
    counter_add(&store->counters.merges, 1);
    series_mark_dirty(store, series);
}

/* Nothing is known of the file any more but what its times say. */
static void forget_file(struct store *store, struct series *series)
{
    gauge_count(&store->counters.chunks, -(int64_t)series->persisted);
    series_drop_chunks(&store->pool, series, series->persisted);
    series->file_chunks = FILE_CHUNKS_UNKNOWN;
    series->mtime_ns = MTIME_UNKNOWN;
    series_mark_dirty(store, series);
}

bool series_is_empty(const struct series *series)
{
    return series->file_chunks == 0 && series->chunk_count == 0 && !series_has_head(series) &&
           series->edits == NULL;
}

/* Of an archived series: where it begins. */
static void settle_archived(struct store *store, struct stripe *stripe, struct series *series,
                            const struct file_merge *file) TIDE_NO_LOCK_CHECK
{
    struct archive_batch batch = {0};
    struct error problem;

    series->first_ms = file->first_ms;
    series->first_known = true;
    archive_put_range(&batch, series->fp, series->first_ms, series->last_ms);
    lock_release(&stripe->stripe_lock);
    if (archive_write(store->folder->archive, &batch, false, &problem) != 0)
        log_warn("a time range could not be updated", "fp=%016" PRIx64 " problem=\"%s\"", file->fp,
                 problem.text);
    archive_batch_destroy(&batch);
}

/* One that was thinned out. Under its stripe, which it releases. */
static void settle_thinned(struct store *store, struct stripe *stripe, struct series *series,
                           struct merge_item *item) TIDE_NO_LOCK_CHECK
{
    struct file_merge *file = &item->file;
    bool changed = !item->failed && file->result == MERGE_REPLACE && !file->dry;

    series->busy = false;
    item->thin->end = item->failed ? THIN_FAILED : THIN_DONE;
    if (changed && series->archived) {
        settle_archived(store, stripe, series, file);
        return;
    }
    if (changed) {
        settle_chunks(store, series, file);
        series->first_ms = TIDE_MIN(series->first_ms, edits_first_ms(series));
    }
    if (item->uncertain && !series->archived)
        forget_file(store, series);
    lock_release(&stripe->stripe_lock);
}

/* Under its stripe, which it releases. */
static void settle_series(struct store *store, struct stripe *stripe, struct series *series,
                          struct merge_item *item) TIDE_NO_LOCK_CHECK
{
    struct file_merge *file = &item->file;

    series->busy = false;
    if (!item->failed && file->result != MERGE_EQUAL)
        settle_chunks(store, series, file);
    else if (!item->failed)
        counter_add(&store->counters.merges_equal, 1);
    if (item->uncertain)
        forget_file(store, series);
    edits_end_merge(store, series, !item->failed);
    if (!item->failed && file->result != MERGE_EQUAL)
        series->first_ms = TIDE_MIN(series->first_ms, edits_first_ms(series));
    if (!item->failed && file->edits.put_count != 0)
        downsample_note_late(store, series->fp, file->edits.puts[0].time_ms);
    if (series_is_empty(series)) {
        (void)!purge_series(store, stripe, series);
        return;
    }
    lock_release(&stripe->stripe_lock);
}

static void report_failure(struct store *store, struct merge_item *item, struct error *err)
{
    struct stripe *stripe;
    struct series *series;

    item->failed = true;
    if (item->file.dry)
        return;
    if (item->thin != NULL && err->code != ERR_IO && err->code != ERR_CORRUPT)
        return; /* a rule's failure, which is counted and logged there */
    counter_add(&store->counters.merge_errors, 1);
    log_warn_limited(item->thin != NULL ? "a series could not be downsampled: it stays as it is"
                                        : "late samples could not be merged: they stay in memory",
                     "fp=%016" PRIx64 " problem=\"%s\"", item->file.fp, err->text);
    if (err->code != ERR_CORRUPT)
        return;
    series = lock_fp(store, item->file.fp, &stripe);
    if (series == NULL)
        return;
    if (!series->broken)
        series->broken = damage_list_put(&store->damage, series->fp, err->text);
    lock_release(&stripe->stripe_lock);
}

static void settle(struct store *store, struct merge_work *work)
{
    for (size_t i = 0; i < work->count; i++) {
        struct merge_item *item = &work->items[i];
        struct stripe *stripe;
        struct series *series = lock_fp(store, item->file.fp, &stripe);

        if (series != NULL && item->thin != NULL)
            settle_thinned(store, stripe, series, item);
        else if (series != NULL)
            settle_series(store, stripe, series, item);
        if (item->thin != NULL) {
            item->thin->chunks_before = item->file.record_count - item->file.skip;
            item->thin->chunks_after = item->file.written;
            item->thin->changed = !item->failed && item->file.result == MERGE_REPLACE;
            item->thin->postponed = item->file.postponed;
        }
        work->failed += item->failed;
        file_merge_destroy(&item->file);
    }
}

/* --- a round
 * -------------------------------------------------------------------------------------- */

static void fail_all(struct store *store, struct merge_work *work, struct error *err)
{
    for (size_t i = 0; i < work->count; i++) {
        if (!work->items[i].failed && work->items[i].file.result != MERGE_EQUAL)
            report_failure(store, &work->items[i], err);
    }
}

/* Calls a step for each file that is still good; how many there were that change. */
static size_t write_all(struct store *store, struct merge_work *work, struct error *err)
{
    size_t changed = 0;

    for (size_t i = 0; i < work->count; i++) {
        struct merge_item *item = &work->items[i];

        if (file_merge_write(&item->file, store, err) != 0)
            report_failure(store, item, err);
        else
            changed += item->file.result != MERGE_EQUAL && !item->file.dry;
    }
    return changed;
}

/* From here on the new files hold, and their bytes are durable; their names are only after the
 * second sync, or that of the next checkpoint: until then the log does not forget. */
static void publish_all(struct store *store, struct merge_work *work, struct error *err)
{
    for (size_t i = 0; i < work->count; i++) {
        struct merge_item *item = &work->items[i];

        if (!item->failed && item->file.result != MERGE_EQUAL &&
            file_merge_publish(&item->file, err) != 0) {
            item->uncertain = true;
            report_failure(store, item, err);
        }
    }
}

/* The chunks that a job is about: from the oldest to the last of which something goes. */
static struct pass_trash_chunks thinned_chunks(const struct merge_item *item)
{
    const struct file_merge *file = &item->file;
    const struct thin_job *job = item->thin;
    int64_t to_ms = job->tiers[job->tier_count - 1].to_ms;
    struct pass_trash_chunks chunks = {.fp = file->fp, .first_ms = file->records[0].first_ms};

    while (chunks.count < file->record_count && file->records[chunks.count].first_ms <= to_ms)
        chunks.last_ms = file->records[chunks.count++].last_ms;
    chunks.all = chunks.count == file->record_count;
    return chunks;
}

/* Under new rules what is thinned out goes into the trash as it was; not durable yet. */
static bool keep_thinned(struct store *store, struct merge_work *work, struct error *err)
{
    bool any = false;

    for (size_t i = 0; i < work->count; i++) {
        struct merge_item *item = &work->items[i];
        struct pass_trash_chunks chunks;

        if (item->thin == NULL || !item->thin->trash || item->failed || item->file.dry ||
            item->file.result != MERGE_REPLACE)
            continue;
        chunks = thinned_chunks(item);
        if (pass_trash_add(store, PASS_TRASH_THINNED, &chunks, err) != 0) {
            report_failure(store, item, err);
            pass_guard_spoil(store);
        } else {
            any = true;
        }
    }
    return any;
}

/* What is written and kept is durable; nothing has taken its name yet. */
static int seal(struct store *store, struct merge_work *work, struct error *err)
{
    struct volume *volume = store->folder->volume;

    if (keep_thinned(store, work, err))
        return pass_trash_seal(store, PASS_TRASH_THINNED, err);
    return volume->sync_all(volume, err);
}

/* Writes and names the new files. True: all that did not fail is durable. */
static bool change_files(struct store *store, struct merge_work *work, struct error *err)
{
    struct volume *volume = store->folder->volume;

    if (write_all(store, work, err) == 0)
        return true;
    if (seal(store, work, err) != 0) {
        fail_all(store, work, err);
        pass_guard_spoil(store);
        return true;
    }
    publish_all(store, work, err);
    if (volume->sync_all(volume, err) == 0)
        return true;
    log_error("new series files are named, but not durably: the log keeps what they hold",
              "problem=\"%s\"", err->text);
    return false;
}

/* The log need not bring back what the files hold. */
static void tell_log(struct store *store, const struct merge_work *work)
{
    uint64_t fps[ROUND_SERIES];
    struct wal_merged record = {.before = work->before, .fps = fps};
    struct error problem;

    for (size_t i = 0; i < work->count; i++) {
        if (!work->items[i].failed)
            fps[record.count++] = work->items[i].file.fp;
    }
    if (log_merged(store, &record, &problem) != 0)
        log_warn_limited("the log does not know of a merge: a replay would do it again",
                         "problem=\"%s\"", problem.text);
}

static void run_work(struct store *store, struct merge_work *work, struct error *err)
{
    if (change_files(store, work, err))
        tell_log(store, work);
    settle(store, work);
}

/* Rewrites at most ROUND_SERIES files that edits wait for; *merged: series that were looked at. */
static int merge_round(struct store *store, bool all, uint64_t *merged, struct error *err)
{
    uint32_t now_s = store_now_s(store);
    struct merge_work *work;
    uint32_t *ids;
    size_t count;
    int result = 0;

    *merged = 0;
    if (!all && now_s < store->folder->merge_not_before_s)
        return 0;
    ids = mem_alloc(ROUND_SERIES * sizeof(*ids));
    count = merge_queue_take(store->merges, now_s, all, ids, ROUND_SERIES);
    if (count != 0) {
        work = mem_zalloc(1, sizeof(*work));
        work->before = log_next_record(store);
        for (size_t i = 0; i < count; i++) {
            struct stripe *stripe;
            struct series *series = series_map_lock_id(&store->map, ids[i], &stripe);

            if (series == NULL)
                continue;
            take_series(store, series, work);
            lock_release(&stripe->stripe_lock);
        }
        if (work->count != 0)
            run_work(store, work, err);
        *merged = count - work->busy;
        if (work->failed != 0) {
            store->folder->merge_not_before_s = now_s + RETRY_S;
            result = -1;
        }
        mem_free(work);
    }
    mem_free(ids);
    return result;
}

int merge_due(struct store *store, bool pressed, struct error *err)
{
    uint64_t promised = merge_queue_promised(store->merges), merged;

    do {
        if (merge_round(store, pressed, &merged, err) != 0)
            return -1;
    } while (merged != 0);
    if (merge_queue_has_kept(store->merges, promised) || merge_queue_holds_next(store->merges))
        return 0;
    merge_queue_keep(store->merges, promised);
    store_log_tell(store); /* imports wait for it */
    return 0;
}

int merge_everything(struct store *store, struct error *err)
{
    if (merge_due(store, true, err) == 0)
        return 0;
    quarantine_damaged(store); /* what cannot be merged, since its file is broken, waits no more */
    return merge_due(store, true, err);
}

int merge_series(struct store *store, const uint64_t *fps, size_t count, struct error *err)
{
    struct merge_work *work = mem_zalloc(1, sizeof(*work));
    int result = 0;

    for (size_t at = 0; at < count && result == 0; at += ROUND_SERIES) {
        size_t end = TIDE_MIN(count, at + ROUND_SERIES);

        memset(work, 0, sizeof(*work));
        work->before = log_next_record(store);
        for (size_t i = at; i < end; i++) {
            struct stripe *stripe;
            struct series *series = lock_fp(store, fps[i], &stripe);

            if (series == NULL)
                continue;
            take_series(store, series, work);
            lock_release(&stripe->stripe_lock);
        }
        if (work->count != 0)
            run_work(store, work, err);
        result = work->failed == 0 ? 0 : -1;
    }
    mem_free(work);
    return result;
}

/* --- thinning out
 * --------------------------------------------------------------------------------- */

/* Under its stripe. Edits stay where they are, over what is read. */
static void take_thin(struct store *store, struct series *series, struct thin_job *job,
                      struct merge_work *work)
{
    struct file_merge *file = &work->items[work->count].file;
    uint32_t pinned = series->archived ? 0 : series->persisted;

    if (series->broken || (!series->archived && series->file_chunks == 0))
        return;
    if (series->busy) { /* its file is in other hands: this pass is not whole */
        pass_guard_spoil(store);
        return;
    }
    job->reducer.tiers = job->tiers;
    job->reducer.tier_count = job->tier_count;
    job->reducer.policy = job->policy;
    *file = (struct file_merge){
        .fp = series->fp,
        .expected = series->archived ? FILE_CHUNKS_UNKNOWN : series->file_chunks,
        .pinned = mem_alloc((pinned + 1) * sizeof(struct full_chunk *)),
        .pinned_count = pinned,
        .store = store,
        .reducer = &job->reducer,
        .least_share = job->least_share,
        .skip = job->skip,
        .dry = job->dry,
    };
    for (uint32_t i = 0; i < pinned; i++)
        file->pinned[i] = full_chunk_ref(series->chunks[i]);
    series->busy = true;
    work->items[work->count++].thin = job;
}

int merge_thin(struct store *store, struct thin_job *jobs, size_t count, struct error *err)
{
    struct merge_work *work = mem_zalloc(1, sizeof(*work));
    int result = 0;

    TIDE_ASSERT(count <= ROUND_SERIES);
    for (size_t i = 0; i < count; i++) {
        struct stripe *stripe;
        struct series *series = lock_fp(store, jobs[i].fp, &stripe);

        if (series == NULL)
            continue;
        take_thin(store, series, &jobs[i], work);
        lock_release(&stripe->stripe_lock);
    }
    err->code = ERR_NONE;
    if (work->count != 0) {
        (void)change_files(store, work, err);
        settle(store, work);
    }
    if (err->code == ERR_IO)
        result = -1;
    mem_free(work);
    return result;
}
