/* recover.c - after a crash: files, heads.db and archive are brought to agree (engine-design 7).
 *
 * Single-threaded, before any push or query; heads.db and the archive are loaded already.
 * 1. Every series file is looked at. One that is as heads.db says is believed. Otherwise records
 *    behind those that heads.db counts are believed only after decoding, the file is cut at the
 *    first bad one, and what heads.db holds is kept from the first sample on that is newer than the
 *    file's last: by sample, since a head may have been re-encoded into other chunks before a part
 *    of it was persisted.
 * 2. Files without a metric: looked up in the checkpoint before and in the label index
 *    (recover_orphans.c); only then quarantined.
 * 3. Series without their file keep what is in memory; with nothing there they go. */
#include "store/recover.h"

#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/mappings.h"
#include "model/fingerprint.h"

/* --- names of files
 * ---------------------------------------------------------------------------------- */

/* One file of a folder. */
struct found_file {
    uint64_t fp;
    struct volume_stat stat;
};

struct folder_scan {
    struct recovery *recovery;
    const char *folder;
    struct found_file *files;
    size_t count;
    size_t cap;
    struct buf strange; /* terminated names of files that are none of ours */
};

static int see_entry(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct folder_scan *scan = ctx;
    uint64_t fp;

    (void)err;
    if (entry->stat.is_folder)
        return 0;
    if (!series_file_parse(scan->folder, entry->name, &fp)) {
        buf_append(&scan->strange, entry->name, strlen(entry->name) + 1);
        return 0;
    }
    if (scan->count == scan->cap) {
        scan->cap = scan->cap != 0 ? scan->cap * 2 : 64;
        scan->files = mem_realloc(scan->files, scan->cap * sizeof(*scan->files));
    }
    scan->files[scan->count++] = (struct found_file){fp, entry->stat};
    return 0;
}

/* The format has no other names here, and the original removes them: left-overs of rewrites. */
static void remove_strange(struct folder_scan *scan)
{
    struct volume *volume = scan->recovery->volume;

    for (size_t at = 0; at < scan->strange.len;) {
        const char *name = (const char *)scan->strange.data + at;
        char path[VOLUME_NAME_MAX + 1];
        struct error problem;
        int len = snprintf(path, sizeof(path), "%s/%s", scan->folder, name);

        at += strlen(name) + 1;
        scan->recovery->done->strange++;
        if (len < 0 || (size_t)len >= sizeof(path))
            continue;
        log_warn("a file that is no series file is removed", "file=\"%s\"", path);
        if (volume->remove(volume, path, &problem) != 0)
            log_warn("it could not be removed", "file=\"%s\" problem=\"%s\"", path, problem.text);
    }
}

/* --- one file
 * ------------------------------------------------------------------------------------------ */

/* Is the record what it says? `after_ms`: it must begin later. */
static bool record_is_sound(const uint8_t *bytes, const struct series_record *after,
                            struct series_record *record)
{
    struct chunk_summary summary;
    struct error problem;

    *record = series_record_get(bytes);
    return (after == NULL || record->first_ms > after->last_ms) &&
           chunk_check(record->encoding, bytes + SERIES_HEADER_BYTES, CHUNK_BYTES, &summary,
                       &problem) == 0 &&
           summary.first_ms == record->first_ms && summary.last_ms == record->last_ms;
}

/* Counts the sound records of a file from `trusted` on: all behind the first bad one are lost. */
static int count_sound(struct recovery *recovery, uint64_t fp, uint64_t chunks, uint64_t trusted,
                       uint64_t *sound, struct error *err)
{
    uint8_t *records = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
    uint64_t index = trusted > 0 ? trusted - 1 : 0; /* the one before, for the order of time */
    struct series_record before, record;
    bool first = true, good = true;
    int result = 0;

    *sound = trusted;
    while (good && index < chunks) {
        size_t count = (size_t)TIDE_MIN(chunks - index, (uint64_t)SERIES_BATCH_RECORDS);

        result = series_file_read(recovery->volume, fp, index, count, records, err);
        if (result != 0)
            break;
        for (size_t i = 0; i < count && good; i++, index++) {
            const uint8_t *bytes = records + i * SERIES_RECORD_BYTES;

            if (index < trusted) {
                record = series_record_get(bytes);
            } else {
                good = record_is_sound(bytes, first ? NULL : &before, &record);
                *sound += good;
            }
            before = record;
            first = false;
        }
    }
    mem_free(records);
    return result;
}

