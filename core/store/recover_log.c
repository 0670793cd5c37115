/* recover_log.c - what the log covers need not be believed of the files (engine-design 7).
 *
 * Storage version 1 has no checksums: a record that was appended and never synced may have lost
 * blocks in its middle and decode all the same. So when the log is whole and goes on from this very
 * heads.db, records that begin behind what heads.db (or the archive) counts as persisted are cut
 * off: their samples are in heads.db or in the log, since the log is synced before files are
 * written (I8). A record that straddles that time was written by a merge, whole and synced before
 * it got its name, and stays. */
#include "base/logger.h"
#include "base/mem.h"
#include "store/recover.h"

int64_t recovery_boundary_locked(const struct series *series)
{
    int64_t first_ms = series->archived ? TIDE_LATEST_MS : series_first_in_memory(series);

    if (first_ms != TIDE_LATEST_MS)
        return first_ms == TIDE_EARLIEST_MS ? first_ms : first_ms - 1;
    return series->has_samples ? series->last_ms : TIDE_LATEST_MS;
}

/* Number of records that begin at or before a time. They are in order of it, but for those that
 * were never synced and may be anything: what is out of order ends the count. */
static int count_kept(struct recovery *recovery, uint64_t fp, uint64_t chunks, int64_t boundary_ms,
                      uint64_t *kept, struct error *err)
{
    int64_t before_ms = TIDE_EARLIEST_MS;

    for (*kept = 0; *kept < chunks;) {
        uint64_t to = TIDE_MIN(chunks, *kept + SERIES_BATCH_RECORDS);
        struct series_record *records = NULL;
        size_t count = 0, good = 0;

        if (series_file_load(recovery->volume, fp, *kept, to, &records, &count, err) != 0)
            return -1;
        while (good < count && records[good].first_ms <= boundary_ms &&
               (records[good].first_ms > before_ms || *kept + good == 0))
            before_ms = records[good++].last_ms;
        mem_free(records);
        *kept += good;
        if (good < count || count == 0)
            return 0;
    }
    return 0;
}

int recovery_cut_covered(struct recovery *recovery, struct found_file *file, int64_t boundary_ms,
                         struct error *err)
{
    uint64_t chunks = file->stat.size / SERIES_RECORD_BYTES, kept;
    char name[SERIES_FILE_NAME_BYTES];

    if (!recovery->store->folder->log_covers || boundary_ms == TIDE_LATEST_MS)
        return 0;
    series_file_name(name, file->fp);
    if (file->stat.size % SERIES_RECORD_BYTES != 0 &&
        recovery->volume->truncate(recovery->volume, name, chunks * SERIES_RECORD_BYTES, err) != 0)
        return -1;
    file->stat.size = chunks * SERIES_RECORD_BYTES;
    if (count_kept(recovery, file->fp, chunks, boundary_ms, &kept, err) != 0)
        return -1;
    if (kept == chunks)
        return 0;
    log_debug("records that the log covers are cut off a series file",
              "file=%s chunks=%" PRIu64 " of=%" PRIu64, name, kept, chunks);
    file->stat.size = kept * SERIES_RECORD_BYTES;
    if (kept == 0)
        return recovery->volume->remove(recovery->volume, name, err);
    return recovery->volume->truncate(recovery->volume, name, file->stat.size, err);
}
