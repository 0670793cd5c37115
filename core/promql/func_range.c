/* func_range.c - the *_over_time functions and regressions (promql.md 13). See func_range.h. */
#include "promql/func_range.h"

#include <math.h>

#include "base/mem.h"
#include "promql/eval_math.h"

void range_scratch_destroy(struct range_scratch *scratch)
{
    mem_free(scratch->indexes);
    mem_free(scratch->values);
    *scratch = (struct range_scratch){0};
}

static double *scratch_values(struct range_scratch *scratch, size_t count)
{
    if (scratch->value_cap < count) {
        scratch->value_cap = count + count / 2;
        mem_free(scratch->values);
        scratch->values = mem_alloc(scratch->value_cap * sizeof(*scratch->values));
    }
    return scratch->values;
}

uint32_t *range_scratch_indexes(struct range_scratch *scratch, size_t count)
{
    if (scratch->index_cap < count) {
        scratch->index_cap = count + count / 2;
        mem_free(scratch->indexes);
        scratch->indexes = mem_alloc(scratch->index_cap * sizeof(*scratch->indexes));
    }
    return scratch->indexes;
}

/* Defines kernel `name`: `expression` of in, w, k and scratch for each window with samples. */
#define WINDOW_KERNEL(name, expression)                                                            \
    static void name(const struct range_input *in, struct range_scratch *scratch, double *out)     \
    {                                                                                              \
        struct window w = {0};                                                                     \
        size_t done = 0;                                                                           \
                                                                                                   \
        (void)scratch;                                                                             \
        for (size_t k = 0; k < in->steps; k++) {                                                   \
            window_move(in, k, &w);                                                                \
            if (range_ends(in, &done, w.to - w.from))                                              \
                return;                                                                            \
            out[k] = w.from == w.to ? eval_hole() : (expression);                                  \
        }                                                                                          \
    }

static double seconds_at(const struct range_input *in, size_t i)
{
    return (double)in->times_ms[i] / 1000.0;
}

static double window_sum(const double *values, size_t count)
{
    struct kahan sum = {0};

    for (size_t i = 0; i < count; i++)
        kahan_add(&sum, values[i]);
    return isinf(sum.sum) ? sum.sum : sum.sum + sum.lost;
}

static double window_quantile(const struct range_input *in, const struct window *w, double q,
                              struct range_scratch *scratch)
{
    size_t count = w->to - w->from;
    double *copy = scratch_values(scratch, count);

    memcpy(copy, in->values + w->from, count * sizeof(*copy));
    return eval_quantile(q, copy, count);
}

static double window_mad(const struct range_input *in, const struct window *w,
                         struct range_scratch *scratch)
{
    size_t count = w->to - w->from;
    double *copy = scratch_values(scratch, count), median;

    for (size_t i = 0; i < count; i++) {
        copy[i] = in->values[w->from + i];
        if (isnan(copy[i]))
            return eval_nan();
    }
    median = eval_quantile(0.5, copy, count);
    for (size_t i = 0; i < count; i++)
        copy[i] = fabs(in->values[w->from + i] - median);
    return eval_quantile(0.5, copy, count);
}

static double window_deriv(const struct range_input *in, const struct window *w)
{
    double slope, intercept;

    if (w->to - w->from < 2)
        return eval_hole();
    eval_regression(in->times_ms + w->from, in->values + w->from, w->to - w->from,
                    in->times_ms[w->from], &slope, &intercept);
    return slope;
}

static double window_predict(const struct range_input *in, const struct window *w, size_t k)
{
    double slope, intercept;

    if (w->to - w->from < 2)
        return eval_hole();
    eval_regression(in->times_ms + w->from, in->values + w->from, w->to - w->from,
                    in->eval_ms + (int64_t)k * in->eval_step_ms, &slope, &intercept);
    return slope * in->params[0][k] + intercept;
}

static double window_smoothing(const struct range_input *in, const struct window *w, size_t k)
{
    const double *x = in->values + w->from;
    size_t count = w->to - w->from;
    double factor = in->params[0][k], trend_factor = in->params[1][k];
    double before = 0, now, trend;

    if (count < 2)
        return eval_hole();
    now = x[0];
    trend = x[1] - x[0];
    for (size_t i = 1; i < count; i++) {
        double next;

        if (i > 1)
            trend = trend_factor * (now - before) + (1 - trend_factor) * trend;
        next = factor * x[i] + (1 - factor) * (now + trend);
        before = now;
        now = next;
    }
    return now;
}

WINDOW_KERNEL(kernel_sum, window_sum(in->values + w.from, w.to - w.from))
WINDOW_KERNEL(kernel_avg, eval_mean(in->values + w.from, w.to - w.from))
WINDOW_KERNEL(kernel_stdvar, eval_variance(in->values + w.from, w.to - w.from))
WINDOW_KERNEL(kernel_stddev, sqrt(eval_variance(in->values + w.from, w.to - w.from)))
WINDOW_KERNEL(kernel_count, (double)(w.to - w.from))
WINDOW_KERNEL(kernel_last, in->values[w.to - 1])
WINDOW_KERNEL(kernel_first, in->values[w.from])
WINDOW_KERNEL(kernel_present, 1)
WINDOW_KERNEL(kernel_ts_of_last, seconds_at(in, w.to - 1))
WINDOW_KERNEL(kernel_ts_of_first, seconds_at(in, w.from))
WINDOW_KERNEL(kernel_quantile, window_quantile(in, &w, in->params[0][k], scratch))
WINDOW_KERNEL(kernel_mad, window_mad(in, &w, scratch))
WINDOW_KERNEL(kernel_deriv, window_deriv(in, &w))
WINDOW_KERNEL(kernel_predict, window_predict(in, &w, k))
WINDOW_KERNEL(kernel_smoothing, window_smoothing(in, &w, k))

