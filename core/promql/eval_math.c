/* eval_math.c - see eval_math.h. */
#include "promql/eval_math.h"

#include <math.h>
#include <stdlib.h>

#include "base/number.h"

/* --- quantiles ---------------------------------------------------------------------------- */

static void swap(double *a, double *b)
{
    double kept = *a;

    *a = *b;
    *b = kept;
}

/* Puts the nth smallest of values[0..count) in its place, smaller ones before it. No NaN. */
static void select_nth(double *values, size_t count, size_t nth)
{
    size_t low = 0, high = count - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2, i = low, j = high;
        double pivot;

        if (values[middle] < values[low])
            swap(&values[middle], &values[low]);
        if (values[high] < values[low])
            swap(&values[high], &values[low]);
        if (values[high] < values[middle])
            swap(&values[high], &values[middle]);
        pivot = values[middle];
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i > j)
                break;
            swap(&values[i++], &values[j]);
            if (j == 0)
                break;
            j--;
        }
        if (nth <= j)
            high = j;
        else if (nth >= i)
            low = i;
        else
            return;
    }
}

double eval_quantile(double q, double *values, size_t count)
{
    size_t nans = 0, low, high;
    double rank, weight, at_low, at_high;

    if (count == 0 || isnan(q))
        return eval_nan();
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            swap(&values[i], &values[nans++]);
    }
    rank = q * (double)(count - 1);
    low = (size_t)rank;
    high = TIDE_MIN(count - 1, low + 1);
    weight = rank - floor(rank);
    if (low >= nans)
        select_nth(values + nans, count - nans, low - nans);
    at_low = values[low];
    at_high = at_low;
    if (high > low && high < nans)
        at_high = values[high];
    else if (high > low) {
        at_high = values[high];
        for (size_t i = high + 1; i < count; i++)
            at_high = values[i] < at_high ? values[i] : at_high;
    }
    return at_low * (1 - weight) + at_high * weight;
}

/* --- moments ------------------------------------------------------------------------------ */

double eval_mean(const double *values, size_t count)
{
    struct mean mean;

    mean_start(&mean, values[0]);
    for (size_t i = 1; i < count; i++)
        mean_add(&mean, values[i]);
    return mean_value(&mean);
}

double eval_variance(const double *values, size_t count)
{
    struct kahan mean = {0}, aux = {0};
    double n = 0;

    for (size_t i = 0; i < count; i++) {
        double delta = values[i] - (mean.sum + mean.lost);

        n++;
        kahan_add(&mean, delta / n);
        kahan_add(&aux, delta * (values[i] - (mean.sum + mean.lost)));
    }
    return (aux.sum + aux.lost) / n;
}

void eval_regression(const int64_t *times_ms, const double *values, size_t count, int64_t origin_ms,
                     double *slope, double *intercept)
{
    struct kahan x = {0}, y = {0}, xy = {0}, xx = {0};
    double n = (double)count, sum_x, sum_y, covariance, variance;
    bool constant = true;

    for (size_t i = 0; i < count; i++) {
        double seconds = (double)(times_ms[i] - origin_ms) / 1000.0;

        constant = constant && values[i] == values[0];
        kahan_add(&x, seconds);
        kahan_add(&y, values[i]);
        kahan_add(&xy, seconds * values[i]);
        kahan_add(&xx, seconds * seconds);
    }
    if (constant) {
        *slope = isinf(values[0]) ? eval_nan() : 0;
        *intercept = isinf(values[0]) ? eval_nan() : values[0];
        return;
    }
    sum_x = x.sum + x.lost;
    sum_y = y.sum + y.lost;
    covariance = (xy.sum + xy.lost) - sum_x * sum_y / n;
    variance = (xx.sum + xx.lost) - sum_x * sum_x / n;
    *slope = covariance / variance;
    *intercept = sum_y / n - *slope * sum_x / n;
}

/* --- classic histograms ------------------------------------------------------------------- */

#define SMALLEST_NORMAL 0x1p-1022
#define MONOTONIC_EPSILON 1e-12

bool eval_almost_equal(double a, double b, double epsilon)
{
    double total = fabs(a) + fabs(b), difference = fabs(a - b);

    if (a == b)
        return true;
    if (a == 0 || b == 0 || total < SMALLEST_NORMAL)
        return difference < epsilon * SMALLEST_NORMAL;
    return difference / fmin(total, 0x1.fffffffffffffp+1023) < epsilon;
}

static bool parse_hex_bound(const char *text, size_t len, double *bound)
{
    size_t i = len != 0 && (text[0] == '+' || text[0] == '-'), exponent = 0;
    char *end;

    if (len - i < 3 || text[i] != '0' || (text[i + 1] != 'x' && text[i + 1] != 'X'))
        return false;
    for (size_t k = i + 2; k < len; k++)
        exponent += text[k] == 'p' || text[k] == 'P';
    if (exponent != 1)
        return false;
    *bound = strtod(text, &end);
    return end == text + len && !isinf(*bound);
}

