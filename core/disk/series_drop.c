/* Drop and persist: series_file.h, second half. */
#include <math.h>

#include "base/mem.h"
#include "disk/series_file.h"

/* Room for the headers of one batch with what is between them. */
#define BATCH_BYTES ((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES)

/* Everything in the file goes; `skip` of the new chunks are too old as well. */
static void plan_all_old(struct series_drop *drop, const struct series_chunk *chunks, size_t count,
                         size_t skip)
{
    drop->dropped = drop->chunks_before + skip;
    drop->keep_from = drop->chunks_before;
    drop->new_skipped = skip;
    drop->new_count = count - skip;
    drop->offset = 0;
    if (skip == count) {
        drop->action =
            drop->stat.mtime_ns == SERIES_MTIME_NONE ? SERIES_DROP_NOTHING : SERIES_DROP_DELETE;
        drop->all_dropped = true;
        return;
    }
    drop->action = SERIES_DROP_REWRITE;
    drop->first_ms = chunks[skip].first_ms;
}

/* The file stays as it is; the new chunks are appended. */
static void plan_append(struct series_drop *drop, int64_t first_ms, size_t count)
{
    drop->action = count > 0 ? SERIES_DROP_APPEND : SERIES_DROP_NOTHING;
    drop->offset = drop->chunks_before;
    drop->first_ms = first_ms;
}

/* First chunk from `start` on that ends at `before_ms` or later; chunks_before if there is none. */
static int find_first_kept(struct volume *volume, const struct series_drop *drop, uint64_t start,
                           int64_t before_ms, uint64_t *kept, int64_t *first_ms, struct error *err)
{
    uint8_t *bytes = mem_alloc(BATCH_BYTES);
    uint64_t index = start;
    int status = 0;

    *kept = drop->chunks_before;
    while (index < drop->chunks_before && *kept == drop->chunks_before && status == 0) {
        size_t n = (size_t)TIDE_MIN(drop->chunks_before - index, (uint64_t)SERIES_BATCH_RECORDS);
        size_t i;

        status = series_file_read(volume, drop->fp, index, n, bytes, err);
        for (i = 0; i < n && status == 0; i++) {
            struct series_record record = series_record_get(bytes + i * SERIES_RECORD_BYTES);

            if (record.last_ms >= before_ms) {
                *kept = index + i;
                *first_ms = record.first_ms;
                break;
            }
        }
        index += n;
    }
    mem_free(bytes);
    return status;
}

static int read_first(struct volume *volume, uint64_t fp, int64_t *first_ms, struct error *err)
{
    uint8_t record[SERIES_RECORD_BYTES];

    if (series_file_read(volume, fp, 0, 1, record, err) != 0)
        return -1;
    *first_ms = series_record_get(record).first_ms;
    return 0;
}

/* The chunk where the search begins: fewer than that are not worth a rewrite. */
static int start_of(const struct series_drop *drop, size_t count, double min_ratio, uint64_t *start,
                    struct error *err)
{
    double limit = 0;

    if (min_ratio < 1)
        limit = floor((double)(drop->chunks_before + count) * min_ratio);
    if (isnan(min_ratio) || limit < 0)
        return error_set(err, ERR_INVALID, "shrink ratio %g is not between 0 and 1", min_ratio);
    *start = TIDE_MIN((uint64_t)limit, drop->chunks_before - 1);
    return 0;
}

static int plan_by_file(struct volume *volume, struct series_drop *drop, int64_t before_ms,
                        double min_ratio, const struct series_chunk *chunks, size_t count,
                        struct error *err)
{
    int64_t first_ms = 0;
    uint64_t start = 0, kept;

    if (start_of(drop, count, min_ratio, &start, err) != 0 ||
        find_first_kept(volume, drop, start, before_ms, &kept, &first_ms, err) != 0)
        return -1;
    if (kept == drop->chunks_before) {
        plan_all_old(drop, chunks, count, 0);
    } else if (kept == start) {
        if (start > 0 && read_first(volume, drop->fp, &first_ms, err) != 0)
            return -1;
        plan_append(drop, first_ms, count);
    } else {
        drop->action = SERIES_DROP_REWRITE;
        drop->dropped = kept;
        drop->keep_from = kept;
        drop->offset = drop->chunks_before - kept;
        drop->first_ms = first_ms;
    }
    return 0;
}

static int check_file(const struct series_drop *drop, uint64_t expected_chunks, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];

    series_file_name(name, drop->fp);
    if (expected_chunks != SERIES_CHUNKS_ANY && expected_chunks != drop->chunks_before)
        return error_set(err, ERR_CONFLICT,
                         "%s has %" PRIu64 " chunks where %" PRIu64 " were expected", name,
                         drop->chunks_before, expected_chunks);
    if (drop->stat.rest_bytes != 0)
        return error_set(err, ERR_CORRUPT, "%s: its size is no multiple of %d (%u bytes too many)",
                         name, SERIES_RECORD_BYTES, drop->stat.rest_bytes);
    return 0;
}

