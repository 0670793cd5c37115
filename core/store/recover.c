/* recover.c - after a crash: files, heads.db and archive are brought to agree (engine-design 7).
 *
 * Before any push or query; heads.db and the archive are loaded already.
 * 1. Every series file is looked at, folders in parallel (recover_file.c).
 * 2. Files without a metric: looked up in the checkpoint before and in the label index
 *    (recover_orphans.c); only then quarantined.
 * 3. Series without their file keep what is in memory; with nothing there they go. */
#include "store/recover.h"

#include <unistd.h>

#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/mappings.h"
#include "model/fingerprint.h"

#define FOLDERS 256
#define SCANNERS_MAX 16

/* --- names of files
 * ---------------------------------------------------------------------------------- */

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
    if (entry->stat.is_folder || !series_file_parse(scan->folder, entry->name, &fp)) {
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

/* Left-overs of rewrites go. The format knows no other names here; the original removes what else
 * there is, we put it aside: it may be somebody's copy. */
static void clear_name(struct recovery *recovery, const char *path, const char *aside)
{
    struct volume *volume = recovery->volume;
    size_t len = strlen(path);
    bool left_over = len > 4 && strcmp(path + len - 4, ".tmp") == 0;
    struct error problem;

    recovery->done.strange++;
    log_warn(left_over ? "a left-over of a rewrite is removed"
                       : "what is no series file is moved to " QUARANTINE_FOLDER,
             "file=\"%s\"", path);
    if ((left_over ? volume->remove(volume, path, &problem)
                   : volume->move(volume, path, aside, &problem)) != 0)
        log_warn("it could not be", "file=\"%s\" problem=\"%s\"", path, problem.text);
}

static void clear_strange(struct folder_scan *scan)
{
    for (size_t at = 0; at < scan->strange.len;) {
        const char *name = (const char *)scan->strange.data + at;
        char path[VOLUME_NAME_MAX + 1], aside[VOLUME_NAME_MAX + 1];
        int len = snprintf(aside, sizeof(aside), QUARANTINE_FOLDER "/%s/%s", scan->folder, name);

        snprintf(path, sizeof(path), "%s/%s", scan->folder, name);
        at += strlen(name) + 1;
        if (len > 0 && (size_t)len < sizeof(aside))
            clear_name(scan->recovery, path, aside);
    }
}

static void add_fp(struct fp_list *list, uint64_t fp)
{
    if (list->count == list->cap) {
        list->cap = list->cap != 0 ? list->cap * 2 : 256;
        list->fps = mem_realloc(list->fps, list->cap * sizeof(*list->fps));
    }
    list->fps[list->count++] = fp;
}

static int recover_file(struct recovery *recovery, struct found_file *file, struct error *err)
{
    int result = recovery_known_file(recovery, file, err);

    if (result >= 0)
        add_fp(result == 1 ? &recovery->orphans : &recovery->seen, file->fp);
    return result < 0 ? -1 : 0;
}

static int scan_folder(struct recovery *recovery, unsigned number, struct error *err)
{
    char name[3];
    struct folder_scan scan = {.recovery = recovery, .folder = name};
    int result;

    snprintf(name, sizeof(name), "%02x", number);
    result = recovery->volume->list(recovery->volume, name, see_entry, &scan, err);
    if (result != 0 && err->code == ERR_NOT_FOUND) {
        result = quarantine_folder_name(recovery->volume, name, err);
    }
    clear_strange(&scan);
    for (size_t i = 0; i < scan.count && result == 0; i++)
        result = recover_file(recovery, &scan.files[i], err);
    recovery->done.files += scan.count;
    buf_destroy(&scan.strange);
    mem_free(scan.files);
    return result;
}

/* --- series without a file, mappings
 * ------------------------------------------------------------------------ */

static bool was_seen(const struct recovery *recovery, uint64_t fp)
{
    return recovery->seen.count != 0 && bsearch(&fp, recovery->seen.fps, recovery->seen.count,
                                                sizeof(fp), fingerprint_compare) != NULL;
}

void recovery_gone_locked(struct recovery *recovery, struct series *series)
{
    series->has_samples = false;
    series->first_known = false;
    if (!series->archived) {
        series->file_chunks = 0;
        series->mtime_ns = MTIME_UNKNOWN;
        series->value_known = false;
    }
    add_fp(&recovery->gone, series->fp);
}

/* The series of a stripe that no file was found for. */
static void settle_missing(struct recovery *recovery, struct stripe *stripe)
{
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        struct series *series = stripe->slots[i];

        if (series == NULL || was_seen(recovery, series->fp))
            continue;
        if (series->archived || (series->chunk_count == 0 && !series_has_head(series))) {
            recovery_gone_locked(recovery, series);
            continue;
        }
        if (series->file_chunks != 0)
            log_warn("chunks of a series are lost: its file is gone", "fp=%016" PRIx64 " chunks=%d",
                     series->fp, series->file_chunks);
        recovery_forget_file_locked(recovery, series);
    }
    lock_release(&stripe->stripe_lock);
}