bool eval_parse_bound(const char *text, size_t len, double *bound)
{
    char clean[128];
    size_t kept = 0;
    bool overflowed = false;

    if (len >= sizeof(clean))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '_') {
            /* Go: an underscore stands between digits, or behind the base prefix. */
            if (i == 0 || i + 1 == len || text[i - 1] == '_' || text[i - 1] == '.' ||
                text[i + 1] == '.' || text[i - 1] == '+' || text[i - 1] == '-')
                return false;
            continue;
        }
        clean[kept++] = text[i];
    }
    clean[kept] = '\0';
    if (number_parse(clean, kept, bound, &overflowed))
        return !overflowed;
    return parse_hex_bound(clean, kept, bound);
}

static int compare_buckets(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;

    return (x->bound > y->bound) - (x->bound < y->bound);
}

/* Sorts by bound and adds up equal bounds; returns how many are left, 0 without a +Inf bucket. */
static size_t prepare_buckets(struct bucket *buckets, size_t count)
{
    size_t kept = 0;
    bool sorted = true;

    for (size_t i = 1; i < count; i++)
        sorted = sorted && buckets[i - 1].bound <= buckets[i].bound;
    if (!sorted)
        qsort(buckets, count, sizeof(*buckets), compare_buckets);
    if (count == 0 || !(isinf(buckets[count - 1].bound) && buckets[count - 1].bound > 0))
        return 0;
    for (size_t i = 1; i < count; i++) {
        if (buckets[i].bound == buckets[kept].bound)
            buckets[kept].count += buckets[i].count;
        else
            buckets[++kept] = buckets[i];
    }
    return kept + 1;
}

static void note_forced(struct bucket_repair *repair, double bound, double difference)
{
    if (!repair->forced) {
        *repair = (struct bucket_repair){true, bound, bound, difference};
        return;
    }
    repair->min_bound = fmin(repair->min_bound, bound);
    repair->max_bound = fmax(repair->max_bound, bound);
    repair->max_diff = fmax(repair->max_diff, difference);
}

/* Cumulative counts may not fall: small falls are noise, larger ones are noted. */
static void make_monotonic(struct bucket *buckets, size_t count, struct bucket_repair *repair)
{
    double previous = buckets[0].count;

    for (size_t i = 1; i < count; i++) {
        double current = buckets[i].count;

        if (current == previous)
            continue;
        if (current > 0 && current - previous > 1e-6 * current) {
            previous = current; /* clearly more, without a division */
        } else if (eval_almost_equal(previous, current, MONOTONIC_EPSILON)) {
            buckets[i].count = previous;
        } else if (current < previous) {
            buckets[i].count = previous;
            note_forced(repair, buckets[i].bound, previous - current);
        } else {
            previous = current;
        }
    }
}

double eval_bucket_quantile(double q, struct bucket *buckets, size_t count,
                            struct bucket_repair *repair)
{
    size_t i = 0;
    double rank, start = 0, inside;

    *repair = (struct bucket_repair){0};
    if (isnan(q))
        return eval_nan();
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    count = prepare_buckets(buckets, count);
    if (count == 0)
        return eval_nan();
    make_monotonic(buckets, count, repair);
    if (count < 2 || buckets[count - 1].count == 0)
        return eval_nan();
    rank = q * buckets[count - 1].count;
    while (i < count - 1 && !(buckets[i].count >= rank))
        i++;
    if (i == count - 1)
        return buckets[count - 2].bound;
    if (i == 0 && buckets[0].bound <= 0)
        return buckets[0].bound;
    inside = buckets[i].count;
    if (i > 0) {
        start = buckets[i - 1].bound;
        inside -= buckets[i - 1].count;
        rank -= buckets[i - 1].count;
    }
    return start + (buckets[i].bound - start) * (rank / inside);
}

/* Observations up to v, which lies in the bucket (lower, upper] that has rank before it. */
static double rank_inside(double v, double lower, double upper, double rank, double cumulative)
{
    if (isinf(lower) && lower < 0)
        return cumulative;
    return rank + (cumulative - rank) * (v - lower) / (upper - lower);
}

double eval_bucket_fraction(double low, double high, struct bucket *buckets, size_t count)
{
    double rank = 0, total, low_rank = 0, high_rank = 0;
    bool low_set = false, high_set = false;

    count = prepare_buckets(buckets, count);
    if (count == 0)
        return eval_nan();
    total = buckets[count - 1].count;
    if (total == 0 || isnan(total) || isnan(low) || isnan(high))
        return eval_nan();
    if (low >= high)
        return 0;
    for (size_t i = 0; i < count; i++) {
        double lower = i > 0 ? buckets[i - 1].bound : buckets[0].bound > 0 ? 0 : -INFINITY;
        double upper = buckets[i].bound, cumulative = buckets[i].count;

        if (!low_set && lower >= low) {
            low_rank = rank;
            low_set = true;
        }
        if (!high_set && lower >= high) {
            high_rank = rank;
            high_set = true;
        }
        if (low_set && high_set)
            break;
        if (!low_set && lower < low && low < upper) {
            low_rank = rank_inside(low, lower, upper, rank, cumulative);
            low_set = true;
        }
        if (!high_set && lower < high && high < upper) {
            high_rank = rank_inside(high, lower, upper, rank, cumulative);
            high_set = true;
        }
        if (low_set && high_set)
            break;
        rank = cumulative;
    }
    if (!low_set || low_rank > total)
        low_rank = total;
    if (!high_set || high_rank > total)
        high_rank = total;
    return (high_rank - low_rank) / total;
}
