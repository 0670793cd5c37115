/* wal.h - the write-ahead log: segments written by one thread with group commit.
 *
 * Files wal/%016x.wal of the data folder, records of wal_record.h behind a header of 64 bytes. The
 * protocol (apply, then log; answer after durability; checkpoints) is engine-design 3 to 5.
 * Thread-safe but for open and close. Appending copies into memory under a short lock and never
 * waits for the disk; the log's own thread writes and syncs. */
#ifndef TIDE_DISK_WAL_H
#define TIDE_DISK_WAL_H

#include "base/base.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "disk/volume.h"
#include "disk/wal_body.h"
#include "disk/wal_record.h"

/* When an answer may leave. */
enum wal_sync {
    WAL_SYNC_OFF,      /* there is no log: the original */
    WAL_SYNC_NEVER,    /* after write() */
    WAL_SYNC_INTERVAL, /* after write(); fsync at most interval_ms later */
    WAL_SYNC_ALWAYS,   /* after fsync */
};

struct wal_options {
    struct volume *volume; /* borrowed */
    enum wal_sync sync;
    int64_t interval_ms;     /* default 200 */
    size_t segment_bytes;    /* a segment that is longer is rolled; default 64 MiB */
    uint64_t store_id;       /* random per folder; in every header */
    uint64_t first_segment;  /* number of the segment to begin with */
    uint64_t first_record;   /* number of its first record */
    struct wal_mark mark;    /* the checkpoint that the log goes on from; in every header */
    struct metrics *metrics; /* may be NULL; borrowed */

    /* Called on the log's thread when the durable position has moved or the log has failed;
     * must be quick. May be NULL. */
    void (*moved)(void *ctx);
    void *moved_ctx;
};

struct wal;

/* A place in the log: bytes appended since it was opened. Ordered. */
typedef uint64_t wal_position;

/** @return owned log (wal_close), or NULL with err: IO. Starts the thread, writes the header. */
TIDE_NODISCARD struct wal *wal_open(const struct wal_options *options, struct error *err);
/** Writes and syncs what is buffered, stops the thread, frees in any case. -1 with err: IO. */
TIDE_NODISCARD int wal_close(struct wal *wal, struct error *err);
/** Frees without writing what is buffered, as a crash would. */
void wal_abandon(struct wal *wal);

/**
 * Asks before a batch is applied whether it could be logged: what is applied must be.
 *
 * @param segment  out: that the next record goes to
 * @return 0, or -1 with err: BUSY (buffers are full, the disk does not follow), IO (the log has
 *         failed)
 */
TIDE_NODISCARD int wal_begin(struct wal *wal, uint64_t *segment, struct error *err);

/**
 * Appends a record, if the log is still in `segment` (bindings are valid in one segment only). The
 * buffer grows for what wal_begin let in, so nothing that was applied is refused for its size.
 *
 * @param segment   what the body was encoded for; UINT64_MAX: any
 * @param position  out: where the record ends; wait for wal_durable to reach it
 * @return 0; 1 if the segment was rolled meanwhile (encode again); -1 with err: IO (the log has
 *         failed)
 */
TIDE_NODISCARD int wal_append(struct wal *wal, uint64_t segment, enum wal_record_type type,
                              const uint8_t *body, size_t len, uint32_t body_crc,
                              wal_position *position, struct error *err);

/** Where the log ends now. */
wal_position wal_tail(struct wal *wal);
/** Up to where the log is as durable as `sync` promises. */
wal_position wal_durable(struct wal *wal);
/** Waits until wal_durable reaches `position`; -1 with err: IO (the log has failed), TIMEOUT. */
TIDE_NODISCARD int wal_wait(struct wal *wal, wal_position position, int64_t timeout_ms,
                            struct error *err);
/** Writes and syncs everything appended so far, whatever the mode. Blocks. */
TIDE_NODISCARD int wal_flush(struct wal *wal, struct error *err);

/**
 * Begins a new segment.
 *
 * @return its number: records appended from here on are in it or behind it
 */
uint64_t wal_roll(struct wal *wal);
/** Number of the next record: all before it were appended before this call. */
uint64_t wal_next_record(struct wal *wal);
/** A checkpoint is durable: later headers name it. The segments before it are not needed. */
void wal_set_mark(struct wal *wal, const struct wal_mark *mark);
/** Has a sync failed? Then nothing more is written until wal_restart. */
bool wal_has_failed(struct wal *wal);
/**
 * After a failure, with nobody appending: begins a new segment. What was not written is dropped and
 * counts as durable: it has to be in a checkpoint before anybody is answered.
 *
 * @return 0, or -1 with err: IO (it has failed again)
 */
TIDE_NODISCARD int wal_restart(struct wal *wal, struct error *err);

/* --- reading ------------------------------------------------------------------------------------
 */

/* What a replay found. Lost records are told by gaps in their numbers. */
struct wal_replay_report {
    uint64_t segments;
    uint64_t records;
    uint64_t bytes;
    uint64_t records_lost; /* damaged in the middle, skipped */
    uint64_t torn_bytes;   /* behind the last sound record of the last segment */
    uint64_t next_segment; /* where a new log goes on */
    uint64_t next_record;
    uint64_t store_id;   /* 0: there is no log */
    uint64_t bytes_lost; /* of them */
};

/* What wal_find says: where a replay begins, and what it goes on from. */
struct wal_start {
    bool found;           /* there is a log */
    bool mixed;           /* its segments come from more than one folder */
    struct wal_mark mark; /* of the last CHECKPOINT: segments before it do not count (I10) */
    bool has_intent;      /* a later INTENT */
    struct wal_mark intent;
    uint64_t store_id;
};

/**
 * Looks for the last checkpoint in the log, newest segments first; goes on to older ones only until
 * it has found one that names this heads.db.
 *
 * @param heads  of heads.db as it is now; size 0: there is none
 * @return 0, or -1 with err: IO
 */
TIDE_NODISCARD int wal_find(struct volume *volume, const struct volume_stat *heads,
                            struct wal_start *start, struct error *err);

struct wal_reader {
    void *ctx;
    /* A sound record, in order. `frame.body` is good until the call returns. 0, or -1 with err to
     * end the replay. NULL: they are only counted. */
    int (*record)(void *ctx, uint64_t segment, const struct wal_frame *frame, struct error *err);
    /* Bytes between two sound records that are none; may hold what can still be guessed. NULL: not
     * told. */
    void (*damaged)(void *ctx, uint64_t segment, const uint8_t *bytes, size_t len);
    /* Records were lost between `after` and `before` (numbers). NULL: not told. */
    void (*lost)(void *ctx, uint64_t segment, uint64_t after, uint64_t before);
    /* Progress, bytes read and in all. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
};

/**
 * Reads all segments from `from_segment` on, in order, skipping damage. One segment is in memory
 * at a time.
 *
 * @param report  filled also on failure
 * @return 0, or -1 with err: IO, or what the reader said
 */
TIDE_NODISCARD int wal_replay(struct volume *volume, uint64_t from_segment,
                              const struct wal_reader *reader, struct wal_replay_report *report,
                              struct error *err);
/** Removes every segment, as a clean stop does. */
TIDE_NODISCARD int wal_remove_all(struct volume *volume, struct error *err);

#endif
