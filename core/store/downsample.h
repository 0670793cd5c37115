/* downsample.h - old samples thinned out by the policy's rules: one path for the pass
 * (maintenance.c), which does it, and for the plan (plan.c), which tells it. For the files of this
 * room only.
 *
 * A series file is rewritten as for a merge (merge_file.h), in rounds of series, without edits:
 * those lie over what is read. Only windows that end in the file and before the series' newest
 * sample are thinned out, so that neither its newest time nor its head changes.
 *
 * How far a series is done is remembered (downsample_done.c), so that done work is not read again;
 * forgotten, it is found again by reading, and nothing changes. */
#ifndef TIDE_STORE_DOWNSAMPLE_H
#define TIDE_STORE_DOWNSAMPLE_H

#include "store/audit.h"
#include "store/duty.h"
#include "store/engine.h"
#include "store/reduce.h"

enum thin_end { THIN_SKIPPED, THIN_DONE, THIN_FAILED };

/* One series whose old samples are to be thinned out. */
struct thin_job {
    uint64_t fp;
    const struct policy *policy; /* borrowed */
    struct downsample_verdict verdict;
    struct reduce_tier tiers[DOWNSAMPLE_TIERS]; /* those with something to do */
    size_t tier_count;
    double least_share; /* as in merge_file.h */
    bool dry;           /* nothing is changed */
    bool trash;         /* the rules are new: what was goes into the trash first */
    uint64_t skip;      /* so many of the oldest chunks are not looked at */
    uint64_t identity;  /* of the verdict */
    int64_t as_of_ms;
    int64_t limit_ms; /* windows end before that */

    struct reducer reducer;
    enum thin_end end;
    bool changed;
    bool postponed; /* too little of the file is old */
    uint64_t chunks_before;
    uint64_t chunks_after;
};

/** Asks the policy; false: there is nothing to do. A job that was prepared is destroyed. Outside
 * all stripes, under background_lock. */
bool downsample_prepare(struct store *store, const struct policy *policy, const struct duty *duty,
                        struct thin_job *job);
void thin_job_destroy(struct thin_job *job);
/** What rule `tier` of a finished job took, or would take; its `by` is the rule's title. False:
 * nothing. */
bool thin_job_removed(const struct thin_job *job, size_t tier, struct removal *removed);

/** Does it for the series of one stripe. `held`: the clock is doubted, nothing is done. */
int downsample_stripe(struct store *store, const struct duties *duties, bool held,
                      struct error *err);
/** Does any rule thin out? */
bool policy_downsamples(const struct policy *policy);

/* merge.c */
#define THIN_ROUND 256
/** Thins out at most THIN_ROUND series. -1 with err: IO; the jobs say how each of them ended. */
int merge_thin(struct store *store, struct thin_job *jobs, size_t count, struct error *err);

/* --- downsample_done.c: how far each series is
 * ---------------------------------------------------------------- */

#define DOWNSAMPLE_STATE_FILE "downsample.state"

struct done_entry {
    uint64_t fp; /* 0: free */
    uint64_t identity;
    int64_t as_of_ms;  /* by which it was done; TIDE_EARLIEST_MS: never */
    int64_t limit_ms;  /* up to which there were windows then */
    int64_t late_ms;   /* oldest late sample that the file got since; TIDE_LATEST_MS: none */
    int64_t looked_ms; /* when the file was looked at last; TIDE_EARLIEST_MS: look now */
};

/* By fingerprint. Zeroed is empty. Under background_lock. */
struct done_table {
    struct done_entry *slots;
    size_t count;
    size_t mask; /* slots - 1; 0: none */
};

/** NULL: nothing is known. Until the next put. */
struct done_entry *done_table_find(const struct done_table *table, uint64_t fp);
void done_table_put(struct done_table *table, const struct done_entry *entry);
void done_table_forget(struct done_table *table, uint64_t fp);
void done_table_destroy(struct done_table *table);
/** A file got late samples from `time_ms` on. */
void downsample_note_late(struct store *store, uint64_t fp, int64_t time_ms);
/** After a checkpoint: what is known goes to disk, with the heads.db that it belongs to. */
int downsample_save(struct store *store, struct error *err);
/** When a folder is opened; what cannot be believed is not. */
void downsample_load(struct store *store);

#endif
