/* volume_folder.c - see volume_folder.h: names get the folder in front, all else is the outer's. */
#include "disk/volume_folder.h"

#include <stdio.h>

#include "base/mem.h"
#include "disk/volume_forward.h"

struct folder_volume {
    struct volume_forward forward;
    char *folder; /* owned, as `where` */
    char *where;
};

struct full_name {
    char text[VOLUME_NAME_MAX + 1];
};

static struct folder_volume *self_of(struct volume *volume)
{
    return (struct folder_volume *)(void *)volume;
}

static struct full_name full(const struct folder_volume *self, const char *name)
{
    struct full_name full;
    int len = snprintf(full.text, sizeof(full.text), "%s%s%s", self->folder,
                       name[0] != '\0' ? "/" : "", name);

    TIDE_ASSERT(len > 0 && (size_t)len < sizeof(full.text));
    return full;
}

static int append(struct volume *volume, const char *name, uint64_t expected_size,
                  const struct volume_part *parts, size_t count, bool sync,
                  struct volume_stat *stat, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->append(self->forward.inner, full(self, name).text, expected_size,
                                       parts, count, sync, stat, err);
}

static int read_at(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                   size_t len, size_t *got, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->read(self->forward.inner, full(self, name).text, offset, bytes, len,
                                     got, err);
}

static int stat_name(struct volume *volume, const char *name, struct volume_stat *stat,
                     struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->stat(self->forward.inner, full(self, name).text, stat, err);
}

/* --- replacing: `copy` names a file, the rest goes through ---------------------------------------
 */

struct folder_writer {
    struct writer_forward forward;
    struct folder_volume *self;
};

static int writer_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                       uint64_t len, struct error *err)
{
    struct folder_writer *folder = (struct folder_writer *)(void *)writer;
    struct volume_writer *inner = folder->forward.inner;

    return inner->copy(inner, full(folder->self, from).text, offset, len, err);
}

static struct volume_writer *replace(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);
    struct volume_writer *inner =
        self->forward.inner->replace(self->forward.inner, full(self, name).text, err);
    struct folder_writer *writer;

    if (inner == NULL)
        return NULL;
    writer = mem_zalloc(1, sizeof(*writer));
    writer_forward_start(&writer->forward, inner);
    writer->forward.writer.copy = writer_copy;
    writer->self = self;
    return &writer->forward.writer;
}

/* --- names --------------------------------------------------------------------------------------
 */

static int truncate_file(struct volume *volume, const char *name, uint64_t size, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->truncate(self->forward.inner, full(self, name).text, size, err);
}

static int remove_file(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->remove(self->forward.inner, full(self, name).text, err);
}

static int remove_folder(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->remove_folder(self->forward.inner, full(self, name).text, err);
}

static int make_folder(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->make_folder(self->forward.inner, full(self, name).text, err);
}

static int move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->move(self->forward.inner, full(self, from).text,
                                     full(self, to).text, err);
}

static int share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->share(self->forward.inner, full(self, from).text,
                                      full(self, to).text, err);
}

static int list(struct volume *volume, const char *folder,
                int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err),
                void *ctx, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->list(self->forward.inner, full(self, folder).text, visit, ctx, err);
}

static int sync_file(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->sync(self->forward.inner, full(self, name).text, err);
}

static int sync_folder(struct volume *volume, const char *folder, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->sync_folder(self->forward.inner, full(self, folder).text, err);
}

static int lock_volume(struct volume *volume, bool *existed, struct error *err)
{
    *existed = false;
    return error_set(err, ERR_UNSUPPORTED, "%s is part of a data folder and has no lock of its own",
                     volume->where);
}

static int guard_volume(struct volume *volume, bool *existed, struct error *err)
{
    return lock_volume(volume, existed, err);
}

static int unlock_volume(struct volume *volume, bool clean, struct error *err)
{
    (void)volume;
    (void)clean;
    (void)err;
    return 0;
}

static struct kv *open_kv(struct volume *volume, const char *name, const struct kv_options *options,
                          struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->forward.inner->open_kv(self->forward.inner, full(self, name).text, options, err);
}

static void close_volume(struct volume *volume)
{
    struct folder_volume *self = self_of(volume);

    mem_free(self->folder);
    mem_free(self->where);
    mem_free(self);
}

struct volume *volume_folder_open(struct volume *outer, const char *folder)
{
    struct folder_volume *self = mem_zalloc(1, sizeof(*self));
    struct volume *volume = &self->forward.volume;
    size_t where_bytes = strlen(outer->where) + strlen(folder) + 2;

    volume_forward_start(&self->forward, outer);
    volume->append = append;
    volume->read = read_at;
    volume->stat = stat_name;
    volume->replace = replace;
    volume->truncate = truncate_file;
    volume->remove = remove_file;
    volume->remove_folder = remove_folder;
    volume->make_folder = make_folder;
    volume->move = move;
    volume->share = share;
    volume->unshare = NULL;
    volume->list = list;
    volume->sync = sync_file;
    volume->sync_folder = sync_folder;
    volume->lock = lock_volume;
    volume->guard = guard_volume;
    volume->unlock = unlock_volume;
    volume->open_kv = open_kv;
    volume->close = close_volume;
    self->folder = mem_dup(folder, strlen(folder));
    self->where = mem_alloc(where_bytes);
    snprintf(self->where, where_bytes, "%s/%s", outer->where, folder);
    volume->where = self->where;
    return volume;
}
