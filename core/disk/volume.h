/* volume.h - the seam to storage: named files in folders, and nothing about where they are.
 *
 * A volume is one data folder. Names are relative, parts separated by '/', never "..":
 * "heads.db", "94/130327cc8add45.db", "orphaned/94/130327cc8add45.hint". No path and no descriptor
 * is known above this room, and no function assumes a local file, so a store of objects can stand
 * behind it. volume_posix_open is the default, volume_fault_new wraps any volume for specs.
 *
 * Threads: all functions may be called from any thread at once. Two threads must not change the
 * same name at once: the owner of a series file (its busy flag) or of heads.db sees to that.
 * Errors: NOT_FOUND (no such name), CONFLICT (not of the expected size, locked), IO (sys_errno).
 * Durability: nothing is durable before sync, sync_all, or a call that was asked to sync. */
#ifndef TIDE_DISK_VOLUME_H
#define TIDE_DISK_VOLUME_H

#include "base/base.h"
#include "base/error.h"
#include "disk/kv.h"

#define VOLUME_NAME_MAX 511

/* A piece of what is written; borrowed for the call. */
struct volume_part {
    const void *bytes;
    size_t len;
};

struct volume_stat {
    uint64_t size;
    int64_t mtime_ns; /* since 1970: heads.db keeps it to see whether a file changed */
    bool is_folder;
};

/* One name of a folder; borrowed for the call. */
struct volume_entry {
    const char *name; /* inside the folder */
    struct volume_stat stat;
};

struct volume_space {
    uint64_t free_bytes;
    uint64_t total_bytes;
    uint64_t free_files; /* inodes; UINT64_MAX: not limited */
    uint64_t total_files;
};

/* A file being replaced as a whole. It gets its name at publish: before that, readers and crashes
 * see the old one. One thread at a time. */
struct volume_writer {
    /** Adds to the end. @return 0, or -1 with err: IO (only discard is left) */
    int (*write)(struct volume_writer *writer, const void *bytes, size_t len, struct error *err);
    /** Adds `len` bytes of another file from `offset` on. @return as write; CORRUPT: too short */
    int (*copy)(struct volume_writer *writer, const char *from, uint64_t offset, uint64_t len,
                struct error *err);
    /** Overwrites bytes that were written before. */
    int (*patch)(struct volume_writer *writer, uint64_t offset, const void *bytes, size_t len,
                 struct error *err);
    /** All is written: no more changes; `sync` makes the bytes durable. Holds no descriptor after.
     */
    int (*finish)(struct volume_writer *writer, bool sync, struct error *err);
    /**
     * Names it, atomically (the mtime stays that of the last write), and frees the writer, also
     * on failure (then the old file is as it was, unless only the sync of the folder failed).
     *
     * @param sync_folder  make the name durable
     * @param stat         out: of the new file; may be NULL
     */
    int (*publish)(struct volume_writer *writer, bool sync_folder, struct volume_stat *stat,
                   struct error *err);
    /** Forgets it and frees the writer. */
    void (*discard)(struct volume_writer *writer);
    struct volume_stat stat; /* after finish: as it will be under its name */
};

