/* snapshot_parts.h - what snapshots and the trash have in common: series gathered into a folder of
 * storage version 1. For the files of this room only.
 *
 * All of it runs under background_lock: so files and archive stand still, and what is linked is
 * what the record says. */
#ifndef TIDE_STORE_SNAPSHOT_PARTS_H
#define TIDE_STORE_SNAPSHOT_PARTS_H

#include <roaring/roaring.h>

#include "store/folder.h"
#include "store/snapshot.h"

/* "snapshots/NAME.tmp" */
#define SNAPSHOT_PATH_BYTES 80

/* A folder being filled. */
struct snapshot_writer {
    struct store *store;
    char folder[SNAPSHOT_PATH_BYTES]; /* "snapshots/NAME.tmp" */
    struct volume *volume;            /* that folder */
    struct heads_writer *heads_writer;
    struct heads_capture heads;
    struct archive *archive;
    struct archive_batch batch;
    roaring_bitmap_t *ids; /* of the series in it */
    bool skip_head;
    bool sums;           /* memory_sum is wanted */
    uint32_t memory_sum; /* of the series added last */
    uint64_t archived;
    uint64_t bytes_linked;
};

/** Under its stripe: of what is in memory of a series and in no file; 0: nothing. */
uint32_t snapshot_memory_sum(const struct series *series);

/** A name that sorts by time and that nobody else has: "20261128T180000Z-6b1f0a2c44d1e9b7". */
void snapshot_make_name(const struct store *store, char name[SNAPSHOT_NAME_BYTES]);
/** Is it such a name? Its time in *time_ms. */
bool snapshot_parse_name(const char *name, int64_t *time_ms);

/** Begins FOLDER anew. 0, or -1 with err: IO; then only snapshot_writer_abort is left. */
int snapshot_writer_begin(struct snapshot_writer *writer, struct store *store, const char *folder,
                          bool skip_head, struct error *err);
/** Adds all series of a stripe. */
int snapshot_writer_add_stripe(struct snapshot_writer *writer, struct stripe *stripe,
                               struct error *err);
/** Adds one series; nothing happens if it is not there. */
int snapshot_writer_add(struct snapshot_writer *writer, uint64_t fp, struct error *err);
/** Writes what is left. The folder is complete but for the label indexes, and not synced. */
int snapshot_writer_finish(struct snapshot_writer *writer, struct error *err);
/** Closes what is open. -1 with the first error, if there was none before (result 0). */
int snapshot_writer_close(struct snapshot_writer *writer, int result, struct error *err);

/** Removes what a crash left unfinished in "snapshots" or "trash": names that end in .tmp. */
void snapshot_sweep(struct volume *volume, const char *folder);

/** snapshot_index.c: the label indexes of the series in it. */
int snapshot_write_index(struct snapshot_writer *writer, struct error *err);

#endif
