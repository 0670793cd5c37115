/* reduce.h - samples of a series, in order of time, thinned out window by window.
 *
 * Pure: no files, no locks. Samples go in one by one; what becomes of them stands in `out`, which
 * the caller empties. A window of width w ends at a multiple of w, which still belongs to it. Holds
 * no samples but those of one window for a function, at most REDUCE_WINDOW_MAX.
 *
 * To reduce twice is to reduce once: the methods that keep samples as they are find the same ones
 * again, and for the others a window that holds one sample at its end (or one before a staleness
 * marker: below) is done.
 *
 * Staleness markers: one that ends its window stays where it is, and what the window becomes stands
 * at the latest 1 ms before it; others go. The methods never see one. */
#ifndef TIDE_STORE_REDUCE_H
#define TIDE_STORE_REDUCE_H

#include "base/base.h"
#include "base/error.h"
#include "model/columns.h"
#include "store/policy.h"

#define REDUCE_WINDOW_MAX ((size_t)1 << 20)

/* Windows that end in from_ms < end <= to_ms; the two are ends of windows, or of the next tier. */
struct reduce_tier {
    int64_t from_ms;
    int64_t to_ms;
    int64_t known_ms; /* windows that end up to here were reduced before, but got late samples */
    int64_t every_ms;
    enum downsample_method method;
    const char *rule;
};

struct reducer {
    /* Set by the caller; borrowed. */
    const struct reduce_tier *tiers; /* the oldest first, not overlapping */
    size_t tier_count;
    const struct policy *policy; /* for DOWNSAMPLE_FUNCTION */

    struct columns out;                 /* what is settled; owned (reducer_destroy) */
    bool changed;                       /* it is not what came in */
    uint64_t removed[DOWNSAMPLE_TIERS]; /* samples, by tier */
    int64_t first_ms[DOWNSAMPLE_TIERS]; /* of samples that came in; while seen */
    int64_t last_ms[DOWNSAMPLE_TIERS];
    bool seen[DOWNSAMPLE_TIERS];

    /* Inside. */
    size_t at;            /* tier of the open window */
    bool open;            /* there is a window */
    int64_t end_ms;       /* of it */
    uint64_t samples;     /* in it, markers too */
    uint64_t values;      /* without markers */
    uint64_t puts;        /* into out, ever */
    uint64_t puts_before; /* when the window opened */
    bool marked;          /* the last one was a marker */
    int64_t time_ms;      /* of the last value, of the last marker */
    int64_t marker_ms;
    double value;   /* of the last one */
    bool kept;      /* that is in out (counter) */
    bool hidden;    /* there was a reset, and nothing was kept since (counter) */
    double peak;    /* the value before it */
    int64_t low_ms; /* the sample behind it */
    double low;
    bool previous_known;
    int64_t previous_ms; /* the last value before this window */
    double previous;
    long double sum;
    double least, most;
    struct columns window; /* for a function: all of it, markers too, then without */
};

/** The last sample before those that will come; not needed. */
void reducer_prime(struct reducer *reducer, int64_t time_ms, double value);
/** Takes the next sample. -1 with err: of the function, or LIMIT; nothing of `out` is any use then.
 */
TIDE_NODISCARD int reducer_add(struct reducer *reducer, int64_t time_ms, double value,
                               struct error *err);
/** No more samples come, or not in windows: settles what is open. -1 as reducer_add. */
TIDE_NODISCARD int reducer_finish(struct reducer *reducer, struct error *err);
void reducer_destroy(struct reducer *reducer);

/** Start of the window that ends first behind `time_ms`: the greatest multiple of every_ms that is
 * not after it. */
int64_t reduce_floor(int64_t time_ms, int64_t every_ms);

#endif