static int cut_file(struct recovery *recovery, uint64_t fp, uint64_t chunks, const char *why,
                    struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];

    recovery->done->mended++;
    series_file_name(name, fp);
    log_warn("a series file is cut back", "file=%s chunks=%" PRIu64 " why=\"%s\"", name, chunks,
             why);
    return recovery->volume->truncate(recovery->volume, name, chunks * SERIES_RECORD_BYTES, err);
}

void recovery_quarantine(struct recovery *recovery, uint64_t fp, const struct labels *labels,
                         const char *reason)
{
    struct error problem;

    recovery->done->quarantined++;
    counter_add(&recovery->store->counters.quarantined, 1);
    log_warn("a series file is quarantined", "fp=%016" PRIx64 " reason=\"%s\"", fp, reason);
    if (quarantine_series(recovery->volume, fp, labels, reason, &problem) != 0)
        log_error("it could not be moved", "fp=%016" PRIx64 " problem=\"%s\"", fp, problem.text);
}

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

/* --- stitching
 * --------------------------------------------------------------------------------------------- */

/* All samples of chunks and head that are newer than `after_ms`. */
static void collect_newer(struct series *series, int64_t after_ms, struct columns *out)
{
    int64_t from_ms = after_ms + 1;
    uint8_t head[CHUNK_BYTES];
    struct error problem;

    for (uint32_t i = 0; i < series->chunk_count; i++) {
        const struct full_chunk *chunk = series->chunks[i];

        if (chunk->last_ms > after_ms)
            (void)!read_chunk(chunk->encoding, chunk->payload, CHUNK_BYTES, from_ms, TIDE_LATEST_MS,
                              0, out, &problem);
    }
    if (series_has_head(series) && series->head.last_ms > after_ms) {
        size_t len = chunk_head_snapshot(&series->head, head);

        (void)!read_chunk(series->head.encoding, head, len, from_ms, TIDE_LATEST_MS, 0, out,
                          &problem);
    }
}

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
    collect_newer(series, after_ms, &samples);
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

/* A file whose metric is known. 0; 1: nothing is left of the file; -1 with err. */
static int check_file(struct recovery *recovery, const struct found_file *file, uint64_t trusted,
                      uint64_t *chunks, struct error *err)
{
    uint64_t whole = file->stat.size / SERIES_RECORD_BYTES;

    *chunks = whole;
    if (trusted < whole && count_sound(recovery, file->fp, whole, trusted, chunks, err) != 0)
        return -1;
    if (*chunks == 0)
        return 1;
    if (*chunks < whole)
        return cut_file(recovery, file->fp, *chunks, "a record is damaged", err);
    if (file->stat.size % SERIES_RECORD_BYTES != 0)
        return cut_file(recovery, file->fp, *chunks, "the last record is cut off", err);
    return 0;
}

static int recover_active(struct recovery *recovery, const struct found_file *file,
                          uint64_t trusted, struct error *err)
{
    struct series_record first, last;
    struct series_file_stat stat;
    struct stripe *stripe;
    struct series *series;
    uint64_t chunks;
    int result = check_file(recovery, file, trusted, &chunks, err);

    if (result != 0)
        return result;
    if (series_file_stat(recovery->volume, file->fp, &stat, err) != 0 ||
        read_ends(recovery, file->fp, chunks, &first, &last, err) != 0)
        return -1;
    series = lock_fp(recovery->store, file->fp, &stripe);
    TIDE_ASSERT(series != NULL);
    result = stitch_locked(recovery, series, chunks, stat.mtime_ns, &first, &last, err);
    lock_release(&stripe->stripe_lock);
    recovery->done->stitched++;
    return result;
}

