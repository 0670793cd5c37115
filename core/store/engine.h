/* engine.h - the inside of struct store, for the files of this room only.
 *
 * Lock order (README.md): background_lock > gate > mapper > stripe > leaves. */
#ifndef TIDE_STORE_ENGINE_H
#define TIDE_STORE_ENGINE_H

#include "store/append.h"
#include "store/block_cache.h"
#include "store/damage.h"
#include "store/disk_room.h"
#include "store/door.h"
#include "store/edits.h"
#include "store/epoch.h"
#include "store/gate.h"
#include "store/label_table.h"
#include "store/mapper.h"
#include "store/series_map.h"
#include "store/slab.h"
#include "store/store.h"
#include "store/use_table.h"

/* Counted whether or not a registry shows them (store_metrics.c makes them visible). All atomic. */
struct store_counters {
    struct counter ingested;
    struct counter out_of_order;
    struct counter duplicates;
    struct counter refused[REFUSED_REASONS];
    struct counter series_created;
    struct counter series_archived;
    struct counter series_unarchived;
    struct counter purged_memory;
    struct counter purged_archive;
    struct counter purged_request;
    struct counter maintained_memory;
    struct counter maintained_archive;
    struct counter quarantined;
    struct counter quarantine_failed;
    struct counter chunks_created;
    struct counter chunks_persisted;
    struct counter chunks_dropped;
    struct counter chunks_evicted;
    struct counter chunks_loaded;
    struct counter chunks_queued;
    struct counter chunks_bad; /* could not be read */
    struct counter persist_errors;
    struct counter inconsistencies;
    struct counter late_samples; /* kept, of any age */
    struct counter merges;       /* files rewritten for edits */
    struct counter merges_equal; /* found to say nothing new */
    struct counter merge_errors;
    struct counter cache_hits;
    struct counter cache_misses;
    struct counter drops_held;      /* by the clock guard */
    struct counter deleted_samples; /* on request */
    struct counter undeleted_samples;
    struct counter dropped_samples; /* by age */
    struct counter thinned_samples; /* by rules that downsample */
    struct counter pressed_samples; /* to make room on the disk */
    struct counter trash_expired;
    struct counter snapshots;
    struct counter snapshots_failed;
    uint64_t edit_puts;  /* late samples that wait to be folded or merged */
    uint64_t edit_bytes; /* what they and the marks take */
    uint64_t active;     /* series in memory */
    uint64_t archived;   /* series of which only the file has samples */
    uint64_t open_heads;
    uint64_t chunks;            /* complete ones in memory */
    uint64_t chunks_to_persist; /* complete ones that no file has */
    uint64_t dirty_series;      /* since the last checkpoint */
    uint64_t checkpointing;     /* 1 while one is written */
    uint64_t checkpoint_ns;     /* that the last one took */
    uint64_t checkpoint_bytes;  /* size of the last one */
    uint64_t disk_low;          /* 1 while less space is free than there should be */
    uint64_t verdict_bytes;     /* of answers of rules that are remembered */
    uint64_t rushed;            /* 1 while over 80 % of memory_target */
};

struct store {
    struct store_options options; /* immutable after open; data_dir is owned */
    const struct clock *clock;
    struct store_progress *progress; /* never NULL */
    struct store_progress own_progress;

    struct slab_pool pool;
    struct epoch epoch;
    struct label_table labels;
    struct series_map map;
    struct use_table use;
    struct mapper mapper;
    struct block_cache cache;
    struct store_counters counters;
    struct intake intake;
    struct querier querier;
    struct querier client_querier;       /* its selects of samples count as use */
    struct summary *checkpoint_seconds;  /* atomic; NULL without a registry, as the next one */
    struct histogram *chunks_persisted;  /* a write to a series file */
    struct summary *checkpoint_chunks;   /* chunks of a series, once per chunk */
    struct summary *maintain_seconds[2]; /* of a series in memory, of an archived one */
    struct summary *index_sizes;         /* label sets in a write of the index */
    struct summary *index_seconds;

    struct folder *folder;       /* folder.h; NULL: memory only */
    struct persist_queue *queue; /* NULL: memory only */
    struct merge_queue *merges;  /* likewise */
    struct damage_list damage;

    struct gate gate;          /* batches of changes, against checkpoints and deletes */
    struct store_log *log;     /* store_log.h; NULL: off */
    struct lock listener_lock; /* a leaf, but for the listener; guards the next four */
    struct cond durable_change;
    uint64_t durable_news; /* counts up */
    void (*durable_moved)(void *ctx);
    void *durable_ctx;

