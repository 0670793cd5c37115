/* pass_trash.c - what the first pass under new rules drops or thins out goes into the trash
 * (trash.h), chunk by chunk: series files of what went, and archive entries for their labels.
 *
 * Of each kind one entry for a pass. The copy is durable before anything goes, so a crash leaves
 * samples in one place or in both. Undelete lets those of the store win over dropped ones, and over
 * thinned ones those of the trash. */
#include <stdio.h>

#include "base/logger.h"
#include "disk/volume_folder.h"
#include "store/pass_parts.h"
#include "store/snapshot_parts.h"
#include "store/trash_parts.h"

static const char *const makers[PASS_TRASH_KINDS] = {"retention: first pass under new rules",
                                                     "downsampling: first pass under new rules"};

static struct pass_trash *trash_of(struct store *store, enum pass_trash_kind kind)
{
    return &store->folder->pass_trash[kind];
}

const char *pass_trash_id(const struct store *store, enum pass_trash_kind kind)
{
    return store->folder->pass_trash[kind].removal.id;
}

/* An empty folder of storage version 1 under a temporary name. */
static int fill_nothing(struct store *store, const char *folder, struct error *err)
{
    struct snapshot_writer writer;
    int result = snapshot_writer_begin(&writer, store, folder, false, err);

    if (result == 0)
        result = snapshot_writer_finish(&writer, err);
    return snapshot_writer_close(&writer, result, err);
}

static int make(struct store *store, enum pass_trash_kind kind, struct error *err)
{
    struct removal *removal = &trash_of(store, kind)->removal;
    struct volume *volume = store->folder->volume;
    char temporary[SNAPSHOT_PATH_BYTES], final[64];
    struct error unused;

    *removal = (struct removal){
        .time_ms = clock_wall_ms(store->clock),
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = TIDE_LATEST_MS,
        .first_ms = TIDE_LATEST_MS,
        .last_ms = TIDE_EARLIEST_MS,
        .rules = retention_name_now(store),
        .by_pass = true,
        .thinned = kind == PASS_TRASH_THINNED,
    };
    snprintf(removal->by, sizeof(removal->by), "%s", makers[kind]);
    snapshot_make_name(store, removal->id);
    snprintf(final, sizeof(final), TRASH_FOLDER "/%s", removal->id);
    snprintf(temporary, sizeof(temporary), "%s.tmp", final);
    if (fill_nothing(store, temporary, err) == 0 && volume->sync_all(volume, err) == 0 &&
        volume->move(volume, temporary, final, err) == 0 &&
        volume->sync_folder(volume, TRASH_FOLDER, err) == 0 &&
        trash_write_manifest(store, removal, err) == 0)
        return 0;
    volume->remove_folder(volume, temporary, &unused);
    volume->remove_folder(volume, final, &unused);
    removal->id[0] = '\0';
    return error_note(err, "the trash of a pass");
}

static int open_entry(struct store *store, enum pass_trash_kind kind, struct error *err)
{
    struct pass_trash *trash = trash_of(store, kind);
    char folder[64];
    bool damaged;

    if (trash->removal.id[0] == '\0' && make(store, kind, err) != 0)
        return -1;
    if (trash->archive != NULL)
        return 0;
    snprintf(folder, sizeof(folder), TRASH_FOLDER "/%s", trash->removal.id);
    trash->volume = volume_folder_open(store->folder->volume, folder);
    trash->archive = archive_open(trash->volume, &damaged, err);
    if (trash->archive != NULL)
        return 0;
    trash->volume->close(trash->volume);
    trash->volume = NULL;
    return -1;
}

static int close_entry(struct pass_trash *trash, struct error *err)
{
    int result = 0;

    if (trash->archive == NULL)
        return 0;
    if (trash->batch.count != 0)
        result = archive_write(trash->archive, &trash->batch, true, err);
    archive_batch_destroy(&trash->batch);
    if (archive_close(trash->archive, err) != 0)
        result = -1;
    trash->archive = NULL;
    trash->volume->close(trash->volume);
    trash->volume = NULL;
    return result;
}

static void rest(struct store *store, struct pass_trash *trash)
{
    struct error err;

    if (trash->changed) {
        trash->removal.time_ms = clock_wall_ms(store->clock);
        if (trash_write_manifest(store, &trash->removal, &err) != 0)
            log_warn("the counts of a trash could not be written", "id=%s problem=\"%s\"",
                     trash->removal.id, err.text);
        trash->changed = false;
    }
    if (close_entry(trash, &err) != 0)
        log_warn("a trash did not close cleanly", "id=%s problem=\"%s\"", trash->removal.id,
                 err.text);
}

