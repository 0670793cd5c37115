/* store_threads.c - pushes, queries and background work on one store at once.
 *
 * Usage: store_threads FOLDER ROUNDS
 * Three threads push, each to its own series, some of which rest long enough to be archived; two
 * read all the time and check every sample they get; one moves the clock and does the background
 * work. At the end all samples are counted, again after a restart. Prints what was counted; exit
 * status 1 when anything was wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/thread.h"
#include "store_race.h"

#define PUSHERS 3
#define READERS 2
#define SERIES 60 /* of each pusher */
#define START_MS INT64_C(1600000000000)

struct run {
    struct store *store;
    struct clock *clock;
    int rounds;
    int stop;        /* atomic */
    uint64_t pushed; /* atomic, as all below */
    uint64_t read;
    uint64_t wrong;
};

struct pusher {
    struct run *run;
    int number;
};

static double value_of(int pusher, int series, int64_t time_ms)
{
    return (double)((time_ms / 1000 * 7919 + series * 104729 + pusher * 1299709) % 1000003) / 7;
}

/* Series take turns to rest: 40 rounds at work, 40 not. */
static bool is_active(int series, int round)
{
    return (round / 40 + series) % 2 == 0;
}

static void push_round(struct pusher *pusher, struct appender *appender, struct batch *batch,
                       int round, int64_t now_ms)
{
    struct buf blocks[SERIES] = {0};
    struct append_result result;
    struct error err;

    batch_reset(batch);
    for (int i = 0; i < SERIES; i++) {
        if (!is_active(i, round))
            continue;
        race_put_label(&blocks[i], "__name__", "m%d", i % 4);
        race_put_label(&blocks[i], "pusher", "%d", pusher->number);
        race_put_label(&blocks[i], "series", "%d", i);
        race_put_label(&blocks[i], "life", "%d", round / 160); /* churn */
        batch_add_entry(batch, blocks[i].data, blocks[i].len, 0);
        for (int k = 0; k < 3; k++) {
            int64_t time_ms = now_ms + k;

            batch_add_sample(batch, time_ms, value_of(pusher->number, i, time_ms));
        }
    }
    append_result_init(&result);
    if (store_append(appender, batch, &result, &err) != 0) {
        fprintf(stderr, "push: %s\n", err.text);
        __atomic_add_fetch(&pusher->run->wrong, 1, __ATOMIC_RELAXED);
    }
    __atomic_add_fetch(&pusher->run->pushed, result.accepted, __ATOMIC_RELAXED);
    for (int i = 0; i < SERIES; i++)
        buf_destroy(&blocks[i]);
}

static void *push_thread(void *arg)
{
    struct pusher *pusher = arg;
    struct appender *appender = appender_new(pusher->run->store);
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    int64_t last_ms = 0;

    for (int round = 0; round < pusher->run->rounds;) {
        int64_t now_ms = clock_wall_ms(pusher->run->clock);

        if (now_ms < last_ms + 10) { /* the clock thread is behind */
            sched_yield();
            continue;
        }
        last_ms = now_ms;
        push_round(pusher, appender, &batch, round++, now_ms);
    }
    batch_destroy(&batch);
    appender_free(appender);
    return NULL;
}

/* Reads every series that matches; returns the number of samples. */
static uint64_t read_all(struct run *run, const struct matcher *matchers, size_t count)
{
    const struct querier *querier = store_querier(run->store);
    struct select_request request = {
        .matchers = matchers,
        .matcher_count = count,
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = TIDE_LATEST_MS,
    };
    struct selection *selection;
    struct columns columns = {0};
    struct error err;
    uint64_t total = 0, wrong = 0;

    if (querier->select(querier->ctx, &request, &selection, &err) != 0) {
        fprintf(stderr, "select: %s\n", err.text);
        __atomic_add_fetch(&run->wrong, 1, __ATOMIC_RELAXED);
        return 0;
    }
    for (size_t i = 0; i < selection->count; i++) {
        int pusher = race_label_number(selection->series[i].labels, "pusher");
        int series = race_label_number(selection->series[i].labels, "series");

        columns.len = 0;
        if (querier->read(selection, i, request.from_ms, request.to_ms, &columns, &err) != 0) {
            fprintf(stderr, "read: %s\n", err.text);
            wrong++;
        }
        for (size_t k = 0; k < columns.len; k++) {
            wrong += double_bits(columns.values[k]) !=
                     double_bits(value_of(pusher, series, columns.times_ms[k]));
            wrong += k > 0 && columns.times_ms[k] <= columns.times_ms[k - 1];
        }
        /* The newest sample at the select must be there. */
        wrong +=
            columns.len == 0 || columns.times_ms[columns.len - 1] < selection->series[i].last_ms;
        total += columns.len;
    }
    querier->selection_free(querier->ctx, selection);
    columns_destroy(&columns);
    if (wrong != 0)
        __atomic_add_fetch(&run->wrong, wrong, __ATOMIC_RELAXED);
    return total;
}

