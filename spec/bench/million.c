/* million.c - a store with very many series: what its background costs, and how long pushes wait.
 *
 * Usage: million FOLDER [SERIES [IDLE]]. FOLDER must not exist or be empty. A second thread pushes
 * small batches all the time; the longest it waited is printed beside each piece of work, and
 * beside nothing at all ("idle"), which is what the machine does to it. A fifth of the series goes
 * idle, is persisted, archived and read back from its files. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "bench.h"
#include "store/append.h"
#include "store/store.h"

#define BATCH 2000
#define SMALL_BATCH 200
#define START_MS INT64_C(1600000000000)
#define STEP_MS 15000
#define HOUR_MS (3600 * 1000)
#define ROUNDS 4
#define LATENCIES 65536

static void rest(int64_t ns)
{
    struct timespec time = {ns / 1000000000, ns % 1000000000};

    nanosleep(&time, NULL);
}

/* --- series and their pushes --------------------------------------------------------------------
 */

struct load {
    size_t series;
    size_t idle; /* of them, the first: they get no more samples after a while */
    struct buf blocks;
    size_t *ends; /* of each block */
    struct clock clock;
    struct store *store;
};

static void make_blocks(struct load *load)
{
    struct buf *blocks = &load->blocks;

    load->ends = mem_alloc(load->series * sizeof(*load->ends));
    for (size_t i = 0; i < load->series; i++) {
        put_label(blocks, "__name__", "node_metric_%zu_total", i % 200);
        put_label(blocks, "instance", "host-%zu.example.org:9100", i / 200);
        put_label(blocks, "job", "node", 0);
        put_label(blocks, "mode", "mode%zu", i % 8);
        put_label(blocks, "datacenter", "dc-%zu", i / 200 % 4);
        load->ends[i] = blocks->len;
    }
}

/* One sample for series [from, to) at a time; ns it took. */
static int64_t push(struct load *load, struct appender *appender, struct batch *batch, size_t from,
                    size_t to, int64_t time_ms)
{
    struct append_result result;
    struct error err;
    int64_t begin;

    batch_reset(batch);
    for (size_t i = from; i < to; i++) {
        size_t at = i > 0 ? load->ends[i - 1] : 0;

        batch_add_entry(batch, load->blocks.data + at, load->ends[i] - at, 0);
        batch_add_sample(batch, time_ms, (double)((uint64_t)time_ms / 7 % 1000003 + i) / 7);
    }
    append_result_init(&result);
    begin = clock_mono_ns(clock_system());
    must(store_append(appender, batch, &result, &err), &err);
    return clock_mono_ns(clock_system()) - begin;
}

static void push_all(struct load *load, size_t from)
{
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    struct appender *appender = appender_new(load->store);
    int64_t now = clock_wall_ms(&load->clock);

    for (size_t i = from; i < load->series; i += BATCH)
        push(load, appender, &batch, i, TIDE_MIN(i + BATCH, load->series), now);
    appender_free(appender);
    batch_destroy(&batch);
}

/* --- the pusher ---------------------------------------------------------------------------------
 */

/* Pushes while something else is going on; all but `stop` is its own until it is joined. */
struct pusher {
    struct load *load;
    size_t from; /* first series it pushes to */
    struct thread thread;
    int stop; /* atomic */
    int64_t longest_ns;
    uint64_t pushes;
    int64_t latencies[LATENCIES]; /* the last ones */
    int64_t time_ms;              /* of its samples: each round a little later */
};

