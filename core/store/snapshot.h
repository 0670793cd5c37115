/* snapshot.h - a copy of the whole store while it serves: a folder that Prometheus 1.8 could open.
 *
 * `snapshots/NAME` holds VERSION, heads.db, mappings.db, the four indexes and a link of each series
 * file; a linked file gets a copy of its own before the store appends to it (volume.h, share). Each
 * series is in it as of one moment, and all that was answered before the call is. Thread-safe; one
 * snapshot at a time, persistence goes on meanwhile. */
#ifndef TIDE_STORE_SNAPSHOT_H
#define TIDE_STORE_SNAPSHOT_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "store/store.h"

#define SNAPSHOTS_FOLDER "snapshots"
/* "20261128T180000Z-6b1f0a2c44d1e9b7" and its terminator. */
#define SNAPSHOT_NAME_BYTES 40

struct snapshot_options {
    bool skip_head; /* only what is in series files */
};

struct snapshot_info {
    char name[SNAPSHOT_NAME_BYTES];
    int64_t time_ms; /* by its name */
    uint64_t series; /* 0 in a list */
    uint64_t archived;
    uint64_t bytes_linked; /* of series files, 0 in a list */
};

/**
 * Makes a snapshot. It has its name when it is whole and durable.
 *
 * @param options  NULL: the defaults
 * @param info     out
 * @return 0, or -1 with err: UNSUPPORTED (a store in memory), IO (nothing is left of it)
 * Cost: a hard link and a stat a series; a copy of its file where there are no links.
 */
TIDE_NODISCARD int store_snapshot(struct store *store, const struct snapshot_options *options,
                                  struct snapshot_info *info, struct error *err);
/**
 * Lists the snapshots, oldest first.
 *
 * @param list   out: owned array (mem_free), NULL when empty
 * @param count  out
 * @return 0, or -1 with err: IO
 */
TIDE_NODISCARD int store_snapshot_list(struct store *store, struct snapshot_info **list,
                                       size_t *count, struct error *err);
/** Removes one. @return 0, or -1 with err: NOT_FOUND, INVALID (no such name can be), IO */
TIDE_NODISCARD int store_snapshot_remove(struct store *store, const char *name, struct error *err);

#endif