static void *read_thread(void *arg)
{
    struct run *run = arg;
    struct matcher matchers[2];
    struct error err;

    if (matcher_init(&matchers[0], MATCH_REGEX, "__name__", 8, "m[0-2]", 6, NULL, &err) != 0 ||
        matcher_init(&matchers[1], MATCH_NOT_EQUAL, "series", 6, "7", 1, NULL, &err) != 0)
        abort();
    while (!__atomic_load_n(&run->stop, __ATOMIC_RELAXED))
        __atomic_add_fetch(&run->read, read_all(run, matchers, 2), __ATOMIC_RELAXED);
    matcher_destroy(&matchers[0]);
    matcher_destroy(&matchers[1]);
    return NULL;
}

static void *clock_thread(void *arg)
{
    struct run *run = arg;
    struct error err;

    for (int step = 0; !__atomic_load_n(&run->stop, __ATOMIC_RELAXED); step++) {
        clock_advance(run->clock, 10000);
        race_must(store_tick(run->store, &err), &err);
        if (step % 5 == 0)
            race_must(store_maintain(run->store, &err), &err);
        if (step % 7 == 0)
            store_evict(run->store, 0);
        if (step % 11 == 0)
            race_must(store_checkpoint(run->store, &err), &err);
    }
    return NULL;
}

static uint64_t race(struct run *run)
{
    struct thread readers[READERS], pushers[PUSHERS], ticker;
    struct pusher arguments[PUSHERS];
    struct error err;

    race_must(thread_start(&ticker, "clock", 0, clock_thread, run, &err), &err);
    for (int i = 0; i < READERS; i++)
        race_must(thread_start(&readers[i], "reader", 0, read_thread, run, &err), &err);
    for (int i = 0; i < PUSHERS; i++) {
        arguments[i] = (struct pusher){run, i};
        race_must(thread_start(&pushers[i], "pusher", 0, push_thread, &arguments[i], &err), &err);
    }
    for (int i = 0; i < PUSHERS; i++)
        thread_join(&pushers[i]);
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++)
        thread_join(&readers[i]);
    thread_join(&ticker);
    return read_all(run, NULL, 0);
}

int main(int argc, char **argv)
{
    struct clock clock;
    struct run run = {.clock = &clock};
    struct store_stats stats;
    struct error err;
    uint64_t counted;

    if (argc != 3)
        return 2;
    logger_set_level(LOG_LEVEL_WARN);
    clock_init_manual(&clock, START_MS);
    run.rounds = atoi(argv[2]);
    run.store = race_open_store(argv[1], &clock);
    counted = race(&run);
    store_stats_get(run.store, &stats);
    printf("pushed %d counted %d read %s archived %s\n", (int)run.pushed, counted == run.pushed,
           run.read != 0 ? "some" : "none", stats.series_archived != 0 ? "some" : "none");
    race_must(store_close(run.store, &err), &err);
    run.store = race_open_store(argv[1], &clock);
    counted = read_all(&run, NULL, 0);
    race_must(store_close(run.store, &err), &err);
    printf("after restart %d wrong %d\n", counted == run.pushed, (int)run.wrong);
    return counted == run.pushed && run.wrong == 0 ? 0 : 1;
}
