/* edits.h - late samples and deletes of a series, until its chunks hold them (engine-design 11).
 *
 * `series->edits` is NULL for nearly all series. What lies in the range of memory (head and chunks
 * that no file has) is folded into those chunks: when there is enough of it, before they are
 * persisted, before a checkpoint. What lies in the range of the file waits for a merge, which
 * rewrites that one file (merge.c). Queries lay the edits over what they read.
 *
 * Two layers: `pending` is on top; `merging` is what a merge is writing into the file right now.
 * Everything here is called under the stripe of the series, which is active (not archived); no
 * I/O. Memory comes from the store's slab pool, so it counts against memory_target.
 *
 * Who changes a series' past, and how
 *   a late sample:  edits_put           an import: edits_put_sorted, then merge_series (folder.h)
 *   a delete:       edits_mark, then merge_series or the queue
 *   replay:         the same three; then what is pending is merged in the background
 *   checkpoint:     edits_fold, then edits_capture tells what only the log can hold */
#ifndef TIDE_STORE_EDITS_H
#define TIDE_STORE_EDITS_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "store/edit_list.h"
#include "store/series.h"

struct store;

/* A late sample that would move more puts of its series than this waits for their merge
 * (ERR_BUSY). */
#define EDITS_MAX_MOVED 16384
/* All late samples that wait may take one part in so many of memory_target. */
#define EDITS_SHARE 8

/** Late samples take too much memory: no more of them are taken. */
bool edits_are_full(const struct store *store);

struct series_edits {
    struct edit_list pending;
    struct edit_list merging; /* under what is pending */
    uint8_t queued;           /* for a merge: enum merge_urgency + 1 */
};

/**
 * First time of what is in memory and in no file: from here on edits are folded.
 *
 * TIDE_EARLIEST_MS: there is no file; TIDE_LATEST_MS: all is in the file.
 */
int64_t edits_memory_from(const struct series *series);
/** Time of the oldest put; TIDE_LATEST_MS: none. */
int64_t edits_first_ms(const struct series *series);
/** Number of puts that wait, in both layers. */
uint32_t edits_puts(const struct series *series);
/** May a late sample of this time be put now? False: only after a merge. */
bool edits_have_room(const struct series *series, int64_t time_ms);

/**
 * Puts a sample into the past of a series, or at its newest time; a later one is its newest then.
 * Keeps first_ms, last_ms and last_value true, folds or queues for a merge when there is enough.
 *
 * @return false: the same was pending (nothing to log)
 * Cost: below 1 us on average, with the folds.
 */
bool edits_put(struct store *store, struct series *series, int64_t time_ms, double value,
               enum duplicate_rule rule);
/** The same for many, strictly increasing in time; not one of them later than last_ms. What lies in
 * the range of the file is for the next merge. */
void edits_put_sorted(struct store *store, struct series *series, const int64_t *times_ms,
                      const double *values, size_t count, enum duplicate_rule rule);
/**
 * Deletes what the series has in an interval, as of now (the interval ends at last_ms at the
 * latest: what comes later is not deleted). Hidden at once; chunks in memory change at once too,
 * unless the series is busy; the file at the next merge, for which it is queued.
 *
 * @return false: the series has nothing there
 */
bool edits_mark(struct store *store, struct series *series, int64_t from_ms, int64_t to_ms);

/** Folds what lies in the range of memory into its chunks. Does nothing while the series is busy:
 * its chunks are on their way to the file. */
void edits_fold(struct store *store, struct series *series);
/** After chunks became persisted: what is in the range of the file now is queued for a merge. */
void edits_settle(struct store *store, struct series *series);

/** It could not be merged: it is for the next round. */
void edits_retry(struct store *store, struct series *series);

/** What only the log can hold: both layers as one list, into an empty list on the heap (NULL
 * pool). False: nothing. For a checkpoint, after edits_fold. */
bool edits_capture(const struct series *series, struct edit_list *out);

/** A merge begins: pending becomes merging. False: there is nothing for the file. */
bool edits_begin_merge(struct store *store, struct series *series);
/** The merge is over; `done`: the file holds what was merging. Otherwise it is pending again. */
void edits_end_merge(struct store *store, struct series *series, bool done);

/** Forgets all; for series_purge_locked. */
void edits_drop(struct store *store, struct series *series);

/* What a reader lays over the samples it has read. */
struct edits_view {
    struct edit_list merging;
    struct edit_list pending;
};

/** A copy of what concerns an interval; zeroed if there is nothing. */
void edits_view_take(const struct series *series, int64_t from_ms, int64_t to_ms,
                     struct edits_view *view);
/** Over columns from `start` on, outside all locks. */
void edits_view_overlay(const struct edits_view *view, struct columns *columns, size_t start,
                        int64_t from_ms, int64_t to_ms);
void edits_view_drop(struct edits_view *view);

#endif
#endif