static void *push_on(void *arg)
{
    struct pusher *pusher = arg;
    struct load *load = pusher->load;
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    struct appender *appender = appender_new(load->store);
    size_t at = pusher->from;

    while (__atomic_load_n(&pusher->stop, __ATOMIC_RELAXED) == 0) {
        size_t end = TIDE_MIN(at + SMALL_BATCH, load->series);
        int64_t took_ns = push(load, appender, &batch, at, end, pusher->time_ms);

        pusher->longest_ns = TIDE_MAX(pusher->longest_ns, took_ns);
        pusher->latencies[pusher->pushes++ % LATENCIES] = took_ns;
        at = end;
        if (at == load->series) {
            at = pusher->from;
            pusher->time_ms++;
        }
        rest(1000000);
    }
    appender_free(appender);
    batch_destroy(&batch);
    return NULL;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* A piece of work with the pusher beside it, in one line. */
static void measure(struct load *load, struct pusher *pusher, const char *what,
                    int (*work)(struct load *load, struct error *err))
{
    int64_t begin = clock_mono_ns(clock_system()), cpu = clock_process_cpu_ns();
    struct error err;
    size_t count;

    pusher->stop = 0;
    pusher->longest_ns = 0;
    pusher->pushes = 0;
    pusher->time_ms = TIDE_MAX(pusher->time_ms, clock_wall_ms(&load->clock)) + 1;
    must(thread_start(&pusher->thread, "pusher", 0, push_on, pusher, &err), &err);
    must(work(load, &err), &err);
    __atomic_store_n(&pusher->stop, 1, __ATOMIC_RELAXED);
    thread_join(&pusher->thread);
    count = (size_t)TIDE_MIN(pusher->pushes, (uint64_t)LATENCIES);
    qsort(pusher->latencies, count, sizeof(*pusher->latencies), compare_times);
    printf("%-28s %9.1f ms %9.1f ms CPU; pushes of %d: p50 %.2f p99 %.2f longest %.2f ms\n", what,
           (double)(clock_mono_ns(clock_system()) - begin) / 1e6,
           (double)(clock_process_cpu_ns() - cpu) / 1e6, SMALL_BATCH,
           count != 0 ? (double)pusher->latencies[count / 2] / 1e6 : 0,
           count != 0 ? (double)pusher->latencies[count * 99 / 100] / 1e6 : 0,
           (double)pusher->longest_ns / 1e6);
    fflush(stdout);
}

static int idle(struct load *load, struct error *err)
{
    (void)load, (void)err;
    rest(2000000000);
    return 0;
}

static int checkpoint(struct load *load, struct error *err)
{
    return store_checkpoint(load->store, err);
}

static int maintain(struct load *load, struct error *err)
{
    return store_maintain(load->store, err);
}

static int persist(struct load *load, struct error *err)
{
    return store_persist(load->store, err);
}

/* --- alone --------------------------------------------------------------------------------------
 */

struct stopwatch {
    int64_t wall_ns;
    int64_t cpu_ns;
};

static struct stopwatch start(void)
{
    return (struct stopwatch){clock_mono_ns(clock_system()), clock_process_cpu_ns()};
}

static double seconds_since(struct stopwatch from)
{
    return (double)(clock_mono_ns(clock_system()) - from.wall_ns) / 1e9;
}

static void report(struct stopwatch from, const char *what)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf("%-28s %9.1f ms %9.1f ms CPU; peak %ld MiB\n", what, seconds_since(from) * 1e3,
           (double)(clock_process_cpu_ns() - from.cpu_ns) / 1e6, usage.ru_maxrss / 1024);
    fflush(stdout);
}

static void open_store(struct load *load, const char *folder, const char *what)
{
    struct stopwatch watch = start();
    struct store_options options;
    struct error err;

    store_options_init(&options);
    options.data_dir = folder;
    options.clock = &load->clock;
    options.no_background = true;
    options.retention_ms = RETENTION_FOREVER;
    options.memory_target_bytes = (uint64_t)16 << 30;
    load->store = store_open(&options, NULL, &err);
    must(load->store != NULL ? 0 : -1, &err);
    report(watch, what);
}

static void show_memory(struct load *load)
{
    struct store_stats stats;

    store_stats_get(load->store, &stats);
    printf("%" PRIu64 " series in memory, %" PRIu64 " archived, %" PRIu64 " bytes counted\n",
           stats.series_in_memory, stats.series_archived, stats.memory_bytes);
}

