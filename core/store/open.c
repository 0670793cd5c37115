/* open.c - a folder becomes a running store, and a clean folder again (engine-design 7). */
#include "base/logger.h"
#include "base/mem.h"
#include "disk/heads.h"
#include "disk/mappings.h"
#include "disk/version.h"
#include "store/pass_parts.h"
#include "store/replay.h"
#include "store/snapshot_parts.h"
#include "store/store_log.h"
#include "store/trash.h"
#include "store/use_file.h"

static struct folder *folder_new(struct store *store)
{
    struct folder *folder = mem_zalloc(1, sizeof(*folder));

    lock_init(&folder->unarchived_lock);
    lock_init(&folder->wake_lock);
    lock_init(&folder->guard.guard_lock);
    lock_init(&folder->pass_guard.guard_lock);
    lock_init(&folder->audit_lock);
    lock_init(&folder->trash_lock);
    cond_init(&folder->wake);
    store->folder = folder;
    store->queue = mem_zalloc(1, sizeof(*store->queue));
    lock_init(&store->queue->leaf_lock);
    store->merges = mem_alloc(sizeof(*store->merges));
    merge_queue_init(store->merges);
    return folder;
}

static void folder_free(struct store *store)
{
    struct folder *folder = store->folder;

    mem_free(folder->unarchived);
    done_table_destroy(&folder->done);
    mem_free(folder->gone.fps);
    verdicts_destroy(&folder->verdicts);
    mem_free(folder->kept.fps);
    lock_destroy(&folder->pass_guard.guard_lock);
    lock_destroy(&folder->unarchived_lock);
    lock_destroy(&folder->wake_lock);
    lock_destroy(&folder->guard.guard_lock);
    lock_destroy(&folder->audit_lock);
    lock_destroy(&folder->trash_lock);
    cond_destroy(&folder->wake);
    if (folder->volume != NULL && folder->own_volume)
        folder->volume->close(folder->volume);
    mem_free(folder);
    lock_destroy(&store->queue->leaf_lock);
    mem_free(store->queue->ids);
    mem_free(store->queue);
    merge_queue_destroy(store->merges);
    mem_free(store->merges);
    store->merges = NULL;
    store->folder = NULL;
    store->queue = NULL;
}

/* Closes the tables. -1 with the first error; all are closed in any case. */
static int close_tables(struct folder *folder, struct error *err)
{
    struct error problem;
    int result = 0;

    if (folder->index != NULL && label_index_close(folder->index, err) != 0)
        result = -1;
    folder->index = NULL;
    if (folder->archive != NULL &&
        archive_close(folder->archive, result == 0 ? err : &problem) != 0)
        result = -1;
    folder->archive = NULL;
    return result;
}

/* Leaves the folder as it was found: nothing has been written that matters. */
static int refuse(struct store *store)
{
    struct folder *folder = store->folder;
    struct error problem;

    store_log_abandon(store);
    close_tables(folder, &problem);
    if (folder->locked &&
        folder->volume->unlock(folder->volume, !folder->marked_dirty, &problem) != 0)
        log_warn("the lock could not be released", "problem=\"%s\"", problem.text);
    folder_free(store);
    return -1;
}

static int lock_volume(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;

    folder->volume = store->options.volume;
    folder->own_volume = folder->volume == NULL;
    if (folder->own_volume)
        folder->volume = volume_posix_open(store->options.data_dir, true, err);
    if (folder->volume == NULL || version_check(folder->volume, true, &folder->fresh, err) != 0)
        return -1;
    if (folder->volume->lock(folder->volume, &folder->marked_dirty, err) != 0)
        return -1;
    folder->locked = true;
    snapshot_sweep(folder->volume, SNAPSHOTS_FOLDER);
    snapshot_sweep(folder->volume, TRASH_FOLDER);
    folder->marked_dirty = folder->marked_dirty || store->options.force_recovery;
    return 0;
}

