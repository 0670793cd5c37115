/* retention.c - chunks that are too old leave their files (behaviour 7).
 *
 * A series whose file is being rewritten is busy: pushes go on, nothing else touches it. */
#include <stdio.h>

#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "store/pass_parts.h"
#include "store/pressure.h"

/* A drop in work: the series is busy. */
struct drop_work {
    const struct drop_order *order;
    uint64_t fp;
    int64_t expected; /* chunks in the file, or FILE_CHUNKS_UNKNOWN */
    bool archived;
    bool sealed; /* waits for what was added to the trash to be durable */
    struct series_drop drop;
    struct drop_count count;
};

struct drop_order drop_order_of(const struct duty *duty, const struct duty_verdict *verdict)
{
    struct drop_order order = {
        .fp = duty->fp, .before_ms = verdict->from_ms, .rules = verdict->rules};

    snprintf(order.by, sizeof(order.by), "%s",
             verdict->rule != NULL ? verdict->rule : "storage.retention");
    return order;
}

static bool begin_drop(struct store *store, const struct drop_order *order, struct drop_work *work)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, order->fp, &stripe);
    bool begun;

    if (series == NULL)
        return false;
    begun = !series->busy && !series->broken && (series->archived || series->file_chunks != 0);
    if (begun) {
        series->busy = true;
        *work = (struct drop_work){
            .order = order,
            .fp = order->fp,
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
static int settle_drop(struct store *store, const struct drop_work *work)
{
    const struct series_drop *drop = &work->drop;
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
        series_set_first(series, TIDE_MIN(drop->stat.chunks != 0 ? drop->first_ms
                                                                 : series_first_in_memory(series),
                                          edits_first_ms(series)));
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

/* --- counting
 * --------------------------------------------------------------------------------------- */

static void count_record(struct drop_count *count, const uint8_t *record, int64_t known_ms,
                         bool samples)
{
    struct series_record header = series_record_get(record);
    struct removal *removed = &count->removed;
    struct chunk_summary summary;
    struct error bad;

    removed->first_ms = TIDE_MIN(removed->first_ms, header.first_ms);
    removed->last_ms = TIDE_MAX(removed->last_ms, header.last_ms);
    count->surprising += header.last_ms < known_ms;
    if (samples && chunk_check(header.encoding, record + SERIES_HEADER_BYTES, CHUNK_BYTES, &summary,
                               &bad) == 0)
        removed->samples += summary.samples;
}

/* Under the rules of the last pass a few chunks of a file had waited for others, to be worth a
 * rewrite, and one was not in the file yet: they are no surprise. */
static void forgive_lingering(const struct store *store, struct drop_work *work)
{
    uint64_t lingering =
        1 + (uint64_t)((double)work->drop.chunks_before * store->options.min_shrink_ratio);

    if (!pass_guard_is_first(store, work->order->rules))
        work->count.surprising -= TIDE_MIN(work->count.surprising, lingering);
}

/* What a drop takes with it, read before it goes: each chunk goes once, so this costs little. */
static int count_dropped(struct store *store, struct drop_work *work, bool samples,
                         struct error *err)
{
    const struct series_drop *drop = &work->drop;
    uint8_t *bytes = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
    uint64_t end = drop->action == SERIES_DROP_DELETE ? drop->chunks_before : drop->keep_from;
    int64_t known_ms = pass_guard_known_ms(store, work->order->rules, work->order->before_ms);
    int result = 0;

    work->count.removed = (struct removal){
        .series = 1,
        .series_gone = drop->all_dropped,
        .chunks = end,
        .bytes = end * SERIES_RECORD_BYTES,
        .first_ms = TIDE_LATEST_MS,
        .last_ms = TIDE_EARLIEST_MS,
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = work->order->before_ms - 1,
        .rules = work->order->rules,
    };
    memcpy(work->count.removed.by, work->order->by, sizeof(work->order->by));
    for (uint64_t i = 0; i < end && result == 0; i += SERIES_BATCH_RECORDS) {
        size_t count = (size_t)TIDE_MIN(end - i, (uint64_t)SERIES_BATCH_RECORDS);

        result = series_file_read(store->folder->volume, drop->fp, i, count, bytes, err);
        for (size_t k = 0; k < count && result == 0; k++)
            count_record(&work->count, bytes + k * SERIES_RECORD_BYTES, known_ms, samples);
    }
    mem_free(bytes);
    forgive_lingering(store, work);
    return result;
}

/* Finds out what a drop takes, if that is worth a rewrite; work->count: zeroed: nothing. */
static int plan_by_ratio(struct store *store, struct drop_work *work, double ratio, bool samples,
                         struct error *err)
{
    uint64_t expected =
        work->expected == FILE_CHUNKS_UNKNOWN ? SERIES_CHUNKS_ANY : (uint64_t)work->expected;

    if (series_file_drop_plan(store->folder->volume, work->fp, expected, work->order->before_ms,
                              ratio, NULL, 0, &work->drop, err) != 0)
        return -1;
    return work->drop.action == SERIES_DROP_NOTHING ? 0 : count_dropped(store, work, samples, err);
}

static int plan_file(struct store *store, struct drop_work *work, bool samples, struct error *err)
{
    return plan_by_ratio(store, work, store->options.min_shrink_ratio, samples, err);
}

int retention_count(struct store *store, const struct drop_order *order, bool samples,
                    struct drop_count *count, struct error *err)
{
    struct drop_work work;
    int result;

    *count = (struct drop_count){0};
    if (!begin_drop(store, order, &work))
        return 0;
    result = plan_file(store, &work, samples, err);
    if (result == 0)
        *count = work.count;
    end_drop(store, &work, TIDE_EARLIEST_MS);
    return result;
}

/* --- dropping
 * --------------------------------------------------------------------------------------- */

static int fail_drop(struct store *store, const struct drop_work *work, const struct error *err)
{
    end_drop(store, work, TIDE_EARLIEST_MS);
    pass_guard_spoil(store);
    counter_add(&store->counters.persist_errors, 1);
    if (err->code == ERR_CORRUPT)
        report_damage(store, work->fp, err->text);
    return err->code == ERR_IO ? -1 : 0;
}

/* The deed itself. */
static int do_drop(struct store *store, struct drop_work *work, struct error *err)
{
    struct volume *volume = store->folder->volume;
    bool sync = store->options.series_sync != SERIES_SYNC_NEVER;
    struct removal *removed = &work->count.removed;

    if (series_file_drop_write(volume, &work->drop, NULL, sync, err) != 0 ||
        series_file_drop_publish(volume, &work->drop, sync, err) != 0)
        return fail_drop(store, work, err);
    counter_add(&store->counters.dropped_samples, removed->samples);
    if (work->sealed) {
        memcpy(removed->id, pass_trash_id(store, PASS_TRASH_DROPPED), sizeof(removed->id));
        pass_trash_count(store, PASS_TRASH_DROPPED, removed);
    }
    audit_pass_add(store, removed);
    return settle_drop(store, work);
}

static int add_to_trash(struct store *store, const struct drop_work *work, struct error *err)
{
    const struct series_drop *drop = &work->drop;
    const struct pass_trash_chunks chunks = {
        .fp = drop->fp,
        .count = drop->keep_from,
        .all = drop->action == SERIES_DROP_DELETE,
        .first_ms = work->count.removed.first_ms,
        .last_ms = work->count.removed.last_ms,
    };

    return pass_trash_add(store, PASS_TRASH_DROPPED, &chunks, err);
}

/* Plans, and asks whether that may go. *wait: it waits for the trash to be sealed. */
static int begin_order(struct store *store, const struct drop_order *order, struct drop_work *work,
                       bool *wait, struct error *err)
{
    const struct removal *removed = &work->count.removed;

    *wait = false;
    if (!begin_drop(store, order, work))
        return 0;
    if (plan_file(store, work, true, err) != 0)
        return fail_drop(store, work, err);
    if (work->drop.action == SERIES_DROP_NOTHING) {
        end_drop(store, work, work->drop.first_ms);
        return 0;
    }
    if (!pass_guard_allows(store, order->rules, work->count.surprising, removed->chunks)) {
        end_drop(store, work, TIDE_EARLIEST_MS);
        return 0;
    }
    if (!pass_guard_is_first(store, order->rules))
        return do_drop(store, work, err);
    if (add_to_trash(store, work, err) != 0)
        return fail_drop(store, work, err);
    *wait = work->sealed = true;
    return 0;
}

int retention_drop_all(struct store *store, const struct drop_order *orders, size_t count,
                       struct error *err)
{
    struct drop_work *works;
    size_t waiting = 0, done = 0;
    int result = 0;

    if (count == 0)
        return 0;
    works = mem_zalloc(count, sizeof(*works));
    for (size_t i = 0; i < count && result == 0; i++) {
        int64_t begin_ns = clock_mono_ns(clock_system());
        bool wait;

        result = begin_order(store, &orders[i], &works[waiting], &wait, err);
        store_observe(&store->maintain_seconds[works[waiting].archived],
                      (double)(clock_mono_ns(clock_system()) - begin_ns) / 1e9);
        waiting += wait;
    }
    if (result == 0 && waiting != 0)
        result = pass_trash_seal(store, PASS_TRASH_DROPPED, err);
    for (; done < waiting && result == 0; done++)
        result = do_drop(store, &works[done], err);
    for (; done < waiting; done++) { /* nothing went of these */
        end_drop(store, &works[done], TIDE_EARLIEST_MS);
        pass_guard_spoil(store);
    }
    mem_free(works);
    return result;
}

/* As do_drop, but whatever the share of the file, and neither held nor put into the trash. */
int retention_make_room(struct store *store, uint64_t fp, int64_t before_ms, bool dry,
                        struct removal *dropped, struct error *err)
{
    const struct drop_order order = {.fp = fp, .before_ms = before_ms};
    struct volume *volume = store->folder->volume;
    bool sync = store->options.series_sync != SERIES_SYNC_NEVER;
    struct drop_work work;
    int result;

    *dropped = (struct removal){0};
    if (!begin_drop(store, &order, &work))
        return 0;
    result = plan_by_ratio(store, &work, 0, true, err);
    if (result == 0)
        *dropped = work.count.removed;
    if (result == 0 && dropped->series != 0 && !dry) {
        if (series_file_drop_write(volume, &work.drop, NULL, sync, err) == 0 &&
            series_file_drop_publish(volume, &work.drop, sync, err) == 0)
            return settle_drop(store, &work);
        result = -1;
    }
    end_drop(store, &work, TIDE_EARLIEST_MS);
    if (result == 0)
        return 0;
    *dropped = (struct removal){0};
    if (err->code == ERR_CORRUPT && !dry)
        report_damage(store, fp, err->text);
    return err->code == ERR_IO ? -1 : 0;
}
