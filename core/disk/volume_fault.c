#include "disk/volume_fault.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "disk/volume_forward.h"

struct fault_volume {
    struct volume_forward forward;
    int kinds; /* atomic; the four below are set while it is 0 */
    int sys_errno;
    enum fault_style style;
    uint64_t after;
    uint64_t times;
    uint64_t count;   /* atomic */
    uint64_t failed;  /* atomic */
    uint32_t slow_us; /* set while nothing runs */
    bool has_space;   /* likewise */
    struct volume_space space;
};

static struct fault_volume *self_of(struct volume *volume)
{
    return (struct fault_volume *)(void *)volume;
}

/* Counts an operation; true if it has to fail. */
static bool strikes(struct fault_volume *self, enum fault_kind kind)
{
    uint64_t number;

    if (self->slow_us != 0)
        usleep(self->slow_us);
    if ((__atomic_load_n(&self->kinds, __ATOMIC_ACQUIRE) & (int)kind) == 0)
        return false;
    number = __atomic_fetch_add(&self->count, 1, __ATOMIC_RELAXED);
    if (number < self->after || number - self->after >= self->times)
        return false;
    __atomic_fetch_add(&self->failed, 1, __ATOMIC_RELAXED);
    return true;
}

static int fail(const struct fault_volume *self, const char *what, const char *name,
                struct error *err)
{
    return error_set_at(err, ERR_IO, self->sys_errno, TIDE_WHERE, "cannot %s %s: injected (%s)",
                        what, name, strerror(self->sys_errno));
}

/* Most operations: nothing happens, or it happens and the answer is lost. */
#define FAULT(self, kind, what, name, call)                                                        \
    do {                                                                                           \
        if (strikes((self), (kind))) {                                                             \
            if ((self)->style == FAULT_AFTER)                                                      \
                (void)(call);                                                                      \
            return fail((self), (what), (name), err);                                              \
        }                                                                                          \
    } while (0)

/* --- writes -------------------------------------------------------------------------------------
 */

static void append_half(struct fault_volume *self, const char *name, uint64_t expected_size,
                        const struct volume_part *parts, size_t count)
{
    struct buf all = {0};
    struct volume_part half;
    struct error unused;
    size_t i;

    for (i = 0; i < count; i++)
        buf_append(&all, parts[i].bytes, parts[i].len);
    half = (struct volume_part){all.data, all.len / 2};
    (void)self->forward.inner->append(self->forward.inner, name, expected_size, &half, 1, false,
                                      NULL, &unused);
    buf_destroy(&all);
}

static int fault_append(struct volume *volume, const char *name, uint64_t expected_size,
                        const struct volume_part *parts, size_t count, bool sync,
                        struct volume_stat *stat, struct error *err)
{
    struct fault_volume *self = self_of(volume);
    struct volume *inner = self->forward.inner;

    if (strikes(self, FAULT_WRITE) || (sync && strikes(self, FAULT_SYNC))) {
        if (self->style == FAULT_AFTER)
            (void)inner->append(inner, name, expected_size, parts, count, sync, stat, err);
        else if (self->style == FAULT_TORN)
            append_half(self, name, expected_size, parts, count);
        return fail(self, "append to", name, err);
    }
    return inner->append(inner, name, expected_size, parts, count, sync, stat, err);
}

struct fault_writer {
    struct writer_forward forward;
    struct fault_volume *self;
};

static struct fault_writer *writer_of(struct volume_writer *writer)
{
    return (struct fault_writer *)(void *)writer;
}

static int writer_write(struct volume_writer *writer, const void *bytes, size_t len,
                        struct error *err)
{
    struct fault_writer *self = writer_of(writer);

    if (strikes(self->self, FAULT_WRITE)) {
        if (self->self->style != FAULT_CLEAN)
            (void)self->forward.inner->write(self->forward.inner, bytes, len / 2, err);
        return fail(self->self, "write", "a replacement", err);
    }
    return self->forward.inner->write(self->forward.inner, bytes, len, err);
}

static int writer_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                       uint64_t len, struct error *err)
{
    struct fault_writer *self = writer_of(writer);

    if (strikes(self->self, FAULT_WRITE))
        return fail(self->self, "copy", from, err);
    return self->forward.inner->copy(self->forward.inner, from, offset, len, err);
}

static int writer_patch(struct volume_writer *writer, uint64_t offset, const void *bytes,
                        size_t len, struct error *err)
{
    struct fault_writer *self = writer_of(writer);

    if (strikes(self->self, FAULT_WRITE))
        return fail(self->self, "patch", "a replacement", err);
    return self->forward.inner->patch(self->forward.inner, offset, bytes, len, err);
}

static int writer_finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct fault_writer *self = writer_of(writer);

    if (sync && strikes(self->self, FAULT_SYNC))
        return fail(self->self, "sync", "a replacement", err);
    if (self->forward.inner->finish(self->forward.inner, sync, err) != 0)
        return -1;
    writer->stat = self->forward.inner->stat;
    return 0;
}

