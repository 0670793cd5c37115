/* replay.h - the write-ahead log after a crash: what heads.db and the files do not hold yet is
 * applied again (engine-design 7). Inside this room. */
#ifndef TIDE_STORE_REPLAY_H
#define TIDE_STORE_REPLAY_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "disk/wal.h"
#include "store/folder.h"
#include "store/store_log.h"

/* Is there a log in the folder, and where does it begin? */
struct replay_plan {
    struct wal_start start;
    uint64_t from_segment;
    bool foreign; /* heads.db is not the one that the log goes on from */
    bool whole;   /* no record in the middle is damaged */
};

/** Looks; -1 with err: IO. `plan->start.found` says whether there is a log. */
TIDE_NODISCARD int replay_look(struct store *store, struct replay_plan *plan, struct error *err);

/**
 * Applies the log on top of what is loaded and recovered. Before any push, query or background
 * work; the log itself is not open.
 *
 * @param handover  out: for the log that goes on
 * @return 0, or -1 with err: IO, NOMEM. Damage is no failure: it is skipped, and said.
 * Cost: one pass; a reader and some threads that apply, by fingerprint. Memory: one segment, and
 * what is applied, which is persisted and evicted over the memory target.
 */
TIDE_NODISCARD int replay_run(struct store *store, const struct replay_plan *plan,
                              struct log_handover *handover, struct error *err);

/** Calls visit for each series whose labels are in the log, for files without an owner. */
TIDE_NODISCARD int replay_definitions(struct store *store, uint64_t from_segment,
                                      void (*visit)(void *ctx, uint64_t fp,
                                                    const struct label *list, size_t count),
                                      void *ctx, struct error *err);

/* --- replay_apply.c: the threads that change series ---------------------------------------------
 */

/* A series that the log names. Its samples belong to one applying thread. */
struct replay_series {
    uint64_t fp;
    struct series *series; /* NULL: nobody knows its metric; its samples cannot be kept */
    int64_t base_ms;       /* in-order samples up to here are there already (I11) */
    bool has_base;
    uint32_t partition;
    uint64_t orphaned;   /* samples of it that were dropped for want of a metric */
    int64_t orphaned_ms; /* the newest of these */
};

enum replay_kind { REPLAY_PUT, REPLAY_LATE, REPLAY_MARK };

/* One change, for the thread of its series. */
struct replay_op {
    struct replay_series *series;
    int64_t time_ms; /* MARK: from */
    union {
        double value;
        int64_t to_ms;
    };
    uint8_t kind; /* enum replay_kind */
    uint8_t rule; /* LATE */
};

/* Counted by the applying threads; read when they are idle. */
struct replay_counts {
    uint64_t samples; /* read */
    uint64_t applied;
    uint64_t there; /* in series files or heads already */
    uint64_t late;
    uint64_t marks;
};

struct replay_apply;

/** `foreign`: in-order samples at or before the newest count as late ones. NULL with err: IO. */
struct replay_apply *replay_apply_start(struct store *store, bool foreign, struct error *err);
/** How many partitions there are. */
uint32_t replay_apply_partitions(const struct replay_apply *apply);
/** Hands a change over; waits while the thread is behind. */
void replay_apply_put(struct replay_apply *apply, const struct replay_op *op);
/** Waits until all that was handed over is applied. A series that cannot take its samples is broken
 * then, and quarantined later. */
void replay_apply_drain(struct replay_apply *apply);
struct replay_counts replay_apply_counts(const struct replay_apply *apply);
/** Ends the threads and frees. Takes NULL. */
void replay_apply_stop(struct replay_apply *apply);

#endif
#endif
