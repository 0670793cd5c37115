/* store.h - the engine: series in memory over the folder of storage version 1.
 *
 * One struct store per data folder. It owns all its threads (indexer, maintenance), takes pushes
 * through append.h and answers through querier.h; both are thread-safe. Layout: docs/formats.md;
 * the inside, with its locks: README.md of this room. */
#ifndef TIDE_STORE_STORE_H
#define TIDE_STORE_STORE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "store/edit_list.h"
#include "store/intake.h"
#include "store/policy.h"
#include "store/querier.h"

struct store;
struct volume;

enum series_sync { SERIES_SYNC_NEVER, SERIES_SYNC_ALWAYS, SERIES_SYNC_ADAPTIVE };

/* Bounds on what a sender may make. 0 takes the default of store_options_init. */
struct store_limits {
    int64_t future_ms;          /* samples later than now + this are refused; default 10 min */
    uint32_t labels_per_series; /* with __name__; default 64 */
    uint32_t label_name_bytes;  /* default 1,024 */
    uint32_t label_value_bytes; /* default 4,096 */
    uint64_t max_series;        /* in memory; default 10,000,000 */
    uint64_t max_total_series;  /* archived ones too, a file each; default 100,000,000 */
};

struct store_options {
    const char *data_dir;  /* NULL (and no volume): memory only, nothing is kept; copied */
    struct volume *volume; /* instead of data_dir's own: specs inject faults here; borrowed */

    int64_t retention_ms;          /* or RETENTION_FOREVER; default 15 days */
    int chunk_encoding;            /* of new chunks: 0 delta, 1 double-delta, 2 varbit (default) */
    int64_t head_chunk_timeout_ms; /* by time of arrival; default 1 h */
    int64_t out_of_order_ms; /* samples so much older than a series' newest are kept; default 30
                                min; 0: all that is not newer is refused, as in 1.x */
    enum duplicate_rule duplicates; /* two values at one time, with out_of_order_ms; default last */
    int64_t checkpoint_interval_ms; /* default 5 min */
    uint64_t checkpoint_dirty_series_limit; /* default 5,000; 0: no limit */
    enum series_sync series_sync;           /* default adaptive */
    double min_shrink_ratio;                /* 0 .. 1, of series files; default 0.1 */
    uint64_t min_free_bytes;      /* of the disk, above a clean stop's need: below it pushes get
                                     ERR_BUSY (disk_room.h); default 0: not looked at */
    uint64_t memory_target_bytes; /* all that the store allocates; default 2 GiB */
    int64_t clock_slack_ms;       /* clock_guard.h; default 1 d; INT64_MAX: off */
    int64_t trash_ttl_ms;         /* trash.h; default 1 d; INT64_MAX: for ever */
    uint64_t block_cache_bytes;   /* bound of the label cache; default 256 MiB */
    uint64_t disk_low_bytes; /* less free space than that is too little (pressure.c); default 0 */
    double hold_share; /* pass_guard.h; of all chunks, default 0.2; 1: passes are never held */
    uint64_t hold_least_bytes; /* default 16 MiB; 0: small stores' passes are held, too */
    int64_t undelete_hold_ms;  /* what an undelete took from a pass stays so long; default 7 d */
    struct store_limits limits;

    int wal_sync;                 /* enum wal_sync of disk/wal.h; default 0: no log */
    int64_t wal_interval_ms;      /* default 200 */
    int64_t wal_replay_target_ms; /* a checkpoint when a replay would take longer; default 30 s */
    uint64_t wal_max_bytes;       /* or when the log is longer; default 4 GiB */

    bool force_recovery; /* treat the folder as dirty */
    bool pedantic;       /* recovery decodes every chunk */
    bool no_background;  /* no maintenance thread: store_tick is the caller's to call */

    const struct clock *clock;   /* NULL: the system's; borrowed */
    struct metrics *metrics;     /* NULL: counted, but not shown; borrowed. Not to be printed any
                                    more once the store is closed */
    const struct policy *policy; /* NULL: defaults; borrowed, must outlive the store */
};

/** Zeroes and sets the defaults. */
void store_options_init(struct store_options *options);

/* What an opening store is at. */
enum store_phase {
    STORE_PHASE_NONE,
    STORE_PHASE_LOCK,     /* version, lock, archive indexes */
    STORE_PHASE_HEADS,    /* reading heads.db */
    STORE_PHASE_RECOVERY, /* series files after a crash */
    STORE_PHASE_REPLAY,   /* the write-ahead log */
    STORE_PHASE_INDEX,    /* label index in memory */
    STORE_PHASE_READY,
    STORE_PHASE_CLOSING,
    STORE_PHASE_CLOSED,
};

/* Written by store_open and store_close, read by any thread (store_progress_get). Zeroed is new. */
struct store_progress {
    int phase;      /* atomic, enum store_phase */
    uint64_t done;  /* atomic; in the unit of the phase (bytes, files, series) */
    uint64_t total; /* atomic; 0: not known */
};

struct store_progress_view {
    const char *phase; /* "heads", "recovery" ...: static */
    uint64_t done;
    uint64_t total;
};

struct store_progress_view store_progress_get(const struct store_progress *progress);

/**
 * Opens a folder (an empty one is made into a store), recovers it if it needs that, and starts
 * the threads.
 *
 * @param options   strings are copied; pointers are borrowed as their lines say
 * @param progress  may be NULL; readable from other threads meanwhile; must outlive the store
 * @return owned store (store_close), or NULL with err: CONFLICT (locked by another process),
 *         UNSUPPORTED (other version), CORRUPT (mappings.db, VERSION), IO
 * Cost: milliseconds when empty; blocks on disk.
 */
