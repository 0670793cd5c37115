/* trash.c - see trash.h: the list, the manifests, and what goes by age. */
#include "store/trash.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "store/pass_parts.h"
#include "store/snapshot_parts.h"
#include "store/trash_parts.h"

#define MANIFEST_MAX_BYTES 4096
#define LOOK_NS ((int64_t)60 * 1000000000)

int trash_write_manifest(struct store *store, const struct removal *removal, struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct volume_writer *writer;
    struct buf text = {0};
    char name[96];
    int result = -1;

    snprintf(name, sizeof(name), TRASH_FOLDER "/%s/" TRASH_MANIFEST, removal->id);
    removal_put_json(&text, removal_action(removal), removal);
    buf_putc(&text, '\n');
    writer = volume->replace(volume, name, err);
    if (writer != NULL && writer->write(writer, text.data, text.len, err) == 0 &&
        writer->finish(writer, true, err) == 0)
        result = writer->publish(writer, true, NULL, err);
    else if (writer != NULL)
        writer->discard(writer);
    buf_destroy(&text);
    return result;
}

int trash_read_manifest(struct store *store, const char *id, struct removal *removal,
                        struct error *err)
{
    struct volume *volume = store->folder->volume;
    char name[96], text[MANIFEST_MAX_BYTES + 1];
    size_t got;

