/* append_impl.h - one push on its way into the series, for append.c and append_import.c. */
#ifndef TIDE_STORE_APPEND_IMPL_H
#define TIDE_STORE_APPEND_IMPL_H

#include "store/engine.h"
#include "store/log.h"

/* Samples of one series that are applied under one hold of its stripe. */
#define SLICE_SAMPLES 16384u

/* One push on its way through the passes. */
struct push {
    struct appender *appender;
    struct store *store;
    const struct batch *batch;
    struct append_result *result;
    int64_t latest_ms; /* bound for samples of the future */
    uint32_t now_s;
    uint32_t version;
    uint32_t room;            /* intake_room when it began */
    bool has_rules;           /* transforms or limits */
    bool edits_full;          /* late samples take too much memory */
    bool import;              /* of any age (store_import) */
    enum duplicate_rule rule; /* of samples that are late */
    uint64_t stored;          /* new samples, without repeats */
    uint64_t late;            /* of these, not newer than the newest of their series */
    int64_t heads_opened;
    int64_t chunks_completed;
    bool repeats; /* samples were accepted that are stored already, but perhaps not logged */
};

static inline bool is_refusal(struct block_value value)
{
    return value.id >= BLOCK_REFUSED;
}

/* How many turns ahead what a series' turn needs is fetched into the cache: far enough for memory
 * to answer, and no farther, for what waits is in the way of what comes. */
#define AHEAD_ID 16
#define AHEAD_SERIES 11
#define AHEAD_HEAD 6

enum push_fetch {
    FETCH_ID,
    FETCH_SERIES,
    FETCH_HEAD
}; /* in this order: each needs the one before */

/** Asks for memory of a series that is soon to be appended to; a hint. A refusal's id is nothing.
 */
void push_fetch(const struct push *push, uint32_t id, enum push_fetch what);
/** Locks the stripe of the series that the value names; NULL (nothing locked) if it is gone. */
struct series *push_lock_series(struct push *push, struct block_value value,
                                struct stripe **stripe);
/** Refuses one sample of entry i. */
void push_refuse_sample(struct push *push, size_t i, enum refusal reason, int64_t time_ms,
                        int64_t bound_ms);
/** Is it the newest sample again? */
bool push_is_repeat(const struct series *series, int64_t time_ms, double value);
/** Too many late samples wait, of this series or of all. */
int push_refuse_late(struct error *err);
/** A sample that is newer than the newest, under the stripe of its series. 0, or -1 with err:
 * CORRUPT (the head). */
int push_put_newest(struct push *push, struct series *series, int64_t time_ms, double value,
                    struct error *err);
/** Samples of entry i, under the stripe of the series. 0, or -1 with err. */
int push_apply_samples(struct push *push, size_t i, const int64_t *times, const double *values,
                       size_t count, struct series *series, struct error *err);
/** The same of a series that has a door (append_door.c): transformed, and as many as its rates
 * let in. At most SLICE_SAMPLES. */
int push_through_door(struct push *push, size_t i, const int64_t *times, const double *values,
                      size_t count, struct series *series, struct error *err);
/** The values of an entry of an import as the transforms of its series make them, in the appender's
 * scratch, or the batch's if there are none; intervals come later. Takes the stripe. Returns how
 * many. */
size_t push_transform_entry(struct push *push, size_t i, const int64_t **times,
                            const double **values);

/* Samples of one series on their way through a door, in order. */
struct door_pass {
    struct push *push;
    struct door *door;
    struct interval_state *states; /* by transform; the appender's; NULL: no intervals */
    uint64_t *dropped;             /* by transform */
    int64_t now_ns;
    uint64_t charged; /* by rates, and not applied yet */
};

/** Under the stripe of a series that has a door, until the end of the pass. */
struct door_pass door_pass_begin(struct push *push, const struct series *series);
/** Does a sample follow the one before it by the intervals? */
bool door_pass_keeps(struct door_pass *pass, int64_t time_ms, double value);
/** Counts and refuses what did not, as samples of entry i. */
void door_pass_end(struct door_pass *pass, size_t i);

/** After samples were applied, under the stripe: is the series fit for more? `result` is theirs.
 * 0, or -1 with err. */
int push_judge_series(struct push *push, struct series *series, int result, struct error *err);
/** The sample goes through the log's late column. */
void push_note_late(struct push *push, struct series *series, int64_t time_ms, double value);

/** Inside the gate: applies and logs entries (all with NULL), sorted by series and time. Entries
 * whose series went away are in appender->again afterwards. */
int import_entries(struct push *push, const size_t *entries, size_t count, struct error *err);

#endif