struct volume {
    /**
     * Adds the parts to the end of a file, all or nothing: a short write is cut back.
     *
     * @param expected_size  of the file before; 0 makes the file and its folder if missing
     * @param sync           make the bytes durable before returning
     * @param stat           out: after the write; may be NULL
     * @return 0, or -1 with err: CONFLICT (other size, nothing was written), CORRUPT (something
     *         that is no file has its name or its folder's), IO. When a sync failed, the bytes are
     * cut off again: write them anew, never trust a second sync.
     */
    int (*append)(struct volume *volume, const char *name, uint64_t expected_size,
                  const struct volume_part *parts, size_t count, bool sync,
                  struct volume_stat *stat, struct error *err);
    /**
     * Reads up to `len` bytes from `offset` on; *got is less than that only at the end of the file.
     *
     * @return 0, or -1 with err: NOT_FOUND, IO
     */
    int (*read)(struct volume *volume, const char *name, uint64_t offset, void *bytes, size_t len,
                size_t *got, struct error *err);
    int (*stat)(struct volume *volume, const char *name, struct volume_stat *stat,
                struct error *err);
    /** Begins to replace a file (which may be missing); its folder is made. NULL with err: IO. */
    struct volume_writer *(*replace)(struct volume *volume, const char *name, struct error *err);
    /** Cuts a file back to `size` bytes; CONFLICT when it is shorter. */
    int (*truncate)(struct volume *volume, const char *name, uint64_t size, struct error *err);
    /** Removes a file. */
    int (*remove)(struct volume *volume, const char *name, struct error *err);
    /** Removes a folder with all in it, or a file in its place; a missing one is fine. */
    int (*remove_folder)(struct volume *volume, const char *name, struct error *err);
    int (*make_folder)(struct volume *volume, const char *name, struct error *err);
    /** Gives a file another name, replacing what is there; the folder of `to` is made. */
    int (*move)(struct volume *volume, const char *from, const char *to, struct error *err);
    /** A second name for the same content, as of now: a link, or a copy. Replaces `to`. A file
     * with two names is copied before the next append to it. */
    int (*share)(struct volume *volume, const char *from, const char *to, struct error *err);
    /**
     * Files that have two names get content of their own, many with one sync, where each append
     * would take two for itself. Others, and missing ones, are left alone. May be NULL.
     *
     * @return 0, or -1 with err: IO (some may be done; append does the rest)
     */
    int (*unshare)(struct volume *volume, const char *const *names, size_t count,
                   struct error *err);
    /**
     * Calls visit for each name of a folder ("" is the top), in any order, with size and time.
     *
     * @return 0, or -1 with err: NOT_FOUND, IO, or what visit returned -1 with
     */
    int (*list)(struct volume *volume, const char *folder,
                int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err),
                void *ctx, struct error *err);
    /** Makes a file's bytes durable. A failed sync may have lost them: write again, never retry. */
    int (*sync)(struct volume *volume, const char *name, struct error *err);
    /** Makes creations, renames and removals in a folder durable. */
    int (*sync_folder)(struct volume *volume, const char *folder, struct error *err);
    /** Makes everything durable that was written before the call. */
    int (*sync_all)(struct volume *volume, struct error *err);
    int (*space)(struct volume *volume, struct volume_space *space, struct error *err);
    /**
     * Takes the exclusive lock of the volume and sets its marker (format, section 4).
     *
     * @param existed  out: the marker was there, the last run did not end cleanly
     * @return 0, or -1 with err: CONFLICT (another process has it), IO
     */
    int (*lock)(struct volume *volume, bool *existed, struct error *err);
    /**
     * Keeps other processes out without changing anything: no marker is set. Released by unlock.
     *
     * @param existed  out: the marker is there, the last run did not end cleanly
     * @return 0, or -1 with err: CONFLICT (another process has it), IO
     */
    int (*guard)(struct volume *volume, bool *existed, struct error *err);
    /** Releases the lock; `clean` removes the marker before. Does nothing without a lock. */
    int (*unlock)(struct volume *volume, bool clean, struct error *err);
    /** Opens (makes) an ordered key-value table under a folder's name. NULL with err: see kv.h. */
    struct kv *(*open_kv)(struct volume *volume, const char *name, const struct kv_options *options,
                          struct error *err);
    /** Frees it; an unreleased lock is released, its marker stays. Takes no NULL. */
    void (*close)(struct volume *volume);
    /** For people: where it is. Borrowed. */
    const char *where;
};

/**
 * Opens a folder of the local file system. With `make` it is made if missing, parents included
 * (0700). Nothing is written into it.
 *
 * @return owned volume (its close), or NULL with err: NOT_FOUND, IO
 */
TIDE_NODISCARD struct volume *volume_posix_open(const char *path, bool make, struct error *err);

/** True if an error says that storage is full (ENOSPC, EDQUOT, EFBIG). */
bool volume_error_is_full(const struct error *err);

#endif
