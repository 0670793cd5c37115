/* store_life.c - what opening, checkpoints, persisting and a clean stop cost with many series.
 *
 * Usage: store_life FOLDER [SERIES] [ROUNDS]. FOLDER must not exist or be empty. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "bench.h"
#include "store/append.h"
#include "store/store.h"

#define BATCH 2000
#define START_MS INT64_C(1600000000000)

struct stopwatch {
    int64_t wall_ns;
    int64_t cpu_ns;
};

static struct stopwatch start(void)
{
    return (struct stopwatch){clock_mono_ns(clock_system()), clock_process_cpu_ns()};
}

static void report(struct stopwatch from, const char *what)
{
    printf("%-22s %9.1f ms %9.1f ms CPU\n", what,
           (double)(clock_mono_ns(clock_system()) - from.wall_ns) / 1e6,
           (double)(clock_process_cpu_ns() - from.cpu_ns) / 1e6);
    fflush(stdout);
}

static struct store *open_store(const char *folder, const struct clock *clock, const char *what)
{
    struct stopwatch watch = start();
    struct store_options options;
    struct store *store;
    struct error err;

    store_options_init(&options);
    options.data_dir = folder;
    options.clock = clock;
    options.no_background = true;
    options.retention_ms = RETENTION_FOREVER;
    options.memory_target_bytes = (uint64_t)16 << 30;
    store = store_open(&options, NULL, &err);
    must(store != NULL ? 0 : -1, &err);
    report(watch, what);
    return store;
}

/* All series' blocks behind each other; ends[i] is where the i-th ends. */
static void make_blocks(struct buf *blocks, size_t *ends, size_t series)
{
    for (size_t i = 0; i < series; i++) {
        put_label(blocks, "__name__", "node_metric_%zu_total", i % 200);
        put_label(blocks, "instance", "host-%zu.example.org:9100", i / 200);
        put_label(blocks, "job", "node", 0);
        put_label(blocks, "mode", "mode%zu", i % 8);
        put_label(blocks, "datacenter", "dc-%zu", i / 200 % 4);
        put_label(blocks, "device", "eth0", 0);
        put_label(blocks, "environment", "production", 0);
        ends[i] = blocks->len;
    }
}

/* One sample for every series; returns the longest push in ns. */
static int64_t push_round(struct appender *appender, const struct buf *blocks, const size_t *ends,
                          size_t series, size_t round)
{
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    int64_t longest = 0;

    for (size_t first = 0; first < series; first += BATCH) {
        struct append_result result;
        int64_t begin;
        struct error err;

        batch_reset(&batch);
        for (size_t i = first; i < series && i < first + BATCH; i++) {
            size_t at = i > 0 ? ends[i - 1] : 0;

            batch_add_entry(&batch, blocks->data + at, ends[i] - at, 0);
            batch_add_sample(&batch, START_MS + (int64_t)round * 15000,
                             (double)((round * 7919 + i * 104729) % 1000003) / 7);
        }
        append_result_init(&result);
        begin = clock_mono_ns(clock_system());
        must(store_append(appender, &batch, &result, &err), &err);
        longest = TIDE_MAX(longest, clock_mono_ns(clock_system()) - begin);
    }
    batch_destroy(&batch);
    return longest;
}

static void work(const char *folder, size_t series, size_t rounds, struct clock *clock)
{
    size_t *ends = mem_alloc(series * sizeof(*ends));
    struct store *store = open_store(folder, clock, "open empty");
    struct appender *appender = appender_new(store);
    struct buf blocks = {0};
    struct store_stats stats;
    struct stopwatch watch;
    struct error err;

    make_blocks(&blocks, ends, series);
    watch = start();
    for (size_t round = 0; round < rounds; round++) {
        clock_advance(clock, 15000);
        push_round(appender, &blocks, ends, series, round);
    }
    report(watch, "push");
    store_stats_get(store, &stats);
    printf("%" PRIu64 " series, %" PRIu64 " chunks to persist, %.0f bytes a series\n",
           stats.series_in_memory, stats.chunks_to_persist,
           (double)stats.memory_bytes / (double)series);
    watch = start();
    must(store_checkpoint(store, &err), &err);
    report(watch, "checkpoint");
    watch = start();
    must(store_persist(store, &err), &err);
    report(watch, "persist");
    appender_free(appender);
    watch = start();
    must(store_close(store, &err), &err);
    report(watch, "clean stop");
    buf_destroy(&blocks);
    mem_free(ends);
}

int main(int argc, char **argv)
{
    size_t series = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    size_t rounds = argc > 3 ? strtoull(argv[3], NULL, 10) : 10;
    struct clock clock;
    struct store *store;
    struct error err;
    struct stopwatch watch;

    if (argc < 2) {
        fprintf(stderr, "usage: store_life FOLDER [SERIES] [ROUNDS]\n");
        return 2;
    }
    logger_set_level(LOG_LEVEL_WARN);
    clock_init_manual(&clock, START_MS);
    work(argv[1], series, rounds, &clock);
    store = open_store(argv[1], &clock, "open");
    store_abandon(store);
    store = open_store(argv[1], &clock, "open after a crash");
    watch = start();
    must(store_maintain(store, &err), &err);
    report(watch, "one maintenance pass");
    must(store_close(store, &err), &err);
    return 0;
}