static int writer_publish(struct volume_writer *writer, bool sync_folder, struct volume_stat *stat,
                          struct error *err)
{
    struct fault_writer *self = writer_of(writer);
    struct fault_volume *volume = self->self;
    struct volume_writer *inner = self->forward.inner;
    bool renamed = !strikes(volume, FAULT_RENAME);
    bool synced = !sync_folder || !strikes(volume, FAULT_SYNC);
    int status = 0;

    mem_free(self);
    if (renamed || volume->style == FAULT_AFTER)
        status = inner->publish(inner, sync_folder && synced, stat, err);
    else
        inner->discard(inner);
    if (!renamed || !synced)
        return fail(volume, renamed ? "sync the folder of" : "rename", "a replacement", err);
    return status;
}

static struct volume_writer *fault_replace(struct volume *volume, const char *name,
                                           struct error *err)
{
    struct fault_volume *self = self_of(volume);
    struct fault_writer *writer;
    struct volume_writer *inner;

    if (strikes(self, FAULT_OPEN)) {
        fail(self, "replace", name, err);
        return NULL;
    }
    inner = self->forward.inner->replace(self->forward.inner, name, err);
    if (inner == NULL)
        return NULL;
    writer = mem_zalloc(1, sizeof(*writer));
    writer_forward_start(&writer->forward, inner);
    writer->forward.writer.write = writer_write;
    writer->forward.writer.copy = writer_copy;
    writer->forward.writer.patch = writer_patch;
    writer->forward.writer.finish = writer_finish;
    writer->forward.writer.publish = writer_publish;
    writer->self = self;
    return &writer->forward.writer;
}

/* --- everything else ----------------------------------------------------------------------------
 */

static int fault_read(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                      size_t len, size_t *got, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_READ, "read", name, 0);
    return self->forward.inner->read(self->forward.inner, name, offset, bytes, len, got, err);
}

static int fault_stat(struct volume *volume, const char *name, struct volume_stat *stat,
                      struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_READ, "stat", name, 0);
    return self->forward.inner->stat(self->forward.inner, name, stat, err);
}

static int fault_list(struct volume *volume, const char *folder,
                      int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err),
                      void *ctx, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_READ, "list", folder, 0);
    return self->forward.inner->list(self->forward.inner, folder, visit, ctx, err);
}

static int fault_truncate(struct volume *volume, const char *name, uint64_t size, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_RESIZE, "cut", name,
          self->forward.inner->truncate(self->forward.inner, name, size, err));
    return self->forward.inner->truncate(self->forward.inner, name, size, err);
}

static int fault_remove(struct volume *volume, const char *name, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_REMOVE, "remove", name,
          self->forward.inner->remove(self->forward.inner, name, err));
    return self->forward.inner->remove(self->forward.inner, name, err);
}

static int fault_remove_folder(struct volume *volume, const char *name, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_REMOVE, "remove", name,
          self->forward.inner->remove_folder(self->forward.inner, name, err));
    return self->forward.inner->remove_folder(self->forward.inner, name, err);
}

static int fault_make_folder(struct volume *volume, const char *name, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_WRITE, "make", name,
          self->forward.inner->make_folder(self->forward.inner, name, err));
    return self->forward.inner->make_folder(self->forward.inner, name, err);
}

static int fault_move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_RENAME, "move", from,
          self->forward.inner->move(self->forward.inner, from, to, err));
    return self->forward.inner->move(self->forward.inner, from, to, err);
}

static int fault_share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_RENAME, "share", from,
          self->forward.inner->share(self->forward.inner, from, to, err));
    return self->forward.inner->share(self->forward.inner, from, to, err);
}

static int fault_unshare(struct volume *volume, const char *const *names, size_t count,
                         struct error *err)
{
    struct fault_volume *self = self_of(volume);

    if (self->forward.inner->unshare == NULL)
        return 0;
    FAULT(self, FAULT_RENAME, "unshare", names[0],
          self->forward.inner->unshare(self->forward.inner, names, count, err));
    return self->forward.inner->unshare(self->forward.inner, names, count, err);
}

static int fault_sync(struct volume *volume, const char *name, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_SYNC, "sync", name, 0);
    return self->forward.inner->sync(self->forward.inner, name, err);
}

static int fault_sync_folder(struct volume *volume, const char *folder, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_SYNC, "sync", folder, 0);
    return self->forward.inner->sync_folder(self->forward.inner, folder, err);
}

static int fault_space(struct volume *volume, struct volume_space *space, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    if (!self->has_space)
        return self->forward.inner->space(self->forward.inner, space, err);
    *space = self->space;
    return 0;
}

static int fault_sync_all(struct volume *volume, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    FAULT(self, FAULT_SYNC, "sync", "everything", 0);
    return self->forward.inner->sync_all(self->forward.inner, err);
}