/* Every sample of the archived series, from their files. */
static void read_files(struct load *load, uint64_t count)
{
    const struct querier *querier = store_querier(load->store);
    struct select_request request = {.from_ms = TIDE_EARLIEST_MS, .to_ms = START_MS + HOUR_MS};
    struct selection *selection;
    struct columns samples = {0};
    struct stopwatch watch = start();
    uint64_t read = 0, total = 0;
    struct error err;

    must(querier->select(querier->ctx, &request, &selection, &err), &err);
    for (size_t i = 0; i < selection->count; i++) {
        if (selection->series[i].last_ms > START_MS + HOUR_MS)
            continue; /* still in memory */
        samples.len = 0;
        must(querier->read(selection, i, TIDE_EARLIEST_MS, TIDE_LATEST_MS, &samples, &err), &err);
        total += samples.len;
        read++;
    }
    querier->selection_free(querier->ctx, selection);
    columns_destroy(&samples);
    printf("load: %" PRIu64 " of %" PRIu64 " files, %" PRIu64
           " samples; %.0f files/s, %.0f MiB/s\n",
           read, count, total, (double)read / seconds_since(watch),
           (double)read * 1041 / seconds_since(watch) / 1048576);
}

static void crash_and_recover(struct load *load, const char *folder)
{
    struct stopwatch watch;
    struct store_stats stats;

    store_abandon(load->store);
    watch = start();
    open_store(load, folder, "open after a crash");
    store_stats_get(load->store, &stats);
    printf("recovery: %.2f s per 100,000 series\n",
           seconds_since(watch) * 1e5 / (double)(stats.series_in_memory + stats.series_archived));
}

static void live(struct load *load, const char *folder)
{
    struct pusher *pusher = mem_zalloc(1, sizeof(*pusher));
    struct stopwatch watch = start();
    struct error err;
    double took;

    pusher->load = load;
    pusher->from = load->idle;
    open_store(load, folder, "open empty");
    for (int round = 0; round < ROUNDS; round++) {
        push_all(load, 0);
        clock_advance(&load->clock, STEP_MS);
    }
    report(watch, "push 4 samples each");
    show_memory(load);
    measure(load, pusher, "idle", idle);
    measure(load, pusher, "checkpoint", checkpoint);
    clock_advance(&load->clock, 2 * HOUR_MS);
    push_all(load, pusher->from);
    measure(load, pusher, "maintain: close idle heads", maintain);
    watch = start();
    measure(load, pusher, "persist them", persist);
    took = seconds_since(watch);
    printf("persist: %.0f chunks/s, %.1f MiB/s\n", (double)pusher->from / took,
           (double)pusher->from * 1041 / took / 1048576);
    measure(load, pusher, "maintain: archive them", maintain);
    measure(load, pusher, "maintain: nothing to do", maintain);
    measure(load, pusher, "checkpoint", checkpoint);
    show_memory(load);
    read_files(load, pusher->from);
    crash_and_recover(load, folder);
    watch = start();
    must(store_close(load->store, &err), &err);
    report(watch, "clean stop");
    open_store(load, folder, "open");
    watch = start();
    must(store_close(load->store, &err), &err);
    report(watch, "clean stop, nothing new");
    mem_free(pusher);
}

int main(int argc, char **argv)
{
    struct load load = {.series = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000};

    load.idle = argc > 3 ? strtoull(argv[3], NULL, 10) : load.series / 5;
    if (argc < 2 || load.series < 1000 || load.idle == 0 || load.idle >= load.series) {
        fprintf(stderr, "usage: million FOLDER [SERIES [IDLE]]\n");
        return 2;
    }
    logger_set_level(LOG_LEVEL_ERROR);
    clock_init_manual(&load.clock, START_MS);
    make_blocks(&load);
    live(&load, argv[1]);
    buf_destroy(&load.blocks);
    mem_free(load.ends);
    return 0;
}
