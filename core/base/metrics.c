/* metrics.c - see metrics.h. */
#include "base/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/thread.h"

#define SUMMARY_KEPT 1024
#define SUMMARY_AGE_NS ((int64_t)600 * 1000000000)

struct observation {
    int64_t when_ns;
    double value;
};

struct summary {
    struct lock lock; /* guards all below */
    uint64_t count;
    double sum;
    struct observation *recent; /* ring of SUMMARY_KEPT; NULL without quantiles */
};

struct histogram {
    struct lock lock; /* guards counts and sum */
    double *bounds;
    uint64_t *counts; /* one more than bounds, not cumulative */
    size_t bound_count;
    double sum;
};

struct metric {
    char *labels;
    struct counter counter;
    struct gauge gauge;
    struct summary *summary;
    struct histogram *histogram;
    double (*read)(void *ctx);
    void *ctx;
    struct metric *next;
};

struct family {
    char *name;
    char *help;
    enum metric_type type;
    struct metric *first;
    struct metric **end;
    struct family *next;
};

struct metrics {
    struct lock lock;      /* guards the lists */
    struct family *family; /* in order of name */
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = mem_zalloc(1, sizeof(*metrics));

    lock_init(&metrics->lock);
    return metrics;
}

static void free_metric(struct metric *metric)
{
    if (metric->summary != NULL) {
        lock_destroy(&metric->summary->lock);
        mem_free(metric->summary->recent);
        mem_free(metric->summary);
    }
    if (metric->histogram != NULL) {
        lock_destroy(&metric->histogram->lock);
        mem_free(metric->histogram->bounds);
        mem_free(metric->histogram->counts);
        mem_free(metric->histogram);
    }
    mem_free(metric->labels);
    mem_free(metric);
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    while (metrics->family != NULL) {
        struct family *family = metrics->family;

        metrics->family = family->next;
        while (family->first != NULL) {
            struct metric *metric = family->first;

            family->first = metric->next;
            free_metric(metric);
        }
        mem_free(family->name);
        mem_free(family->help);
        mem_free(family);
    }
    lock_destroy(&metrics->lock);
    mem_free(metrics);
}

static struct family *find_family(struct metrics *metrics, enum metric_type type, const char *name,
                                  const char *help)
{
    struct family **place = &metrics->family;
    struct family *family;

    while (*place != NULL && strcmp((*place)->name, name) < 0)
        place = &(*place)->next;
    if (*place != NULL && strcmp((*place)->name, name) == 0) {
        TIDE_ASSERT((*place)->type == type);
        return *place;
    }
    family = mem_zalloc(1, sizeof(*family));
    family->name = mem_dup(name, strlen(name));
    family->help = mem_dup(help, strlen(help));
    family->type = type;
    family->end = &family->first;
    family->next = *place;
    *place = family;
    return family;
}

static struct metric *add_metric(struct metrics *metrics, enum metric_type type, const char *name,
                                 const char *help, const char *labels)
{
    struct metric *metric = mem_zalloc(1, sizeof(*metric));
    struct family *family;

    metric->labels = mem_dup(labels, strlen(labels));
    lock_acquire(&metrics->lock);
    family = find_family(metrics, type, name, help);
    for (struct metric *other = family->first; other != NULL; other = other->next)
        TIDE_ASSERT(strcmp(other->labels, labels) != 0);
    *family->end = metric;
    family->end = &metric->next;
    lock_release(&metrics->lock);
    return metric;
}

struct counter *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                const char *labels)
{
    return &add_metric(metrics, METRIC_COUNTER, name, help, labels)->counter;
}

struct gauge *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                            const char *labels)
{
    return &add_metric(metrics, METRIC_GAUGE, name, help, labels)->gauge;
}

void metrics_callback(struct metrics *metrics, enum metric_type type, const char *name,
                      const char *help, const char *labels, double (*read)(void *ctx), void *ctx)
{
    struct metric *metric = add_metric(metrics, type, name, help, labels);

    metric->ctx = ctx;
    __atomic_store_n(&metric->read, read, __ATOMIC_RELEASE);
}

struct summary *metrics_summary(struct metrics *metrics, const char *name, const char *help,
                                const char *labels, bool quantiles)
{
    struct metric *metric = add_metric(metrics, METRIC_SUMMARY, name, help, labels);
    struct summary *summary = mem_zalloc(1, sizeof(*summary));

    lock_init(&summary->lock);
    if (quantiles)
        summary->recent = mem_zalloc(SUMMARY_KEPT, sizeof(*summary->recent));
    __atomic_store_n(&metric->summary, summary, __ATOMIC_RELEASE);
    return summary;
}

struct histogram *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                    const char *labels, const double *bounds, size_t count)
{
    struct metric *metric = add_metric(metrics, METRIC_HISTOGRAM, name, help, labels);
    struct histogram *histogram = mem_zalloc(1, sizeof(*histogram));

    lock_init(&histogram->lock);
    histogram->bounds = mem_alloc(count * sizeof(*bounds));
    memcpy(histogram->bounds, bounds, count * sizeof(*bounds));
    histogram->counts = mem_zalloc(count + 1, sizeof(*histogram->counts));
    histogram->bound_count = count;
    __atomic_store_n(&metric->histogram, histogram, __ATOMIC_RELEASE);
    return histogram;
}

void summary_observe(struct summary *summary, double value)
{
    int64_t now = summary->recent != NULL ? clock_mono_ns(clock_system()) : 0;

    lock_acquire(&summary->lock);
    if (summary->recent != NULL)
        summary->recent[summary->count % SUMMARY_KEPT] = (struct observation){now, value};
    summary->count++;
    summary->sum += value;
    lock_release(&summary->lock);
}

