/* log.h - the store's side of the write-ahead log (engine-design 3 to 5), for the files of this
 * room: batches of changes, the records of deletes and merges, checkpoints, the end.
 *
 * How to make changes (I1: apply, then log):
 *
 *     log_batch_enter(batch, err)             // once; BUSY, IO: nothing may be applied
 *     for each series, under its stripe:
 *         apply to memory; log_batch_put or log_late_put for each sample that changed something
 *         (refused and identical ones are not logged)
 *     log_batch_spill(batch, err)             // now and then, without a stripe: bounds the record
 *     log_batch_leave(batch, ticket, err)     // always, also after a failure
 *
 * and answer when store_is_durable says so about the ticket. Between enter and leave the thread is
 * inside the gate: no I/O, Lua, LevelDB, and no gate_close.
 *
 * A store without a log (wal.sync = "off", memory only) takes the same calls; they order batches by
 * the gate and log nothing. A thread has a batch of its own; all else here is thread-safe. */
#ifndef TIDE_STORE_LOG_H
#define TIDE_STORE_LOG_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "disk/wal.h"
#include "disk/wal_body.h"
#include "store/engine.h"
#include "store/gate.h"

/* --- batches -----------------------------------------------------------------------------------
 */

/* A series that a batch changed. */
struct log_touched {
    uint64_t fp;
    uint32_t id;
    bool news; /* the record binds or defines it */
};

/* What one thread has applied and not logged yet. */
struct log_batch {
    struct store *store;
    struct gate_slot *slot;
    struct wal *wal; /* NULL: nothing is logged */
    uint64_t segment;
    struct wal_batch record;
    struct buf body;
    struct log_touched *touched;
    size_t touched_count;
    size_t touched_cap;
    uint32_t touching; /* id of the last one; UINT32_MAX: none */
    unsigned epoch;
    bool failed; /* something that was applied could not be logged */
    wal_position position;
};

void log_batch_init(struct log_batch *batch, struct store *store);
void log_batch_destroy(struct log_batch *batch);

/**
 * Enters the gate.
 *
 * @return 0, or -1 with err (not entered): BUSY (the disk does not follow, or the log is being made
 *         anew), IO (the log is gone)
 */
TIDE_NODISCARD int log_batch_enter(struct log_batch *batch, struct error *err);
/* Binds and defines a series in the record, as needed; the two below do it. */
void log_batch_touch(struct log_batch *batch, struct series *series);
/** Under its stripe: a sample was appended to the series. Allocates only for a new one. */
static inline void log_batch_put(struct log_batch *batch, struct series *series, int64_t time_ms,
                                 double value)
{
    if (batch->wal == NULL)
        return;
    if (batch->touching != series->id)
        log_batch_touch(batch, series);
    wal_batch_put(&batch->record, series->id, time_ms, value);
}
/** The same for a sample at or before its newest one. */
static inline void log_late_put(struct log_batch *batch, struct series *series, int64_t time_ms,
                                double value, enum duplicate_rule rule)
{
    if (batch->wal == NULL)
        return;
    if (batch->touching != series->id)
        log_batch_touch(batch, series);
    wal_batch_put_late(&batch->record, series->id, time_ms, value, (enum wal_late_rule)rule);
}
/**
 * Writes the record so far if it has become large, or if somebody waits for the gate, who is let in
 * between. Without a stripe. 0, or -1 with err: IO.
 */
TIDE_NODISCARD int log_batch_spill(struct log_batch *batch, struct error *err);
/**
 * Writes what is left and leaves the gate, in any case.
 *
 * @param ticket  raised to where this batch ends
 * @return 0, or -1 with err: IO (applied, not logged: the sender must not be told yes)
 */
TIDE_NODISCARD int log_batch_leave(struct log_batch *batch, struct append_ticket *ticket,
                                   struct error *err);
/** The ticket also waits for what others have applied and not logged (I2: repeats). */
void log_ticket_await_others(struct store *store, struct append_ticket *ticket);

/* --- other records -----------------------------------------------------------------------------
 */

/**
 * A delete. The caller has closed the gate (gate_close(&store->gate)), and marks the series in
 * memory before it opens it again.
 *
 * @return 0, or -1 with err: IO
 */
TIDE_NODISCARD int log_delete(struct store *store, const struct wal_delete *record,
                              struct append_ticket *ticket, struct error *err);
/**
 * What a merge into series files has to say: take log_next_record when the pending edits are taken
 * over (under the stripe; every record before it was applied before), and tell it here once the
 * files are durable. Edits that came later stay pending in the log.
 */
uint64_t log_next_record(struct store *store);
TIDE_NODISCARD int log_merged(struct store *store, const struct wal_merged *record,
                              struct error *err);
/** Pending edits of a series again, for a checkpoint: under its stripe. */
TIDE_NODISCARD int log_edits(struct store *store, const struct wal_edits *record,
                             struct error *err);
/** Waits until everything applied so far is logged and synced (I8). Blocks; outside all locks. */
TIDE_NODISCARD int log_flush(struct store *store, struct error *err);

#endif
#endif
