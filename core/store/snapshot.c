/* snapshot.c - see snapshot.h: the steps of one, the list, and what a crash left of one. */
#include "store/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "store/snapshot_parts.h"
#include "store/use_file.h"

#define BREATHE_STRIPES 64

static int add_all(struct snapshot_writer *writer, struct error *err)
{
    struct store *store = writer->store;
    struct error problem;

    for (uint32_t i = 0; i < SERIES_STRIPES; i++) {
        if (snapshot_writer_add_stripe(writer, &store->map.stripes[i], err) != 0)
            return -1;
        if (i % BREATHE_STRIPES == 0 && background_breathe(store, &problem) != 0)
            log_warn_limited("persistence failed during a snapshot; it is tried again",
                             "problem=\"%s\"", problem.text);
    }
    return 0;
}

/* All of it below snapshots/NAME.tmp, durable. */
static int fill(struct snapshot_writer *writer, struct store *store, const char *folder,
                bool skip_head, struct error *err)
{
    int result = snapshot_writer_begin(writer, store, folder, skip_head, err);

    if (result == 0)
        result = add_all(writer, err);
    if (result == 0)
        result = snapshot_write_index(writer, err);
    if (result == 0)
        result = snapshot_writer_finish(writer, err);
    if (result == 0)
        result = use_file_write(store, writer->volume, err);
    return snapshot_writer_close(writer, result, err);
}

static int make_locked(struct store *store, bool skip_head, struct snapshot_info *info,
                       struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct snapshot_writer writer;
    char temporary[SNAPSHOT_PATH_BYTES], final[64];
    struct error unused;
    int result;

    snapshot_make_name(store, info->name);
    snprintf(final, sizeof(final), SNAPSHOTS_FOLDER "/%s", info->name);
    snprintf(temporary, sizeof(temporary), "%s.tmp", final);
    quarantine_damaged(store);
    if (merge_everything(store, err) != 0) /* its heads have no place for what is pending */
        return error_note(err, "snapshot %s: late samples could not be merged", info->name);
    result = fill(&writer, store, temporary, skip_head, err);
    if (result == 0 &&
        (volume->sync_all(volume, err) != 0 || volume->move(volume, temporary, final, err) != 0))
        result = -1;
    if (result == 0)
        result = volume->sync_folder(volume, SNAPSHOTS_FOLDER, err);
    if (result != 0) {
        volume->remove_folder(volume, temporary, &unused);
        volume->remove_folder(volume, final, &unused);
        return error_note(err, "snapshot %s", info->name);
    }
    info->series = writer.heads.series;
    info->archived = writer.archived;
    info->bytes_linked = writer.bytes_linked;
    return 0;
}

int store_snapshot(struct store *store, const struct snapshot_options *options,
                   struct snapshot_info *info, struct error *err)
{
    int64_t begin_ns = clock_mono_ns(store->clock);
    int result;

    *info = (struct snapshot_info){.time_ms = clock_wall_ms(store->clock)};
    if (store_need_folder(store, err) != 0)
        return -1;
    lock_acquire(&store->background_lock);
    result = make_locked(store, options != NULL && options->skip_head, info, err);
    lock_release(&store->background_lock);
    if (result != 0) {
        counter_add(&store->counters.snapshots_failed, 1);
        log_error("snapshot failed", "problem=\"%s\"", err->text);
        return -1;
    }
    counter_add(&store->counters.snapshots, 1);
    log_info("snapshot made",
             "name=%s series=%" PRIu64 " archived=%" PRIu64 " linked_bytes=%" PRIu64
             " took_ms=%" PRId64,
             info->name, info->series, info->archived, info->bytes_linked,
             (clock_mono_ns(store->clock) - begin_ns) / 1000000);
    return 0;
}

/* --- those that are there
 * ------------------------------------------------------------------------------ */

struct listing {
    struct snapshot_info *items;
    size_t count;
    size_t cap;
};

static int list_one(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct listing *listing = ctx;
    struct snapshot_info info = {0};

    (void)err;
    if (!entry->stat.is_folder || !snapshot_parse_name(entry->name, &info.time_ms))
        return 0;
    snprintf(info.name, sizeof(info.name), "%s", entry->name);
    if (listing->count == listing->cap) {
        listing->cap = listing->cap != 0 ? listing->cap * 2 : 16;
        listing->items = mem_realloc(listing->items, listing->cap * sizeof(*listing->items));
    }
    listing->items[listing->count++] = info;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct snapshot_info *x = a, *y = b;

    return strcmp(x->name, y->name);
}

int store_snapshot_list(struct store *store, struct snapshot_info **list, size_t *count,
                        struct error *err)
{
    struct listing listing = {0};
    struct volume *volume;

    *list = NULL;
    *count = 0;
    if (store_need_folder(store, err) != 0)
        return -1;
    volume = store->folder->volume;
    if (volume->list(volume, SNAPSHOTS_FOLDER, list_one, &listing, err) != 0 &&
        err->code != ERR_NOT_FOUND) {
        mem_free(listing.items);
        return -1;
    }
    if (listing.count != 0)
        qsort(listing.items, listing.count, sizeof(*listing.items), compare_names);
    *list = listing.items;
    *count = listing.count;
    return 0;
}

int store_snapshot_remove(struct store *store, const char *name, struct error *err)
{
    char from[64], to[SNAPSHOT_PATH_BYTES];
    struct volume_stat stat;
    struct volume *volume;
    int64_t time_ms;
    int result;

    if (store_need_folder(store, err) != 0)
        return -1;
    if (!snapshot_parse_name(name, &time_ms))
        return error_set(err, ERR_INVALID, "\"%.60s\" is no name of a snapshot", name);
    volume = store->folder->volume;
    snprintf(from, sizeof(from), SNAPSHOTS_FOLDER "/%s", name);
    snprintf(to, sizeof(to), "%s.tmp", from);
    lock_acquire(&store->background_lock);
    result = volume->stat(volume, from, &stat, err);
    if (result == 0)
        result = volume->move(volume, from, to, err); /* no half of it is ever seen */
    if (result == 0)
        result = volume->remove_folder(volume, to, err);
    lock_release(&store->background_lock);
    if (result != 0 && err->code == ERR_NOT_FOUND)
        return error_set(err, ERR_NOT_FOUND, "there is no snapshot %s", name);
    if (result != 0)
        return -1;
    log_info("snapshot removed", "name=%s", name);
    return 0;
}

/* --- after a crash
 * ---------------------------------------------------------------------------------- */

struct sweep {
    struct volume *volume;
    const char *folder;
};

static int sweep_one(void *ctx, const struct volume_entry *entry, struct error *err)
{
    const struct sweep *sweep = ctx;
    size_t len = strlen(entry->name);
    char name[VOLUME_NAME_MAX + 1];

    if (len < 4 || strcmp(entry->name + len - 4, ".tmp") != 0 || len > 200)
        return 0;
    snprintf(name, sizeof(name), "%s/%s", sweep->folder, entry->name);
    log_info("what a crash left is removed", "folder=%s", name);
    return sweep->volume->remove_folder(sweep->volume, name, err);
}

void snapshot_sweep(struct volume *volume, const char *folder)
{
    struct sweep sweep = {volume, folder};
    struct error err;

    if (volume->list(volume, folder, sweep_one, &sweep, &err) != 0 && err.code != ERR_NOT_FOUND)
        log_warn("unfinished work of the last run could not be removed", "folder=%s problem=\"%s\"",
                 folder, err.text);
}
