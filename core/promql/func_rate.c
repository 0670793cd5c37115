/* func_rate.c - rate, increase, delta and their kin (promql.md 11, 13.7 - 13.9). */
#include <math.h>

#include "promql/eval_math.h"
#include "promql/func_range.h"

enum rate_kind { KIND_RATE, KIND_INCREASE, KIND_DELTA };

/* Is one of eight samples smaller than the one before it? */
static inline bool any_falls(const double *v)
{
    return (v[0] < v[-1]) | (v[1] < v[0]) | (v[2] < v[1]) | (v[3] < v[2]) | (v[4] < v[3]) |
           (v[5] < v[4]) | (v[6] < v[5]) | (v[7] < v[6]);
}

/* Indexes of the samples that are smaller than the one before: few, so eight are looked at at once.
 */
static size_t find_resets(const struct range_input *in, uint32_t *resets)
{
    const double *values = in->values;
    size_t count = 0, i = 1;

    while (i < in->len) {
        size_t end = TIDE_MIN(i + 8, in->len);

        if (TIDE_LIKELY(end - i == 8) && !any_falls(values + i)) {
            i = end;
            continue;
        }
        for (; i < end; i++) {
            resets[count] = (uint32_t)i;
            count += values[i] < values[i - 1];
        }
    }
    return count;
}

/* A window's samples extended to its edges (13.7): by how much, and what that multiplies a result
 * with. It depends on times alone, and series are scraped regularly: most windows have that of the
 * window before, so the divisions are done once. */
struct extension {
    int64_t to_start_ms, to_end_ms, span_ms;
    size_t samples;
    double to_start, to_end, span; /* seconds */
    double factor;                 /* when zero cuts nothing */
};

static double extension_factor(const struct range_input *in, const struct extension *e,
                               double to_start, bool is_rate)
{
    double factor = e->span != 0 ? (e->span + to_start + e->to_end) / e->span : 1;

    return is_rate ? factor / in->range_seconds : factor;
}

static void extension_set(const struct range_input *in, struct extension *e, bool is_rate)
{
    double average, threshold;

    e->to_start = (double)e->to_start_ms / 1000.0;
    e->to_end = (double)e->to_end_ms / 1000.0;
    e->span = (double)e->span_ms / 1000.0;
    average = e->span / ((double)e->samples - 1);
    threshold = average * 1.1;
    if (e->to_start >= threshold)
        e->to_start = average / 2;
    if (e->to_end >= threshold)
        e->to_end = average / 2;
    e->factor = extension_factor(in, e, e->to_start, is_rate);
}

static inline void extension_move(const struct range_input *in, const struct window *w,
                                  struct extension *e, bool is_rate)
{
    int64_t first_ms = in->times_ms[w->from], last_ms = in->times_ms[w->to - 1];
    int64_t to_start_ms = first_ms - w->start_ms, to_end_ms = w->end_ms - last_ms;
    size_t samples = w->to - w->from;

    if (TIDE_LIKELY(e->to_start_ms == to_start_ms && e->to_end_ms == to_end_ms &&
                    e->span_ms == last_ms - first_ms && e->samples == samples))
        return;
    e->to_start_ms = to_start_ms;
    e->to_end_ms = to_end_ms;
    e->span_ms = last_ms - first_ms;
    e->samples = samples;
    extension_set(in, e, is_rate);
}

/* Does a counter clearly begin so far above zero that the line through it does not meet zero within
 * the window? False when a division has to tell. */
static inline bool is_far_from_zero(const struct extension *e, double first, double result)
{
    double reach = result * e->to_start;

    return reach > 1e-280 && first * e->span > reach * 1.000001;
}

static inline double extrapolate(const struct range_input *in, const struct extension *e,
                                 double first, double result, bool is_counter, bool is_rate)
{
    double to_zero;

    if (!is_counter || !(result > 0 && first >= 0) || is_far_from_zero(e, first, result))
        return result * e->factor;
    to_zero = e->span * (first / result);
    if (!(to_zero < e->to_start))
        return result * e->factor;
    return result * extension_factor(in, e, to_zero, is_rate);
}

