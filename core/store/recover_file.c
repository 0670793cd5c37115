/* recover_file.c - one series file after a crash: what of it is believed, and how it is brought to
 * agree with what heads.db has of the series (engine-design 7, step 2).
 *
 * Records that heads.db counts are believed; those behind them only after decoding. A damaged
 * record costs itself: the file is written anew without it, and what heads.db has for its time goes
 * into its place. Damaged records at the end are cut off. What heads.db holds behind the file's
 * last sample is kept, by sample: a head may have been re-encoded into other chunks before a part
 * of it was persisted. */
#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "store/recover.h"

/* What became of the records of a file. */
struct file_check {
    uint64_t fp;
    uint64_t whole;  /* whole records in the file */
    uint64_t chunks; /* that stay */
    bool *bad;       /* by record, from `from` on; NULL: all of them are believed */
    uint64_t from;
    uint64_t first_bad; /* `whole`: none */
    uint64_t last_good; /* index + 1 of the last sound one; 0: none */
};

/* --- which records are sound --------------------------------------------------------------------
 */

/* Is the record what it says? `after`: it must begin later. */
static bool record_is_sound(const uint8_t *bytes, const struct series_record *after,
                            struct series_record *record)
{
    *record = series_record_get(bytes);
    return (after == NULL || record->first_ms > after->last_ms) &&
           series_record_is_sound(bytes, record);
}

static void judge_record(struct file_check *check, uint64_t index, const uint8_t *bytes,
                         struct series_record *before, bool *any_before)
{
    struct series_record record;
    bool good;

    if (index < check->from) { /* believed: it is only there for the order of time */
        *before = series_record_get(bytes);
        *any_before = true;
        return;
    }
    good = record_is_sound(bytes, *any_before ? before : NULL, &record);
    check->bad[index - check->from] = !good;
    if (good) {
        *before = record;
        *any_before = true;
        check->chunks++;
        check->last_good = index + 1;
    } else if (check->first_bad == check->whole) {
        check->first_bad = index;
    }
}

/* Looks at the records from `trusted` on. */
static int judge_records(struct recovery *recovery, struct file_check *check, uint64_t trusted,
                         struct error *err)
{
    uint8_t *records;
    uint64_t index = trusted > 0 ? trusted - 1 : 0;
    struct series_record before = {0};
    bool any_before = false;
    int result = 0;

    check->first_bad = check->whole;
    check->from = TIDE_MIN(trusted, check->whole);
    check->chunks = check->from;
    check->last_good = check->from;
    if (check->from == check->whole)
        return 0;
    records = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
    check->bad = mem_zalloc((size_t)(check->whole - check->from), sizeof(*check->bad));
    while (result == 0 && index < check->whole) {
        size_t count = (size_t)TIDE_MIN(check->whole - index, (uint64_t)SERIES_BATCH_RECORDS);

        result = series_file_read(recovery->volume, check->fp, index, count, records, err);
        for (size_t i = 0; result == 0 && i < count; i++)
            judge_record(check, index + i, records + i * SERIES_RECORD_BYTES, &before, &any_before);
        index += count;
    }
    mem_free(records);
    return result;
}

/* --- mending ------------------------------------------------------------------------------------
 */

static int cut_file(struct recovery *recovery, uint64_t fp, uint64_t chunks, const char *why,
                    struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];

    recovery->done.mended++;
    series_file_name(name, fp);
    log_warn("a series file is cut back", "file=%s chunks=%" PRIu64 " why=\"%s\"", name, chunks,
             why);
    return recovery->volume->truncate(recovery->volume, name, chunks * SERIES_RECORD_BYTES, err);
}

/* All samples of chunks and head with from_ms <= time <= to_ms. */
static void collect_samples(const struct series *series, int64_t from_ms, int64_t to_ms,
                            struct columns *out)
{
    uint8_t head[CHUNK_BYTES];
    struct error problem;

    for (uint32_t i = 0; i < series->chunk_count; i++) {
        const struct full_chunk *chunk = series->chunks[i];

        if (chunk->last_ms >= from_ms && chunk->first_ms <= to_ms)
            (void)!read_chunk(chunk->encoding, chunk->payload, CHUNK_BYTES, from_ms, to_ms, 0, out,
                              &problem);
    }
    if (series_has_head(series) && series->head.last_ms >= from_ms &&
        series->head.first_ms <= to_ms) {
        size_t len = chunk_head_snapshot(&series->head, head);

        (void)!read_chunk(series->head.encoding, head, len, from_ms, to_ms, 0, out, &problem);
    }
}

