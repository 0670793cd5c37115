#include "disk/posix_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Pieces of one writev; IOV_MAX is 1024. */
#define PARTS_AT_ONCE 256
/* Folders in folders that are removed; our tables have none. */
#define REMOVE_DEPTH 8

mode_t posix_file_mode(const char *name)
{
    size_t len = strlen(name);

    if (strcmp(name, "VERSION") == 0 || (len > 5 && strcmp(name + len - 5, ".hint") == 0))
        return 0666;
    return strcmp(name, "DIRTY") == 0 ? 0644 : 0640;
}

/* Length of the folder part of a name, without its slash; 0: the top. */
static size_t parent_len(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash == NULL ? 0 : (size_t)(slash - name);
}

int posix_make_folders(int base_fd, const char *name, struct error *err)
{
    size_t len = strlen(name);
    char *path = mem_dup(name, len);
    size_t i;
    int status = 0;

    for (i = 1; i <= len && status == 0; i++) {
        char was = path[i];

        if (was != '/' && was != '\0')
            continue;
        path[i] = '\0';
        if (mkdirat(base_fd, path, POSIX_FOLDER_MODE) != 0 && errno != EEXIST)
            status = error_set_errno(err, "cannot make folder %s", path);
        path[i] = was;
    }
    mem_free(path);
    return status;
}

int posix_make_parent(int base_fd, const char *name, struct error *err)
{
    size_t len = parent_len(name);
    char *folder;
    int status;

    if (len == 0)
        return 0;
    folder = mem_dup(name, len);
    status = posix_make_folders(base_fd, folder, err);
    mem_free(folder);
    return status;
}

int posix_create(int base_fd, const char *name, int flags, mode_t mode, struct error *err)
{
    int all = flags | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = openat(base_fd, name, all, mode);

    if (fd < 0 && errno == ENOENT) {
        if (posix_make_parent(base_fd, name, err) != 0)
            return -1;
        fd = openat(base_fd, name, all, mode);
    }
    return fd >= 0 ? fd : error_set_errno(err, "cannot create %s", name);
}

/* Copies the next parts into an iovec, `skip` bytes of the first one being written already. */
static int fill_vector(struct iovec *vector, const struct volume_part *parts, size_t count,
                       size_t skip)
{
    int n = 0;
    size_t i;

    for (i = 0; i < count && n < PARTS_AT_ONCE; i++) {
        size_t from = i == 0 ? skip : 0;

        vector[n].iov_base = (void *)((uintptr_t)parts[i].bytes + from);
        vector[n].iov_len = parts[i].len - from;
        n++;
    }
    return n;
}

int posix_write_parts(int fd, const char *name, const struct volume_part *parts, size_t count,
                      struct error *err)
{
    struct iovec vector[PARTS_AT_ONCE];
    size_t skip = 0;

    while (count > 0) {
        ssize_t n;

        if (parts->len == skip) {
            parts++;
            count--;
            skip = 0;
            continue;
        }
        n = writev(fd, vector, fill_vector(vector, parts, count, skip));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_errno(err, "cannot write to %s", name);
        skip += (size_t)n;
        while (count > 0 && skip >= parts->len) {
            skip -= parts->len;
            parts++;
            count--;
        }
    }
    return 0;
}

int posix_read_at(int fd, const char *name, uint64_t offset, void *bytes, size_t len, size_t *got,
                  struct error *err)
{
    size_t done = 0;

    *got = 0;
    while (done < len) {
        ssize_t n = pread(fd, (char *)bytes + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, "cannot read %s", name);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return 0;
}

/* "" is the folder of the descriptor itself. */
static int open_folder(int base_fd, const char *folder)
{
    return openat(base_fd, folder[0] == '\0' ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int posix_sync_folder(int base_fd, const char *folder, struct error *err)
{
    int fd = open_folder(base_fd, folder);
    int status = 0;

    if (fd < 0)
        return error_set_errno(err, "cannot open folder %s", folder);
    if (fsync(fd) != 0)
        status = error_set_errno(err, "cannot sync folder %s", folder);
    close(fd);
    return status;
}

int posix_sync_parent(int base_fd, const char *name, struct error *err)
{
    char *folder = mem_dup(name, parent_len(name));
    int status = posix_sync_folder(base_fd, folder, err);

    mem_free(folder);
    return status;
}

/* Of a link without a target, the link itself. false: gone meanwhile. */
static bool stat_entry(int folder_fd, const char *name, struct stat *st)
{
    return fstatat(folder_fd, name, st, 0) == 0 ||
           fstatat(folder_fd, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

int posix_walk_folder(int base_fd, const char *folder,
                      int (*visit)(void *ctx, int folder_fd, const char *name,
                                   const struct stat *st, struct error *err),
                      void *ctx, struct error *err)
{
    int fd = open_folder(base_fd, folder);
    int status = 0;
    DIR *dir;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return error_set(err, ERR_NOT_FOUND, "there is no folder %s", folder);
    if (fd < 0)
        return error_set_errno(err, "cannot open folder %s", folder);
    dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return error_set_errno(err, "cannot list folder %s", folder);
    }
    while (status == 0) {
        struct dirent *entry;
        struct stat st;

        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0)
                status = error_set_errno(err, "cannot list folder %s", folder);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (stat_entry(fd, entry->d_name, &st))
            status = visit(ctx, fd, entry->d_name, &st, err);
    }
    closedir(dir);
    return status;
}

struct remove_walk {
    int depth;
};

static int remove_below(int base_fd, const char *name, int depth, struct error *err);

static int remove_one(void *ctx, int folder_fd, const char *name, const struct stat *st,
                      struct error *err)
{
    const struct remove_walk *walk = ctx;

    (void)st;
    if (unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_set_errno(err, "cannot remove %s", name);
    return remove_below(folder_fd, name, walk->depth + 1, err);
}

static int remove_below(int base_fd, const char *name, int depth, struct error *err)
{
    struct remove_walk walk = {depth};

    if (depth > REMOVE_DEPTH)
        return error_set(err, ERR_IO, "cannot remove %s: folders too deep", name);
    if (posix_walk_folder(base_fd, name, remove_one, &walk, err) != 0) {
        /* A plain file in its place goes as well. */
        if (err->code == ERR_NOT_FOUND)
            unlinkat(base_fd, name, 0);
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    }
    if (unlinkat(base_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return error_set_errno(err, "cannot remove folder %s", name);
    return 0;
}

int posix_remove_folder(int base_fd, const char *name, struct error *err)
{
    return remove_below(base_fd, name, 0, err);
}
