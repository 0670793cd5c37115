/* store_log.h - the life of the store's log: opening it behind a replay, checkpoints, failures, the
 * end. For open.c, checkpoint.c, background.c and log*.c. */
#ifndef TIDE_STORE_STORE_LOG_H
#define TIDE_STORE_STORE_LOG_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "disk/wal.h"
#include "store/engine.h"

/* What a replay hands over to the log that goes on. */
struct log_handover {
    uint64_t next_segment;
    uint64_t next_record;
    uint64_t store_id;
    struct wal_mark mark;
    uint64_t bytes;
    uint64_t samples;
    uint64_t records_lost;
    uint64_t bytes_lost;   /* damaged in the middle, or a torn tail */
    uint64_t samples_lost; /* read, but of series that nobody knows */
    double seconds;        /* that it took */
    bool foreign;          /* heads.db was another: a checkpoint comes before anything is served */
};

struct store_log {
    struct wal *wal;
    struct counter samples; /* logged since the start */
    int held; /* atomic: a sync failed; nobody is answered until a checkpoint is made */
    int dead; /* atomic: that failed too */

    /* Background, under background_lock. */
    uint64_t old_bytes;   /* atomic: of segments of the last run that no checkpoint covers yet */
    uint64_t old_samples; /* in them */
    wal_position from;    /* atomic: tail and samples at the last checkpoint's begin */
    uint64_t from_samples;
    double replay_rate; /* samples a second, as last measured */

    struct log_handover replay; /* of the last start; immutable */
    bool replayed;              /* nothing of the old log is in a checkpoint yet */
};

/** Begins the log behind what was replayed (zeroed: there was none). -1 with err: IO. */
TIDE_NODISCARD int store_log_open(struct store *store, const struct log_handover *from,
                                  struct error *err);
/** Writes and syncs what is left; -1 with err: IO. NULL is fine. */
TIDE_NODISCARD int store_log_close(struct store *store, struct error *err);
/** As a crash would. */
void store_log_abandon(struct store *store);

/** Bytes that no checkpoint covers. */
uint64_t store_log_length(const struct store_log *log);
/** May a batch begin? -1 with err: BUSY, IO. */
TIDE_NODISCARD int store_log_may_append(struct store_log *log, struct error *err);
/** Tells the listener that tickets may have become durable. */
void store_log_tell(void *store);

/* A checkpoint on its way. */
struct log_checkpoint {
    struct wal_mark mark;
    wal_position from;
    uint64_t from_samples;
};

/** Takes the begin of what the log must keep: all before is in memory. Without a log: nothing. */
void log_checkpoint_begin(struct store *store, struct log_checkpoint *checkpoint);
/** Before heads.db gets its name; durable. */
TIDE_NODISCARD int log_checkpoint_intend(struct store *store, struct log_checkpoint *checkpoint,
                                         const struct volume_stat *heads, struct error *err);
/** heads.db has its name: the segments before it go. */
TIDE_NODISCARD int log_checkpoint_end(struct store *store, const struct log_checkpoint *checkpoint,
                                      struct error *err);
/** By the length of the log. */
bool log_checkpoint_is_due(struct store *store, int64_t since_ns);
/** After a failed sync: a new segment and a checkpoint, or read-only. Does nothing otherwise. */
int log_heal(struct store *store, struct error *err);

void store_log_show_metrics(struct store *store);

#endif
#endif
