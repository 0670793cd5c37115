/* folder.h - the store's side of its data folder: what is open there, and the work behind the
 * pushes. For the files of this room only.
 *
 * Everything that changes files or the archive runs under store->background_lock, one piece at a
 * time; no stripe is held during I/O. While a series is `busy` its file, its chunks in memory and
 * its place in the map belong to the background: pushes may add to it, nobody else archives, drops
 * or purges it. */
#ifndef TIDE_STORE_FOLDER_H
#define TIDE_STORE_FOLDER_H

#include "disk/archive.h"
#include "disk/heads.h"
#include "disk/label_index.h"
#include "disk/mappings.h"
#include "disk/series_file.h"
#include "disk/volume.h"
#include "store/audit.h"
#include "store/clock_guard.h"
#include "store/downsample.h"
#include "store/engine.h"
#include "store/pass_guard.h"
#include "store/verdicts.h"

/* clock_guard.c. */
struct clock_guard {
    struct lock guard_lock; /* guards the rest, and the file */
    enum clock_doubt doubt;
    int64_t since_ms;
    int64_t wall_ms; /* at the last look */
    int64_t mono_ns;
    int64_t newest_ms; /* sample that was seen */
    int64_t walked_mono_ns;
    int64_t confirmed_ms;
};

/* pass_guard.c. Under background_lock, but for what guard_lock guards. */
struct pass_guard {
    struct lock guard_lock; /* guards the file, and what follows up to the next comment */
    struct store_hold hold;
    uint64_t hold_limit; /* chunks that its confirmation is good for */
    uint64_t confirmed;  /* rules; 0: none */
    uint64_t confirmed_chunks;
    uint64_t open_for; /* rules under which surprising chunks may go; 0: none may */
    uint64_t budget;   /* so many still */
    uint64_t settled;  /* rules under which a pass put nothing off; 0: not known */
    int64_t passed_ms; /* when the last pass over everything began; TIDE_EARLIEST_MS: not known */
    bool unsaved;
    /* The pass at work. */
    bool walking;
    bool walk_spoilt;   /* it is not a whole one */
    bool walk_deferred; /* what is a surprise did not go */
    uint64_t walk_rules;
    int64_t walk_began_ms;
    /* The survey at work. */
    bool survey_wanted;
    bool surveying;
    uint32_t survey_at;
    struct store_hold survey;
};

/* pass_trash.c: what the first pass under new rules took. Under background_lock. */
enum pass_trash_kind {
    PASS_TRASH_DROPPED, /* by retention: chunks that went */
    PASS_TRASH_THINNED, /* by downsampling: chunks as they were */
    PASS_TRASH_KINDS,
};

struct pass_trash {
    struct removal removal; /* its id: "" while there is none */
    bool changed;           /* the manifest is behind */
    struct volume *volume;  /* of its folder; NULL: closed */
    struct archive *archive;
    struct archive_batch batch;
};

/* kept.c: series that retention leaves alone. Under background_lock. */
struct kept {
    uint64_t rules;
    int64_t until_ms;
    uint64_t *fps; /* ascending */
    size_t count;
};

/* Series that are to be archived together. */
struct idle_list {
    uint64_t fps[ARCHIVE_BATCH];
    size_t count;
};

/* Fingerprints. */
struct fp_list {
    uint64_t *fps;
    size_t count;
    size_t cap;
};

struct folder {
    struct volume *volume;
    bool own_volume;
    bool fresh;        /* it was empty: a store was made */
    bool marked_dirty; /* the marker was there: recovery */
    bool locked;
    uint64_t log_from; /* while it opens: segment of the log at which its replay begins */
    bool log_covers;   /* while it opens: what came after heads.db is in the log, whole */
    struct archive *archive;
    struct label_index *index;

    /* Un-archived since the last checkpoint: their archive entries outlive it (engine: I8). */
    struct lock unarchived_lock; /* a leaf; guards the list */
    uint64_t *unarchived;
    size_t unarchived_count;
    size_t unarchived_cap;

    struct fp_list gone; /* between recover and recover_gone: see there */

    int inconsistent; /* atomic: the marker stays at a clean stop */

    /* Background, under background_lock. */
    int64_t checkpoint_mono_ns; /* end of the last one */
    int64_t checkpoint_took_ns;
    uint64_t mappings_saved; /* mapper.changes at the last save */
    uint64_t use_saved;      /* use.changes at the last save */
    int64_t use_looked_mono_ns;
    int64_t maintained_mono_ns;
    uint32_t maintain_stripe; /* where the slow pass goes on */
    struct idle_list idle;    /* found by it */
    uint32_t expire_shard;
    uint32_t persist_not_before_s; /* after a failure */
    uint32_t merge_not_before_s;
    unsigned sync_failures;
    struct clock_guard guard;
    struct audit_pass pass;
    struct audit_pass thin_pass;
    struct done_table done;
    struct pass_guard pass_guard;
    struct pass_trash pass_trash[PASS_TRASH_KINDS];
    struct kept kept;
    struct verdicts verdicts;
    int64_t pass_now_ms; /* duty_begin: wall clock */
    bool pass_asks;      /* there are rules of retention in force */
    bool pass_thins;     /* there are rules of downsampling in force */
    int64_t trash_looked_mono_ns;
    int64_t disk_looked_mono_ns;
    int64_t disk_told_mono_ns;

    struct lock audit_lock;              /* guards audit.jsonl */
    struct lock trash_lock;              /* a leaf; guards trash_in_use */
    char trash_in_use[REMOVAL_ID_BYTES]; /* "": none */

    struct thread maintenance;
    struct thread indexer;
    struct lock wake_lock; /* guards the rest */
    struct cond wake;
    bool stopping;
    bool flush_index; /* somebody waits for the label index on disk */
};

