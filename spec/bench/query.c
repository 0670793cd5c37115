/* query.c - what queries of the usual dashboard kinds cost in a store, up to the bytes of the
 * answer, without HTTP: 10,000 series x 1 h at 10 s, and fewer over 6 h and 24 h.
 *
 * Usage: query FOLDER [SERIES [FILTER [ROUNDS]]]. FOLDER must not exist or be empty. Prints CPU and
 * wall milliseconds of one query, best of several. HELPERS=n in the environment: so many threads
 * help. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/regex.h"
#include "base/thread.h"
#include "bench.h"
#include "promql/engine.h"
#include "store/append.h"
#include "store/store.h"
#include "wire/result_json.h"

#define START_MS INT64_C(1700000000000)

struct bench_store {
    struct store *store;
    struct appender *appender;
    struct batch batch;
    struct clock clock;
};

static void open_store(struct bench_store *bench, const char *folder)
{
    struct store_options options;
    struct error err;

    *bench =
        (struct bench_store){.batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs}};
    clock_init_manual(&bench->clock, START_MS + INT64_C(86400000));
    store_options_init(&options);
    options.data_dir = folder;
    options.clock = &bench->clock;
    options.no_background = true;
    options.retention_ms = RETENTION_FOREVER;
    options.memory_target_bytes = (uint64_t)16 << 30;
    bench->store = store_open(&options, NULL, &err);
    must(bench->store != NULL ? 0 : -1, &err);
    bench->appender = appender_new(bench->store);
}

static void put_labels(struct buf *out, const char *name, size_t i, const char *le)
{
    put_label(out, "__name__", name, 0);
    put_label(out, "host", "host-%05zu", i / 10);
    put_label(out, "instance", "10.0.0.%zu:9100", i / 10);
    put_label(out, "mode", "mode%zu", i % 10);
    put_label(out, "job", "node", 0);
    if (le != NULL)
        put_label(out, "le", le, 0);
}

enum kind { KIND_GAUGE, KIND_COUNTER, KIND_BUCKET };

/* One series of `samples` samples that ends a day after START_MS. */
static void add_series(struct bench_store *bench, const char *name, size_t i, const char *le,
                       int64_t step_ms, size_t samples, enum kind kind)
{
    struct append_result result;
    struct buf labels = {0};
    struct error err;
    double value = kind == KIND_BUCKET ? (double)(i % 10) * 1000 : (double)(i % 100);
    uint64_t random = i * 2654435761u + 1;
    int64_t first_ms = START_MS + INT64_C(86400000) - (int64_t)samples * step_ms +
                       (int64_t)(i * 37 % (uint64_t)step_ms);

    put_labels(&labels, name, i, le);
    batch_reset(&bench->batch);
    batch_add_entry(&bench->batch, labels.data, labels.len, 0);
    for (size_t k = 0; k < samples; k++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (kind == KIND_GAUGE)
            value = (double)(random >> 54) / 10;
        else if (kind == KIND_COUNTER)
            value = (random >> 20) % 5000 == 0 ? 0 : value + (double)(random >> 60);
        else /* cumulative, as buckets are */
            value += (double)((i % 10 + 1) * (k % 5));
        batch_add_sample(&bench->batch, first_ms + (int64_t)k * step_ms, value);
    }
    append_result_init(&result);
    must(store_append(bench->appender, &bench->batch, &result, &err), &err);
    buf_destroy(&labels);
}

static void fill(struct bench_store *bench, size_t count)
{
    static const char *const bounds[] = {"0.005", "0.01", "0.05", "0.1", "0.5",
                                         "1",     "2.5",  "5",    "10",  "+Inf"};

    for (size_t i = 0; i < count; i++) {
        add_series(bench, "cpu_seconds_total", i, NULL, 10000, 360, KIND_COUNTER);
        add_series(bench, "memory_bytes", i, NULL, 10000, 360, KIND_GAUGE);
    }
    for (size_t i = 0; i < count / 10; i++) {
        add_series(bench, "load_total", i, NULL, 15000, 1440, KIND_COUNTER);
        add_series(bench, "latency_bucket", i, bounds[i % 10], 15000, 1440, KIND_BUCKET);
        add_series(bench, "long_total", i, NULL, 60000, 1440, KIND_COUNTER);
    }
    for (size_t i = 0; i < count * 10; i++)
        add_series(bench, "inventory", i, NULL, 30000, 2, KIND_GAUGE);
}

struct bench_query {
    const char *name, *text;
    int64_t back_s; /* how long before the end it starts; 0: at the end */
    int64_t step_s; /* 0: an instant query at the end */
};

