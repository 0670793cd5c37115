/* removal_threads.c - pushes, late ones too, while everything is deleted and brought back over and
 * over, and snapshots are made.
 *
 * Usage: removal_threads FOLDER ROUNDS
 * Every delete is undone, so at the end each sample that was accepted must be there, once, with its
 * value; again after a restart. Exit status 1 when anything was wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/thread.h"
#include "disk/wal.h"
#include "store/delete.h"
#include "store/snapshot.h"
#include "store_race.h"

#define PUSHERS 2
#define SERIES 40
#define START_MS INT64_C(1600000000000)

struct run {
    struct store *store;
    struct clock *clock;
    int rounds;
    int stop; /* atomic, as all below */
    uint64_t pushed;
    uint64_t deleted; /* samples */
    uint64_t snapshots;
    uint64_t wrong;
};

struct pusher {
    struct run *run;
    int number;
};

static double value_of(int pusher, int series, int64_t time_ms)
{
    return (double)((time_ms * 7919 + series * 104729 + pusher * 1299709) % 1000003) / 7;
}

static struct store *open_store(const char *folder, const struct clock *clock)
{
    struct store_options options;
    struct error err;
    struct store *store;

    store_options_init(&options);
    options.data_dir = folder;
    options.clock = clock;
    options.no_background = true;
    options.retention_ms = RETENTION_FOREVER;
    options.out_of_order_ms = 3600000;
    options.wal_sync = WAL_SYNC_NEVER;
    store = store_open(&options, NULL, &err);
    race_must(store != NULL ? 0 : -1, &err);
    return store;
}

/* Two samples in order, and one of 20 s before, of each series. */
static void push_round(struct pusher *pusher, struct appender *appender, struct batch *batch,
                       int64_t now_ms)
{
    struct buf blocks[SERIES] = {0};
    struct append_result result;
    struct error err;

    batch_reset(batch);
    for (int i = 0; i < SERIES; i++) {
        int64_t times_ms[] = {now_ms, now_ms + 2, now_ms - 20000 + 1};

        race_put_label(&blocks[i], "__name__", "m%d", i % 4);
        race_put_label(&blocks[i], "pusher", "%d", pusher->number);
        race_put_label(&blocks[i], "series", "%d", i);
        batch_add_entry(batch, blocks[i].data, blocks[i].len, 0);
        for (size_t k = 0; k < TIDE_COUNT(times_ms); k++)
            batch_add_sample(batch, times_ms[k], value_of(pusher->number, i, times_ms[k]));
    }
    append_result_init(&result);
    race_must(store_append(appender, batch, &result, &err), &err);
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

        if (now_ms < last_ms + 10) {
            sched_yield();
            continue;
        }
        last_ms = now_ms;
        push_round(pusher, appender, &batch, now_ms);
        round++;
    }
    batch_destroy(&batch);
    appender_free(appender);
    return NULL;
}

static void *clock_thread(void *arg)
{
    struct run *run = arg;
    struct error err;

    while (!__atomic_load_n(&run->stop, __ATOMIC_RELAXED)) {
        clock_advance(run->clock, 1000);
        race_must(store_tick(run->store, &err), &err);
    }
    return NULL;
}

static void delete_and_restore(struct run *run, const char *series, int64_t from_ms, int64_t to_ms)
{
    struct matcher matcher;
    struct select_request set = {.matchers = &matcher, .matcher_count = 1};
    struct delete_request request = {
        .sets = &set, .set_count = 1, .from_ms = from_ms, .to_ms = to_ms, .by = "race"};
    struct removal removed, restored;
    struct error err;

    race_must(matcher_init(&matcher, MATCH_REGEX, "series", 6, series, strlen(series), NULL, &err),
              &err);
    race_must(store_delete(run->store, &request, &removed, &err), &err);
    if (removed.id[0] != '\0') {
        race_must(store_undelete(run->store, removed.id, "race", &restored, &err), &err);
        run->deleted += removed.samples;
    }
    matcher_destroy(&matcher);
}

