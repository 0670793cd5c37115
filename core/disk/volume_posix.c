#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk/posix_file.h"
#include "disk/volume.h"

#define MARKER "DIRTY"
/* Someone may remove the marker between our open and our lock; then it is opened again. */
#define LOCK_ATTEMPTS 10

struct posix_volume {
    struct volume volume;
    char *path;  /* absolute */
    int base_fd; /* kept open also for syncfs, which reports errors to it */
    int lock_fd; /* -1: not locked; lock and unlock are one thread's */
};

static struct posix_volume *self_of(struct volume *volume)
{
    return (struct posix_volume *)(void *)volume;
}

static void stat_fill(struct volume_stat *out, const struct stat *st)
{
    out->size = (uint64_t)st->st_size;
    out->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    out->is_folder = S_ISDIR(st->st_mode);
}

static int missing_or_io(const char *name, const char *what, struct error *err)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return error_set(err, ERR_NOT_FOUND, "%s: there is no such file", name);
    return error_set_errno(err, "cannot %s %s", what, name);
}

/* --- append -------------------------------------------------------------------------------------
 */

/* A file with a second name (a snapshot's) gets a copy of its own before it grows. */
static int unshare(struct posix_volume *self, const char *name, struct error *err)
{
    struct volume_writer *writer = posix_writer_new(self->base_fd, name, err);
    struct volume_stat stat;

    if (writer == NULL)
        return -1;
    if (self->volume.stat(&self->volume, name, &stat, err) != 0 ||
        writer->copy(writer, name, 0, stat.size, err) != 0 ||
        writer->finish(writer, true, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, true, NULL, err);
}

/* A folder or a pipe in the place of a file, or a file in the place of its folder. */
static int open_failed(const char *name, struct error *err)
{
    if (errno == EISDIR || errno == ENXIO || errno == ENOTDIR || errno == ELOOP)
        return error_set(err, ERR_CORRUPT, "%s is no file: %s", name, strerror(errno));
    return error_set_errno(err, "cannot open %s", name);
}

/* Opens for append; a file that must be empty is made if missing (*created). */
static int open_append(struct posix_volume *self, const char *name, bool make, bool *created,
                       struct error *err)
{
    int fd = openat(self->base_fd, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);

    *created = false;
    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : open_failed(name, err);
    if (!make)
        return error_set(err, ERR_CONFLICT, "%s is missing", name);
    fd = posix_create(self->base_fd, name, O_WRONLY | O_APPEND, posix_file_mode(name), err);
    *created = fd >= 0;
    return fd;
}

static int check_size(const struct stat *st, const char *name, uint64_t expected, struct error *err)
{
    if ((uint64_t)st->st_size == expected)
        return 0;
    return error_set(err, ERR_CONFLICT, "%s has %" PRIu64 " bytes where %" PRIu64 " were expected",
                     name, (uint64_t)st->st_size, expected);
}

/* Takes back what a failed append wrote; err keeps the first failure. */
static void cut_back(struct posix_volume *self, int fd, const char *name, uint64_t size,
                     bool created)
{
    if (created)
        unlinkat(self->base_fd, name, 0);
    else if (ftruncate(fd, (off_t)size) != 0)
        return; /* the next append finds an unexpected size */
}

static int append_open(struct posix_volume *self, int fd, const char *name, uint64_t expected_size,
                       bool created, const struct volume_part *parts, size_t count, bool sync,
                       struct volume_stat *stat, struct error *err)
{
    struct stat st;

    if (posix_write_parts(fd, name, parts, count, err) != 0)
        goto undo;
    if (sync && fdatasync(fd) != 0) {
        error_set_errno(err, "cannot sync %s", name);
        goto undo;
    }
    if (sync && created && posix_sync_parent(self->base_fd, name, err) != 0)
        goto undo;
    if (fstat(fd, &st) != 0) {
        error_set_errno(err, "cannot stat %s", name);
        goto undo;
    }
    if (stat != NULL)
        stat_fill(stat, &st);
    return 0;
undo:
    cut_back(self, fd, name, expected_size, created);
    return -1;
}

static int append(struct volume *volume, const char *name, uint64_t expected_size,
                  const struct volume_part *parts, size_t count, bool sync,
                  struct volume_stat *stat, struct error *err)
{
    struct posix_volume *self = self_of(volume);
    struct stat st;
    bool created;
    int fd = open_append(self, name, expected_size == 0, &created, err);
    int status = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0) {
        error_set_errno(err, "cannot stat %s", name);
        goto out;
    }
    if (check_size(&st, name, expected_size, err) != 0)
        goto out;
    if (st.st_nlink > 1) {
        close(fd);
        if (unshare(self, name, err) != 0)
            return -1;
        fd = open_append(self, name, false, &created, err);
        if (fd < 0)
            return -1;
        if (fstat(fd, &st) != 0) {
            error_set_errno(err, "cannot stat %s", name);
            goto out;
        }
    }
    status = append_open(self, fd, name, expected_size, created, parts, count, sync, stat, err);
out:
    close(fd);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static int volume_read(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                       size_t len, size_t *got, struct error *err)
{
    int fd = openat(self_of(volume)->base_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status;

    if (fd < 0)
        return missing_or_io(name, "open", err);
    status = posix_read_at(fd, name, offset, bytes, len, got, err);
    close(fd);
    return status;
}

static int volume_stat(struct volume *volume, const char *name, struct volume_stat *stat,
                       struct error *err)
{
    struct stat st;

    if (fstatat(self_of(volume)->base_fd, name, &st, 0) != 0)
        return missing_or_io(name, "stat", err);
    stat_fill(stat, &st);
    return 0;
}

struct list_visit {
    int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err);
    void *ctx;
};

static int list_one(void *ctx, int folder_fd, const char *name, const struct stat *st,
                    struct error *err)
{
    const struct list_visit *list = ctx;
    struct volume_entry entry = {.name = name};

    (void)folder_fd;
    stat_fill(&entry.stat, st);
    return list->visit(list->ctx, &entry, err);
}

static int list(struct volume *volume, const char *folder,
                int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err),
                void *ctx, struct error *err)
{
    struct list_visit visitor = {visit, ctx};

    return posix_walk_folder(self_of(volume)->base_fd, folder, list_one, &visitor, err);
}

