/* posix_file.h - what volume_posix.c is made of: files and folders below a folder descriptor.
 *
 * For this room only. Interrupted calls are repeated, short ones continued. Errors: IO unless the
 * line says otherwise; texts name the file. */
#ifndef TIDE_DISK_POSIX_FILE_H
#define TIDE_DISK_POSIX_FILE_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"
#include "disk/volume.h"

#define POSIX_FOLDER_MODE 0700

/** The mode a file is made with, before the umask (format, section 2). */
mode_t posix_file_mode(const char *name);

/** Makes a folder and its parents; those that exist are fine. */
int posix_make_folders(int base_fd, const char *name, struct error *err);
/** Makes the folder that a name is in. */
int posix_make_parent(int base_fd, const char *name, struct error *err);
/** Creates a file that must not exist (and its folder); a descriptor or -1. */
int posix_create(int base_fd, const char *name, int flags, mode_t mode, struct error *err);

int posix_write_parts(int fd, const char *name, const struct volume_part *parts, size_t count,
                      struct error *err);
/** As volume's read. */
int posix_read_at(int fd, const char *name, uint64_t offset, void *bytes, size_t len, size_t *got,
                  struct error *err);

int posix_sync_folder(int base_fd, const char *folder, struct error *err);
int posix_sync_parent(int base_fd, const char *name, struct error *err);

/** Visits the names of a folder. NOT_FOUND when there is none. */
int posix_walk_folder(int base_fd, const char *folder,
                      int (*visit)(void *ctx, int folder_fd, const char *name,
                                   const struct stat *st, struct error *err),
                      void *ctx, struct error *err);
int posix_remove_folder(int base_fd, const char *name, struct error *err);

/** volume's replace. */
struct volume_writer *posix_writer_new(int base_fd, const char *name, struct error *err);

#endif
#endif