static inline void rate_plain(const struct range_input *in, struct range_scratch *scratch,
                              double *out, enum rate_kind kind)
{
    struct window w = {0};
    struct extension e = {0};
    uint32_t *resets = NULL;
    size_t reset_count = 0, next = 0, done = 0;

    if (kind != KIND_DELTA) {
        resets = range_scratch_indexes(scratch, in->len + 1);
        reset_count = find_resets(in, resets);
    }
    for (size_t k = 0; k < in->steps; k++) {
        double result;
        size_t r;

        window_move(in, k, &w);
        if (w.to - w.from < 2) {
            out[k] = eval_hole();
            continue;
        }
        result = in->values[w.to - 1] - in->values[w.from];
        while (next < reset_count && resets[next] <= w.from)
            next++;
        for (r = next; r < reset_count && resets[r] < w.to; r++)
            result += in->values[resets[r] - 1];
        if (range_ends(in, &done, r - next))
            return;
        extension_move(in, &w, &e, kind == KIND_RATE);
        out[k] =
            extrapolate(in, &e, in->values[w.from], result, kind != KIND_DELTA, kind == KIND_RATE);
    }
}

/* --- anchored and smoothed (promql.md 11) -------------------------------------------------- */

/* The value at time t on the line between samples p and p + 1. */
static double interpolate(const struct range_input *in, size_t p, int64_t t, bool is_counter)
{
    double left = in->values[p], right = in->values[p + 1];

    if (is_counter && right < left)
        left = 0;
    return left + (right - left) * (double)(t - in->times_ms[p]) /
                      (double)(in->times_ms[p + 1] - in->times_ms[p]);
}

/* The samples that an extended window looks at: lookback before it, and after it if smoothed. */
static void extended_move(const struct range_input *in, size_t k, struct window *w)
{
    int64_t fetch_end;

    w->end_ms = in->ref_ms + (int64_t)k * in->ref_step_ms;
    w->start_ms = w->end_ms - in->range_ms;
    fetch_end = w->end_ms + (in->mode == RANGE_SMOOTHED ? in->lookback_ms : 0);
    while (w->to < in->len && in->times_ms[w->to] <= fetch_end)
        w->to++;
    while (w->from < w->to && in->times_ms[w->from] <= w->start_ms - in->lookback_ms)
        w->from++;
}