/* --- names --------------------------------------------------------------------------------------
 */

static struct volume_writer *replace(struct volume *volume, const char *name, struct error *err)
{
    return posix_writer_new(self_of(volume)->base_fd, name, err);
}

/* A file with a second name is made its own before it is cut. */
static int cut_apart(struct posix_volume *self, const char *name, struct error *err)
{
    struct stat st;

    if (fstatat(self->base_fd, name, &st, 0) == 0 && st.st_nlink > 1)
        return unshare(self, name, err);
    return 0;
}

static int truncate_file(struct volume *volume, const char *name, uint64_t size, struct error *err)
{
    struct posix_volume *self = self_of(volume);
    struct stat st;
    int status = 0, fd;

    if (cut_apart(self, name, err) != 0)
        return -1;
    fd = openat(self->base_fd, name, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return missing_or_io(name, "open", err);
    if (fstat(fd, &st) != 0)
        status = error_set_errno(err, "cannot stat %s", name);
    else if ((uint64_t)st.st_size < size)
        status = error_set(err, ERR_CONFLICT, "%s has only %" PRIu64 " bytes", name,
                           (uint64_t)st.st_size);
    else if (ftruncate(fd, (off_t)size) != 0)
        status = error_set_errno(err, "cannot cut %s", name);
    close(fd);
    return status;
}

static int remove_file(struct volume *volume, const char *name, struct error *err)
{
    if (unlinkat(self_of(volume)->base_fd, name, 0) != 0)
        return missing_or_io(name, "remove", err);
    return 0;
}

static int remove_folder(struct volume *volume, const char *name, struct error *err)
{
    return posix_remove_folder(self_of(volume)->base_fd, name, err);
}

static int make_folder(struct volume *volume, const char *name, struct error *err)
{
    return posix_make_folders(self_of(volume)->base_fd, name, err);
}

static int move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    int base_fd = self_of(volume)->base_fd;

    if (renameat(base_fd, from, base_fd, to) == 0)
        return 0;
    if (errno == ENOENT) {
        if (posix_make_parent(base_fd, to, err) != 0)
            return -1;
        if (renameat(base_fd, from, base_fd, to) == 0)
            return 0;
    }
    return missing_or_io(from, "move", err);
}