int recover_gone(struct store *store, struct error *err)
{
    struct fp_list *gone = &store->folder->gone;
    struct archive_batch batch = {0};
    int result;

    for (size_t i = 0; i < gone->count; i++) {
        struct stripe *stripe;
        struct series *series = lock_fp(store, gone->fps[i], &stripe);

        if (series == NULL)
            continue;
        if (series->archived ||
            (series->chunk_count == 0 && !series_has_head(series) && series->edits == NULL)) {
            log_warn("a series is lost: its file is gone", "fp=%016" PRIx64, series->fp);
            archive_delete(&batch, series->fp);
            series_purge_locked(store, stripe, series);
            store->recovered.lost++;
        }
        lock_release(&stripe->stripe_lock);
    }
    result = archive_write(store->folder->archive, &batch, true, err);
    archive_batch_destroy(&batch);
    mem_free(gone->fps);
    *gone = (struct fp_list){0};
    return result;
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

/* --- threads
 * ------------------------------------------------------------------------------------------------
 */

/* One of the threads that look at the files, folder by folder. */
struct scanner {
    struct thread thread;
    struct recovery recovery;
    struct scan_share *share;
    int result;
    struct error err;
};

struct scan_share {
    unsigned next; /* atomic: folder that nobody has taken */
    int failed;    /* atomic: some thread has given up */
    struct scanner scanners[SCANNERS_MAX];
    size_t count;
};

static void *scan_folders(void *arg)
{
    struct scanner *scanner = arg;
    struct scan_share *share = scanner->share;

    while (__atomic_load_n(&share->failed, __ATOMIC_RELAXED) == 0) {
        unsigned number = __atomic_fetch_add(&share->next, 1, __ATOMIC_RELAXED);

        if (number >= FOLDERS)
            break;
        scanner->result = scan_folder(&scanner->recovery, number, &scanner->err);
        if (scanner->result != 0)
            __atomic_store_n(&share->failed, 1, __ATOMIC_RELAXED);
        else
            store_progress_add(scanner->recovery.store, 1);
    }
    return NULL;
}

static void merge_fps(struct fp_list *into, struct fp_list *from)
{
    if (from->count != 0) {
        into->fps = mem_realloc(into->fps, (into->count + from->count) * sizeof(*into->fps));
        memcpy(into->fps + into->count, from->fps, from->count * sizeof(*into->fps));
        into->count += from->count;
        into->cap = into->count;
    }
    mem_free(from->fps);
    *from = (struct fp_list){0};
}

/* Lists and counts; the corrections of the archive are written right away. */
static int merge_scanner(struct recovery *recovery, struct scanner *scanner, struct error *err)
{
    struct store_recovery *to = &recovery->done, *from = &scanner->recovery.done;
    int result = 0;

    to->files += from->files;
    to->stitched += from->stitched;
    to->mended += from->mended;
    to->quarantined += from->quarantined;
    to->lost += from->lost;
    to->strange += from->strange;
    merge_fps(&recovery->seen, &scanner->recovery.seen);
    merge_fps(&recovery->orphans, &scanner->recovery.orphans);
    merge_fps(&recovery->gone, &scanner->recovery.gone);
    if (scanner->result != 0)
        *err = scanner->err;
    else
        result =
            archive_write(recovery->store->folder->archive, &scanner->recovery.archive, true, err);
    archive_batch_destroy(&scanner->recovery.archive);
    return scanner->result != 0 ? -1 : result;
}

/* As many threads as there are processors; the first one is ours. */
static int scan_files(struct recovery *recovery, struct error *err)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct scan_share *share = mem_zalloc(1, sizeof(*share));
    struct error problem;
    int result = 0;

    share->count = (size_t)TIDE_MAX(TIDE_MIN(processors, (long)SCANNERS_MAX), 1L);
    for (size_t i = 0; i < share->count; i++) {
        struct scanner *scanner = &share->scanners[i];

        scanner->share = share;
        scanner->recovery.store = recovery->store;
        scanner->recovery.volume = recovery->volume;
        if (i != 0)
            (void)!thread_start(&scanner->thread, "recovery", 0, scan_folders, scanner, &problem);
    }
    scan_folders(&share->scanners[0]);
    for (size_t i = 0; i < share->count; i++) {
        thread_join(&share->scanners[i].thread);
        if (merge_scanner(recovery, &share->scanners[i], result == 0 ? err : &problem) != 0)
            result = -1;
    }
    mem_free(share);
    return result;
}