static const struct bench_query queries[] = {
    {"raw hour of one series", "cpu_seconds_total{host=\"host-00001\",mode=\"mode1\"}", 3600, 10},
    {"rate over 100 series", "rate(cpu_seconds_total{host=~\"host-0000.\"}[5m])", 3300, 15},
    {"sum by host, 6 h at 60 s", "sum by (host) (rate(load_total[5m]))", 21300, 60},
    {"sum by mode, 1 h at 10 s", "sum by (mode) (rate(cpu_seconds_total[5m]))", 3300, 10},
    {"topk", "topk(10, rate(cpu_seconds_total[5m]))", 3300, 60},
    {"topk, instant", "topk(10, memory_bytes)", 0, 0},
    {"histogram_quantile, 6 h", "histogram_quantile(0.99, sum by (le) (rate(latency_bucket[5m])))",
     21300, 60},
    {"histogram_quantile by host, 6 h",
     "histogram_quantile(0.99, sum without (mode) "
     "(rate(latency_bucket[5m])))",
     21300, 60},
    {"24 h at 1 h windows", "sum(rate(long_total[1h]))", 82800, 300},
    {"24 h, avg of 1 h windows", "avg_over_time(long_total[1h])", 82800, 3600},
    {"24 h, max of 1 h windows", "max(max_over_time(long_total[1h]))", 82800, 300},
    {"quantile of 1 h windows", "max(quantile_over_time(0.9, long_total[1h]))", 82800, 600},
    {"instant, sum over all", "sum(inventory)", 0, 0},
    {"instant, all series", "inventory", 0, 0},
    {"instant, count by", "count by (mode) (inventory)", 0, 0},
    {"join", "cpu_seconds_total / on (host, mode) memory_bytes", 3300, 60},
    {"join, group_left", "cpu_seconds_total * on (host) group_left () memory_bytes{mode=\"mode1\"}",
     3300, 60},
    {"join, instant", "cpu_seconds_total / on (host, mode) memory_bytes", 0, 0},
    {"subquery", "max_over_time(sum by (mode) (rate(cpu_seconds_total[5m]))[30m:1m])", 1500, 60},
    {"raw hour of all", "sum by (mode) (memory_bytes)", 3600, 10},
    {"stddev by mode", "stddev by (mode) (memory_bytes)", 3600, 60},
    {"quantile by mode", "quantile by (mode) (0.9, memory_bytes)", 3600, 60},
};

/* --- helpers: a thread for each call ------------------------------------------------------------
 */

struct errand {
    void (*work)(void *arg);
    void *arg;
};

static void *run_errand(void *arg)
{
    struct errand *errand = arg;

    errand->work(errand->arg);
    mem_free(errand);
    return NULL;
}

static bool call_helper(void *ctx, void (*work)(void *arg), void *arg)
{
    struct errand *errand = mem_alloc(sizeof(*errand));
    pthread_t thread;

    (void)ctx;
    *errand = (struct errand){work, arg};
    if (pthread_create(&thread, NULL, run_errand, errand) == 0) {
        pthread_detach(thread);
        return true;
    }
    mem_free(errand);
    return false;
}

static double wall_ms(void)
{
    return (double)clock_mono_ns(clock_system()) / 1e6;
}

static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Parses, evaluates, writes the answer's JSON; the number of its series. */
static size_t answer(const struct querier *querier, const struct bench_query *bench)
{
    const char *count = getenv("HELPERS");
    struct query_helpers helpers = {NULL, count != NULL ? (size_t)atol(count) : 0, call_helper};
    int64_t end_ms = START_MS + INT64_C(86400000) - 5000;
    struct promql_query query = {.text = bench->text,
                                 .len = strlen(bench->text),
                                 .start_ms = end_ms - bench->back_s * 1000,
                                 .end_ms = end_ms,
                                 .step_ms = bench->step_s * 1000,
                                 .helpers = helpers.max != 0 ? &helpers : NULL,
                                 .querier = querier};
    struct value value = {0};
    struct annotations notes = {0};
    struct query_stats stats = {0};
    struct result_json json = {.value = &value};
    struct buf out = {0};
    struct error err;
    size_t series;

    must(promql_execute(&query, &value, &notes, &stats, &err), &err);
    do
        out.len = 0;
    while (result_json_next(&json, &out, (size_t)256 << 10));
    series = value.count;
    buf_destroy(&out);
    value_destroy(&value);
    annotations_destroy(&notes);
    query_stats_destroy(&stats);
    return series;
}

static void run(const struct querier *querier, const struct bench_query *bench, int rounds)
{
    double best = INFINITY, best_wall = INFINITY;
    size_t series = 0;

    for (int round = 0; round < rounds; round++) {
        double start = cpu_ms(), start_wall = wall_ms();

        series = answer(querier, bench);
        best = fmin(best, cpu_ms() - start);
        best_wall = fmin(best_wall, wall_ms() - start_wall);
    }
    printf("%-32s %8.2f ms CPU %8.2f ms wall  %zu series\n", bench->name, best, best_wall, series);
}

int main(int argc, char **argv)
{
    struct bench_store bench;
    struct error err;

    if (argc < 2) {
        fprintf(stderr, "usage: query FOLDER [SERIES [FILTER [ROUNDS]]]\n");
        return 2;
    }
    logger_set_level(LOG_LEVEL_WARN);
    open_store(&bench, argv[1]);
    fill(&bench, argc > 2 ? (size_t)atol(argv[2]) : 10000);
    for (size_t i = 0; i < TIDE_COUNT(queries); i++) {
        if (argc < 4 || strstr(queries[i].name, argv[3]) != NULL)
            run(store_querier(bench.store), &queries[i], argc > 4 ? atoi(argv[4]) : 7);
    }
    appender_free(bench.appender);
    batch_destroy(&bench.batch);
    must(store_close(bench.store, &err), &err);
    return 0;
}