/* An archived one: its range is that of its file. */
static int recover_archived(struct recovery *recovery, const struct found_file *file,
                            bool range_known, struct error *err)
{
    bool whole = file->stat.size % SERIES_RECORD_BYTES == 0;
    uint64_t trusted =
        recovery->store->options.pedantic ? 0 : file->stat.size / SERIES_RECORD_BYTES;
    struct series_record first, last;
    struct stripe *stripe;
    struct series *series;
    uint64_t chunks;
    int result;

    if (whole && range_known && !recovery->store->options.pedantic && file->stat.size != 0)
        return 0;
    result = check_file(recovery, file, trusted, &chunks, err);
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

/* Nothing usable in the file of a series: what is in memory goes on without it. */
static int lose_file(struct recovery *recovery, uint64_t fp)
{
    struct stripe *stripe;
    struct series *series = lock_fp(recovery->store, fp, &stripe);
    struct labels *labels = series_labels_locked(recovery->store, series);

    if (!series->archived)
        recovery_forget_file_locked(recovery, series);
    if (series->archived || (series->chunk_count == 0 && !series_has_head(series))) {
        archive_delete(&recovery->archive, fp);
        series_purge_locked(recovery->store, stripe, series);
    }
    lock_release(&stripe->stripe_lock);
    recovery_quarantine(recovery, fp, labels, "no sound chunk in the series file");
    labels_unref(labels);
    return 0;
}

void recovery_forget_file_locked(struct recovery *recovery, struct series *series)
{
    series->file_chunks = 0;
    series->mtime_ns = MTIME_UNKNOWN;
    series->first_ms = series_first_in_memory(series);
    series->first_known = true;
    series_mark_dirty(recovery->store, series);
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
    result = recover_active(recovery, &file, 0, err);
    if (result == 0) {
        recovery->done->found_again++;
        log_warn("the metric of a series file was found again", "fp=%016" PRIx64, fp);
        return 0;
    }
    series = lock_fp(recovery->store, fp, &stripe);
    TIDE_ASSERT(series != NULL);
    series_purge_locked(recovery->store, stripe, series);
    lock_release(&stripe->stripe_lock);
    return result;
}

static void see_fp(struct recovery *recovery, uint64_t fp, bool orphan)
{
    struct fp_list *list = orphan ? &recovery->orphans : &recovery->seen;

    if (list->count == list->cap) {
        list->cap = list->cap != 0 ? list->cap * 2 : 256;
        list->fps = mem_realloc(list->fps, list->cap * sizeof(*list->fps));
    }
    list->fps[list->count++] = fp;
}

static int recover_file(struct recovery *recovery, const struct found_file *file, struct error *err)
{
    struct stripe *stripe;
    struct series *series = lock_fp(recovery->store, file->fp, &stripe);
    bool archived, believed, range_known;
    uint64_t trusted;
    int result = 0;

    if (series == NULL) {
        see_fp(recovery, file->fp, true);
        return 0;
    }
    see_fp(recovery, file->fp, false);
    archived = series->archived;
    range_known = series->has_samples;
    believed = !archived && is_believed(recovery, series, file);
    trusted = !archived && !recovery->store->options.pedantic && series->file_chunks > 0
                  ? (uint64_t)series->file_chunks
                  : 0;
    lock_release(&stripe->stripe_lock);
    if (archived)
        result = recover_archived(recovery, file, range_known, err);
    else if (!believed)
        result = recover_active(recovery, file, trusted, err);
    return result == 1 ? lose_file(recovery, file->fp) : result;
}

static int scan_folder(struct recovery *recovery, unsigned number, struct error *err)
{
    char name[3];
    struct folder_scan scan = {.recovery = recovery, .folder = name};
    int result;

    snprintf(name, sizeof(name), "%02x", number);
    result = recovery->volume->list(recovery->volume, name, see_entry, &scan, err);
    if (result != 0 && err->code == ERR_NOT_FOUND)
        result = 0;
    remove_strange(&scan);
    for (size_t i = 0; i < scan.count && result == 0; i++)
        result = recover_file(recovery, &scan.files[i], err);
    recovery->done->files += scan.count;
    buf_destroy(&scan.strange);
    mem_free(scan.files);
    return result;
}

/* --- series without a file, mappings
 * ------------------------------------------------------------------------ */

static int compare_fps(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static bool was_seen(const struct recovery *recovery, uint64_t fp)
{
    return recovery->seen.count != 0 &&
           bsearch(&fp, recovery->seen.fps, recovery->seen.count, sizeof(fp), compare_fps) != NULL;
}

/* Collects the series of a stripe that no file was found for. */
static void settle_missing(struct recovery *recovery, struct stripe *stripe)
{
    uint64_t *gone = NULL;
    size_t count = 0;

    lock_acquire(&stripe->stripe_lock);
    if (stripe->slots != NULL)
        gone = mem_alloc(((size_t)stripe->mask + 1) * sizeof(*gone));
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        struct series *series = stripe->slots[i];

        if (series == NULL || was_seen(recovery, series->fp))
            continue;
        if (!series->archived && (series->chunk_count != 0 || series_has_head(series))) {
            if (series->file_chunks != 0)
                log_warn("chunks of a series are lost: its file is gone",
                         "fp=%016" PRIx64 " chunks=%d", series->fp, series->file_chunks);
            recovery_forget_file_locked(recovery, series);
            continue;
        }
        gone[count++] = series->fp;
    }
    for (size_t i = 0; i < count; i++) {
        log_warn("a series is lost: its file is gone", "fp=%016" PRIx64, gone[i]);
        archive_delete(&recovery->archive, gone[i]);
        series_purge_locked(recovery->store, stripe, series_map_find_locked(stripe, gone[i]));
        recovery->done->lost++;
    }
    lock_release(&stripe->stripe_lock);
    mem_free(gone);
}

/* Mapped series tell their raw fingerprint by their metric. */
static void find_mappings(struct store *store, struct stripe *stripe)
{
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        const struct series *series = stripe->slots[i];
        struct labels *labels;
        struct buf unique = {0};

        if (series == NULL || series->fp > FINGERPRINT_MAX_MAPPED)
            continue;
        labels = series_labels_locked(store, series);
        fingerprint_unique_string(&unique, labels);
        mapper_restore(&store->mapper, fingerprint_of(labels), unique.data, unique.len, series->fp);
        buf_destroy(&unique);
        labels_unref(labels);
    }
    lock_release(&stripe->stripe_lock);
}