static int copy_file(struct posix_volume *self, const char *from, const char *to, struct error *err)
{
    struct volume_writer *writer;
    struct volume_stat stat;

    if (self->volume.stat(&self->volume, from, &stat, err) != 0)
        return -1;
    writer = posix_writer_new(self->base_fd, to, err);
    if (writer == NULL)
        return -1;
    if (writer->copy(writer, from, 0, stat.size, err) != 0 ||
        writer->finish(writer, false, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, false, NULL, err);
}

static int share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct posix_volume *self = self_of(volume);
    struct volume_stat stat;
    int attempt;

    if (volume_stat(volume, from, &stat, err) != 0 ||
        posix_make_parent(self->base_fd, to, err) != 0)
        return -1;
    for (attempt = 0; attempt < 2; attempt++) {
        if (linkat(self->base_fd, from, self->base_fd, to, 0) == 0)
            return 0;
        if (errno != EEXIST)
            break;
        if (unlinkat(self->base_fd, to, 0) != 0 && errno != ENOENT)
            return error_set_errno(err, "cannot replace %s", to);
    }
    if (errno == ENOENT)
        return missing_or_io(from, "share", err);
    return copy_file(self, from, to, err); /* no links here, or too many of them */
}

/* A copy beside the file, not synced yet; NULL in *writer: it has one name only. */
static int begin_unshare(struct posix_volume *self, const char *name, struct volume_writer **writer,
                         struct error *err)
{
    struct stat st;

    *writer = NULL;
    if (fstatat(self->base_fd, name, &st, 0) != 0)
        return errno == ENOENT ? 0 : error_set_errno(err, "cannot stat %s", name);
    if (st.st_nlink < 2)
        return 0;
    *writer = posix_writer_new(self->base_fd, name, err);
    if (*writer == NULL)
        return -1;
    if ((*writer)->copy(*writer, name, 0, (uint64_t)st.st_size, err) == 0 &&
        (*writer)->finish(*writer, false, err) == 0)
        return 0;
    (*writer)->discard(*writer);
    *writer = NULL;
    return -1;
}

static int unshare_all(struct volume *volume, const char *const *names, size_t count,
                       struct error *err)
{
    struct posix_volume *self = self_of(volume);
    struct volume_writer **writers = mem_zalloc(count + 1, sizeof(struct volume_writer *));
    size_t begun = 0;
    int status = 0;

    for (size_t i = 0; i < count && status == 0; i++) {
        status = begin_unshare(self, names[i], &writers[begun], err);
        begun += writers[begun] != NULL;
    }
    if (status == 0 && begun != 0)
        status = volume->sync_all(volume, err);
    for (size_t i = 0; i < begun; i++) {
        if (status != 0)
            writers[i]->discard(writers[i]);
        else
            status = writers[i]->publish(writers[i], false, NULL, err);
    }
    mem_free(writers);
    return status;
}

/* --- durability ---------------------------------------------------------------------------------
 */

static int sync_file(struct volume *volume, const char *name, struct error *err)
{
    int fd = openat(self_of(volume)->base_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status = 0;

    if (fd < 0)
        return missing_or_io(name, "open", err);
    if (fsync(fd) != 0)
        status = error_set_errno(err, "cannot sync %s", name);
    close(fd);
    return status;
}

static int sync_folder(struct volume *volume, const char *folder, struct error *err)
{
    return posix_sync_folder(self_of(volume)->base_fd, folder, err);
}

static int sync_all(struct volume *volume, struct error *err)
{
    if (syncfs(self_of(volume)->base_fd) != 0)
        return error_set_errno(err, "cannot sync the file system of %s", volume->where);
    return 0;
}

static int space(struct volume *volume, struct volume_space *out, struct error *err)
{
    struct statvfs st;

    if (fstatvfs(self_of(volume)->base_fd, &st) != 0)
        return error_set_errno(err, "cannot ask for the free space of %s", volume->where);
    out->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    out->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    out->free_files = st.f_files == 0 ? UINT64_MAX : (uint64_t)st.f_favail;
    out->total_files = st.f_files == 0 ? UINT64_MAX : (uint64_t)st.f_files;
    return 0;
}

/* --- lock and marker ----------------------------------------------------------------------------
 */

/* 1: locked, and the name still means what is locked; 0: it was removed meanwhile; -1: failed. */
static int lock_marker(struct posix_volume *self, int fd, struct error *err)
{
    struct stat named, open;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, ERR_CONFLICT,
                             "%s is in use: another process holds the lock on %s/" MARKER,
                             self->path, self->path);
        return error_set_errno(err, "cannot lock %s/" MARKER, self->path);
    }
    if (fstat(fd, &open) != 0)
        return error_set_errno(err, "cannot stat %s/" MARKER, self->path);
    if (fstatat(self->base_fd, MARKER, &named, 0) != 0)
        return errno == ENOENT ? 0 : error_set_errno(err, "cannot stat %s/" MARKER, self->path);
    return named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