TIDE_NODISCARD struct store *store_open(const struct store_options *options,
                                        struct store_progress *progress, struct error *err);

/**
 * Stops cleanly: heads, mappings and label indexes are written, DIRTY goes. No appender, selection
 * or query may be alive. Frees the store in any case.
 *
 * @return 0, or -1 with err: IO (DIRTY stays, the next start recovers)
 */
TIDE_NODISCARD int store_close(struct store *store, struct error *err);
/** Frees without saving anything, as a crash would: DIRTY stays. For specs and failed starts. */
void store_abandon(struct store *store);

/* What crash recovery did when the store was opened; all 0 when it did not run. */
struct store_recovery {
    uint64_t files;       /* series files that were looked at */
    uint64_t stitched;    /* brought to agree with heads.db */
    uint64_t mended;      /* damaged records were taken out, or the end was cut off */
    uint64_t found_again; /* of a series whose metric was found elsewhere */
    uint64_t quarantined; /* moved to orphaned/ */
    uint64_t lost;        /* series of which nothing was left */
    uint64_t strange;     /* what is no series file: left-overs removed, the rest put aside */
};

void store_recovery_get(const struct store *store, struct store_recovery *out);

/** How the floors above read. Lives as long as the store; thread-safe. */
const struct querier *store_querier(struct store *store);

/** The same for what clients ask: series whose samples it selects count as read (use_table.h). */
const struct querier *store_client_querier(struct store *store);
/** How a series is used; zeroed with USE_READS_UNKNOWN if there is none. Thread-safe. */
void store_use_get(struct store *store, uint64_t fp, struct series_use *use);

/** Waits until all that was appended before can be found by labels. Queries do it themselves. */
TIDE_NODISCARD int store_wait_indexed(struct store *store, struct error *err);

/* --- work in the background, callable by hand --------------------------------------------------
 */

/**
 * Does what is due by the store's clock: rounds of persistence, a slice of maintenance, eviction,
 * checkpoint. Called by the maintenance thread; by specs with no_background. Not thread-safe with
 * itself (the store has one lock for all background work and takes it here).
 *
 * @return 0, or -1 with err: IO (counted, logged, tried again at the next call)
 */
TIDE_NODISCARD int store_tick(struct store *store, struct error *err);
/** Persists every completed chunk now, in rounds. */
TIDE_NODISCARD int store_persist(struct store *store, struct error *err);
/** Merges all that is pending into the series files now, however young. */
TIDE_NODISCARD int store_merge(struct store *store, struct error *err);
/** One full pass over all series: head timeout, retention, archiving; as of the store's clock. */
TIDE_NODISCARD int store_maintain(struct store *store, struct error *err);
/** Writes heads.db (and mappings.db if changed) now. */
TIDE_NODISCARD int store_checkpoint(struct store *store, struct error *err);
/** Drops persisted chunks from memory until at most `target_bytes` are held, oldest use first. */
void store_evict(struct store *store, uint64_t target_bytes);

/* --- numbers -----------------------------------------------------------------------------------
 */

struct store_stats {
    uint64_t series_in_memory;
    uint64_t series_archived;
    uint64_t label_names;
    uint64_t label_pairs;
    uint64_t chunks_in_memory; /* heads and complete ones */
    uint64_t open_heads;
    uint64_t chunks_to_persist;
    uint64_t samples_appended; /* since the start */
    uint64_t memory_bytes;     /* all of the below */
    uint64_t series_bytes;     /* series, their tables and descriptors */
    uint64_t chunk_bytes;
    uint64_t label_bytes; /* names, values, sets */
    uint64_t cache_bytes; /* label block cache */
    int64_t min_time_ms;  /* TIDE_LATEST_MS when empty; may be too old */
    int64_t max_time_ms;  /* TIDE_EARLIEST_MS when empty */
    bool started_dirty;
    bool read_only; /* why is in the log */
    bool throttled; /* pushes get ERR_BUSY until memory is free again */
    bool disk_full; /* pushes get ERR_BUSY until there is room on the disk */
};

void store_stats_get(struct store *store, struct store_stats *stats);
/** Are samples refused, since a write could not be made good? Until a restart. Thread-safe. */
bool store_is_read_only(const struct store *store);

enum store_top {
    STORE_TOP_METRIC_NAMES, /* values of __name__ by series */
    STORE_TOP_LABEL_NAMES,  /* label names by number of values */
    STORE_TOP_LABEL_BYTES,  /* label names by bytes of their values in all series */
    STORE_TOP_LABEL_PAIRS,  /* "name=value" by series */
};

struct text_count {
    const char *text; /* in the list's arena, terminated */
    uint32_t len;
    uint64_t count;
};

struct text_count_list {
    struct text_count *items; /* largest first; in the arena */
    size_t count;
    struct arena arena;
};

/** The `limit` largest, into an empty list (destroy it with text_count_list_destroy). */
void store_top_get(struct store *store, enum store_top what, size_t limit,
                   struct text_count_list *out);
/** Keeps one more if it is among the `limit` (over 0, always the same) largest. */
void text_count_list_put(struct text_count_list *list, size_t limit, const char *text, size_t len,
                         uint64_t count);
void text_count_list_destroy(struct text_count_list *list);

#endif