void histogram_observe(struct histogram *histogram, double value)
{
    size_t i = 0;

    while (i < histogram->bound_count && !(value <= histogram->bounds[i]))
        i++;
    lock_acquire(&histogram->lock);
    histogram->counts[i]++;
    histogram->sum += value;
    lock_release(&histogram->lock);
}

void gauge_set(struct gauge *gauge, double value)
{
    __atomic_store_n(&gauge->bits, double_bits(value), __ATOMIC_RELAXED);
}

double gauge_get(const struct gauge *gauge)
{
    return bits_double(__atomic_load_n(&gauge->bits, __ATOMIC_RELAXED));
}

void gauge_add(struct gauge *gauge, double by)
{
    uint64_t old = __atomic_load_n(&gauge->bits, __ATOMIC_RELAXED);

    while (!__atomic_compare_exchange_n(&gauge->bits, &old, double_bits(bits_double(old) + by),
                                        true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

/* name_suffix{labels,extra} value */
static void write_line(struct buf *out, const char *name, const char *suffix, const char *labels,
                       const char *extra, double value)
{
    char number[NUMBER_MAX_BYTES];
    size_t len = number_format_go(number, value);

    buf_puts(out, name);
    buf_puts(out, suffix);
    if (labels[0] != '\0' || extra[0] != '\0') {
        buf_putc(out, '{');
        buf_puts(out, labels);
        if (labels[0] != '\0' && extra[0] != '\0')
            buf_putc(out, ',');
        buf_puts(out, extra);
        buf_putc(out, '}');
    }
    buf_putc(out, ' ');
    buf_append(out, number, len);
    buf_putc(out, '\n');
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Called with the summary locked; returns how many of the ring are young enough. */
static size_t collect_recent(const struct summary *summary, double *values)
{
    int64_t oldest = clock_mono_ns(clock_system()) - SUMMARY_AGE_NS;
    size_t held = TIDE_MIN(summary->count, (uint64_t)SUMMARY_KEPT), n = 0;

    for (size_t i = 0; i < held; i++) {
        if (summary->recent[i].when_ns >= oldest)
            values[n++] = summary->recent[i].value;
    }
    return n;
}

static void write_summary(struct buf *out, const char *name, const struct metric *metric,
                          struct summary *summary)
{
    static const double quantiles[] = {0.5, 0.9, 0.99};
    static const char *const texts[] = {"quantile=\"0.5\"", "quantile=\"0.9\"",
                                        "quantile=\"0.99\""};
    double values[SUMMARY_KEPT] = {0};
    bool with_quantiles = summary->recent != NULL;
    size_t n = 0;
    uint64_t count;
    double sum;

    lock_acquire(&summary->lock);
    if (with_quantiles)
        n = collect_recent(summary, values);
    count = summary->count;
    sum = summary->sum;
    lock_release(&summary->lock);
    qsort(values, n, sizeof(*values), compare_doubles);
    for (size_t i = 0; with_quantiles && i < TIDE_COUNT(quantiles); i++) {
        size_t rank = n != 0 ? (size_t)ceil(quantiles[i] * (double)n) - 1 : 0;

        write_line(out, name, "", metric->labels, texts[i], n != 0 ? values[rank] : NAN);
    }
    write_line(out, name, "_sum", metric->labels, "", sum);
    write_line(out, name, "_count", metric->labels, "", (double)count);
}

static void write_histogram(struct buf *out, const char *name, const struct metric *metric,
                            struct histogram *histogram)
{
    uint64_t total = 0;
    double sum;

    lock_acquire(&histogram->lock);
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        char number[NUMBER_MAX_BYTES + 8] = "le=\"+Inf\"";

        if (i < histogram->bound_count) {
            size_t len = number_format_go(number + 4, histogram->bounds[i]);

            memcpy(number + 4 + len, "\"", 2);
        }
        total += histogram->counts[i];
        write_line(out, name, "_bucket", metric->labels, number, (double)total);
    }
    sum = histogram->sum;
    lock_release(&histogram->lock);
    write_line(out, name, "_sum", metric->labels, "", sum);
    write_line(out, name, "_count", metric->labels, "", (double)total);
}

static void write_metric(struct buf *out, const struct family *family, const struct metric *metric)
{
    double (*read)(void *ctx) = __atomic_load_n(&metric->read, __ATOMIC_ACQUIRE);
    struct summary *summary = __atomic_load_n(&metric->summary, __ATOMIC_ACQUIRE);
    struct histogram *histogram = __atomic_load_n(&metric->histogram, __ATOMIC_ACQUIRE);

    if (summary != NULL)
        write_summary(out, family->name, metric, summary);
    else if (histogram != NULL)
        write_histogram(out, family->name, metric, histogram);
    else if (read != NULL)
        write_line(out, family->name, "", metric->labels, "", read(metric->ctx));
    else if (family->type == METRIC_COUNTER)
        write_line(out, family->name, "", metric->labels, "",
                   (double)counter_get(&metric->counter));
    else if (family->type == METRIC_GAUGE)
        write_line(out, family->name, "", metric->labels, "", gauge_get(&metric->gauge));
}

void metrics_write(struct metrics *metrics, struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "summary", "histogram"};

    lock_acquire(&metrics->lock);
    for (const struct family *family = metrics->family; family != NULL; family = family->next) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                   types[family->type]);
        for (const struct metric *metric = family->first; metric != NULL; metric = metric->next)
            write_metric(out, family, metric);
    }
    lock_release(&metrics->lock);
}