    *removal = (struct removal){
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = TIDE_LATEST_MS,
        .first_ms = TIDE_LATEST_MS,
        .last_ms = TIDE_EARLIEST_MS,
        .interrupted = true,
    };
    snprintf(removal->id, sizeof(removal->id), "%s", id);
    if (!snapshot_parse_name(id, &removal->time_ms))
        return error_set(err, ERR_INVALID, "\"%.60s\" is no id of a delete", id);
    snprintf(name, sizeof(name), TRASH_FOLDER "/%.40s/" TRASH_MANIFEST, id);
    if (volume->read(volume, name, 0, text, MANIFEST_MAX_BYTES, &got, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    text[got] = '\0';
    removal->interrupted = !removal_parse_json(text, removal);
    return 0;
}

/* --- the list
 * --------------------------------------------------------------------------------------- */

struct listing {
    struct removal *items;
    size_t count;
    size_t cap;
};

static int list_one(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct listing *listing = ctx;
    struct removal removal = {0};

    (void)err;
    if (!entry->stat.is_folder || !snapshot_parse_name(entry->name, &removal.time_ms))
        return 0;
    snprintf(removal.id, sizeof(removal.id), "%s", entry->name);
    if (listing->count == listing->cap) {
        listing->cap = listing->cap != 0 ? listing->cap * 2 : 16;
        listing->items = mem_realloc(listing->items, listing->cap * sizeof(*listing->items));
    }
    listing->items[listing->count++] = removal;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const struct removal *x = a, *y = b;

    return strcmp(x->id, y->id);
}

/* The ids and times of the entries, nothing else. */
static int list_ids(struct store *store, struct listing *listing, struct error *err)
{
    struct volume *volume = store->folder->volume;

    if (volume->list(volume, TRASH_FOLDER, list_one, listing, err) != 0 &&
        err->code != ERR_NOT_FOUND) {
        mem_free(listing->items);
        return -1;
    }
    if (listing->count != 0)
        qsort(listing->items, listing->count, sizeof(*listing->items), compare_ids);
    return 0;
}

int store_trash_list(struct store *store, struct removal **list, size_t *count, struct error *err)
{
    struct listing listing = {0};
    char id[REMOVAL_ID_BYTES];

    *list = NULL;
    *count = 0;
    if (store_need_folder(store, err) != 0 || list_ids(store, &listing, err) != 0)
        return -1;
    for (size_t i = 0; i < listing.count; i++) {
        memcpy(id, listing.items[i].id, sizeof(id));
        if (trash_read_manifest(store, id, &listing.items[i], err) != 0) {
            mem_free(listing.items);
            return -1;
        }
    }
    *list = listing.items;
    *count = listing.count;
    return 0;
}

int64_t store_trash_expires(struct store *store, const struct removal *removal)
{
    int64_t at_ms;

    if (store->options.trash_ttl_ms == TRASH_FOREVER ||
        __builtin_add_overflow(removal->time_ms, store->options.trash_ttl_ms, &at_ms))
        return TIDE_LATEST_MS;
    return at_ms;
}

/* --- removing
 * --------------------------------------------------------------------------------------- */

bool trash_use(struct store *store, const char *id)
{
    struct folder *folder = store->folder;
    bool taken;

    lock_acquire(&folder->trash_lock);
    taken = folder->trash_in_use[0] == '\0';
    if (taken)
        snprintf(folder->trash_in_use, sizeof(folder->trash_in_use), "%s", id);
    lock_release(&folder->trash_lock);
    return taken;
}

void trash_unuse(struct store *store)
{
    lock_acquire(&store->folder->trash_lock);
    store->folder->trash_in_use[0] = '\0';
    lock_release(&store->folder->trash_lock);
}

int trash_remove(struct store *store, const char *id, struct error *err)
{
    struct volume *volume = store->folder->volume;
    char from[64], to[64];

    snprintf(from, sizeof(from), TRASH_FOLDER "/%.40s", id);
    snprintf(to, sizeof(to), TRASH_FOLDER "/%.40s.tmp", id);
    /* No half of it is ever seen; what a crash leaves goes at the next start. */
    if (volume->move(volume, from, to, err) != 0)
        return -1;
    return volume->remove_folder(volume, to, err);
}

/* Gone for good. */
static int erase(struct store *store, const char *id, const char *by, struct error *err)
{
    struct removal removal;
    int result;

    pass_trash_leave(store, id);
    if (!trash_use(store, id))
        return error_set(err, ERR_BUSY, "trash %.40s is being brought back: try again", id);
    result = trash_read_manifest(store, id, &removal, err);
    if (result == 0)
        result = trash_remove(store, id, err);
    trash_unuse(store);
    if (result != 0)
        return err->code == ERR_NOT_FOUND
                   ? error_set(err, ERR_NOT_FOUND, "there is nothing in the trash under %.40s", id)
                   : error_note(err, "trash %.40s", id);
    removal.time_ms = clock_wall_ms(store->clock);
    snprintf(removal.by, sizeof(removal.by), "%s", by);
    audit_write(store, "expire", &removal);
    counter_add(&store->counters.trash_expired, 1);
    log_info("deleted samples are gone for good", "id=%s by=\"%s\" samples=%" PRIu64, id,
             removal.by, removal.samples);
    return 0;
}

/* A pass adds to its entry for hours: its time counts from the last of them. */
static bool grew_later(struct store *store, const char *id, int64_t now_ms)
{
    struct removal removal;
    struct error ignored;

    return trash_read_manifest(store, id, &removal, &ignored) == 0 &&
           store_trash_expires(store, &removal) > now_ms;
}

/* All entries, or those whose time is over. */
static int erase_all(struct store *store, bool all, const char *by, struct error *err)
{
    struct listing listing = {0};
    int64_t now_ms = clock_wall_ms(store->clock);
    int result = 0;

    if (list_ids(store, &listing, err) != 0)
        return -1;
    for (size_t i = 0; i < listing.count && result == 0; i++) {
        if (!all && (store_trash_expires(store, &listing.items[i]) > now_ms ||
                     grew_later(store, listing.items[i].id, now_ms)))
            continue;
        result = erase(store, listing.items[i].id, by, err);
        if (result != 0 && err->code == ERR_BUSY && !all)
            result = 0; /* the next look */
    }
    mem_free(listing.items);
    return result;
}

int store_trash_remove(struct store *store, const char *id, const char *by, struct error *err)
{
    int result;

    if (store_need_folder(store, err) != 0)
        return -1;
    lock_acquire(&store->background_lock);
    result = id != NULL ? erase(store, id, by, err) : erase_all(store, true, by, err);
    lock_release(&store->background_lock);
    return result;
}

int trash_tick(struct store *store, struct error *err)
{
    struct folder *folder = store->folder;
    int64_t mono_ns = clock_mono_ns(store->clock);

    if (folder->trash_looked_mono_ns != 0 && mono_ns - folder->trash_looked_mono_ns < LOOK_NS)
        return 0;
    folder->trash_looked_mono_ns = mono_ns;
    if (store->options.trash_ttl_ms == TRASH_FOREVER || clock_guard_holds(store, false))
        return 0;
    return erase_all(store, false, "trash.ttl", err);
}
