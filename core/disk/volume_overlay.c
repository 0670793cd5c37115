#include "disk/volume_overlay.h"

#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "base/mem.h"
#include "base/thread.h"

#define COPY_BYTES ((size_t)1 << 20)

/* Names; guarded by the owner. */
struct name_set {
    char **slots; /* owned; NULL: free */
    size_t count;
    size_t mask; /* slots - 1 */
};

struct overlay {
    struct volume volume;
    struct volume *lower;
    struct volume *upper;
    struct lock gone_lock; /* a leaf; guards the next line */
    struct name_set gone;  /* names, folders too, that are no longer seen in the lower volume */
};

static struct overlay *self_of(struct volume *volume)
{
    return (struct overlay *)(void *)volume;
}

/* --- names that are gone ------------------------------------------------------------------------
 */

static size_t find_slot(const struct name_set *set, const char *name, size_t len)
{
    size_t at = (size_t)XXH3_64bits(name, len) & set->mask;

    while (set->slots[at] != NULL &&
           (strncmp(set->slots[at], name, len) != 0 || set->slots[at][len] != '\0'))
        at = (at + 1) & set->mask;
    return at;
}

static bool has_name(const struct name_set *set, const char *name, size_t len)
{
    return set->count != 0 && set->slots[find_slot(set, name, len)] != NULL;
}

static void grow_set(struct name_set *set)
{
    struct name_set old = *set;

    set->mask = old.slots == NULL ? 63 : old.mask * 2 + 1;
    set->slots = mem_zalloc(set->mask + 1, sizeof(*set->slots));
    for (size_t i = 0; old.slots != NULL && i <= old.mask; i++) {
        if (old.slots[i] != NULL)
            set->slots[find_slot(set, old.slots[i], strlen(old.slots[i]))] = old.slots[i];
    }
    mem_free(old.slots);
}

static void forget(struct overlay *self, const char *name)
{
    size_t len = strlen(name), at;

    lock_acquire(&self->gone_lock);
    if (self->gone.slots == NULL || self->gone.count * 2 > self->gone.mask)
        grow_set(&self->gone);
    at = find_slot(&self->gone, name, len);
    if (self->gone.slots[at] == NULL) {
        self->gone.slots[at] = mem_dup(name, len);
        self->gone.count++;
    }
    lock_release(&self->gone_lock);
}

/* Is a name of the lower volume still seen? Not if it, or a folder above it, is gone. */
static bool is_gone(struct overlay *self, const char *name)
{
    bool gone;

    lock_acquire(&self->gone_lock);
    gone = has_name(&self->gone, name, strlen(name));
    for (const char *slash = strchr(name, '/'); !gone && slash != NULL;
         slash = strchr(slash + 1, '/'))
        gone = has_name(&self->gone, name, (size_t)(slash - name));
    lock_release(&self->gone_lock);
    return gone;
}

/* --- where a name lies --------------------------------------------------------------------------
 */

static bool is_in(struct volume *volume, const char *name)
{
    struct volume_stat stat;
    struct error unused;

    return volume->stat(volume, name, &stat, &unused) == 0;
}

/* The volume that a name is read from. */
static struct volume *holder_of(struct overlay *self, const char *name)
{
    return is_in(self->upper, name) || is_gone(self, name) ? self->upper : self->lower;
}

static int write_copy(struct volume *from, const char *name, uint64_t offset, uint64_t len,
                      struct volume_writer *writer, struct error *err)
{
    uint8_t *bytes = mem_alloc(COPY_BYTES);
    uint64_t done = 0;
    size_t got = 1;
    int status = 0;

    while (status == 0 && done < len && got != 0) {
        size_t piece = (size_t)TIDE_MIN(len - done, (uint64_t)COPY_BYTES);

        status = from->read(from, name, offset + done, bytes, piece, &got, err);
        if (status == 0 && got != 0)
            status = writer->write(writer, bytes, got, err);
        done += got;
    }
    mem_free(bytes);
    if (status == 0 && done < len && len != UINT64_MAX)
        return error_set(err, ERR_CORRUPT, "%s ends too early", name);
    return status;
}

