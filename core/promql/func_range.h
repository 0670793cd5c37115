/* func_range.h - functions over range vectors, as kernels that slide over one series' columns.
 *
 * A kernel is called once per series and fills one value per step: two indexes move along the
 * times, so each sample is looked at once per window and nothing is decoded or allocated per step.
 * Steps without a result become holes (eval_math.h). Pure but for the scratch. */
#ifndef TIDE_PROMQL_FUNC_RANGE_H
#define TIDE_PROMQL_FUNC_RANGE_H

#include "base/base.h"
#include "base/error.h"

/* How the edges of the window are treated (promql.md 11). */
enum range_mode { RANGE_PLAIN, RANGE_ANCHORED, RANGE_SMOOTHED };

/* Asked now and then by kernels whose work grows with steps times window: nonzero ends them. */
struct range_watch {
    int (*tick)(struct range_watch *self, size_t work);
};

/* One series under a row of windows. Window k is (ref - range, ref], ref = ref_ms + k * ref_step.
 */
struct range_input {
    const int64_t *times_ms; /* strictly increasing, no staleness markers */
    const double *values;
    size_t len;
    size_t steps;
    int64_t ref_ms;      /* end of the first window: offset and @ are in it */
    int64_t ref_step_ms; /* 0 with @ */
    int64_t eval_ms;     /* evaluation time of the first step */
    int64_t eval_step_ms;
    int64_t range_ms;
    double range_seconds; /* with the precision of nanoseconds */
    int64_t lookback_ms;  /* anchored and smoothed reach so much further */
    enum range_mode mode;
    const double *params[2];   /* scalar arguments, one value per step; NULL when there is none */
    struct range_watch *watch; /* may be NULL */
};

/* Memory that kernels reuse from series to series. Zeroed is empty. */
struct range_scratch {
    uint32_t *indexes;
    size_t index_cap;
    double *values;
    size_t value_cap;
};

void range_scratch_destroy(struct range_scratch *scratch);
/** Room for `count` indexes, good until the next call. */
uint32_t *range_scratch_indexes(struct range_scratch *scratch, size_t count);

typedef void (*range_kernel)(const struct range_input *input, struct range_scratch *scratch,
                             double *out);

enum range_flag {
    RANGE_KEEPS_NAME = 1,    /* last_over_time, first_over_time */
    RANGE_COUNTER_CHECK = 2, /* an info when the name is not that of a counter */
    RANGE_ANCHORED_OK = 4,
    RANGE_SMOOTHED_OK = 8,
    RANGE_QUANTILE_CHECK = 16,  /* params[0] should be within 0 .. 1 */
    RANGE_SMOOTHING_CHECK = 32, /* params must be within 0 .. 1, exclusive */
};

struct range_function {
    const char *name;
    range_kernel kernel;
    unsigned flags;
    signed char range_arg;      /* which argument is the range vector */
    signed char scalar_args[2]; /* which arguments are params; -1: none */
};

/** NULL when there is no such range function. Static. */
const struct range_function *range_function_find(const char *name);

/** Adds the number of samples in each window to counts[0 .. steps). Returns their sum. */
uint64_t range_count_samples(const struct range_input *input, uint64_t *counts);
/** Sets present[k] where window k has a sample: absent_over_time. */
void range_mark_present(const struct range_input *input, bool *present);
/**
 * The two samples at the edges and those between, as a bare anchored or smoothed range vector
 * shows them (promql.md 11): for window 0 only.
 *
 * @param times, values  room for len + 2
 * @return how many; 0 when nothing lies in the window
 */
size_t range_extend(const struct range_input *input, int64_t *times, double *values);

/* The kernels of rate's family, in func_rate.c. */
void range_rate(const struct range_input *, struct range_scratch *, double *out);
void range_increase(const struct range_input *, struct range_scratch *, double *out);
void range_delta(const struct range_input *, struct range_scratch *, double *out);
void range_irate(const struct range_input *, struct range_scratch *, double *out);
void range_idelta(const struct range_input *, struct range_scratch *, double *out);
void range_resets(const struct range_input *, struct range_scratch *, double *out);
void range_changes(const struct range_input *, struct range_scratch *, double *out);

#ifndef TIDE_CDEF

/* The samples [from, to) of one window. */
struct window {
    size_t from, to;
    int64_t start_ms, end_ms; /* (start, end] */
};

/* Samples of work between two questions to the watch. */
#define RANGE_WORK_PER_TICK ((size_t)1 << 16)

/* Adds to the work done; true when the kernel is to end (what it has not filled does not matter).
 */
static inline bool range_ends(const struct range_input *in, size_t *done, size_t work)
{
    *done += work;
    if (TIDE_LIKELY(*done < RANGE_WORK_PER_TICK))
        return false;
    work = *done;
    *done = 0;
    return in->watch != NULL && in->watch->tick(in->watch, work) != 0;
}

/* Moves a window, zeroed at first, to step k. Steps only go up. */
static inline void window_move(const struct range_input *in, size_t k, struct window *w)
{
    size_t to = w->to, from = w->from;

    w->end_ms = in->ref_ms + (int64_t)k * in->ref_step_ms;
    w->start_ms = w->end_ms - in->range_ms;
    while (to < in->len && in->times_ms[to] <= w->end_ms)
        to++;
    while (from < to && in->times_ms[from] <= w->start_ms)
        from++;
    w->to = to;
    w->from = from;
}

#endif
#endif