int series_file_drop_plan(struct volume *volume, uint64_t fp, uint64_t expected_chunks,
                          int64_t before_ms, double min_ratio, const struct series_chunk *chunks,
                          size_t count, struct series_drop *drop, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];
    size_t old = 0;

    *drop = (struct series_drop){.fp = fp, .new_count = count};
    series_file_name(name, fp);
    if (series_file_stat(volume, fp, &drop->stat, err) != 0)
        return -1;
    drop->chunks_before = drop->stat.chunks;
    if (check_file(drop, expected_chunks, err) != 0)
        return -1;
    while (old < count && chunks[old].last_ms < before_ms)
        old++;
    /* What is older than a new chunk that is too old is too old. */
    if (old > 0 || (count > 0 && chunks[0].first_ms < before_ms)) {
        plan_all_old(drop, chunks, count, old);
        return 0;
    }
    if (drop->stat.mtime_ns == SERIES_MTIME_NONE) {
        if (count == 0)
            drop->all_dropped = true;
        else
            plan_append(drop, chunks[0].first_ms, count);
        return 0;
    }
    if (drop->chunks_before == 0)
        return error_set(err, ERR_CORRUPT, "%s is empty", name);
    return plan_by_file(volume, drop, before_ms, min_ratio, chunks, count, err);
}

/* --- the steps ----------------------------------------------------------------------------------
 */

void series_file_drop_discard(struct series_drop *drop)
{
    if (drop->replacement != NULL)
        drop->replacement->discard(drop->replacement);
    drop->replacement = NULL;
}

int series_records_write(struct volume_writer *writer, const struct series_chunk *chunks,
                         size_t count, struct error *err)
{
    uint8_t *bytes = mem_alloc(BATCH_BYTES);
    size_t done = 0;
    int status = 0;

    while (done < count && status == 0) {
        size_t n = TIDE_MIN(count - done, (size_t)SERIES_BATCH_RECORDS);
        size_t i;

        for (i = 0; i < n; i++) {
            uint8_t *record = bytes + i * SERIES_RECORD_BYTES;

            series_record_put(record, &chunks[done + i]);
            memcpy(record + SERIES_HEADER_BYTES, chunks[done + i].payload, SERIES_PAYLOAD_BYTES);
        }
        status = writer->write(writer, bytes, n * SERIES_RECORD_BYTES, err);
        done += n;
    }
    mem_free(bytes);
    return status;
}

static int write_replacement(struct volume *volume, struct series_drop *drop,
                             const struct series_chunk *chunks, bool sync, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];
    uint64_t kept = drop->chunks_before - drop->keep_from;
    struct volume_writer *writer;

    series_file_name(name, drop->fp);
    writer = volume->replace(volume, name, err);
    if (writer == NULL)
        return -1;
    drop->replacement = writer;
    if ((kept > 0 && writer->copy(writer, name, drop->keep_from * SERIES_RECORD_BYTES,
                                  kept * SERIES_RECORD_BYTES, err) != 0) ||
        (drop->new_count > 0 &&
         series_records_write(writer, chunks + drop->new_skipped, drop->new_count, err) != 0) ||
        writer->finish(writer, sync, err) != 0) {
        series_file_drop_discard(drop);
        return -1;
    }
    return 0;
}

int series_file_drop_write(struct volume *volume, struct series_drop *drop,
                           const struct series_chunk *chunks, bool sync, struct error *err)
{
    switch (drop->action) {
    case SERIES_DROP_APPEND:
        return series_file_append(volume, drop->fp, drop->chunks_before, chunks, drop->new_count,
                                  sync, &drop->stat, err);
    case SERIES_DROP_REWRITE:
        return write_replacement(volume, drop, chunks, sync, err);
    case SERIES_DROP_NOTHING:
    case SERIES_DROP_DELETE:
        break;
    }
    return 0;
}

static int publish_delete(struct volume *volume, struct series_drop *drop, bool sync_folder,
                          struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];

    if (series_file_delete(volume, drop->fp, err) != 0)
        return -1;
    drop->stat = (struct series_file_stat){.mtime_ns = SERIES_MTIME_NONE};
    series_file_name(name, drop->fp);
    name[2] = '\0';
    return sync_folder ? volume->sync_folder(volume, name, err) : 0;
}

int series_file_drop_publish(struct volume *volume, struct series_drop *drop, bool sync_folder,
                             struct error *err)
{
    struct volume_writer *writer = drop->replacement;
    struct volume_stat file;

    if (drop->action == SERIES_DROP_DELETE)
        return publish_delete(volume, drop, sync_folder, err);
    if (drop->action != SERIES_DROP_REWRITE)
        return 0;
    drop->replacement = NULL;
    if (writer->publish(writer, sync_folder, &file, err) != 0)
        return -1;
    drop->stat = (struct series_file_stat){.chunks = file.size / SERIES_RECORD_BYTES,
                                           .mtime_ns = file.mtime_ns};
    return 0;
}

int series_file_drop(struct volume *volume, uint64_t fp, uint64_t expected_chunks,
                     int64_t before_ms, double min_ratio, const struct series_chunk *chunks,
                     size_t count, bool sync, struct series_drop *drop, struct error *err)
{
    if (series_file_drop_plan(volume, fp, expected_chunks, before_ms, min_ratio, chunks, count,
                              drop, err) != 0 ||
        series_file_drop_write(volume, drop, chunks, sync, err) != 0)
        return -1;
    return series_file_drop_publish(volume, drop, sync, err);
}