static void sort_fps(struct fp_list *list)
{
    if (list->count != 0)
        qsort(list->fps, list->count, sizeof(*list->fps), fingerprint_compare);
}

void recover_mappings(struct store *store)
{
    for (uint32_t i = 0; i < SERIES_STRIPES; i++)
        find_mappings(store, &store->map.stripes[i]);
}

static int scan_all(struct recovery *recovery, struct error *err)
{
    struct store *store = recovery->store;

    store_phase_set(store, STORE_PHASE_RECOVERY, FOLDERS);
    if (scan_files(recovery, err) != 0)
        return -1;
    sort_fps(&recovery->seen);
    sort_fps(&recovery->orphans);
    for (uint32_t i = 0; i < SERIES_STRIPES; i++)
        settle_missing(recovery, &store->map.stripes[i]);
    return recover_orphans(recovery, err);
}

/* --- time ranges without a metric
 * ------------------------------------------------------------------------------------------------
 */

struct range_check {
    struct store *store;
    struct archive_batch batch;
};

static int check_range(void *ctx, uint64_t fp, int64_t first_ms, int64_t last_ms, struct error *err)
{
    struct range_check *check = ctx;
    struct stripe *stripe;
    struct series *series = lock_fp(check->store, fp, &stripe);
    struct labels *labels = NULL;
    bool archived = series != NULL && series->archived;

    (void)first_ms, (void)last_ms;
    if (series != NULL)
        lock_release(&stripe->stripe_lock);
    if (archived)
        return 0;
    /* One of a series in memory that has both entries goes with the next checkpoint. */
    if (archive_metric(check->store->folder->archive, fp, &labels, err) == 0 && labels == NULL)
        archive_delete_range(&check->batch, fp);
    labels_unref(labels);
    return 0;
}

static int skip_damaged(void *ctx, uint64_t fp, const char *what, struct error *err)
{
    (void)ctx, (void)fp, (void)what, (void)err;
    return 0;
}

static int remove_lone_ranges(struct store *store, struct error *err)
{
    struct range_check check = {.store = store};
    struct archive_visitor visitor = {.ctx = &check, .range = check_range, .damaged = skip_damaged};
    int result = archive_scan_ranges(store->folder->archive, 0, UINT64_MAX, &visitor, err);

    if (result == 0)
        result = archive_write(store->folder->archive, &check.batch, true, err);
    archive_batch_destroy(&check.batch);
    return result;
}

int recover(struct store *store, struct error *err)
{
    struct recovery recovery = {.store = store, .volume = store->folder->volume};
    int result;

    log_warn("the storage was not closed cleanly: it is being recovered", NULL);
    result = scan_all(&recovery, err);
    if (result == 0) {
        read_mappings(store);
        recover_mappings(store);
        __atomic_add_fetch(&store->mapper.changes, 1, __ATOMIC_RELAXED);
        result = archive_write(store->folder->archive, &recovery.archive, true, err);
    }
    if (result == 0)
        result = remove_lone_ranges(store, err);
    log_warn("recovery ended",
             "files=%" PRIu64 " stitched=%" PRIu64 " mended=%" PRIu64 " found_again=%" PRIu64
             " quarantined=%" PRIu64 " without_file=%zu",
             recovery.done.files, recovery.done.stitched, recovery.done.mended,
             recovery.done.found_again, recovery.done.quarantined, recovery.gone.count);
    store->recovered = recovery.done;
    store->folder->gone = recovery.gone;
    archive_batch_destroy(&recovery.archive);
    mem_free(recovery.seen.fps);
    mem_free(recovery.orphans.fps);
    return result;
}