static void put_record(struct buf *out, int encoding, int64_t first_ms, int64_t last_ms,
                       const uint8_t *payload)
{
    struct series_chunk chunk = {first_ms, last_ms, payload, (uint8_t)encoding};

    series_record_put(buf_reserve(out, SERIES_RECORD_BYTES), &chunk);
    out->len += SERIES_HEADER_BYTES;
    buf_append(out, payload, CHUNK_BYTES);
}

static void take_complete(void *ctx, const struct chunk_complete *complete)
{
    put_record(ctx, (int)complete->encoding, complete->first_ms, complete->last_ms,
               complete->payload);
}

/* Samples as records. */
static int encode_samples(struct recovery *recovery, const struct columns *samples, struct buf *out,
                          struct error *err)
{
    enum chunk_encoding encoding = (enum chunk_encoding)recovery->store->options.chunk_encoding;
    struct chunk_writer writer = {.default_encoding = encoding,
                                  .mode = CHUNK_EXACT,
                                  .ctx = out,
                                  .resize = chunk_resize_heap,
                                  .complete = take_complete};
    uint8_t payload[CHUNK_BYTES];
    struct chunk_head head;
    size_t added;

    chunk_head_init(&head, encoding);
    added = chunk_head_append_all(&head, &writer, samples->times_ms, samples->values, samples->len,
                                  err);
    if (!chunk_head_is_empty(&head)) {
        chunk_head_payload(&head, payload);
        put_record(out, head.encoding, head.first_ms, head.last_ms, payload);
    }
    chunk_head_destroy(&head, &writer);
    return added == samples->len ? 0 : -1;
}

/* What heads.db has for the time between two sound records, as records. */
static int fill_hole(struct recovery *recovery, uint64_t fp, int64_t after_ms, int64_t before_ms,
                     struct buf *out, struct error *err)
{
    struct columns samples = {0};
    struct stripe *stripe;
    struct series *series = lock_fp(recovery->store, fp, &stripe);
    int result = 0;

    if (series != NULL && !series->archived && after_ms < before_ms - 1)
        collect_samples(series, after_ms == TIDE_EARLIEST_MS ? after_ms : after_ms + 1,
                        before_ms - 1, &samples);
    if (series != NULL)
        lock_release(&stripe->stripe_lock);
    if (samples.len != 0)
        result = encode_samples(recovery, &samples, out, err);
    columns_destroy(&samples);
    return result;
}

/* The file without its damaged records, into the writer; *chunks: how many it has then. */
static int write_mended(struct recovery *recovery, const struct file_check *check,
                        struct volume_writer *writer, uint64_t *chunks, struct error *err)
{
    uint8_t *bytes = mem_alloc(SERIES_RECORD_BYTES);
    struct buf filling = {0};
    char name[SERIES_FILE_NAME_BYTES];
    int64_t after_ms = TIDE_EARLIEST_MS;
    bool hole = false;
    int result = 0;

    series_file_name(name, check->fp);
    if (check->from > 0)
        result = writer->copy(writer, name, 0, check->from * SERIES_RECORD_BYTES, err);
    if (result == 0 && check->from > 0) {
        result = series_file_read(recovery->volume, check->fp, check->from - 1, 1, bytes, err);
        after_ms = series_record_get(bytes).last_ms;
    }
    *chunks = check->from;
    for (uint64_t i = check->from; i < check->last_good && result == 0; i++) {
        if (check->bad[i - check->from]) {
            hole = true;
            continue;
        }
        result = series_file_read(recovery->volume, check->fp, i, 1, bytes, err);
        if (result == 0 && hole)
            result = fill_hole(recovery, check->fp, after_ms, series_record_get(bytes).first_ms,
                               &filling, err);
        if (result == 0 && filling.len != 0)
            result = writer->write(writer, filling.data, filling.len, err);
        if (result == 0)
            result = writer->write(writer, bytes, SERIES_RECORD_BYTES, err);
        *chunks += filling.len / SERIES_RECORD_BYTES + 1;
        filling.len = 0;
        hole = false;
        after_ms = series_record_get(bytes).last_ms;
    }
    buf_destroy(&filling);
    mem_free(bytes);
    return result == 0 ? writer->finish(writer, true, err) : -1;
}