static void *remove_thread(void *arg)
{
    struct run *run = arg;
    struct snapshot_info info;
    struct error err;

    for (int step = 0; !__atomic_load_n(&run->stop, __ATOMIC_RELAXED); step++) {
        int64_t now_ms = clock_wall_ms(run->clock);

        if (step % 3 == 0)
            delete_and_restore(run, "[0-9]|1.", TIDE_EARLIEST_MS, TIDE_LATEST_MS);
        else if (step % 3 == 1)
            delete_and_restore(run, "1.|2.", now_ms - 60000, now_ms - 10000);
        else
            delete_and_restore(run, "3.", TIDE_EARLIEST_MS, now_ms - 30000);
        if (step % 5 != 4)
            continue;
        race_must(store_snapshot(run->store, NULL, &info, &err), &err);
        race_must(store_snapshot_remove(run->store, info.name, &err), &err);
        run->snapshots++;
    }
    return NULL;
}

static uint64_t read_all(struct run *run)
{
    const struct querier *querier = store_querier(run->store);
    struct select_request request = {.from_ms = TIDE_EARLIEST_MS, .to_ms = TIDE_LATEST_MS};
    struct selection *selection;
    struct columns columns = {0};
    struct error err;
    uint64_t total = 0;

    race_must(querier->select(querier->ctx, &request, &selection, &err), &err);
    for (size_t i = 0; i < selection->count; i++) {
        int pusher = race_label_number(selection->series[i].labels, "pusher");
        int series = race_label_number(selection->series[i].labels, "series");

        columns.len = 0;
        race_must(querier->read(selection, i, request.from_ms, request.to_ms, &columns, &err),
                  &err);
        for (size_t k = 0; k < columns.len; k++) {
            run->wrong += double_bits(columns.values[k]) !=
                          double_bits(value_of(pusher, series, columns.times_ms[k]));
            run->wrong += k > 0 && columns.times_ms[k] <= columns.times_ms[k - 1];
        }
        total += columns.len;
    }
    querier->selection_free(querier->ctx, selection);
    columns_destroy(&columns);
    return total;
}

static void race(struct run *run)
{
    struct thread pushers[PUSHERS], ticker, remover;
    struct pusher arguments[PUSHERS];
    struct error err;

    race_must(thread_start(&ticker, "clock", 0, clock_thread, run, &err), &err);
    race_must(thread_start(&remover, "remover", 0, remove_thread, run, &err), &err);
    for (int i = 0; i < PUSHERS; i++) {
        arguments[i] = (struct pusher){run, i};
        race_must(thread_start(&pushers[i], "pusher", 0, push_thread, &arguments[i], &err), &err);
    }
    for (int i = 0; i < PUSHERS; i++)
        thread_join(&pushers[i]);
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    thread_join(&remover);
    thread_join(&ticker);
}

int main(int argc, char **argv)
{
    struct clock clock;
    struct run run = {.clock = &clock};
    struct error err;
    uint64_t counted, again;

    if (argc != 3)
        return 2;
    logger_set_level(LOG_LEVEL_WARN);
    clock_init_manual(&clock, START_MS);
    run.rounds = atoi(argv[2]);
    run.store = open_store(argv[1], &clock);
    race(&run);
    counted = read_all(&run);
    race_must(store_close(run.store, &err), &err);
    run.store = open_store(argv[1], &clock);
    again = read_all(&run);
    race_must(store_close(run.store, &err), &err);
    printf("deleted %s snapshots %s missing %d after restart %d wrong %d\n",
           run.deleted > run.pushed / 10 ? "many" : "few", run.snapshots != 0 ? "some" : "none",
           (int)(run.pushed - counted), (int)(run.pushed - again), (int)run.wrong);
    return counted == run.pushed && again == run.pushed && run.wrong == 0 ? 0 : 1;
}