static void restore_mapping(struct store *store, const struct mappings *mappings)
{
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mappings_item *item = &mappings->items[i];

        mapper_restore(&store->mapper, item->raw, item->unique, item->unique_len, item->fp);
    }
}

static int load_mappings(struct store *store, struct error *err)
{
    struct mappings mappings = {0};
    int result = mappings_read(store->folder->volume, &mappings, err);

    if (result == 0)
        restore_mapping(store, &mappings);
    mappings_destroy(&mappings);
    if (result == 0)
        recover_mappings(store);
    else if (err->code == ERR_CORRUPT)
        error_note(err, "mappings.db cannot be read; \"tidemark repair\" makes it anew");
    return result;
}

/* The label indexes on disk: those of a clean folder hold what memory holds; otherwise all is
 * written anew. */
static int open_label_index(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;
    bool anew = folder->marked_dirty || folder->fresh;

    if (!anew) {
        folder->index = label_index_open_existing(folder->volume, false, err);
        anew = folder->index == NULL && (err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND);
        if (anew)
            log_warn("the label index cannot be read and is made anew", "problem=\"%s\"",
                     err->text);
    }
    if (anew && label_index_remove(folder->volume, err) != 0)
        return -1;
    if (anew)
        folder->index = label_index_open(folder->volume, err);
    if (folder->index == NULL)
        return -1;
    if (!anew)
        label_table_mark_written(&store->labels);
    return 0;
}

/* heads.db and the archive into memory. */
static int load_series_of(struct store *store, bool *damaged, struct error *err)
{
    struct folder *folder = store->folder;
    struct error unused;
    bool heads_damaged = false;

    folder->archive = folder->fresh ? archive_open(folder->volume, damaged, err)
                                    : archive_open_existing(folder->volume, damaged, err);
    if (folder->archive == NULL)
        return -1;
    if (*damaged)
        log_warn("the indexes of archived series are damaged: what can be read is kept", NULL);
    store_phase_set(store, STORE_PHASE_HEADS, 0);
    if (load_heads(store, &heads_damaged, err) != 0)
        return -1;
    *damaged = *damaged || heads_damaged;
    if (load_archive(store, err) == 0)
        return 0;
    if (err->code != ERR_CORRUPT)
        return -1;
    log_warn("the indexes of archived series are damaged: what can be read is kept",
             "problem=\"%s\"", err->text);
    *damaged = true;
    (void)!archive_close(folder->archive, &unused);
    folder->archive = archive_open_salvaged(folder->volume, err);
    return folder->archive != NULL ? load_archive(store, err) : -1;
}

static int load_all(struct store *store, const struct replay_plan *plan,
                    struct log_handover *handover, struct error *err)
{
    struct folder *folder = store->folder;
    bool damaged = false;

    if (load_series_of(store, &damaged, err) != 0)
        return -1;
    folder->marked_dirty = folder->marked_dirty || damaged || plan->start.found;
    if (!folder->marked_dirty)
        return load_mappings(store, err);
    store->started_dirty = true;
    folder->log_from = plan->from_segment;
    folder->log_covers = plan->start.found && plan->whole && !plan->foreign && !damaged;
    store_phase_set(store, STORE_PHASE_RECOVERY, 0);
    if (recover(store, err) != 0)
        return -1;
    if (plan->start.found && replay_run(store, plan, handover, err) != 0)
        return -1;
    return recover_gone(store, err);
}

/* The log goes on behind what was replayed. Without one, a checkpoint takes over what an old log
 * holds; so it does when heads.db was another one than that of the log. */
static int begin_log(struct store *store, const struct replay_plan *plan,
                     struct log_handover *handover, struct error *err)
{
    bool on = store->options.wal_sync != WAL_SYNC_OFF;
    int result = 0;

