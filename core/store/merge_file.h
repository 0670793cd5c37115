/* merge_file.h - one series file with its edits merged in, or its old samples thinned out. For the
 * files of this room only.
 *
 * Records that no edit touches are copied as they are; a touched one is decoded, gets its edits
 * laid over, goes through the reducer and is encoded anew, together with touched neighbours. Chunks
 * are decoded one at a time. The result stands beside the old
 * file until it is published (engine-design I7). */
#ifndef TIDE_STORE_MERGE_FILE_H
#define TIDE_STORE_MERGE_FILE_H

#include "disk/series_file.h"
#include "store/engine.h"
#include "store/reduce.h"

enum merge_result {
    MERGE_EQUAL,   /* the file says it all already */
    MERGE_REPLACE, /* a new file waits for its name */
    MERGE_REMOVE,  /* nothing is left */
};

struct file_merge {
    /* Set by the caller. */
    uint64_t fp;
    struct edit_list edits;     /* owned, on the heap */
    int32_t expected;           /* chunks in the file, or FILE_CHUNKS_UNKNOWN */
    struct full_chunk **pinned; /* the file's last chunks, as they are in memory; referenced */
    uint32_t pinned_count;
    struct reducer *reducer; /* NULL: nothing is thinned out; borrowed */
    double least_share;      /* with it: no change unless more than so many records are touched */
    uint64_t skip;           /* so many of the oldest records count as gone (with `dry`) */
    bool dry;                /* all is done but writing */

    /* Results. */
    bool unexpected; /* the file had other chunks than thought: none is pinned any more */
    enum merge_result result;
    struct series_file_stat stat; /* before; after publish: of the new file */
    int64_t first_ms;             /* of the new file */
    int64_t tail_first_ms;        /* of its last chunk */
    struct full_chunk **tail;     /* what the pinned ones are now: the last of the new file */
    uint32_t tail_count;
    size_t record_count; /* before */
    uint64_t written;    /* records of the new file */
    bool postponed;      /* MERGE_EQUAL, since too few records are touched */

    /* Inside. */
    struct store *store;
    struct volume_writer *writer;
    struct series built; /* encoder: chunks and head that are not written yet */
    uint64_t copy_from;  /* records that wait to be copied */
    uint64_t copy_count;
    uint64_t index; /* of the record at hand */
    bool encoding;  /* something was encoded anew */
    uint32_t tail_cap;
    struct series_record *records;
};

/**
 * Reads, merges, writes the new file (not synced).
 *
 * @return 0, or -1 with err: CORRUPT (the file), IO; nothing has changed then
 */
int file_merge_write(struct file_merge *merge, struct store *store, struct error *err);
/** The new file takes the name of the old one, or that goes. The folder is not synced. */
int file_merge_publish(struct file_merge *merge, struct error *err);
/** Frees what it holds; an unpublished file goes. */
void file_merge_destroy(struct file_merge *merge);

#endif
