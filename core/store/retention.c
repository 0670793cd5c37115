/* retention.c - chunks that are too old leave their files (behaviour 7).
 *
 * A series whose file is being rewritten is busy: pushes go on, nothing else touches it. */
#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "store/duty.h"
#include "store/folder.h"
#include "store/pressure.h"

/* A drop in work: the series is busy. */
struct drop_work {
    uint64_t fp;
    int64_t expected; /* chunks in the file, or FILE_CHUNKS_UNKNOWN */
    bool archived;
};

static bool begin_drop(struct store *store, uint64_t fp, struct drop_work *work)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, fp, &stripe);
    bool begun;

    if (series == NULL)
        return false;
    begun = !series->busy && !series->broken && (series->archived || series->file_chunks != 0);
    if (begun) {
        series->busy = true;
        *work = (struct drop_work){
            .fp = fp,
            .expected = series->archived ? FILE_CHUNKS_UNKNOWN : series->file_chunks,
            .archived = series->archived,
        };
    }
    lock_release(&stripe->stripe_lock);
    return begun;
}

/* Nothing of the series is left: it goes, and with it its archive entries. */
int purge_series(struct store *store, struct stripe *stripe,
                 struct series *series) TIDE_NO_LOCK_CHECK
{
    bool archived = series->archived;
    uint64_t fp = series->fp;
    struct archive_batch batch = {0};
    struct labels *labels =
        policy_wants(store, STORE_EVENT_SERIES_GONE) ? series_labels_locked(store, series) : NULL;
    struct error problem;
    int result;

    counter_add(archived ? &store->counters.purged_archive : &store->counters.purged_memory, 1);
    series_purge_locked(store, stripe, series);
    done_table_forget(&store->folder->done, fp);
    lock_release(&stripe->stripe_lock);
    if (labels != NULL)
        policy_tell(store, STORE_EVENT_SERIES_GONE, labels, NULL);
    labels_unref(labels);
    archive_delete(&batch, fp);
    result = archive_write(store->folder->archive, &batch, true, &problem);
    archive_batch_destroy(&batch);
    if (result != 0) {
        log_error("an archive entry could not be deleted", "fp=%016" PRIx64 " problem=\"%s\"", fp,
                  problem.text);
        __atomic_store_n(&store->folder->inconsistent, 1, __ATOMIC_RELAXED);
    }
    return result;
}

/* The series after a drop: what the file holds now. */
static int settle_drop(struct store *store, const struct drop_work *work,
                       const struct series_drop *drop)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, work->fp, &stripe);
    struct archive_batch batch = {0};
    struct error problem;
    int result = 0;

    if (series == NULL)
        return 0;
    series->busy = false;
    counter_add(&store->counters.chunks_dropped, drop->dropped);
    if (!series->archived) {
        series->file_chunks = (int32_t)TIDE_MIN(drop->stat.chunks, (uint64_t)INT32_MAX);
        series->mtime_ns = drop->stat.mtime_ns;
        series->first_ms = drop->stat.chunks != 0 ? drop->first_ms : series_first_in_memory(series);
        series->first_ms = TIDE_MIN(series->first_ms, edits_first_ms(series));
        series->first_known = true;
        if (drop->stat.chunks < series->persisted) {
            uint32_t gone = series->persisted - (uint32_t)drop->stat.chunks;

            gauge_count(&store->counters.chunks, -(int64_t)gone);
            series_drop_chunks(&store->pool, series, gone);
        }
        series_mark_dirty(store, series);
        if (drop->stat.chunks == 0 && series->chunk_count == 0 && !series_has_head(series) &&
            series->edits == NULL)
            return purge_series(store, stripe, series);
        lock_release(&stripe->stripe_lock);
        return 0;
    }
    if (drop->stat.chunks == 0)
        return purge_series(store, stripe, series);
    series->first_ms = drop->first_ms;
    archive_put_range(&batch, work->fp, drop->first_ms, series->last_ms);
    lock_release(&stripe->stripe_lock);
    result = archive_write(store->folder->archive, &batch, false, &problem);
    archive_batch_destroy(&batch);
    if (result != 0)
        log_warn("a time range could not be updated", "fp=%016" PRIx64 " problem=\"%s\"", work->fp,
                 problem.text);
    return result;
}

/* Nothing was dropped; `first_ms`: where the file begins, if it was found out. */
static void end_drop(struct store *store, const struct drop_work *work, int64_t first_ms)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, work->fp, &stripe);

    if (series == NULL)
        return;
    series->busy = false;
    if (!series->first_known && first_ms != TIDE_EARLIEST_MS) {
        series->first_ms = first_ms;
        series->first_known = true;
    }
    lock_release(&stripe->stripe_lock);
}

static void report_damage(struct store *store, uint64_t fp, const char *text)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, fp, &stripe);

    if (series == NULL)
        return;
    series->broken = damage_list_put(&store->damage, fp, text);
    lock_release(&stripe->stripe_lock);
}

/* What a drop takes with it, read before it goes: each chunk goes once, so this costs little. */
static int count_dropped(struct store *store, const struct series_drop *drop,
                         struct removal *dropped, struct error *err)
{
    uint8_t *bytes = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
    uint64_t end = drop->action == SERIES_DROP_DELETE ? drop->chunks_before : drop->keep_from;
    int result = 0;