static void end(struct store *store, struct pass_trash *trash)
{
    rest(store, trash);
    if (trash->removal.id[0] != '\0' && trash->removal.series != 0)
        log_info("what a pass under new rules took is in the trash",
                 "id=%s by=\"%s\" series=%" PRIu64 " chunks=%" PRIu64 " samples=%" PRIu64,
                 trash->removal.id, trash->removal.by, trash->removal.series, trash->removal.chunks,
                 trash->removal.samples);
    trash->removal.id[0] = '\0';
}

void pass_trash_rest(struct store *store)
{
    for (int kind = 0; kind < PASS_TRASH_KINDS; kind++)
        rest(store, trash_of(store, (enum pass_trash_kind)kind));
}

void pass_trash_end(struct store *store)
{
    for (int kind = 0; kind < PASS_TRASH_KINDS; kind++)
        end(store, trash_of(store, (enum pass_trash_kind)kind));
}

void pass_trash_leave(struct store *store, const char *id)
{
    for (int kind = 0; kind < PASS_TRASH_KINDS; kind++) {
        struct pass_trash *trash = trash_of(store, (enum pass_trash_kind)kind);

        if (strcmp(trash->removal.id, id) == 0)
            end(store, trash);
    }
}

/* The first chunks of a file; all of them need no copy. */
static int copy_chunks(struct store *store, const struct pass_trash_chunks *chunks, const char *to,
                       struct error *err)
{
    struct volume *volume = store->folder->volume;
    char name[SERIES_FILE_NAME_BYTES];
    struct volume_writer *copy;

    series_file_name(name, chunks->fp);
    if (chunks->all)
        return volume->share(volume, name, to, err);
    copy = volume->replace(volume, to, err);
    if (copy == NULL)
        return -1;
    if (copy->copy(copy, name, 0, chunks->count * SERIES_RECORD_BYTES, err) != 0 ||
        copy->finish(copy, false, err) != 0) {
        copy->discard(copy);
        return -1;
    }
    return copy->publish(copy, false, NULL, err);
}

/* Has the entry at work something of this series already? */
static bool has_series(const struct pass_trash *trash, uint64_t fp)
{
    struct series_file_stat stat;
    struct error ignored;

    return trash->volume != NULL && series_file_stat(trash->volume, fp, &stat, &ignored) == 0 &&
           stat.mtime_ns != SERIES_MTIME_NONE;
}

static void note_labels(struct store *store, struct pass_trash *trash,
                        const struct pass_trash_chunks *chunks)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, chunks->fp, &stripe);
    struct labels *labels;

    TIDE_ASSERT(series != NULL); /* it is busy */
    labels = series_labels_locked(store, series);
    lock_release(&stripe->stripe_lock);
    archive_put(&trash->batch, chunks->fp, labels, chunks->first_ms, chunks->last_ms);
    labels_unref(labels);
}

int pass_trash_add(struct store *store, enum pass_trash_kind kind,
                   const struct pass_trash_chunks *chunks, struct error *err)
{
    struct pass_trash *trash = trash_of(store, kind);
    char name[SERIES_FILE_NAME_BYTES], to[VOLUME_NAME_MAX + 1];

    if (open_entry(store, kind, err) != 0)
        return -1;
    if (has_series(trash, chunks->fp)) {
        end(store, trash); /* one that is taken from twice gets another entry */
        if (open_entry(store, kind, err) != 0)
            return -1;
    }
    series_file_name(name, chunks->fp);
    snprintf(to, sizeof(to), TRASH_FOLDER "/%s/%s", trash->removal.id, name);
    if (copy_chunks(store, chunks, to, err) != 0)
        return -1;
    note_labels(store, trash, chunks);
    return 0;
}

int pass_trash_seal(struct store *store, enum pass_trash_kind kind, struct error *err)
{
    struct pass_trash *trash = trash_of(store, kind);
    struct volume *volume = store->folder->volume;

    if (trash->archive != NULL && archive_write(trash->archive, &trash->batch, true, err) != 0)
        return -1;
    return volume->sync_all(volume, err);
}

void pass_trash_count(struct store *store, enum pass_trash_kind kind, const struct removal *dropped)
{
    struct pass_trash *trash = trash_of(store, kind);

    removal_add(&trash->removal, dropped);
    trash->changed = true;
}
