/* folder_copy.h - a whole data folder into another: what `tidemark restore` does.
 *
 * VERSION comes last, when all else is durable: a copy that was broken off is refused by every
 * start, ours and the original's. Blocks; the caller sees to it that nobody changes the source. */
#ifndef TIDE_DISK_FOLDER_COPY_H
#define TIDE_DISK_FOLDER_COPY_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"

struct folder_copy {
    uint64_t files;
    uint64_t bytes;
    /** Called now and then with what is copied so far. May be NULL. */
    void (*progress)(void *ctx, const struct folder_copy *copy);
    void *ctx;
};

/**
 * Copies everything of `from` that belongs to a store: not its marker, log, snapshots and trash.
 *
 * @return 0, or -1 with err: IO, CORRUPT (a file became shorter), LIMIT (no room)
 */
TIDE_NODISCARD int folder_copy(struct volume *from, struct volume *to, struct folder_copy *copy,
                               struct error *err);
/**
 * Moves the store of a folder out of the way, into `into` below it: all but snapshots, trash, audit
 * files and what was moved before. An empty folder is left as it is (*moved is false).
 */
TIDE_NODISCARD int folder_set_aside(struct volume *volume, const char *into, bool *moved,
                                    struct error *err);

#endif
