/* eval_math.h - the numeric building blocks of PromQL (promql.md 12).
 *
 * Pure. The order of operations is part of the meaning: results are compared with upstream's. */
#ifndef TIDE_PROMQL_EVAL_MATH_H
#define TIDE_PROMQL_EVAL_MATH_H

#include "base/base.h"
#include "base/bytes.h"
#include "model/columns.h"

/** Quantile by linear interpolation (12.6). Reorders `values`. */
double eval_quantile(double q, double *values, size_t count);
/** Mean that neither drifts nor overflows (12.2); count > 0. */
double eval_mean(const double *values, size_t count);
/** Population variance (12.3, with compensation); count > 0. */
double eval_variance(const double *values, size_t count);
/** Least squares line through (times, values) with its origin at origin_ms (12.4); count > 1. */
void eval_regression(const int64_t *times_ms, const double *values, size_t count, int64_t origin_ms,
                     double *slope, double *intercept);
/** True for a and b within a relative epsilon, as upstream's almost.Equal (12.7). */
bool eval_almost_equal(double a, double b, double epsilon);
/** A bucket bound: Go's ParseFloat, with hex, underscores and Inf (12.7). */
bool eval_parse_bound(const char *text, size_t len, double *bound);

/* One bucket of a classic histogram: cumulative count up to a bound. */
struct bucket {
    double bound;
    double count;
};

/* How bucket counts that went down were repaired. */
struct bucket_repair {
    bool forced;
    double min_bound, max_bound, max_diff;
};

/** Quantile of a classic histogram (12.7). Sorts, merges and repairs `buckets` in place. */
double eval_bucket_quantile(double q, struct bucket *buckets, size_t count,
                            struct bucket_repair *repair);
/** The share of observations between two values (12.7). Sorts and merges in place. */
double eval_bucket_fraction(double low, double high, struct bucket *buckets, size_t count);

#ifndef TIDE_CDEF

/* Where a series has no value at a step, its row holds these bits: those of a staleness marker,
 * which no sample and no arithmetic can yield. */
#define EVAL_HOLE_BITS SAMPLE_STALE_BITS

static inline double eval_hole(void)
{
    return bits_double(EVAL_HOLE_BITS);
}

static inline bool eval_is_hole(const double *value)
{
    uint64_t bits;

    memcpy(&bits, value, sizeof(bits));
    return bits == EVAL_HOLE_BITS;
}

static inline double eval_nan(void)
{
    return bits_double(SAMPLE_NAN_BITS);
}

/* Kahan-Neumaier step (12.1). */
struct kahan {
    double sum;
    double lost; /* compensation */
};

static inline bool eval_is_inf(double x)
{
    return __builtin_isinf(x);
}

static inline void kahan_add(struct kahan *k, double x)
{
    double total = k->sum + x;

    if (eval_is_inf(total))
        k->lost = 0;
    else if (__builtin_fabs(k->sum) >= __builtin_fabs(x))
        k->lost += (k->sum - total) + x;
    else
        k->lost += (x - total) + k->sum;
    k->sum = total;
}

/* A mean in the making (12.2). Starts with the first value. */
struct mean {
    struct kahan sum; /* of values; the mean itself once incremental */
    double count;
    bool incremental;
};

static inline void mean_start(struct mean *mean, double x)
{
    *mean = (struct mean){.sum = {.sum = x, .lost = 0}, .count = 1};
}

static inline void mean_add(struct mean *mean, double x)
{
    double share;

    mean->count++;
    if (!mean->incremental) {
        struct kahan next = mean->sum;

        kahan_add(&next, x);
        if (TIDE_LIKELY(!eval_is_inf(next.sum))) {
            mean->sum = next;
            return;
        }
        mean->incremental = true;
        mean->sum.sum /= mean->count - 1;
        mean->sum.lost /= mean->count - 1;
    }
    share = (mean->count - 1) / mean->count;
    mean->sum.sum *= share;
    mean->sum.lost *= share;
    kahan_add(&mean->sum, x / mean->count);
}

static inline double mean_value(const struct mean *mean)
{
    if (mean->incremental)
        return mean->sum.sum + mean->sum.lost;
    return mean->sum.sum / mean->count + mean->sum.lost / mean->count;
}

/* Go's min and max, not C's (12.5): NaN wins but against the infinity that decides anyway. */
static inline double eval_min(double a, double b)
{
    if ((eval_is_inf(a) && a < 0) || (eval_is_inf(b) && b < 0))
        return -__builtin_inf();
    if (a != a || b != b)
        return eval_nan();
    if (a == 0 && a == b)
        return __builtin_signbit(a) ? a : b;
    return a < b ? a : b;
}

static inline double eval_max(double a, double b)
{
    if ((eval_is_inf(a) && a > 0) || (eval_is_inf(b) && b > 0))
        return __builtin_inf();
    if (a != a || b != b)
        return eval_nan();
    if (a == 0 && a == b)
        return __builtin_signbit(a) ? b : a;
    return a > b ? a : b;
}

#endif
#endif
