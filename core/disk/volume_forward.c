/* volume_forward.c - see volume_forward.h. */
#include "disk/volume_forward.h"

#include "base/mem.h"

static struct volume *inner_of(struct volume *volume)
{
    return ((struct volume_forward *)(void *)volume)->inner;
}

static int forward_append(struct volume *volume, const char *name, uint64_t expected_size,
                          const struct volume_part *parts, size_t count, bool sync,
                          struct volume_stat *stat, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->append(inner, name, expected_size, parts, count, sync, stat, err);
}

static int forward_read(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                        size_t len, size_t *got, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->read(inner, name, offset, bytes, len, got, err);
}

static int forward_stat(struct volume *volume, const char *name, struct volume_stat *stat,
                        struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->stat(inner, name, stat, err);
}

static struct volume_writer *forward_replace(struct volume *volume, const char *name,
                                             struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->replace(inner, name, err);
}

static int forward_truncate(struct volume *volume, const char *name, uint64_t size,
                            struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->truncate(inner, name, size, err);
}

static int forward_remove(struct volume *volume, const char *name, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->remove(inner, name, err);
}

static int forward_remove_folder(struct volume *volume, const char *name, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->remove_folder(inner, name, err);
}

static int forward_make_folder(struct volume *volume, const char *name, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->make_folder(inner, name, err);
}

static int forward_move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->move(inner, from, to, err);
}

static int forward_share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->share(inner, from, to, err);
}

static int forward_unshare(struct volume *volume, const char *const *names, size_t count,
                           struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->unshare != NULL ? inner->unshare(inner, names, count, err) : 0;
}

static int forward_list(struct volume *volume, const char *folder,
                        int (*visit)(void *ctx, const struct volume_entry *entry,
                                     struct error *err),
                        void *ctx, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->list(inner, folder, visit, ctx, err);
}

static int forward_sync(struct volume *volume, const char *name, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->sync(inner, name, err);
}

static int forward_sync_folder(struct volume *volume, const char *folder, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->sync_folder(inner, folder, err);
}

static int forward_sync_all(struct volume *volume, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->sync_all(inner, err);
}

static int forward_space(struct volume *volume, struct volume_space *space, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->space(inner, space, err);
}

static int forward_lock(struct volume *volume, bool *existed, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->lock(inner, existed, err);
}

static int forward_guard(struct volume *volume, bool *existed, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->guard(inner, existed, err);
}

static int forward_unlock(struct volume *volume, bool clean, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->unlock(inner, clean, err);
}

static struct kv *forward_open_kv(struct volume *volume, const char *name,
                                  const struct kv_options *options, struct error *err)
{
    struct volume *inner = inner_of(volume);

    return inner->open_kv(inner, name, options, err);
}

static void forward_close(struct volume *volume)
{
    mem_free(volume);
}

void volume_forward_start(struct volume_forward *self, struct volume *inner)
{
    self->inner = inner;
    self->volume = (struct volume){.append = forward_append,
                                   .read = forward_read,
                                   .stat = forward_stat,
                                   .replace = forward_replace,
                                   .truncate = forward_truncate,
                                   .remove = forward_remove,
                                   .remove_folder = forward_remove_folder,
                                   .make_folder = forward_make_folder,
                                   .move = forward_move,
                                   .share = forward_share,
                                   .unshare = forward_unshare,
                                   .list = forward_list,
                                   .sync = forward_sync,
                                   .sync_folder = forward_sync_folder,
                                   .sync_all = forward_sync_all,
                                   .space = forward_space,
                                   .lock = forward_lock,
                                   .guard = forward_guard,
                                   .unlock = forward_unlock,
                                   .open_kv = forward_open_kv,
                                   .close = forward_close,
                                   .where = inner->where};
}

/* --- writers ------------------------------------------------------------------------------------
 */

static struct volume_writer *inner_writer(struct volume_writer *writer)
{
    return ((struct writer_forward *)(void *)writer)->inner;
}

static int forward_write(struct volume_writer *writer, const void *bytes, size_t len,
                         struct error *err)
{
    struct volume_writer *inner = inner_writer(writer);

    return inner->write(inner, bytes, len, err);
}

static int forward_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                        uint64_t len, struct error *err)
{
    struct volume_writer *inner = inner_writer(writer);

    return inner->copy(inner, from, offset, len, err);
}

static int forward_patch(struct volume_writer *writer, uint64_t offset, const void *bytes,
                         size_t len, struct error *err)
{
    struct volume_writer *inner = inner_writer(writer);

    return inner->patch(inner, offset, bytes, len, err);
}

static int forward_finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct volume_writer *inner = inner_writer(writer);

    if (inner->finish(inner, sync, err) != 0)
        return -1;
    writer->stat = inner->stat;
    return 0;
}

static int forward_publish(struct volume_writer *writer, bool sync_folder, struct volume_stat *stat,
                           struct error *err)
{
    struct volume_writer *inner = inner_writer(writer);

    mem_free(writer);
    return inner->publish(inner, sync_folder, stat, err);
}

static void forward_discard(struct volume_writer *writer)
{
    struct volume_writer *inner = inner_writer(writer);

    mem_free(writer);
    inner->discard(inner);
}

void writer_forward_start(struct writer_forward *self, struct volume_writer *inner)
{
    self->inner = inner;
    self->writer = (struct volume_writer){.write = forward_write,
                                          .copy = forward_copy,
                                          .patch = forward_patch,
                                          .finish = forward_finish,
                                          .publish = forward_publish,
                                          .discard = forward_discard};
}

/* --- tables -------------------------------------------------------------------------------------
 */

static struct kv *inner_kv(struct kv *kv)
{
    return ((struct kv_forward *)(void *)kv)->inner;
}

static int forward_kv_get(struct kv *kv, const void *key, size_t key_len, struct buf *value,
                          bool *found, struct error *err)
{
    struct kv *inner = inner_kv(kv);

    return inner->get(inner, key, key_len, value, found, err);
}

static int forward_kv_write(struct kv *kv, const struct kv_batch *batch, bool sync,
                            struct error *err)
{
    struct kv *inner = inner_kv(kv);

    return inner->write(inner, batch, sync, err);
}

static int forward_kv_scan(struct kv *kv, const void *from, size_t from_len, const void *to,
                           size_t to_len,
                           int (*visit)(void *ctx, const void *key, size_t key_len,
                                        const void *value, size_t value_len, struct error *err),
                           void *ctx, struct error *err)
{
    struct kv *inner = inner_kv(kv);

    return inner->scan(inner, from, from_len, to, to_len, visit, ctx, err);
}

static int forward_kv_close(struct kv *kv, struct error *err)
{
    struct kv *inner = inner_kv(kv);

    mem_free(kv);
    return inner->close(inner, err);
}

void kv_forward_start(struct kv_forward *self, struct kv *inner)
{
    self->inner = inner;
    self->kv = (struct kv){.get = forward_kv_get,
                           .write = forward_kv_write,
                           .scan = forward_kv_scan,
                           .close = forward_kv_close};
}
