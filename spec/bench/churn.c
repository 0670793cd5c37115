/* churn.c - a day in which a tenth of all series is replaced every ten minutes, as a store sees it.
 *
 * Usage: churn FOLDER [SERIES [STEPS]]     default 100,000 series, 144 steps of ten minutes
 *
 * The store runs on a clock of its own, which jumps a minute at a time; each series gets a sample
 * every five minutes. Prints one line of JSON a step: series in memory and archived, bytes of
 * memory as counted and as resident, of the label index on the disk, of all that was handed to it
 * so far, of all files; CPU seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ftw.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "bench.h"
#include "disk/volume_forward.h"
#include "disk/wal.h"
#include "store/append.h"
#include "store/store.h"

#define BATCH 2000
#define START_MS INT64_C(1600000000000)
#define MINUTE_MS 60000
#define STEP_MINUTES 10
#define SCRAPE_MINUTES 5

/* --- a volume that counts what the label index is given -----------------------------------------
 */

struct counting_volume {
    struct volume_forward forward;
    uint64_t index_written; /* atomic */
};

struct counting_table {
    struct kv_forward forward;
    struct counting_volume *volume;
};

static int write_counted(struct kv *kv, const struct kv_batch *batch, bool sync, struct error *err)
{
    struct counting_table *self = (struct counting_table *)(void *)kv;

    __atomic_add_fetch(&self->volume->index_written, batch->bytes.len, __ATOMIC_RELAXED);
    return self->forward.inner->write(self->forward.inner, batch, sync, err);
}

static struct kv *open_counted(struct volume *volume, const char *name,
                               const struct kv_options *options, struct error *err)
{
    struct counting_volume *self = (struct counting_volume *)(void *)volume;
    struct kv *inner = self->forward.inner->open_kv(self->forward.inner, name, options, err);
    struct counting_table *table;

    if (inner == NULL || strncmp(name, "label", strlen("label")) != 0)
        return inner;
    table = mem_zalloc(1, sizeof(*table));
    kv_forward_start(&table->forward, inner);
    table->forward.kv.write = write_counted;
    table->volume = self;
    return &table->forward.kv;
}

/* --- series and their pushes --------------------------------------------------------------------
 */

/* Pods come and go: a hundred series each. */
static void put_series(struct buf *out, size_t number)
{
    put_label(out, "__name__", "container_metric_%zu_total", number % 100);
    put_label(out, "cluster", "prod", 0);
    put_label(out, "namespace", "team-%zu", number / 100 % 37);
    put_label(out, "node", "node-%zu", number / 100 % 211);
    put_label(out, "pod", "pod-%zu", number / 100);
}

static void push(struct appender *appender, size_t from, size_t to, int64_t time_ms)
{
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    size_t starts[BATCH + 1];
    struct append_result result;
    struct buf blocks = {0};
    struct error err;

    for (size_t i = from; i < to; i++) {
        starts[i - from] = blocks.len;
        put_series(&blocks, i);
    }
    starts[to - from] = blocks.len;
    for (size_t i = 0; i < to - from; i++) {
        batch_add_entry(&batch, blocks.data + starts[i], starts[i + 1] - starts[i], 0);
        batch_add_sample(&batch, time_ms,
                         (double)((size_t)time_ms / MINUTE_MS * (from + i) % 9973));
    }
    append_result_init(&result);
    must(store_append(appender, &batch, &result, &err), &err);
    batch_destroy(&batch);
    buf_destroy(&blocks);
}

/* --- what there is ------------------------------------------------------------------------------
 */

static struct {
    uint64_t all, index;
} found; /* nftw gives its visitor no context */

static int visit(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    (void)place;
    if (type != FTW_F)
        return 0;
    found.all += (uint64_t)stat->st_size;
    if (strstr(path, "/label") != NULL)
        found.index += (uint64_t)stat->st_size;
    return 0;
}

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void report(struct store *store, const struct counting_volume *volume, const char *folder,
                   size_t step)
{
    struct store_stats stats;

    found.all = found.index = 0;
    nftw(folder, visit, 32, FTW_PHYS);
    store_stats_get(store, &stats);
    printf("{\"hours\":%.3f,\"active\":%" PRIu64 ",\"archived\":%" PRIu64
           ",\"memory_bytes\":%" PRIu64 ",\"resident_bytes\":%" PRIu64 ",\"index_bytes\":%" PRIu64
           ",\"index_written_bytes\":%" PRIu64 ",\"disk_bytes\":%" PRIu64
           ",\"cpu_seconds\":%.2f}\n",
           (double)step * STEP_MINUTES / 60, stats.series_in_memory, stats.series_archived,
           stats.memory_bytes, resident_bytes(), found.index,
           __atomic_load_n(&volume->index_written, __ATOMIC_RELAXED), found.all,
           (double)clock_process_cpu_ns() / 1e9);
    fflush(stdout);
}

static void run(struct store *store, struct clock *clock, const struct counting_volume *volume,
                const char *folder, size_t series, size_t steps)
{
    struct appender *appender = appender_new(store);
    struct error err;

    for (size_t step = 1; step <= steps; step++) {
        size_t from = (step - 1) * (series / 10);

        for (int minute = 0; minute < STEP_MINUTES; minute++) {
            int64_t now_ms = clock_wall_ms(clock);

            for (size_t i = from; minute % SCRAPE_MINUTES == 0 && i < from + series; i += BATCH)
                push(appender, i, TIDE_MIN(i + BATCH, from + series), now_ms);
            clock_advance(clock, MINUTE_MS);
            must(store_tick(store, &err), &err);
        }
        report(store, volume, folder, step);
    }
    appender_free(appender);
}

int main(int argc, char **argv)
{
    size_t series = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    size_t steps = argc > 3 ? strtoull(argv[3], NULL, 10) : 144;
    struct counting_volume volume = {0};
    struct store_options options;
    struct volume *inner;
    struct clock clock;
    struct store *store;
    struct error err;

    if (argc < 2 || series < 10 || steps == 0) {
        fprintf(stderr, "usage: churn FOLDER [SERIES [STEPS]]\n");
        return 2;
    }
    logger_set_level(LOG_LEVEL_ERROR);
    clock_init_manual(&clock, START_MS);
    inner = volume_posix_open(argv[1], true, &err);
    must(inner != NULL ? 0 : -1, &err);
    volume_forward_start(&volume.forward, inner);
    volume.forward.volume.open_kv = open_counted;
    store_options_init(&options);
    options.volume = &volume.forward.volume;
    options.clock = &clock;
    options.retention_ms = RETENTION_FOREVER;
    options.clock_slack_ms = INT64_MAX;
    options.wal_sync = WAL_SYNC_INTERVAL;
    store = store_open(&options, NULL, &err);
    must(store != NULL ? 0 : -1, &err);
    run(store, &clock, &volume, argv[1], series, steps);
    must(store_close(store, &err), &err);
    inner->close(inner);
    return 0;
}