    *dropped = (struct removal){
        .series = 1,
        .series_gone = drop->all_dropped,
        .chunks = end,
        .bytes = end * SERIES_RECORD_BYTES,
        .first_ms = TIDE_LATEST_MS,
        .last_ms = TIDE_EARLIEST_MS,
        .from_ms = TIDE_EARLIEST_MS,
    };
    for (uint64_t i = 0; i < end && result == 0; i += SERIES_BATCH_RECORDS) {
        size_t count = (size_t)TIDE_MIN(end - i, (uint64_t)SERIES_BATCH_RECORDS);

        result = series_file_read(store->folder->volume, drop->fp, i, count, bytes, err);
        for (size_t k = 0; k < count && result == 0; k++) {
            const uint8_t *record = bytes + k * SERIES_RECORD_BYTES;
            struct series_record header = series_record_get(record);
            struct chunk_summary summary;
            struct error bad;

            dropped->first_ms = TIDE_MIN(dropped->first_ms, header.first_ms);
            dropped->last_ms = TIDE_MAX(dropped->last_ms, header.last_ms);
            if (chunk_check(header.encoding, record + SERIES_HEADER_BYTES, CHUNK_BYTES, &summary,
                            &bad) == 0)
                dropped->samples += summary.samples;
        }
    }
    mem_free(bytes);
    return result;
}

/* Finds out what a drop takes. *dropped: zeroed if it takes nothing. */
static int plan_file(struct store *store, const struct drop_work *work, int64_t before_ms,
                     struct series_drop *drop, struct removal *dropped, struct error *err)
{
    uint64_t expected =
        work->expected == FILE_CHUNKS_UNKNOWN ? SERIES_CHUNKS_ANY : (uint64_t)work->expected;

    *dropped = (struct removal){0};
    if (series_file_drop_plan(store->folder->volume, work->fp, expected, before_ms,
                              store->options.min_shrink_ratio, NULL, 0, drop, err) != 0)
        return -1;
    return drop->action == SERIES_DROP_NOTHING ? 0 : count_dropped(store, drop, dropped, err);
}

int retention_count(struct store *store, uint64_t fp, int64_t before_ms, struct removal *dropped,
                    struct error *err)
{
    struct series_drop drop = {0};
    struct drop_work work;
    int result;

    *dropped = (struct removal){0};
    if (!begin_drop(store, fp, &work))
        return 0;
    result = plan_file(store, &work, before_ms, &drop, dropped, err);
    end_drop(store, &work, TIDE_EARLIEST_MS);
    return result;
}

/* Plans, counts, drops. *dropped: what went. */
static int drop_file(struct store *store, const struct drop_work *work, int64_t before_ms,
                     struct series_drop *drop, struct removal *dropped, struct error *err)
{
    struct volume *volume = store->folder->volume;
    bool sync = store->options.series_sync != SERIES_SYNC_NEVER;

    if (plan_file(store, work, before_ms, drop, dropped, err) != 0 ||
        series_file_drop_write(volume, drop, NULL, sync, err) != 0)
        return -1;
    return series_file_drop_publish(volume, drop, sync, err);
}

/* Drops what is older than `before_ms` from one series' file, if it is worth a rewrite. */
int retention_drop(struct store *store, uint64_t fp, int64_t before_ms, const char *by,
                   struct error *err)
{
    struct series_drop drop = {0};
    struct removal dropped;
    struct drop_work work;

    if (!begin_drop(store, fp, &work))
        return 0;
    if (drop_file(store, &work, before_ms, &drop, &dropped, err) != 0) {
        end_drop(store, &work, TIDE_EARLIEST_MS);
        counter_add(&store->counters.persist_errors, 1);
        if (err->code == ERR_CORRUPT)
            report_damage(store, fp, err->text);
        return err->code == ERR_IO ? -1 : 0;
    }
    if (drop.action == SERIES_DROP_NOTHING) {
        end_drop(store, &work, drop.first_ms);
        return 0;
    }
    counter_add(&store->counters.dropped_samples, dropped.samples);
    dropped.to_ms = before_ms - 1;
    audit_pass_add(store, by, &dropped);
    return settle_drop(store, &work, &drop);
}

int retention_make_room(struct store *store, uint64_t fp, int64_t before_ms, bool dry,
                        struct removal *dropped, struct error *err)
{
    struct volume *volume = store->folder->volume;
    bool sync = store->options.series_sync != SERIES_SYNC_NEVER;
    struct series_drop drop = {0};
    struct drop_work work;
    int result;

    *dropped = (struct removal){0};
    if (!begin_drop(store, fp, &work))
        return 0;
    result = series_file_drop_plan(volume, fp,
                                   work.expected == FILE_CHUNKS_UNKNOWN ? SERIES_CHUNKS_ANY
                                                                        : (uint64_t)work.expected,
                                   before_ms, 0, NULL, 0, &drop, err);
    if (result == 0 && drop.action != SERIES_DROP_NOTHING)
        result = count_dropped(store, &drop, dropped, err);
    if (result == 0 && drop.action != SERIES_DROP_NOTHING && !dry &&
        (series_file_drop_write(volume, &drop, NULL, sync, err) != 0 ||
         series_file_drop_publish(volume, &drop, sync, err) != 0))
        result = -1;
    if (result == 0 && drop.action != SERIES_DROP_NOTHING && !dry)
        return settle_drop(store, &work, &drop);
    end_drop(store, &work, TIDE_EARLIEST_MS);
    if (result == 0)
        return 0;
    *dropped = (struct removal){0};
    if (err->code == ERR_CORRUPT && !dry)
        report_damage(store, fp, err->text);
    return err->code == ERR_IO ? -1 : 0;
}