static int fault_unlock(struct volume *volume, bool clean, struct error *err)
{
    struct fault_volume *self = self_of(volume);

    if (clean && strikes(self, FAULT_REMOVE)) {
        (void)self->forward.inner->unlock(self->forward.inner, false, err);
        return fail(self, "remove", "the marker", err);
    }
    return self->forward.inner->unlock(self->forward.inner, clean, err);
}

/* --- tables -------------------------------------------------------------------------------------
 */

struct fault_kv {
    struct kv_forward forward;
    struct fault_volume *self;
};

static struct fault_kv *kv_of(struct kv *kv)
{
    return (struct fault_kv *)(void *)kv;
}

static int kv_get(struct kv *kv, const void *key, size_t key_len, struct buf *value, bool *found,
                  struct error *err)
{
    struct fault_kv *self = kv_of(kv);

    FAULT(self->self, FAULT_KV, "read", "a table", 0);
    return self->forward.inner->get(self->forward.inner, key, key_len, value, found, err);
}

static int kv_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct error *err)
{
    struct fault_kv *self = kv_of(kv);

    FAULT(self->self, FAULT_KV, "write", "a table",
          self->forward.inner->write(self->forward.inner, batch, sync, err));
    return self->forward.inner->write(self->forward.inner, batch, sync, err);
}

static int kv_scan(struct kv *kv, const void *from, size_t from_len, const void *to, size_t to_len,
                   int (*visit)(void *ctx, const void *key, size_t key_len, const void *value,
                                size_t value_len, struct error *err),
                   void *ctx, struct error *err)
{
    struct fault_kv *self = kv_of(kv);

    FAULT(self->self, FAULT_KV, "scan", "a table", 0);
    return self->forward.inner->scan(self->forward.inner, from, from_len, to, to_len, visit, ctx,
                                     err);
}

static struct kv *fault_open_kv(struct volume *volume, const char *name,
                                const struct kv_options *options, struct error *err)
{
    struct fault_volume *self = self_of(volume);
    struct fault_kv *kv;
    struct kv *inner;

    if (strikes(self, FAULT_OPEN)) {
        fail(self, "open", name, err);
        return NULL;
    }
    inner = self->forward.inner->open_kv(self->forward.inner, name, options, err);
    if (inner == NULL)
        return NULL;
    kv = mem_zalloc(1, sizeof(*kv));
    kv_forward_start(&kv->forward, inner);
    kv->forward.kv.get = kv_get;
    kv->forward.kv.write = kv_write;
    kv->forward.kv.scan = kv_scan;
    kv->self = self;
    return &kv->forward.kv;
}

struct volume *volume_fault_new(struct volume *inner)
{
    struct fault_volume *self = mem_zalloc(1, sizeof(*self));
    struct volume *volume = &self->forward.volume;

    volume_forward_start(&self->forward, inner);
    volume->append = fault_append;
    volume->read = fault_read;
    volume->stat = fault_stat;
    volume->replace = fault_replace;
    volume->truncate = fault_truncate;
    volume->remove = fault_remove;
    volume->remove_folder = fault_remove_folder;
    volume->make_folder = fault_make_folder;
    volume->move = fault_move;
    volume->share = fault_share;
    volume->unshare = fault_unshare;
    volume->list = fault_list;
    volume->sync = fault_sync;
    volume->sync_folder = fault_sync_folder;
    volume->sync_all = fault_sync_all;
    volume->space = fault_space;
    volume->unlock = fault_unlock;
    volume->open_kv = fault_open_kv;
    return volume;
}

void volume_fault_arm(struct volume *volume, int kinds, uint64_t after, uint64_t times,
                      int sys_errno, enum fault_style style)
{
    struct fault_volume *self = self_of(volume);

    volume_fault_disarm(volume);
    self->after = after;
    self->times = times;
    self->sys_errno = sys_errno;
    self->style = style;
    __atomic_store_n(&self->count, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&self->failed, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&self->kinds, kinds, __ATOMIC_RELEASE);
}

void volume_fault_slow(struct volume *volume, uint32_t microseconds)
{
    self_of(volume)->slow_us = microseconds;
}

void volume_fault_space(struct volume *volume, const struct volume_space *space)
{
    struct fault_volume *self = self_of(volume);

    self->has_space = space != NULL;
    if (space != NULL)
        self->space = *space;
}

void volume_fault_disarm(struct volume *volume)
{
    __atomic_store_n(&self_of(volume)->kinds, 0, __ATOMIC_RELEASE);
}

uint64_t volume_fault_count(const struct volume *volume)
{
    return __atomic_load_n(&((const struct fault_volume *)(const void *)volume)->count,
                           __ATOMIC_RELAXED);
}

uint64_t volume_fault_failed(const struct volume *volume)
{
    return __atomic_load_n(&((const struct fault_volume *)(const void *)volume)->failed,
                           __ATOMIC_RELAXED);
}