/* The folder itself is locked too, so that those who only read need no marker. */
static int lock_folder(struct posix_volume *self, struct error *err)
{
    if (flock(self->base_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return error_set(err, ERR_CONFLICT, "%s is in use: another process holds the lock on it",
                         self->path);
    return error_set_errno(err, "cannot lock %s", self->path);
}

static int take_marker(struct posix_volume *self, bool *existed, struct error *err)
{
    struct stat st;
    int attempt, fd, locked;

    for (attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        *existed = fstatat(self->base_fd, MARKER, &st, 0) == 0;
        fd = openat(self->base_fd, MARKER, O_RDWR | O_CREAT | O_CLOEXEC, posix_file_mode(MARKER));
        if (fd < 0)
            return error_set_errno(err, "cannot write into %s: cannot open " MARKER, self->path);
        locked = lock_marker(self, fd, err);
        if (locked == 1) {
            self->lock_fd = fd;
            return 0;
        }
        close(fd);
        if (locked < 0)
            return -1;
    }
    return error_set(err, ERR_CONFLICT, "%s/" MARKER " is removed and made again all the time",
                     self->path);
}

static int lock_volume(struct volume *volume, bool *existed, struct error *err)
{
    struct posix_volume *self = self_of(volume);

    TIDE_ASSERT(self->lock_fd < 0);
    if (lock_folder(self, err) != 0)
        return -1;
    if (take_marker(self, existed, err) == 0)
        return 0;
    flock(self->base_fd, LOCK_UN);
    return -1;
}

/* A marker that is there is locked as well: the original knows no other lock. */
static int guard_volume(struct volume *volume, bool *existed, struct error *err)
{
    struct posix_volume *self = self_of(volume);
    int fd;

    TIDE_ASSERT(self->lock_fd < 0);
    if (lock_folder(self, err) != 0)
        return -1;
    fd = openat(self->base_fd, MARKER, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *existed = fd >= 0;
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        error_set_errno(err, "cannot open %s/" MARKER, self->path);
    else if (lock_marker(self, fd, err) >= 0) {
        self->lock_fd = fd;
        return 0;
    } else {
        close(fd);
    }
    flock(self->base_fd, LOCK_UN);
    return -1;
}

static int unlock_volume(struct volume *volume, bool clean, struct error *err)
{
    struct posix_volume *self = self_of(volume);
    int status = 0;

    if (self->lock_fd >= 0) {
        if (clean && unlinkat(self->base_fd, MARKER, 0) != 0 && errno != ENOENT)
            status = error_set_errno(err, "cannot remove %s/" MARKER, self->path);
        if (clean && status == 0)
            status = posix_sync_folder(self->base_fd, "", err);
        flock(self->lock_fd, LOCK_UN);
        close(self->lock_fd);
        self->lock_fd = -1;
    }
    flock(self->base_fd, LOCK_UN);
    return status;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static struct kv *open_kv(struct volume *volume, const char *name, const struct kv_options *options,
                          struct error *err)
{
    struct buf path = {0};
    struct kv *kv;

    buf_printf(&path, "%s/%s", self_of(volume)->path, name);
    buf_putc(&path, '\0');
    kv = kv_leveldb_open((const char *)path.data, options, err);
    buf_destroy(&path);
    return kv;
}

static void close_volume(struct volume *volume)
{
    struct posix_volume *self = self_of(volume);

    if (self->lock_fd >= 0)
        close(self->lock_fd);
    close(self->base_fd);
    free(self->path);
    mem_free(self);
}

static const struct volume posix_functions = {
    .append = append,
    .read = volume_read,
    .stat = volume_stat,
    .replace = replace,
    .truncate = truncate_file,
    .remove = remove_file,
    .remove_folder = remove_folder,
    .make_folder = make_folder,
    .move = move,
    .share = share,
    .unshare = unshare_all,
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

struct volume *volume_posix_open(const char *path, bool make, struct error *err)
{
    struct posix_volume *self;
    char *absolute;
    int fd;

    if (make && posix_make_folders(AT_FDCWD, path, err) != 0)
        return NULL;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        missing_or_io(path, "open", err);
        return NULL;
    }
    absolute = realpath(path, NULL);
    if (absolute == NULL) {
        error_set_errno(err, "cannot resolve %s", path);
        close(fd);
        return NULL;
    }
    self = mem_zalloc(1, sizeof(*self));
    self->volume = posix_functions;
    self->path = absolute;
    self->volume.where = absolute;
    self->base_fd = fd;
    self->lock_fd = -1;
    return &self->volume;
}

bool volume_error_is_full(const struct error *err)
{
    return err->code == ERR_IO &&
           (err->sys_errno == ENOSPC || err->sys_errno == EDQUOT || err->sys_errno == EFBIG);
}