    if (handover->foreign)
        handover->mark.heads_size = UINT64_MAX; /* still another one, until the checkpoint */
    if (on && store_log_open(store, handover, err) != 0)
        return -1;
    if (plan->start.found && (!on || plan->foreign)) {
        lock_acquire(&store->background_lock);
        result = checkpoint_write(store, err);
        lock_release(&store->background_lock);
    }
    if (result == 0 && !on && plan->start.found)
        result = wal_remove_all(store->folder->volume, err);
    return result;
}

int folder_open(struct store *store, struct error *err)
{
    struct folder *folder = folder_new(store);
    struct log_handover handover = {0};
    struct replay_plan plan;

    if (lock_volume(store, err) != 0)
        return refuse(store);
    downsample_load(store);
    if (replay_look(store, &plan, err) != 0 || load_all(store, &plan, &handover, err) != 0)
        return refuse(store);
    store_phase_set(store, STORE_PHASE_INDEX, 0);
    use_file_load(store);
    if (open_label_index(store, err) != 0 || clock_guard_open(store, err) != 0 ||
        pass_guard_open(store, err) != 0 || kept_open(store, err) != 0 ||
        begin_log(store, &plan, &handover, err) != 0)
        return refuse(store);
    folder->checkpoint_mono_ns = clock_mono_ns(store->clock);
    folder->maintained_mono_ns = folder->checkpoint_mono_ns;
    log_info("storage open", "series=%" PRIu64 " archived=%" PRIu64 " recovered=%d",
             gauge_read(&store->counters.active), gauge_read(&store->counters.archived),
             store->started_dirty);
    disk_room_look(store);
    if (folder_start_threads(store, err) != 0)
        return refuse(store);
    return 0;
}

static int save_all(struct store *store, struct error *err)
{
    if (merge_everything(store, err) != 0)
        return error_note(err, "late samples could not be merged");
    if (checkpoint_write(store, err) != 0)
        return error_note(err, "heads.db could not be written");
    if (mappings_save(store, err) != 0)
        return error_note(err, "mappings.db could not be written");
    if (index_flush(store, true, err) != 0)
        return error_note(err, "the label index could not be written");
    return 0;
}

int folder_close(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;
    struct error problem;
    bool clean;
    int result;

    folder_stop_threads(store);
    lock_acquire(&store->background_lock);
    /* A log that is lost must not be in the way of heads.db, which holds all of it. */
    if (log_heal(store, &problem) != 0 || (store->log != NULL && wal_has_failed(store->log->wal)))
        store_log_abandon(store);
    audit_pass_flush(store, true);
    pass_trash_end(store);
    pass_guard_close(store);
    result = save_all(store, err);
    lock_release(&store->background_lock);
    if (store_log_close(store, result == 0 ? err : &problem) != 0)
        log_warn("the log did not close cleanly; all of it is in heads.db", NULL);
    if (close_tables(folder, result == 0 ? err : &problem) != 0)
        result = -1;
    if (result == 0)
        result = folder->volume->sync_all(folder->volume, err);
    if (result == 0)
        result = wal_remove_all(folder->volume, err);
    clean = result == 0 && !__atomic_load_n(&folder->inconsistent, __ATOMIC_RELAXED);
    if (clean) /* the checkpoint before the last is of use to a recovery only */
        (void)folder->volume->remove(folder->volume, HEADS_OLD_FILE, &problem);
    if (folder->volume->unlock(folder->volume, clean, result == 0 ? err : &problem) != 0)
        result = -1;
    if (result == 0 && !clean)
        log_warn("the storage is inconsistent: the next start recovers it", NULL);
    folder_free(store);
    return result;
}

void folder_abandon(struct store *store)
{
    struct folder *folder = store->folder;
    struct error problem;

    folder_stop_threads(store);
    pass_trash_rest(store);
    store_log_abandon(store);
    close_tables(folder, &problem);
    if (folder->volume->unlock(folder->volume, false, &problem) != 0)
        log_warn("the lock could not be released", "problem=\"%s\"", problem.text);
    folder_free(store);
}