/* Sliding extremes: `queue` holds the indexes that can still become the best of a window, the best
 * in front. `beats` is true when the newcomer makes an older candidate useless. NaN never enters;
 * a window of nothing but NaN yields `all_nan`. */
#define EXTREME_KERNEL(name, beats, best, all_nan)                                                 \
    static void name(const struct range_input *in, struct range_scratch *scratch, double *out)     \
    {                                                                                              \
        uint32_t *queue = range_scratch_indexes(scratch, in->len + 1);                             \
        size_t front = 0, back = 0, pushed = 0;                                                    \
        struct window w = {0};                                                                     \
                                                                                                   \
        for (size_t k = 0; k < in->steps; k++) {                                                   \
            window_move(in, k, &w);                                                                \
            pushed = TIDE_MAX(pushed, w.from);                                                     \
            for (; pushed < w.to; pushed++) {                                                      \
                double now = in->values[pushed];                                                   \
                                                                                                   \
                if (isnan(now))                                                                    \
                    continue;                                                                      \
                while (back > front && now beats in->values[queue[back - 1]])                      \
                    back--;                                                                        \
                queue[back++] = (uint32_t)pushed;                                                  \
            }                                                                                      \
            while (front < back && queue[front] < w.from)                                          \
                front++;                                                                           \
            if (w.from == w.to)                                                                    \
                out[k] = eval_hole();                                                              \
            else                                                                                   \
                out[k] = front < back ? (best) : (all_nan);                                        \
        }                                                                                          \
    }

EXTREME_KERNEL(kernel_min, <, in->values[queue[front]], in->values[w.from])
EXTREME_KERNEL(kernel_max, >, in->values[queue[front]], in->values[w.from])
EXTREME_KERNEL(kernel_ts_of_min, <=, seconds_at(in, queue[front]), seconds_at(in, w.to - 1))
EXTREME_KERNEL(kernel_ts_of_max, >=, seconds_at(in, queue[front]), seconds_at(in, w.to - 1))

#define EXTENDED_OK (RANGE_ANCHORED_OK | RANGE_SMOOTHED_OK)

/* In order of names. */
static const struct range_function functions[] = {
    {"avg_over_time", kernel_avg, 0, 0, {-1, -1}},
    {"changes", range_changes, RANGE_ANCHORED_OK, 0, {-1, -1}},
    {"count_over_time", kernel_count, 0, 0, {-1, -1}},
    {"delta", range_delta, EXTENDED_OK, 0, {-1, -1}},
    {"deriv", kernel_deriv, 0, 0, {-1, -1}},
    {"double_exponential_smoothing", kernel_smoothing, RANGE_SMOOTHING_CHECK, 0, {1, 2}},
    {"first_over_time", kernel_first, RANGE_KEEPS_NAME, 0, {-1, -1}},
    {"idelta", range_idelta, 0, 0, {-1, -1}},
    {"increase", range_increase, RANGE_COUNTER_CHECK | EXTENDED_OK, 0, {-1, -1}},
    {"irate", range_irate, 0, 0, {-1, -1}},
    {"last_over_time", kernel_last, RANGE_KEEPS_NAME, 0, {-1, -1}},
    {"mad_over_time", kernel_mad, 0, 0, {-1, -1}},
    {"max_over_time", kernel_max, 0, 0, {-1, -1}},
    {"min_over_time", kernel_min, 0, 0, {-1, -1}},
    {"predict_linear", kernel_predict, 0, 0, {1, -1}},
    {"present_over_time", kernel_present, 0, 0, {-1, -1}},
    {"quantile_over_time", kernel_quantile, RANGE_QUANTILE_CHECK, 1, {0, -1}},
    {"rate", range_rate, RANGE_COUNTER_CHECK | EXTENDED_OK, 0, {-1, -1}},
    {"resets", range_resets, RANGE_ANCHORED_OK, 0, {-1, -1}},
    {"stddev_over_time", kernel_stddev, 0, 0, {-1, -1}},
    {"stdvar_over_time", kernel_stdvar, 0, 0, {-1, -1}},
    {"sum_over_time", kernel_sum, 0, 0, {-1, -1}},
    {"ts_of_first_over_time", kernel_ts_of_first, 0, 0, {-1, -1}},
    {"ts_of_last_over_time", kernel_ts_of_last, 0, 0, {-1, -1}},
    {"ts_of_max_over_time", kernel_ts_of_max, 0, 0, {-1, -1}},
    {"ts_of_min_over_time", kernel_ts_of_min, 0, 0, {-1, -1}},
};

const struct range_function *range_function_find(const char *name)
{
    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    }
    return NULL;
}

uint64_t range_count_samples(const struct range_input *in, uint64_t *counts)
{
    struct window w = {0};
    uint64_t sum = 0;

    for (size_t k = 0; k < in->steps; k++) {
        window_move(in, k, &w);
        sum += w.to - w.from;
        if (counts != NULL)
            counts[k] += w.to - w.from;
    }
    return sum;
}

void range_mark_present(const struct range_input *in, bool *present)
{
    struct window w = {0};

    for (size_t k = 0; k < in->steps; k++) {
        window_move(in, k, &w);
        present[k] = present[k] || w.from < w.to;
    }
}
