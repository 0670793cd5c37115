/* A file that is replaced as a whole: written beside it, renamed into place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "disk/posix_file.h"

#define TMP_SUFFIX ".tmp"
/* Write-back is begun this often, and pages of the piece before are given back: a large checkpoint
 * must not fill the page cache. */
#define FLUSH_BYTES ((uint64_t)8 << 20)
#define COPY_BYTES ((size_t)64 << 10)

struct posix_writer {
    struct volume_writer writer;
    int base_fd; /* the volume's */
    int fd;      /* -1 after finish */
    uint64_t size;
    uint64_t flushed; /* write-back has begun up to here */
    uint64_t dropped; /* and is over up to here: these pages are given back */
    struct stat stat; /* at finish */
    char name[VOLUME_NAME_MAX + 1];
    char tmp[VOLUME_NAME_MAX + sizeof(TMP_SUFFIX)];
};

static struct posix_writer *self_of(struct volume_writer *writer)
{
    return (struct posix_writer *)(void *)writer;
}

static void begin_writeback(struct posix_writer *self)
{
    uint64_t before = self->dropped, from = self->flushed;

    if (self->size - from < FLUSH_BYTES)
        return;
    sync_file_range(self->fd, (off_t)from, (off_t)(self->size - from), SYNC_FILE_RANGE_WRITE);
    if (from > before) {
        sync_file_range(self->fd, (off_t)before, (off_t)(from - before),
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                            SYNC_FILE_RANGE_WAIT_AFTER);
        posix_fadvise(self->fd, (off_t)before, (off_t)(from - before), POSIX_FADV_DONTNEED);
    }
    self->dropped = from;
    self->flushed = self->size;
}

static int writer_write(struct volume_writer *writer, const void *bytes, size_t len,
                        struct error *err)
{
    struct posix_writer *self = self_of(writer);
    struct volume_part part = {bytes, len};

    if (posix_write_parts(self->fd, self->tmp, &part, 1, err) != 0)
        return -1;
    self->size += len;
    begin_writeback(self);
    return 0;
}

/* Through memory, where the system cannot copy by itself. */
static int copy_through(struct volume_writer *writer, int from_fd, const char *from,
                        uint64_t offset, uint64_t len, struct error *err)
{
    uint8_t *bytes = mem_alloc(COPY_BYTES);
    int status = 0;

    while (len > 0 && status == 0) {
        size_t want = len < COPY_BYTES ? (size_t)len : COPY_BYTES;
        size_t got;

        status = posix_read_at(from_fd, from, offset, bytes, want, &got, err);
        if (status == 0 && got < want)
            status = error_set(err, ERR_CORRUPT, "%s ends at %" PRIu64, from, offset + got);
        if (status == 0)
            status = writer_write(writer, bytes, got, err);
        offset += want;
        len -= want;
    }
    mem_free(bytes);
    return status;
}

static int copy_open(struct volume_writer *writer, int from_fd, const char *from, uint64_t offset,
                     uint64_t len, struct error *err)
{
    struct posix_writer *self = self_of(writer);
    off_t at = (off_t)offset;

    while (len > 0) {
        ssize_t n = copy_file_range(from_fd, &at, self->fd, NULL, (size_t)len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
            return copy_through(writer, from_fd, from, (uint64_t)at, len, err);
        if (n < 0)
            return error_set_errno(err, "cannot copy %s to %s", from, self->tmp);
        if (n == 0)
            return error_set(err, ERR_CORRUPT, "%s ends at %" PRIu64, from, (uint64_t)at);
        self->size += (uint64_t)n;
        len -= (uint64_t)n;
    }
    begin_writeback(self);
    return 0;
}

static int writer_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                       uint64_t len, struct error *err)
{
    int from_fd = openat(self_of(writer)->base_fd, from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status;

    if (from_fd < 0)
        return error_set_errno(err, "cannot open %s", from);
    status = copy_open(writer, from_fd, from, offset, len, err);
    close(from_fd);
    return status;
}

static int writer_patch(struct volume_writer *writer, uint64_t offset, const void *bytes,
                        size_t len, struct error *err)
{
    struct posix_writer *self = self_of(writer);
    size_t done = 0;

    TIDE_ASSERT(offset + len <= self->size);
    while (done < len) {
        ssize_t n =
            pwrite(self->fd, (const char *)bytes + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_errno(err, "cannot write to %s", self->tmp);
        done += (size_t)n;
    }
    return 0;
}

static int writer_finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct posix_writer *self = self_of(writer);
    int fd = self->fd;

    if (sync && fsync(fd) != 0)
        return error_set_errno(err, "cannot sync %s", self->tmp);
    if (fstat(fd, &self->stat) != 0)
        return error_set_errno(err, "cannot stat %s", self->tmp);
    self->fd = -1;
    if (close(fd) != 0)
        return error_set_errno(err, "cannot close %s", self->tmp);
    writer->stat = (struct volume_stat){
        .size = (uint64_t)self->stat.st_size,
        .mtime_ns = (int64_t)self->stat.st_mtim.tv_sec * 1000000000 + self->stat.st_mtim.tv_nsec,
    };
    return 0;
}

static void writer_discard(struct volume_writer *writer)
{
    struct posix_writer *self = self_of(writer);

    if (self->fd >= 0)
        close(self->fd);
    unlinkat(self->base_fd, self->tmp, 0);
    mem_free(self);
}

static int writer_publish(struct volume_writer *writer, bool sync_folder, struct volume_stat *stat,
                          struct error *err)
{
    struct posix_writer *self = self_of(writer);
    int status = 0;

    TIDE_ASSERT(self->fd < 0);
    if (renameat(self->base_fd, self->tmp, self->base_fd, self->name) != 0) {
        error_set_errno(err, "cannot rename %s", self->tmp);
        writer_discard(writer);
        return -1;
    }
    if (stat != NULL)
        *stat = writer->stat;
    if (sync_folder)
        status = posix_sync_parent(self->base_fd, self->name, err);
    mem_free(self);
    return status;
}

struct volume_writer *posix_writer_new(int base_fd, const char *name, struct error *err)
{
    struct posix_writer *self;

    if (strlen(name) > VOLUME_NAME_MAX) {
        error_set(err, ERR_INVALID, "file name too long: %.64s", name);
        return NULL;
    }
    self = mem_zalloc(1, sizeof(*self));
    self->writer = (struct volume_writer){.write = writer_write,
                                          .copy = writer_copy,
                                          .patch = writer_patch,
                                          .finish = writer_finish,
                                          .publish = writer_publish,
                                          .discard = writer_discard};
    self->base_fd = base_fd;
    snprintf(self->name, sizeof(self->name), "%s", name);
    snprintf(self->tmp, sizeof(self->tmp), "%s" TMP_SUFFIX, name);
    /* What a crash or a failed copy left must not become the tail of the new file. */
    unlinkat(base_fd, self->tmp, 0);
    self->fd = posix_create(base_fd, self->tmp, O_WRONLY, posix_file_mode(name), err);
    if (self->fd < 0) {
        mem_free(self);
        return NULL;
    }
    return &self->writer;
}