/* Last sample at or before t within the window, or its first sample. */
static size_t last_at_or_before(const struct range_input *in, const struct window *w, int64_t t)
{
    size_t low = w->from, high = w->to;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (in->times_ms[middle] <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return low > w->from ? low - 1 : w->from;
}

/* First sample at or after t within the window, or its last sample. */
static size_t first_at_or_after(const struct range_input *in, const struct window *w, int64_t t)
{
    size_t i = last_at_or_before(in, w, t);

    if (in->times_ms[i] < t && i + 1 < w->to)
        i++;
    return i;
}

static double counter_correction(const struct range_input *in, const struct window *w, size_t first,
                                 size_t last, double left, double right)
{
    size_t i = first + (in->times_ms[first] <= w->start_ms);
    size_t end = last + (in->times_ms[last] < w->end_ms);
    double previous = left, correction = 0;

    for (; i < end; i++) {
        if (in->values[i] < previous)
            correction += previous;
        previous = in->values[i];
    }
    if (right < previous)
        correction += previous;
    return correction;
}

static double extended_change(const struct range_input *in, const struct window *w, bool is_counter)
{
    bool smoothed = in->mode == RANGE_SMOOTHED;
    size_t first, last;
    double left, right;

    if (w->from == w->to)
        return eval_hole();
    first = last_at_or_before(in, w, w->start_ms);
    last = smoothed ? first_at_or_after(in, w, w->end_ms) : w->to - 1;
    if (in->times_ms[last] <= w->start_ms)
        return eval_hole();
    if (smoothed && in->times_ms[first] > w->end_ms)
        return eval_hole();
    left = in->values[first];
    if (smoothed && in->times_ms[first] < w->start_ms)
        left = interpolate(in, first, w->start_ms, is_counter);
    right = in->values[last];
    if (smoothed && last > w->from && in->times_ms[last] > w->end_ms)
        right = interpolate(in, last - 1, w->end_ms, is_counter);
    if (!is_counter)
        return right - left;
    return right - left + counter_correction(in, w, first, last, left, right);
}

static void rate_extended(const struct range_input *in, double *out, enum rate_kind kind)
{
    struct window w = {0};
    size_t done = 0;

    for (size_t k = 0; k < in->steps; k++) {
        extended_move(in, k, &w);
        if (range_ends(in, &done, w.to - w.from))
            return;
        out[k] = extended_change(in, &w, kind != KIND_DELTA);
        if (kind == KIND_RATE && !eval_is_hole(&out[k]))
            out[k] /= in->range_seconds;
    }
}

/* Made for each kind by inlining. */
static inline void rate_any(const struct range_input *in, struct range_scratch *scratch,
                            double *out, enum rate_kind kind)
{
    if (in->mode == RANGE_PLAIN)
        rate_plain(in, scratch, out, kind);
    else
        rate_extended(in, out, kind);
}

void range_rate(const struct range_input *in, struct range_scratch *scratch, double *out)
{
    rate_any(in, scratch, out, KIND_RATE);
}

void range_increase(const struct range_input *in, struct range_scratch *scratch, double *out)
{
    rate_any(in, scratch, out, KIND_INCREASE);
}

void range_delta(const struct range_input *in, struct range_scratch *scratch, double *out)
{
    rate_any(in, scratch, out, KIND_DELTA);
}

size_t range_extend(const struct range_input *in, int64_t *times, double *values)
{
    struct window w = {0};
    size_t first, last, count = 0;

    extended_move(in, 0, &w);
    if (w.from == w.to || in->times_ms[w.to - 1] <= w.start_ms)
        return 0;
    first = last_at_or_before(in, &w, w.start_ms);
    if (in->times_ms[first] > w.end_ms)
        return 0;
    last = in->mode == RANGE_SMOOTHED ? first_at_or_after(in, &w, w.end_ms) : w.to - 1;
    times[count] = w.start_ms;
    values[count++] = in->mode == RANGE_SMOOTHED && in->times_ms[first] < w.start_ms
                          ? interpolate(in, first, w.start_ms, false)
                          : in->values[first];
    for (size_t i = first; i <= last; i++) {
        if (in->times_ms[i] > w.start_ms && in->times_ms[i] < w.end_ms) {
            times[count] = in->times_ms[i];
            values[count++] = in->values[i];
        }
    }
    times[count] = w.end_ms;
    values[count++] = last > w.from && in->times_ms[last] > w.end_ms
                          ? interpolate(in, last - 1, w.end_ms, false)
                          : in->values[last];
    return count;
}

/* --- the last two samples (13.8) ----------------------------------------------------------- */

void range_irate(const struct range_input *in, struct range_scratch *scratch, double *out)
{
    struct window w = {0};

    (void)scratch;
    for (size_t k = 0; k < in->steps; k++) {
        window_move(in, k, &w);
        out[k] = eval_hole();
        if (w.to - w.from >= 2) {
            double a = in->values[w.to - 2], b = in->values[w.to - 1];
            int64_t apart_ms = in->times_ms[w.to - 1] - in->times_ms[w.to - 2];

            out[k] = (b < a ? b : b - a) / ((double)apart_ms / 1000.0);
        }
    }
}

void range_idelta(const struct range_input *in, struct range_scratch *scratch, double *out)
{
    struct window w = {0};

    (void)scratch;
    for (size_t k = 0; k < in->steps; k++) {
        window_move(in, k, &w);
        out[k] = eval_hole();
        if (w.to - w.from >= 2)
            out[k] = in->values[w.to - 1] - in->values[w.to - 2];
    }
}

/* --- resets and changes (13.9) ------------------------------------------------------------- */

static bool is_reset(double before, double now)
{
    return now < before;
}

static bool is_change(double before, double now)
{
    return now != before && !(isnan(now) && isnan(before));
}

/* Events between the samples of each window, by how many there were up to each sample. */
static void count_events(const struct range_input *in, struct range_scratch *scratch, double *out,
                         bool (*is_event)(double, double))
{
    uint32_t *before = range_scratch_indexes(scratch, in->len + 1);
    struct window w = {0};

    before[0] = 0;
    for (size_t i = 1; i < in->len; i++)
        before[i] = before[i - 1] + is_event(in->values[i - 1], in->values[i]);
    for (size_t k = 0; k < in->steps; k++) {
        size_t from;

        if (in->mode == RANGE_PLAIN)
            window_move(in, k, &w);
        else
            extended_move(in, k, &w);
        out[k] = eval_hole();
        if (w.from == w.to || in->times_ms[w.to - 1] <= w.start_ms)
            continue;
        from = in->mode == RANGE_PLAIN ? w.from : last_at_or_before(in, &w, w.start_ms);
        out[k] = before[w.to - 1] - before[from];
    }
}

void range_resets(const struct range_input *in, struct range_scratch *scratch, double *out)
{
    count_events(in, scratch, out, is_reset);
}

void range_changes(const struct range_input *in, struct range_scratch *scratch, double *out)
{
    count_events(in, scratch, out, is_change);
}