static int copy_up(struct overlay *self, const char *name, struct error *err)
{
    struct volume_writer *writer = self->upper->replace(self->upper, name, err);

    if (writer == NULL)
        return -1;
    if (write_copy(self->lower, name, 0, UINT64_MAX, writer, err) != 0 ||
        writer->finish(writer, false, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, false, NULL, err);
}

/* Before a file is changed. One that is nowhere is left to the upper volume to judge. */
static int own(struct overlay *self, const char *name, struct error *err)
{
    if (holder_of(self, name) == self->upper || !is_in(self->lower, name))
        return 0;
    return copy_up(self, name, err);
}

/* --- files --------------------------------------------------------------------------------------
 */

static int overlay_append(struct volume *volume, const char *name, uint64_t expected_size,
                          const struct volume_part *parts, size_t count, bool sync,
                          struct volume_stat *stat, struct error *err)
{
    struct overlay *self = self_of(volume);

    (void)sync;
    if (own(self, name, err) != 0)
        return -1;
    return self->upper->append(self->upper, name, expected_size, parts, count, false, stat, err);
}

static int overlay_read(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                        size_t len, size_t *got, struct error *err)
{
    struct volume *holder = holder_of(self_of(volume), name);

    return holder->read(holder, name, offset, bytes, len, got, err);
}

static int overlay_stat(struct volume *volume, const char *name, struct volume_stat *stat,
                        struct error *err)
{
    struct volume *holder = holder_of(self_of(volume), name);

    return holder->stat(holder, name, stat, err);
}

static int overlay_truncate(struct volume *volume, const char *name, uint64_t size,
                            struct error *err)
{
    struct overlay *self = self_of(volume);

    if (own(self, name, err) != 0)
        return -1;
    return self->upper->truncate(self->upper, name, size, err);
}

static int overlay_remove(struct volume *volume, const char *name, struct error *err)
{
    struct overlay *self = self_of(volume);
    bool below = !is_gone(self, name) && is_in(self->lower, name);

    /* One that is nowhere: the upper volume says so. */
    if ((!below || is_in(self->upper, name)) && self->upper->remove(self->upper, name, err) != 0)
        return -1;
    if (below)
        forget(self, name);
    return 0;
}

static int overlay_remove_folder(struct volume *volume, const char *name, struct error *err)
{
    struct overlay *self = self_of(volume);

    forget(self, name);
    return self->upper->remove_folder(self->upper, name, err);
}

static int overlay_make_folder(struct volume *volume, const char *name, struct error *err)
{
    return self_of(volume)->upper->make_folder(self_of(volume)->upper, name, err);
}

static int overlay_move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct overlay *self = self_of(volume);

    if (own(self, from, err) != 0 || self->upper->move(self->upper, from, to, err) != 0)
        return -1;
    forget(self, from);
    return 0;
}

static int overlay_share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct overlay *self = self_of(volume);

    if (own(self, from, err) != 0)
        return -1;
    return self->upper->share(self->upper, from, to, err);
}

/* --- replacing ----------------------------------------------------------------------------------
 */

/* The upper volume's writer, which copies from both. */
struct overlay_writer {
    struct volume_writer writer;
    struct overlay *self;
    struct volume_writer *upper;
};

static struct overlay_writer *writer_of(struct volume_writer *writer)
{
    return (struct overlay_writer *)(void *)writer;
}

static int writer_write(struct volume_writer *writer, const void *bytes, size_t len,
                        struct error *err)
{
    struct volume_writer *upper = writer_of(writer)->upper;

    return upper->write(upper, bytes, len, err);
}

static int writer_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                       uint64_t len, struct error *err)
{
    struct overlay_writer *self = writer_of(writer);

    return write_copy(holder_of(self->self, from), from, offset, len, self->upper, err);
}

static int writer_patch(struct volume_writer *writer, uint64_t offset, const void *bytes,
                        size_t len, struct error *err)
{
    struct volume_writer *upper = writer_of(writer)->upper;

    return upper->patch(upper, offset, bytes, len, err);
}

static int writer_finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct volume_writer *upper = writer_of(writer)->upper;

    (void)sync;
    return upper->finish(upper, false, err);
}

static int writer_publish(struct volume_writer *writer, bool sync_folder, struct volume_stat *stat,
                          struct error *err)
{
    struct volume_writer *upper = writer_of(writer)->upper;

    (void)sync_folder;
    mem_free(writer);
    return upper->publish(upper, false, stat, err);
}

static void writer_discard(struct volume_writer *writer)
{
    struct volume_writer *upper = writer_of(writer)->upper;

    upper->discard(upper);
    mem_free(writer);
}

static struct volume_writer *overlay_replace(struct volume *volume, const char *name,
                                             struct error *err)
{
    struct overlay *self = self_of(volume);
    struct volume_writer *upper = self->upper->replace(self->upper, name, err);
    struct overlay_writer *writer;

    if (upper == NULL)
        return NULL;
    writer = mem_zalloc(1, sizeof(*writer));
    *writer = (struct overlay_writer){
        .writer = {.write = writer_write,
                   .copy = writer_copy,
                   .patch = writer_patch,
                   .finish = writer_finish,
                   .publish = writer_publish,
                   .discard = writer_discard},
        .self = self,
        .upper = upper,
    };
    return &writer->writer;
}