    struct lock background_lock; /* one piece of background work at a time; see README.md */

    bool started_dirty;
    struct store_recovery recovered; /* immutable after open */
    struct disk_room room;           /* disk_room.h */
    int throttled;                   /* atomic: appends get ERR_BUSY until memory is free again */
    int read_only;                   /* atomic: appends are refused with ERR_IO */
};

/** Observes if somebody shows it. */
static inline void store_observe(struct summary *const *summary, double value)
{
    struct summary *shown = __atomic_load_n(summary, __ATOMIC_ACQUIRE);

    if (shown != NULL)
        summary_observe(shown, value);
}

static inline void gauge_count(uint64_t *gauge, int64_t by)
{
    __atomic_add_fetch(gauge, (uint64_t)by, __ATOMIC_RELAXED);
}

static inline void gauge_put(uint64_t *gauge, uint64_t value)
{
    __atomic_store_n(gauge, value, __ATOMIC_RELAXED);
}

static inline uint64_t gauge_read(const uint64_t *gauge)
{
    return __atomic_load_n(gauge, __ATOMIC_RELAXED);
}

/** Monotonic seconds, never 0. */
static inline uint32_t store_now_s(const struct store *store)
{
    return (uint32_t)(clock_mono_ns(store->clock) / 1000000000) + 1;
}

/* --- store.c
 * ---------------------------------------------------------------------------------------- */

void store_phase_set(struct store *store, enum store_phase phase, uint64_t total);
void store_progress_add(struct store *store, uint64_t done);

/* --- resolve.c: from a label block to a series ---------------------------------------------------
 */

struct appender {
    struct store *store;
    struct arena scratch;
    struct labels_builder labels;
    struct buf text;
    struct block_value *found; /* by entry of the batch */
    size_t found_cap;
    struct block_key *keys;
    struct block_cursor cursor; /* where its blocks lie in the cache */
    uint32_t *pairs;            /* of the block being resolved */
    size_t pair_cap;
    size_t *again; /* entries whose series went away between resolve and apply */
    size_t again_count;
    struct log_batch *log;    /* log.h */
    bool made;                /* the block being resolved began a series */
    struct intake_set *set;   /* rules by which the block is resolved; NULL: none (door.h) */
    struct door *door;        /* what they mean for its labels */
    uint8_t *overruled;       /* limits that had their say, by index; NULL: none yet */
    const struct quota *full; /* out: what has no place for the block */
    bool conditional;         /* out: another answer once a quota has room */
    int64_t *times_ms;        /* samples on their way through a door */
    double *values;
    size_t scratch_cap;               /* of these two */
    struct interval_state *intervals; /* of a pass through a door, by transform */
    uint64_t *dropped;
    size_t interval_cap; /* of these two */
};

/**
 * Finds or makes the series of a block that the cache does not know.
 *
 * @param value  out: series and generation, or a refusal; also put into the cache if it may be
 * @param why    out: for a refusal, one line
 * @return 0, or -1 with err: IO, BUSY, LIMIT (of collisions)
 */
int resolve_block(struct appender *appender, const struct batch *batch,
                  const struct batch_entry *entry, struct block_key key, struct block_value *value,
                  char *why, size_t why_size, struct error *err);

/** A number that is another one once some full quota has room. */
static inline uint32_t intake_room(const struct store *store)
{
    return __atomic_load_n(&store->intake.room, __ATOMIC_ACQUIRE);
}

/** Whether the policy waits for such events. */
bool policy_wants(const struct store *store, enum store_event_kind kind);
/** Tells it, if it does; under no lock. Takes NULL labels and text. */
void policy_tell(const struct store *store, enum store_event_kind kind, const struct labels *labels,
                 const char *text);
/** Low bits of the policy's version; 0 without one. */
uint32_t policy_version(const struct store *store);

/* --- making and unmaking series (series_life.c) --------------------------------------------------
 */

/** The series' labels as a block; under its stripe. Owned. */
struct labels *series_labels_locked(struct store *store, const struct series *series);
/** True if the series has exactly these pairs. */
bool series_has_pairs(const struct series *series, const uint32_t *pairs, size_t count);
/** Adds a new series to map and label table; takes `pairs` (slab array with references) over. */
struct series *series_create_locked(struct store *store, struct stripe *stripe, uint64_t fp,
                                    uint32_t *pairs, uint16_t pair_count, bool archived);