/* What mappings.db still says is taken too: it may know metrics that have no series now. */
static void read_mappings(struct store *store)
{
    struct mappings mappings = {0};
    struct error problem;

    if (mappings_read(store->folder->volume, &mappings, &problem) != 0)
        log_warn("mappings.db cannot be read and is made anew from the metrics", "problem=\"%s\"",
                 problem.text);
    for (size_t i = 0; i < mappings.count; i++) {
        const struct mappings_item *item = &mappings.items[i];

        mapper_restore(&store->mapper, item->raw, item->unique, item->unique_len, item->fp);
    }
    mappings_destroy(&mappings);
}

static int scan_all(struct recovery *recovery, struct error *err)
{
    struct store *store = recovery->store;

    store_phase_set(store, STORE_PHASE_RECOVERY, 256);
    for (unsigned i = 0; i < 256; i++) {
        if (scan_folder(recovery, i, err) != 0)
            return -1;
        store_progress_add(store, 1);
    }
    if (recovery->seen.count != 0)
        qsort(recovery->seen.fps, recovery->seen.count, sizeof(uint64_t), compare_fps);
    if (recovery->orphans.count != 0)
        qsort(recovery->orphans.fps, recovery->orphans.count, sizeof(uint64_t), compare_fps);
    for (uint32_t i = 0; i < SERIES_STRIPES; i++)
        settle_missing(recovery, &store->map.stripes[i]);
    return recover_orphans(recovery, err);
}

int recover(struct store *store, struct error *err)
{
    struct recovery recovery = {
        .store = store, .volume = store->folder->volume, .done = &store->recovered};
    int result;

    log_warn("the storage was not closed cleanly: it is being recovered", NULL);
    result = scan_all(&recovery, err);
    if (result == 0) {
        read_mappings(store);
        for (uint32_t i = 0; i < SERIES_STRIPES; i++)
            find_mappings(store, &store->map.stripes[i]);
        __atomic_add_fetch(&store->mapper.changes, 1, __ATOMIC_RELAXED);
        result = archive_write(store->folder->archive, &recovery.archive, true, err);
    }
    log_warn("recovery ended",
             "files=%" PRIu64 " stitched=%" PRIu64 " mended=%" PRIu64 " found_again=%" PRIu64
             " quarantined=%" PRIu64 " lost=%" PRIu64,
             recovery.done->files, recovery.done->stitched, recovery.done->mended,
             recovery.done->found_again, recovery.done->quarantined, recovery.done->lost);
    archive_batch_destroy(&recovery.archive);
    mem_free(recovery.seen.fps);
    mem_free(recovery.orphans.fps);
    return result;
}
