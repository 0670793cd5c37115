/* metrics.h - the registry behind /metrics: counters, gauges, summaries, histograms.
 *
 * Metrics live as long as their registry. Registering locks; counting is atomic and lock-free;
 * observing a summary or histogram takes a short lock. `labels` is the inside of the braces as it
 * is printed (`reason="stale"`) or "". Families are printed in order of name, with HELP and TYPE.
 */
#ifndef TIDE_BASE_METRICS_H
#define TIDE_BASE_METRICS_H

#include "base/base.h"
#include "base/buf.h"

struct metrics;
struct summary;
struct histogram;

struct counter {
    uint64_t value; /* atomic */
};

struct gauge {
    uint64_t bits; /* atomic; a double */
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_SUMMARY, METRIC_HISTOGRAM };

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/** The same name with other labels extends the family; name and labels twice is an assertion. */
struct counter *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                const char *labels);
struct gauge *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                            const char *labels);
/** A value asked for at each print, on the printing thread; `read` must be quick and thread-safe.
 */
void metrics_callback(struct metrics *metrics, enum metric_type type, const char *name,
                      const char *help, const char *labels, double (*read)(void *ctx), void *ctx);
/** With quantiles: 0.5, 0.9, 0.99 over the last 10 minutes (of at most 1,024 observations). */
struct summary *metrics_summary(struct metrics *metrics, const char *name, const char *help,
                                const char *labels, bool quantiles);
/** `bounds` are inclusive upper bounds, ascending, without +Inf; copied. */
struct histogram *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                    const char *labels, const double *bounds, size_t count);

void summary_observe(struct summary *summary, double value);
void histogram_observe(struct histogram *histogram, double value);
void gauge_set(struct gauge *gauge, double value);
/** By a compare-and-swap loop. */
void gauge_add(struct gauge *gauge, double by);
double gauge_get(const struct gauge *gauge);

/** Appends text format 0.0.4. */
void metrics_write(struct metrics *metrics, struct buf *out);

#ifndef TIDE_CDEF
static inline void counter_add(struct counter *counter, uint64_t by)
{
    __atomic_add_fetch(&counter->value, by, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const struct counter *counter)
{
    return __atomic_load_n(&counter->value, __ATOMIC_RELAXED);
}
#endif

#endif
