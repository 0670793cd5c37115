/* volume_folder.c - see volume_folder.h: names get the folder in front, all else is the outer's. */
#include "disk/volume_folder.h"

#include <stdio.h>

#include "base/mem.h"

struct folder_volume {
    struct volume volume;
    struct volume *outer;
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

    return self->outer->append(self->outer, full(self, name).text, expected_size, parts, count,
                               sync, stat, err);
}

static int read_at(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                   size_t len, size_t *got, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->read(self->outer, full(self, name).text, offset, bytes, len, got, err);
}

static int stat_name(struct volume *volume, const char *name, struct volume_stat *stat,
                     struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->stat(self->outer, full(self, name).text, stat, err);
}

/* --- replacing: `copy` names a file, the rest goes through ---------------------------------------
 */

struct folder_writer {
    struct volume_writer writer;
    struct volume_writer *inner;
    struct folder_volume *self;
};

static struct folder_writer *writer_of(struct volume_writer *writer)
{
    return (struct folder_writer *)(void *)writer;
}

static int writer_write(struct volume_writer *writer, const void *bytes, size_t len,
                        struct error *err)
{
    struct volume_writer *inner = writer_of(writer)->inner;

    return inner->write(inner, bytes, len, err);
}

static int writer_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                       uint64_t len, struct error *err)
{
    struct folder_writer *folder = writer_of(writer);

    return folder->inner->copy(folder->inner, full(folder->self, from).text, offset, len, err);
}

static int writer_patch(struct volume_writer *writer, uint64_t offset, const void *bytes,
                        size_t len, struct error *err)
{
    struct volume_writer *inner = writer_of(writer)->inner;

    return inner->patch(inner, offset, bytes, len, err);
}

static int writer_finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct volume_writer *inner = writer_of(writer)->inner;

    if (inner->finish(inner, sync, err) != 0)
        return -1;
    writer->stat = inner->stat;
    return 0;
}

static int writer_publish(struct volume_writer *writer, bool sync_folder, struct volume_stat *stat,
                          struct error *err)
{
    struct volume_writer *inner = writer_of(writer)->inner;

    mem_free(writer_of(writer));
    return inner->publish(inner, sync_folder, stat, err);
}

static void writer_discard(struct volume_writer *writer)
{
    struct volume_writer *inner = writer_of(writer)->inner;

    mem_free(writer_of(writer));
    inner->discard(inner);
}

static struct volume_writer *replace(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);
    struct volume_writer *inner = self->outer->replace(self->outer, full(self, name).text, err);
    struct folder_writer *writer;

    if (inner == NULL)
        return NULL;
    writer = mem_zalloc(1, sizeof(*writer));
    writer->writer = (struct volume_writer){.write = writer_write,
                                            .copy = writer_copy,
                                            .patch = writer_patch,
                                            .finish = writer_finish,
                                            .publish = writer_publish,
                                            .discard = writer_discard};
    writer->inner = inner;
    writer->self = self;
    return &writer->writer;
}

/* --- names --------------------------------------------------------------------------------------
 */

static int truncate_file(struct volume *volume, const char *name, uint64_t size, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->truncate(self->outer, full(self, name).text, size, err);
}

static int remove_file(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->remove(self->outer, full(self, name).text, err);
}

static int remove_folder(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->remove_folder(self->outer, full(self, name).text, err);
}

static int make_folder(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->make_folder(self->outer, full(self, name).text, err);
}

static int move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->move(self->outer, full(self, from).text, full(self, to).text, err);
}

static int share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->share(self->outer, full(self, from).text, full(self, to).text, err);
}

static int list(struct volume *volume, const char *folder,
                int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err),
                void *ctx, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->list(self->outer, full(self, folder).text, visit, ctx, err);
}

static int sync_file(struct volume *volume, const char *name, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->sync(self->outer, full(self, name).text, err);
}

static int sync_folder(struct volume *volume, const char *folder, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->sync_folder(self->outer, full(self, folder).text, err);
}

static int sync_all(struct volume *volume, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->sync_all(self->outer, err);
}

static int space(struct volume *volume, struct volume_space *out, struct error *err)
{
    struct folder_volume *self = self_of(volume);

    return self->outer->space(self->outer, out, err);
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

    return self->outer->open_kv(self->outer, full(self, name).text, options, err);
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
    size_t where_bytes = strlen(outer->where) + strlen(folder) + 2;

    self->volume = (struct volume){
        .append = append,
        .read = read_at,
        .stat = stat_name,
        .replace = replace,
        .truncate = truncate_file,
        .remove = remove_file,
        .remove_folder = remove_folder,
        .make_folder = make_folder,
        .move = move,
        .share = share,
        .list = list,
        .sync = sync_file,
        .sync_folder = sync_folder,
        .sync_all = sync_all,
        .space = space,
        .lock = lock_volume,
        .guard = guard_volume,
        .unlock = unlock_volume,
        .open_kv = open_kv,
        .close = close_volume,
    };
    self->outer = outer;
    self->folder = mem_dup(folder, strlen(folder));
    self->where = mem_alloc(where_bytes);
    snprintf(self->where, where_bytes, "%s/%s", outer->where, folder);
    self->volume.where = self->where;
    return &self->volume;
}