static int mend_file(struct recovery *recovery, struct file_check *check, struct error *err)
{
    struct volume_writer *writer;
    char name[SERIES_FILE_NAME_BYTES];

    recovery->done.mended++;
    series_file_name(name, check->fp);
    writer = recovery->volume->replace(recovery->volume, name, err);
    if (writer == NULL)
        return -1;
    if (write_mended(recovery, check, writer, &check->chunks, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    log_warn("damaged chunks are taken out of a series file",
             "file=%s chunks=%" PRIu64 " before=%" PRIu64, name, check->chunks, check->whole);
    return writer->publish(writer, true, NULL, err);
}

/* Headers of records that nobody decodes decide what of heads.db is kept: the first and the last
 * one must be sound, or none is believed. */
static int doubt_ends(struct recovery *recovery, uint64_t fp, uint64_t *trusted, struct error *err)
{
    uint8_t bytes[SERIES_RECORD_BYTES];
    struct series_record record;

    if (*trusted == 0)
        return 0;
    if (series_file_read(recovery->volume, fp, *trusted - 1, 1, bytes, err) != 0)
        return -1;
    if (record_is_sound(bytes, NULL, &record) && *trusted > 1 &&
        series_file_read(recovery->volume, fp, 0, 1, bytes, err) != 0)
        return -1;
    if (!record_is_sound(bytes, NULL, &record))
        *trusted = 0;
    return 0;
}

/* A file whose metric is known. *chunks: what it has now. 0; 1: nothing is left of the file; -1 */
static int check_file(struct recovery *recovery, const struct found_file *file, uint64_t trusted,
                      uint64_t *chunks, struct error *err)
{
    struct file_check check = {.fp = file->fp, .whole = file->stat.size / SERIES_RECORD_BYTES};
    int result;

    trusted = TIDE_MIN(trusted, check.whole);
    result = doubt_ends(recovery, file->fp, &trusted, err);
    if (result == 0)
        result = judge_records(recovery, &check, trusted, err);
    if (result == 0 && check.chunks == 0)
        result = 1;
    else if (result == 0 && check.first_bad < check.last_good)
        result = mend_file(recovery, &check, err);
    else if (result == 0 && check.chunks < check.whole)
        result = cut_file(recovery, file->fp, check.chunks, "a record is damaged", err);
    else if (result == 0 && file->stat.size % SERIES_RECORD_BYTES != 0)
        result = cut_file(recovery, file->fp, check.chunks, "the last record is cut off", err);
    mem_free(check.bad);
    *chunks = check.chunks;
    return result;
}

/* --- stitching
 * --------------------------------------------------------------------------------------------- */

static void count_memory(struct store *store, const struct series *series, int64_t sign)
{
    gauge_count(&store->counters.chunks, sign * (int64_t)series->chunk_count);
    gauge_count(&store->counters.chunks_to_persist,
                sign * (int64_t)(series->chunk_count - series->persisted));
    gauge_count(&store->counters.open_heads, sign * (int64_t)series_has_head(series));
}

/* Leaves of what is in memory only the samples after the file's last one. */
static int keep_newer(struct store *store, struct series *series, int64_t after_ms,
                      struct error *err)
{
    struct columns samples = {0};
    int result = 0;

    if (series_first_in_memory(series) > after_ms)
        return 0;
    collect_samples(series, after_ms + 1, TIDE_LATEST_MS, &samples);
    count_memory(store, series, -1);
    series_close_head(&store->pool, series);
    series_drop_chunks(&store->pool, series, series->chunk_count);
    series->persisted = 0;
    for (size_t i = 0; i < samples.len && result >= 0; i++)
        result = series_append(&store->pool, series, store->options.chunk_encoding,
                               samples.times_ms[i], samples.values[i], err);
    count_memory(store, series, 1);
    columns_destroy(&samples);
    return result < 0 ? -1 : 0;
}

/* The series of heads.db over the file as it is now. Its stripe is locked. */
static int stitch_locked(struct recovery *recovery, struct series *series, uint64_t chunks,
                         int64_t mtime_ns, const struct series_record *first,
                         const struct series_record *last, struct error *err)
{
    struct store *store = recovery->store;

    if (keep_newer(store, series, last->last_ms, err) != 0)
        return -1;
    series->file_chunks = (int32_t)TIDE_MIN(chunks, (uint64_t)INT32_MAX);
    series->mtime_ns = mtime_ns;
    series->tail_first_ms = last->first_ms;
    series->first_ms = first->first_ms;
    series->first_known = true;
    series->has_samples = true;
    if (series_has_head(series) || series->chunk_count != 0) {
        series->last_ms = series_has_head(series)
                              ? series->head.last_ms
                              : series->chunks[series->chunk_count - 1]->last_ms;
    } else {
        series->last_ms = last->last_ms;
        series->value_known = false;
    }
    series_mark_dirty(store, series);
    return 0;
}

static bool is_believed(const struct recovery *recovery, const struct series *series,
                        const struct found_file *file)
{
    return !recovery->store->options.pedantic && series->file_chunks >= 0 &&
           file->stat.size == (uint64_t)series->file_chunks * SERIES_RECORD_BYTES &&
           file->stat.mtime_ns == series->mtime_ns;
}

/* --- the whole file
 */

/* First time of the file and the whole last record's header. */
static int read_ends(struct recovery *recovery, uint64_t fp, uint64_t chunks,
                     struct series_record *first, struct series_record *last, struct error *err)
{
    uint8_t bytes[SERIES_RECORD_BYTES];

    if (series_file_read(recovery->volume, fp, 0, 1, bytes, err) != 0)
        return -1;
    *first = series_record_get(bytes);
    if (series_file_read(recovery->volume, fp, chunks - 1, 1, bytes, err) != 0)
        return -1;
    *last = series_record_get(bytes);
    return 0;
}

static void forget_file(struct recovery *recovery, uint64_t fp)
{
    struct stripe *stripe;
    struct series *series = lock_fp(recovery->store, fp, &stripe);

    TIDE_ASSERT(series != NULL);
    recovery_forget_file_locked(recovery, series);
    lock_release(&stripe->stripe_lock);
}

static int recover_active(struct recovery *recovery, struct found_file *file, uint64_t trusted,
                          int64_t boundary_ms, struct error *err)
{
    struct series_record first, last;
    struct series_file_stat stat;
    struct stripe *stripe;
    struct series *series;
    uint64_t chunks;
    int result = recovery_cut_covered(recovery, file, boundary_ms, err);

    if (result == 0 && file->stat.size == 0 && boundary_ms != TIDE_LATEST_MS &&
        recovery->store->folder->log_covers) {
        forget_file(recovery, file->fp);
        return 0;
    }
    if (result == 0)
        result = check_file(recovery, file, trusted, &chunks, err);
    if (result != 0)
        return result;
    if (series_file_stat(recovery->volume, file->fp, &stat, err) != 0 ||
        read_ends(recovery, file->fp, chunks, &first, &last, err) != 0)
        return -1;
    series = lock_fp(recovery->store, file->fp, &stripe);
    TIDE_ASSERT(series != NULL);
    result = stitch_locked(recovery, series, chunks, stat.mtime_ns, &first, &last, err);
    lock_release(&stripe->stripe_lock);
    recovery->done.stitched++;
    return result;
}

/* Does the file end where the archive says? Then it is believed. 1: yes; 0: no; -1 with err */
static int archive_agrees(struct recovery *recovery, const struct found_file *file, int64_t last_ms,
                          struct error *err)
{
    uint64_t chunks = file->stat.size / SERIES_RECORD_BYTES;
    uint8_t bytes[SERIES_RECORD_BYTES];
    struct series_record record;

    if (recovery->store->options.pedantic || chunks == 0 ||
        file->stat.size % SERIES_RECORD_BYTES != 0)
        return 0;
    if (series_file_read(recovery->volume, file->fp, chunks - 1, 1, bytes, err) != 0)
        return -1;
    return record_is_sound(bytes, NULL, &record) && record.last_ms == last_ms;
}

/* An archived one: its range is that of its file. `last_ms`: TIDE_EARLIEST_MS when not known. */
static int recover_archived(struct recovery *recovery, struct found_file *file, int64_t last_ms,
                            struct error *err)
{
    bool pedantic = recovery->store->options.pedantic;
    struct series_record first, last;
    struct stripe *stripe;
    struct series *series;
    uint64_t chunks;
    int result = archive_agrees(recovery, file, last_ms, err);

    if (result != 0)
        return result < 0 ? -1 : 0;
    if (last_ms != TIDE_EARLIEST_MS && recovery_cut_covered(recovery, file, last_ms, err) != 0)
        return -1;
    result = check_file(recovery, file, pedantic ? 0 : file->stat.size / SERIES_RECORD_BYTES,
                        &chunks, err);
    if (result != 0)
        return result;
    if (read_ends(recovery, file->fp, chunks, &first, &last, err) != 0)
        return -1;
    series = lock_fp(recovery->store, file->fp, &stripe);
    TIDE_ASSERT(series != NULL);
    series->first_ms = first.first_ms;
    series->last_ms = last.last_ms;
    series->first_known = true;
    series->has_samples = true;
    archive_put_range(&recovery->archive, file->fp, first.first_ms, last.last_ms);
    lock_release(&stripe->stripe_lock);
    return 0;
}

void recovery_quarantine(struct recovery *recovery, uint64_t fp, const struct labels *labels,
                         const char *reason)
{
    struct error problem;

    recovery->done.quarantined++;
    counter_add(&recovery->store->counters.quarantined, 1);
    log_warn("a series file is quarantined", "fp=%016" PRIx64 " reason=\"%s\"", fp, reason);
    if (quarantine_series(recovery->volume, fp, labels, reason, &problem) != 0)
        log_error("it could not be moved", "fp=%016" PRIx64 " problem=\"%s\"", fp, problem.text);
}

/* Nothing usable in the file of a series: what is in memory goes on without it. */
static int lose_file(struct recovery *recovery, uint64_t fp)
{
    struct stripe *stripe;
    struct series *series = lock_fp(recovery->store, fp, &stripe);
    struct labels *labels = series_labels_locked(recovery->store, series);

    if (!series->archived)
        recovery_forget_file_locked(recovery, series);
    if (series->archived || (series->chunk_count == 0 && !series_has_head(series)))
        recovery_gone_locked(recovery, series);
    lock_release(&stripe->stripe_lock);
    recovery_quarantine(recovery, fp, labels, "no sound chunk in the series file");
    labels_unref(labels);
    return 0;
}

void recovery_forget_file_locked(struct recovery *recovery, struct series *series)
{
    series->file_chunks = 0;
    series->mtime_ns = MTIME_UNKNOWN;
    series_set_first(series, series_first_in_memory(series));
    series_mark_dirty(recovery->store, series);
}

int recovery_known_file(struct recovery *recovery, struct found_file *file, struct error *err)
{
    struct stripe *stripe;
    struct series *series = lock_fp(recovery->store, file->fp, &stripe);
    int64_t last_ms = TIDE_EARLIEST_MS, boundary_ms;
    bool archived, believed;
    uint64_t trusted = 0;
    int result = 0;

    if (series == NULL)
        return 1;
    archived = series->archived;
    if (series->has_samples)
        last_ms = series->last_ms;
    boundary_ms = recovery_boundary_locked(series);
    believed = !archived && is_believed(recovery, series, file);
    if (!archived && !recovery->store->options.pedantic && series->file_chunks > 0)
        trusted = (uint64_t)series->file_chunks;
    lock_release(&stripe->stripe_lock);
    if (archived)
        result = recover_archived(recovery, file, last_ms, err);
    else if (!believed)
        result = recover_active(recovery, file, trusted, boundary_ms, err);
    return result == 1 ? lose_file(recovery, file->fp) : result;
}

int recovery_adopt(struct recovery *recovery, uint64_t fp, const struct labels *labels,
                   struct error *err)
{
    struct found_file file = {.fp = fp};
    struct stripe *stripe;
    struct series *series;
    char name[SERIES_FILE_NAME_BYTES];
    int result;

    series_file_name(name, fp);
    if (recovery->volume->stat(recovery->volume, name, &file.stat, err) != 0)
        return -1;
    if (labels_count(labels) > UINT16_MAX ||
        load_series(recovery->store, fp, labels, false) == NULL)
        return 1;
    result = recover_active(recovery, &file, 0, TIDE_LATEST_MS, err);
    if (result == 0) {
        recovery->done.found_again++;
        log_warn("the metric of a series file was found again", "fp=%016" PRIx64, fp);
        return 0;
    }
    series = lock_fp(recovery->store, fp, &stripe);
    TIDE_ASSERT(series != NULL);
    series_purge_locked(recovery->store, stripe, series);
    lock_release(&stripe->stripe_lock);
    return result;
}