/* --- listing ------------------------------------------------------------------------------------
 */

struct overlay_list {
    struct overlay *self;
    const char *folder;
    int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err);
    void *ctx;
};

/* Names of the lower volume that the upper one does not have. */
static int list_lower(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct overlay_list *list = ctx;
    char name[VOLUME_NAME_MAX + 1];
    int len = snprintf(name, sizeof(name), "%s%s%s", list->folder,
                       list->folder[0] != '\0' ? "/" : "", entry->name);

    if (len < 0 || (size_t)len >= sizeof(name) || is_in(list->self->upper, name) ||
        is_gone(list->self, name))
        return 0;
    return list->visit(list->ctx, entry, err);
}

static int overlay_list(struct volume *volume, const char *folder,
                        int (*visit)(void *ctx, const struct volume_entry *entry,
                                     struct error *err),
                        void *ctx, struct error *err)
{
    struct overlay *self = self_of(volume);
    struct overlay_list list = {self, folder, visit, ctx};
    bool found = false;

    if (self->upper->list(self->upper, folder, visit, ctx, err) == 0)
        found = true;
    else if (err->code != ERR_NOT_FOUND)
        return -1;
    if (is_gone(self, folder))
        return found ? 0 : -1;
    if (self->lower->list(self->lower, folder, list_lower, &list, err) == 0)
        return 0;
    return found && err->code == ERR_NOT_FOUND ? 0 : -1;
}

/* --- the rest -----------------------------------------------------------------------------------
 */

static int no_sync(struct volume *volume, const char *name, struct error *err)
{
    (void)volume, (void)name, (void)err;
    return 0;
}

static int no_sync_all(struct volume *volume, struct error *err)
{
    (void)volume, (void)err;
    return 0;
}

static int overlay_space(struct volume *volume, struct volume_space *space, struct error *err)
{
    return self_of(volume)->upper->space(self_of(volume)->upper, space, err);
}

static int overlay_lock(struct volume *volume, bool *existed, struct error *err)
{
    return self_of(volume)->lower->guard(self_of(volume)->lower, existed, err);
}

static int overlay_unlock(struct volume *volume, bool clean, struct error *err)
{
    (void)clean;
    return self_of(volume)->lower->unlock(self_of(volume)->lower, false, err);
}

struct table_copy {
    struct overlay *self;
    const char *folder;
};

static int copy_table_file(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct table_copy *copy = ctx;
    char name[VOLUME_NAME_MAX + 1];

    if (entry->stat.is_folder || strcmp(entry->name, "LOCK") == 0)
        return 0;
    snprintf(name, sizeof(name), "%s/%s", copy->folder, entry->name);
    return copy_up(copy->self, name, err);
}

static struct kv *overlay_open_kv(struct volume *volume, const char *name,
                                  const struct kv_options *options, struct error *err)
{
    struct overlay *self = self_of(volume);
    struct table_copy copy = {self, name};

    if (holder_of(self, name) == self->lower &&
        self->lower->list(self->lower, name, copy_table_file, &copy, err) != 0 &&
        err->code != ERR_NOT_FOUND)
        return NULL;
    return self->upper->open_kv(self->upper, name, options, err);
}

static void overlay_close(struct volume *volume)
{
    struct overlay *self = self_of(volume);

    for (size_t i = 0; self->gone.slots != NULL && i <= self->gone.mask; i++)
        mem_free(self->gone.slots[i]);
    mem_free(self->gone.slots);
    lock_destroy(&self->gone_lock);
    mem_free(self);
}

struct volume *volume_overlay_new(struct volume *lower, struct volume *upper)
{
    struct overlay *self = mem_zalloc(1, sizeof(*self));

    lock_init(&self->gone_lock);
    self->lower = lower;
    self->upper = upper;
    self->volume = (struct volume){.append = overlay_append,
                                   .read = overlay_read,
                                   .stat = overlay_stat,
                                   .replace = overlay_replace,
                                   .truncate = overlay_truncate,
                                   .remove = overlay_remove,
                                   .remove_folder = overlay_remove_folder,
                                   .make_folder = overlay_make_folder,
                                   .move = overlay_move,
                                   .share = overlay_share,
                                   .list = overlay_list,
                                   .sync = no_sync,
                                   .sync_folder = no_sync,
                                   .sync_all = no_sync_all,
                                   .space = overlay_space,
                                   .lock = overlay_lock,
                                   .guard = overlay_lock,
                                   .unlock = overlay_unlock,
                                   .open_kv = overlay_open_kv,
                                   .close = overlay_close,
                                   .where = lower->where};
    return &self->volume;
}