/** Takes it out of everything and frees it. */
void series_purge_locked(struct store *store, struct stripe *stripe, struct series *series);
/** An archived series becomes an active one with closed head; returns it. */
struct series *series_unarchive_locked(struct store *store, struct stripe *stripe,
                                       struct series *series);
/** An active series without chunks in memory becomes an archived one; returns it. */
struct series *series_archive_locked(struct store *store, struct stripe *stripe,
                                     struct series *series);

/** Counts it among the series that a crash would cost a look at their file. */
void series_mark_dirty(struct store *store, struct series *series);

/* --- select.c, read.c, label_values.c
 * -------------------------------------------------------------- */

/* What a selection keeps besides its series. */
struct selected {
    struct store *store;
    struct select_request request; /* its matchers are gone; only `cancelled` and the range */
    uint32_t *ids;                 /* by index in the selection */
};

void store_querier_init(struct store *store);
int store_read(struct selection *selection, size_t i, int64_t from_ms, int64_t to_ms,
               struct columns *out, struct error *err);
/** Appends the samples of one payload or snapshot, in order and behind those from `start` on. */
int read_chunk(int encoding, const uint8_t *bytes, size_t len, int64_t from_ms, int64_t to_ms,
               size_t start, struct columns *out, struct error *err);
/** The same for the chunks of the series file (read_file.c). */
int read_file(struct store *store, uint64_t fp, int64_t from_ms, int64_t to_ms, size_t start,
              struct columns *out, const int *cancelled, struct error *err);
void store_time_range(struct store *store, int64_t *min_ms, int64_t *max_ms);
void store_show_metrics(struct store *store);

/* --- persist.c: completed chunks on their way to the files
 * ----------------------------------------- */

/** Ids of series that have completed chunks. A leaf. */
struct persist_queue {
    struct lock leaf_lock; /* guards all of it */
    uint32_t *ids;
    size_t count;
    size_t cap;
    uint32_t oldest_s; /* when the first of them came */
};

void persist_queue_put(struct persist_queue *queue, uint32_t id, uint32_t now_s);

/* --- edits_fold.c, merge_queue.c: late samples on their way into chunks and files ---------------
 */

/** Lays what is pending from `from_ms` on over the chunks that no file has; they are others then.
 * Under the stripe. 0, or -1 with err: CORRUPT (of a chunk in memory). */
int edits_fold_chunks(struct store *store, struct series *series, int64_t from_ms,
                      struct error *err);

enum merge_urgency { MERGE_WAITS, MERGE_NEXT };

struct merge_ticket {
    uint32_t id;
    uint32_t due_s;
};

/* Ids of series that have edits for their file. A leaf. */
struct merge_queue {
    struct lock leaf_lock;        /* guards all of it */
    struct merge_ticket *waiting; /* from `first` on, in order of due_s */
    size_t first;
    size_t count;
    size_t cap;
    uint32_t *next; /* whatever the time */
    size_t next_count;
    size_t next_cap;
    uint64_t promised; /* merges of all that was in the queue, by number */
    uint64_t kept;     /* atomic */
};

void merge_queue_init(struct merge_queue *queue);
void merge_queue_destroy(struct merge_queue *queue);
/** `due_s`: for MERGE_WAITS; never less than that of the ticket before. */
void merge_queue_put(struct merge_queue *queue, uint32_t id, uint32_t due_s,
                     enum merge_urgency urgency);
/** A number that is kept once all that is in the queue now for the next merge is in the files. */
uint64_t merge_queue_promise(struct merge_queue *queue);
/** The newest number; 0: none. When all that was there is merged: merge_queue_keep. */
uint64_t merge_queue_promised(struct merge_queue *queue);
void merge_queue_keep(struct merge_queue *queue, uint64_t number);
/** Does something wait for the next merge? */
bool merge_queue_holds_next(struct merge_queue *queue);
bool merge_queue_has_kept(const struct merge_queue *queue, uint64_t number);
/** Takes at most `max` ids that are due (`all`: or not). */
size_t merge_queue_take(struct merge_queue *queue, uint32_t now_s, bool all, uint32_t *ids,
                        size_t max);

int store_label_names(void *ctx, const struct label_request *request, struct text_list *out,
                      struct error *err);
int store_label_values(void *ctx, const struct label_request *request, struct text_list *out,
                       struct error *err);

#endif