/** 0, or -1 with err UNSUPPORTED: a store in memory. */
int store_need_folder(const struct store *store, struct error *err);

/* open.c, close.c */
int folder_open(struct store *store, struct error *err);
/** Saves everything. -1 with err: the marker stays. */
int folder_close(struct store *store, struct error *err);
void folder_abandon(struct store *store);
int folder_start_threads(struct store *store, struct error *err);
void folder_stop_threads(struct store *store);

/* Records of a heads.db being gathered. Zeroed is empty. */
struct heads_capture {
    struct buf records;
    uint64_t count;  /* of series in `records` */
    uint64_t series; /* captured since the beginning */
    struct heads_chunk *chunks;
    size_t chunk_cap;
    uint8_t head[CHUNK_BYTES];
};
/* The series file that goes with a record. */
struct heads_file {
    int64_t chunks; /* or FILE_CHUNKS_UNKNOWN */
    int64_t mtime_ns;
    int64_t tail_first_ms; /* its last chunk, if it has one */
    int64_t tail_last_ms;
};
/**
 * Adds the record of an active series, under its stripe.
 *
 * @param only_file  leave out what is in memory only
 * @return false: it has no samples, nothing was added
 */
bool heads_capture_series(struct store *store, struct series *series, const struct heads_file *file,
                          bool only_file, struct heads_capture *capture);
/** Writes what is gathered if it is at least so many bytes. */
int heads_capture_flush(struct heads_capture *capture, struct heads_writer *writer, size_t least,
                        struct error *err);
void heads_capture_destroy(struct heads_capture *capture);

/* load.c: what is on disk into memory, single-threaded. */
int load_heads(struct store *store, bool *damaged, struct error *err);
int load_archive(struct store *store, struct error *err);
/** Makes a series from labels; NULL: there is one with this fingerprint. Stripe not locked. */
struct series *load_series(struct store *store, uint64_t fp, const struct labels *labels,
                           bool archived);

/* clock_guard.c */
/** After all series are there. -1 with err: IO */
int clock_guard_open(struct store *store, struct error *err);
/** Does anything go by age in this store? */
bool clock_guard_matters(const struct store *store);
/** Are deletions by age held now? `walk`: judge by the newest sample of this moment. */
bool clock_guard_holds(struct store *store, bool walk);

/* recover.c */
int recover(struct store *store, struct error *err);
/** After recovery, and after the replay of the log, which may have needed their labels: series of
 * which still nothing is there are purged. */
int recover_gone(struct store *store, struct error *err);
/** Mappings that the series themselves tell: mappings.db may be missing. */
void recover_mappings(struct store *store);

/* checkpoint.c */
int checkpoint_write(struct store *store, struct error *err);
int mappings_save(struct store *store, struct error *err);
/** Adds all mappings to a list. */
void mappings_collect(struct store *store, struct mappings *mappings);
int mappings_save_changed(struct store *store, struct error *err);
/** Finds out how many chunks the file has, its time, and where its last chunk begins. */
int resolve_file(struct store *store, uint64_t fp, struct error *err);
/** Makes a file of which nothing is known fit to be appended to: damage at its end is cut off, one
 * without a sound chunk is quarantined. `last`: its last chunk, unchanged if there is none. */
int settle_file(struct store *store, uint64_t fp, struct series_file_stat *stat,
                struct series_record *last, struct error *err);
/** The same for all series of a stripe of which that is not known; outside its lock. */
int resolve_stripe(struct store *store, struct stripe *stripe, struct error *err);
/** Its archive entry may go with the next checkpoint that begins after this call. */
void folder_note_unarchived(struct folder *folder, uint64_t fp);
/** They have archive entries anew, which must outlive what was noted of them before: a checkpoint
 * that finds them archived does not hold them, and a push may un-archive them meanwhile. Under
 * background_lock, before they leave memory. `fps` are sorted. */
void folder_note_archived(struct folder *folder, const uint64_t *fps, size_t count);

/* persist.c */
/** One round. `all`: whatever waits, however young. *persisted: chunks. */
int persist_round(struct store *store, bool all, uint64_t *persisted, struct error *err);

/* merge.c */
/** Rounds until nothing is due, or nothing waits (`pressed`). */
int merge_due(struct store *store, bool pressed, struct error *err);
/** Rounds until nothing waits. -1 with err: something still does. */
int merge_everything(struct store *store, struct error *err);
/** Merges what is pending of these series now; done, it is durable. */
int merge_series(struct store *store, const uint64_t *fps, size_t count, struct error *err);
/** Is nothing left of it, neither in memory nor in a file? Under its stripe. */
bool series_is_empty(const struct series *series);

/* indexer.c */
/** Writes changed label sets; `all`: also those that changed little. */
int index_flush(struct store *store, bool all, struct error *err);

/* background.c */
/** For long pieces of background work, between two steps: rounds of persistence that are due, and
 * memory under its target. Nothing is archived, dropped or purged. */
int background_breathe(struct store *store, struct error *err);
/** Is memory so near its target that completed chunks should leave it at once? */
bool background_is_crowded(struct store *store);

/* retention.c */
/** Takes a series out for good, with its archive entries; releases the stripe. */
int purge_series(struct store *store, struct stripe *stripe, struct series *series);

/* maintenance.c */
/** Idle series are collected, and archived when there are enough of them: maintain_archive. */
int maintain_stripe(struct store *store, uint32_t stripe, struct error *err);
/** Archives the idle series that were collected. */
int maintain_archive(struct store *store, struct error *err);
void quarantine_damaged(struct store *store);

/* A series under its stripe, by fingerprint. NULL: none, nothing locked. */
struct series *lock_fp(struct store *store, uint64_t fp, struct stripe **stripe);

#endif
