/* log.c - what the write-ahead log costs: CPU of a push with each wal.sync against "off", bytes a
 * sample, and how fast it is replayed.
 *
 * Usage: log FOLDER [SERIES] [ROUNDS] [BATCH]. A store for each mode; they take turns, a round
 * each, so that whatever else the machine does hits all of them. One thread pushes scrapes of all
 * series, a quarter each counters, gauges with two decimals, constants and seconds with three
 * decimals, and waits for its answers at the end of a round. CPU is that of the whole process, the
 * log's threads included. Replay: wall time and CPU from a crash to ready. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "bench.h"
#include "disk/wal.h"
#include "store/append.h"
#include "store/store.h"

#define START_MS INT64_C(1600000000000)
#define MODES 4

struct bench {
    const char *folder;
    int series;
    int rounds;
    int batch;
    struct clock clock;
    struct buf *blocks;
    double *values;
};

static void put_text(struct buf *out, const char *text)
{
    out->len += uvarint_put(buf_reserve(out, VARINT_MAX_BYTES), strlen(text));
    buf_puts(out, text);
}

static void make_blocks(struct bench *bench)
{
    bench->blocks = mem_zalloc((size_t)bench->series, sizeof(*bench->blocks));
    bench->values = mem_zalloc((size_t)bench->series, sizeof(*bench->values));
    for (int i = 0; i < bench->series; i++) {
        char text[64];

        put_text(&bench->blocks[i], "__name__");
        snprintf(text, sizeof(text), "metric_%d_total", i % 50);
        put_text(&bench->blocks[i], text);
        put_text(&bench->blocks[i], "instance");
        snprintf(text, sizeof(text), "host-%d:9100", i / 500);
        put_text(&bench->blocks[i], text);
        put_text(&bench->blocks[i], "n");
        snprintf(text, sizeof(text), "%d", i);
        put_text(&bench->blocks[i], text);
    }
}

static double next_value(struct bench *bench, int i, unsigned *random)
{
    *random = *random * 1664525 + 1013904223;
    switch (i % 4) {
    case 0:
        return bench->values[i] += *random >> 24;
    case 1:
        return (double)(int)(*random >> 18) / 100;
    case 2:
        return bench->values[i];
    default:
        return (double)(int)(*random >> 12) / 1000;
    }
}

static struct store *open_store(struct bench *bench, int sync)
{
    struct store_options options;
    char folder[600];
    struct store *store;
    struct error err;

    store_options_init(&options);
    snprintf(folder, sizeof(folder), "%s/%d", bench->folder, sync);
    options.data_dir = folder;
    options.clock = &bench->clock;
    options.no_background = true;
    options.retention_ms = RETENTION_FOREVER;
    options.memory_target_bytes = UINT64_C(8) << 30;
    options.wal_sync = sync;
    store = store_open(&options, NULL, &err);
    must(store != NULL ? 0 : -1, &err);
    return store;
}

static void push_round(struct bench *bench, struct store *store, struct appender *appender,
                       struct batch *batch, int round, unsigned *random)
{
    struct append_result result;
    struct error err;

    append_result_init(&result);
    for (int from = 0; from < bench->series; from += bench->batch) {
        batch_reset(batch);
        for (int i = from; i < TIDE_MIN(from + bench->batch, bench->series); i++) {
            batch_add_entry(batch, bench->blocks[i].data, bench->blocks[i].len, 0);
            batch_add_sample(batch, START_MS + (int64_t)round * 15000 + i / 500,
                             next_value(bench, i, random));
        }
        must(store_append(appender, batch, &result, &err), &err);
    }
    must(store_wait_durable(store, &result.ticket, 60000, &err), &err);
}

static void remove_folder(const char *folder)
{
    char command[600];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        exit(1);
}

static double log_bytes(const char *folder)
{
    char command[600];
    double bytes = 0;
    FILE *pipe;

    snprintf(command, sizeof(command), "du -sb '%s/%d/wal' | cut -f1", folder, WAL_SYNC_INTERVAL);
    pipe = popen(command, "r");
    if (pipe == NULL || fscanf(pipe, "%lf", &bytes) != 1)
        exit(1);
    pclose(pipe);
    return bytes;
}

static void bench_replay(struct bench *bench)
{
    int64_t cpu_ns = clock_process_cpu_ns(), wall_ns = clock_mono_ns(clock_system());
    struct store *store = open_store(bench, WAL_SYNC_INTERVAL);
    double samples = (double)bench->series * bench->rounds;
    struct store_stats stats;

    cpu_ns = clock_process_cpu_ns() - cpu_ns;
    wall_ns = clock_mono_ns(clock_system()) - wall_ns;
    store_stats_get(store, &stats);
    printf("replay samples=%.0f series=%d cpu_s=%.2f wall_s=%.2f samples_per_s=%.1fM "
           "samples_per_cpu_s=%.1fM\n",
           samples, (int)stats.series_in_memory, (double)cpu_ns / 1e9, (double)wall_ns / 1e9,
           samples / (double)wall_ns * 1e3, samples / (double)cpu_ns * 1e3);
    store_abandon(store);
}

int main(int argc, char **argv)
{
    static const char *const names[MODES] = {"off", "never", "interval", "always"};
    struct bench bench = {.series = argc > 2 ? atoi(argv[2]) : 100000,
                          .rounds = argc > 3 ? atoi(argv[3]) : 40,
                          .batch = argc > 4 ? atoi(argv[4]) : 500};
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    struct store *stores[MODES];
    struct appender *appenders[MODES];
    unsigned random[MODES] = {1, 1, 1, 1};
    double cpu_ns[MODES] = {0}, samples;

    if (argc < 2)
        return 2;
    bench.folder = argv[1];
    logger_set_level(LOG_LEVEL_ERROR);
    make_blocks(&bench);
    remove_folder(bench.folder);
    clock_init_manual(&bench.clock, START_MS);
    for (int mode = 0; mode < MODES; mode++) {
        stores[mode] = open_store(&bench, mode);
        appenders[mode] = appender_new(stores[mode]);
    }
    for (int round = 0; round < bench.rounds; round++) {
        clock_advance(&bench.clock, 15000);
        for (int mode = 0; mode < MODES; mode++) {
            int64_t begin_ns = clock_process_cpu_ns();

            push_round(&bench, stores[mode], appenders[mode], &batch, round, &random[mode]);
            if (round > 0) /* the first one makes the series */
                cpu_ns[mode] += (double)(clock_process_cpu_ns() - begin_ns);
        }
    }
    samples = (double)bench.series * (bench.rounds - 1);
    for (int mode = 0; mode < MODES; mode++) {
        printf("append wal.sync=%s cpu_s_per_million=%.4f times_off=%.2f\n", names[mode],
               cpu_ns[mode] / samples / 1e3, cpu_ns[mode] / cpu_ns[0]);
        appender_free(appenders[mode]);
        store_abandon(stores[mode]);
    }
    printf("log bytes_per_sample=%.2f (labels and bindings included)\n",
           log_bytes(bench.folder) / (samples + bench.series));
    bench_replay(&bench);
    batch_destroy(&batch);
    remove_folder(bench.folder);
    return 0;
}
