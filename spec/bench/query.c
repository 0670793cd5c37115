/* query.c - what queries of the usual dashboard kinds cost, without a store: 10,000 series x 1 h at
 * 10 s (and 24 h at 60 s) in memory, read by copying columns.
 *
 * Usage: query [SERIES [FILTER]]. Prints CPU milliseconds of one evaluation, best of several. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/regex.h"
#include "promql/engine.h"

struct bench_series {
    struct labels *labels;
    struct columns samples;
};

struct bench_store {
    struct bench_series *series;
    size_t count;
    bool knows_last;
};

struct bench_selection {
    struct selection selection;
    struct bench_store *store;
    size_t *numbers;
};

static int bench_select(void *ctx, const struct select_request *request, struct selection **out,
                        struct error *err)
{
    struct bench_store *store = ctx;
    struct bench_selection *result = mem_zalloc(1, sizeof(*result));

    (void)err;
    result->store = store;
    result->numbers = mem_alloc(store->count * sizeof(*result->numbers));
    result->selection.series = mem_zalloc(store->count, sizeof(struct selected_series));
    for (size_t i = 0; i < store->count; i++) {
        const struct columns *samples = &store->series[i].samples;

        if (!matchers_accept(request->matchers, request->matcher_count, store->series[i].labels))
            continue;
        result->numbers[result->selection.count] = i;
        result->selection.series[result->selection.count++] =
            (struct selected_series){.labels = store->series[i].labels,
                                     .fp = i,
                                     .first_ms = samples->times_ms[0],
                                     .last_ms = samples->times_ms[samples->len - 1],
                                     .last_value = samples->values[samples->len - 1],
                                     .last_value_known = store->knows_last};
    }
    *out = &result->selection;
    return 0;
}

static int bench_read(struct selection *selection, size_t i, int64_t from_ms, int64_t to_ms,
                      struct columns *out, struct error *err)
{
    struct bench_selection *self = (struct bench_selection *)selection;
    const struct columns *samples = &self->store->series[self->numbers[i]].samples;
    size_t from = columns_lower_bound(samples, from_ms);
    size_t to = to_ms == INT64_MAX ? samples->len : columns_lower_bound(samples, to_ms + 1);

    (void)err;
    if (from >= to)
        return 0;
    columns_reserve(out, to - from);
    memcpy(out->times_ms + out->len, samples->times_ms + from, (to - from) * sizeof(int64_t));
    memcpy(out->values + out->len, samples->values + from, (to - from) * sizeof(double));
    out->len += to - from;
    return 0;
}

static void bench_free(void *ctx, struct selection *selection)
{
    struct bench_selection *self = (struct bench_selection *)selection;

    (void)ctx;
    mem_free(self->numbers);
    mem_free(selection->series);
    mem_free(self);
}

static struct labels *make_labels(const char *name, size_t i, const char *le)
{
    char host[32], instance[48], mode[16];
    struct error err;
    struct label list[6] = {{"__name__", name, 8, (uint32_t)strlen(name)}};

    list[1] = (struct label){"host", host, 4,
                             (uint32_t)snprintf(host, sizeof(host), "host-%05zu", i / 10)};
    list[2] = (struct label){"instance", instance, 8,
                             (uint32_t)snprintf(instance, sizeof(instance), "10.0.%zu.%zu:9100",
                                                i / 2560, i / 10 % 256)};
    list[3] =
        (struct label){"mode", mode, 4, (uint32_t)snprintf(mode, sizeof(mode), "mode%zu", i % 10)};
    list[4] = (struct label){"job", "node", 3, 4};
    list[5] = (struct label){"le", le, 2, (uint32_t)strlen(le)};
    return labels_new(list, 6, &err);
}

static void add_series(struct bench_store *store, const char *name, size_t i, const char *le,
                       int64_t step_ms, size_t samples, bool counter)
{
    struct bench_series *series;
    double value = (double)(i % 100);
    uint64_t random = i * 2654435761u + 1;

    store->series = mem_realloc(store->series, (store->count + 1) * sizeof(*store->series));
    series = &store->series[store->count++];
    *series = (struct bench_series){.labels = make_labels(name, i, le)};
    for (size_t k = 0; k < samples; k++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        value = counter ? value + (double)(random >> 60) : (double)(random >> 54) / 10;
        if (counter && (random >> 20) % 5000 == 0)
            value = 0;
        columns_append(&series->samples,
                       (int64_t)k * step_ms + (int64_t)(i * 37 % (uint64_t)step_ms), value);
    }
}

static void fill(struct bench_store *store, size_t count)
{
    static const char *const bounds[] = {"0.005", "0.01", "0.05", "0.1", "0.5",
                                         "1",     "2.5",  "5",    "10",  "+Inf"};

    for (size_t i = 0; i < count; i++) {
        add_series(store, "cpu_seconds_total", i, "", 10000, 360, true);
        add_series(store, "memory_bytes", i, "", 10000, 360, false);
        add_series(store, "latency_bucket", i, bounds[i % 10], 10000, 360, true);
    }
    for (size_t i = 0; i < count / 10; i++)
        add_series(store, "long_total", i, "", 60000, 1440, true);
}

struct bench_query {
    const char *name, *text;
    int64_t start_s, end_s, step_s;
};

static const struct bench_query queries[] = {
    {"raw hour of one series", "cpu_seconds_total{host=\"host-00001\",mode=\"mode1\"}", 0, 3600,
     10},
    {"rate over 100 series", "rate(cpu_seconds_total{host=~\"host-0000.\"}[5m])", 300, 3600, 15},
    {"sum by host of rates", "sum by (host) (rate(cpu_seconds_total[5m]))", 300, 3600, 60},
    {"sum by mode of rates, 10 s", "sum by (mode) (rate(cpu_seconds_total[5m]))", 300, 3600, 10},
    {"topk", "topk(10, rate(cpu_seconds_total[5m]))", 300, 3600, 60},
    {"histogram_quantile", "histogram_quantile(0.99, sum by (le, mode) (rate(latency_bucket[5m])))",
     300, 3600, 60},
    {"histogram_quantile of all", "histogram_quantile(0.99, rate(latency_bucket[5m]))", 300, 3600,
     60},
    {"24 h at 1 h windows", "sum(rate(long_total[1h]))", 3600, 86400, 300},
    {"avg_over_time 1 h windows", "avg_over_time(long_total[1h])", 3600, 86400, 300},
    {"quantile_over_time 1 h windows", "quantile_over_time(0.9, long_total[1h])", 3600, 86400, 300},
    {"instant over all", "sum(memory_bytes)", 3600, 3600, 0},
    {"instant, all series", "memory_bytes", 3600, 3600, 0},
    {"join", "cpu_seconds_total / on (host, mode) memory_bytes", 300, 3600, 60},
    {"join group_left", "cpu_seconds_total * on (host) group_left () memory_bytes{mode=\"mode1\"}",
     300, 3600, 60},
    {"subquery", "max_over_time(sum by (host) (rate(cpu_seconds_total[5m]))[30m:1m])", 1800, 3600,
     60},
    {"stddev by mode", "stddev by (mode) (memory_bytes)", 0, 3600, 10},
    {"quantile by mode", "quantile by (mode) (0.9, memory_bytes)", 0, 3600, 60},
};

static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void run(const struct querier *querier, const struct bench_query *bench)
{
    double best = INFINITY;
    size_t series = 0;

    for (int round = 0; round < 5; round++) {
        struct promql_query query = {.text = bench->text,
                                     .len = strlen(bench->text),
                                     .start_ms = bench->start_s * 1000,
                                     .end_ms = bench->end_s * 1000,
                                     .step_ms = bench->step_s * 1000,
                                     .querier = querier};
        struct value value = {0};
        struct annotations notes = {0};
        struct query_stats stats = {0};
        struct error err;
        double start = cpu_ms();

        if (promql_execute(&query, &value, &notes, &stats, &err) != 0) {
            printf("%s: %s\n", bench->name, err.text);
            return;
        }
        best = fmin(best, cpu_ms() - start);
        series = value.count;
        value_destroy(&value);
        annotations_destroy(&notes);
        query_stats_destroy(&stats);
    }
    printf("%-32s %8.2f ms  %zu series\n", bench->name, best, series);
}

int main(int argc, char **argv)
{
    struct bench_store store = {.knows_last = true};
    struct querier querier = {
        .ctx = &store, .select = bench_select, .read = bench_read, .selection_free = bench_free};

    fill(&store, argc > 1 ? (size_t)atol(argv[1]) : 10000);
    for (size_t i = 0; i < TIDE_COUNT(queries); i++) {
        if (argc < 3 || strstr(queries[i].name, argv[2]) != NULL)
            run(&querier, &queries[i]);
    }
    for (size_t i = 0; i < store.count; i++) {
        labels_unref(store.series[i].labels);
        columns_destroy(&store.series[i].samples);
    }
    mem_free(store.series);
    return 0;
}
