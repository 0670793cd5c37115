/* use_threads.c - four threads read the same series while a fifth makes new ones, series are
 * archived and use.db is written.
 *
 * Usage: use_threads FOLDER ROUNDS
 * Each reader selects all, or the odd ones, as a client does. At the end each of the first series
 * must have been counted as often as it was selected, and after a restart too. Prints "wrong 0";
 * exit status 1 when a count is wrong. */
#include <sched.h>

#include "base/logger.h"
#include "base/thread.h"
#include "model/matcher.h"
#include "store/policy.h"
#include "store/querier.h"
#include "store_race.h"

#define READERS 4
#define SERIES 5000 /* in two pages of the table */
#define START_MS INT64_C(1600000000000)

struct run {
    struct store *store;
    int stop;          /* atomic, as both below */
    uint64_t all, odd; /* selects */
};

static void push(struct appender *appender, int first, int count, int64_t time_ms)
{
    struct append_result result;
    struct batch batch = {0};
    struct buf *blocks = calloc((size_t)count, sizeof(*blocks));
    struct error err;

    TIDE_ASSERT(blocks != NULL);
    for (int i = 0; i < count; i++) {
        race_put_label(&blocks[i], "__name__", "m%d", first + i);
        race_put_label(&blocks[i], "odd", "%d", i % 2);
        batch_add_entry(&batch, blocks[i].data, blocks[i].len, 0);
        batch_add_sample(&batch, time_ms, i);
    }
    batch.format = LABEL_FORMAT_PAIRS;
    batch.parse = label_parse_pairs;
    append_result_init(&result);
    race_must(store_append(appender, &batch, &result, &err), &err);
    batch_destroy(&batch);
    for (int i = 0; i < count; i++)
        buf_destroy(&blocks[i]);
    free(blocks);
}

static void read_once(struct run *run, bool odd)
{
    const struct querier *querier = store_client_querier(run->store);
    struct select_request request = {.from_ms = INT64_MIN, .to_ms = INT64_MAX};
    struct selection *selection;
    struct matcher matcher;
    struct error err;

    race_must(matcher_init(&matcher, odd ? MATCH_EQUAL : MATCH_NOT_EQUAL, "odd", 3,
                           odd ? "1" : "none", odd ? 1 : 4, NULL, &err),
              &err);
    request.matchers = &matcher;
    request.matcher_count = 1;
    race_must(querier->select(querier->ctx, &request, &selection, &err), &err);
    querier->selection_free(querier->ctx, selection);
    matcher_destroy(&matcher);
    __atomic_add_fetch(odd ? &run->odd : &run->all, 1, __ATOMIC_RELAXED);
}

static void *read_all(void *arg)
{
    struct run *run = arg;

    for (int i = 0; __atomic_load_n(&run->stop, __ATOMIC_RELAXED) == 0; i++)
        read_once(run, i % 2 == 1);
    return NULL;
}

/* How many of the first series have another count than their selects. */
static int count_wrong(struct run *run)
{
    const struct querier *querier = store_querier(run->store);
    struct select_request request = {.from_ms = INT64_MIN, .to_ms = INT64_MAX};
    struct selection *selection;
    int wrong = 0, seen = 0;
    struct error err;

    race_must(querier->select(querier->ctx, &request, &selection, &err), &err);
    for (size_t i = 0; i < selection->count; i++) {
        const struct selected_series *one = &selection->series[i];
        struct label name;
        struct series_use use;
        uint64_t expected = run->all;

        TIDE_ASSERT(labels_find(one->labels, "__name__", 8, &name));
        if (strtol(name.value + 1, NULL, 10) >= SERIES)
            continue;
        if (race_label_number(one->labels, "odd") == 1)
            expected += run->odd;
        store_use_get(run->store, one->fp, &use);
        wrong += use.reads != (int64_t)expected;
        seen++;
    }
    querier->selection_free(querier->ctx, selection);
    return wrong + abs(seen - SERIES);
}

static void do_rounds(struct run *run, struct clock *clock, struct appender *appender, int rounds)
{
    struct error err;

    for (int i = 0; i < rounds; i++) {
        uint64_t selects = __atomic_load_n(&run->all, __ATOMIC_RELAXED);

        push(appender, SERIES + i * 100, 100, START_MS + i);
        while (__atomic_load_n(&run->all, __ATOMIC_RELAXED) < selects + 2)
            sched_yield();
        clock_advance(clock, 1800000);
        race_must(store_maintain(run->store, &err), &err);
        race_must(store_persist(run->store, &err), &err);
        race_must(store_checkpoint(run->store, &err), &err);
    }
}

int main(int argc, char **argv)
{
    struct thread threads[READERS] = {0};
    struct run run = {0};
    struct clock clock;
    struct error err;
    int wrong;

    if (argc != 3)
        return 2;
    logger_set_level(LOG_LEVEL_ERROR);
    clock_init_manual(&clock, START_MS);
    run.store = race_open_store(argv[1], &clock);
    struct appender *appender = appender_new(run.store);
    push(appender, 0, SERIES, START_MS);
    for (int i = 0; i < READERS; i++)
        race_must(thread_start(&threads[i], "read", 0, read_all, &run, &err), &err);
    do_rounds(&run, &clock, appender, (int)strtol(argv[2], NULL, 10));
    __atomic_store_n(&run.stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++)
        thread_join(&threads[i]);
    appender_free(appender);
    wrong = count_wrong(&run);
    race_must(store_close(run.store, &err), &err);
    run.store = race_open_store(argv[1], &clock);
    wrong += count_wrong(&run);
    race_must(store_close(run.store, &err), &err);
    printf("wrong %d\n", wrong);
    return wrong == 0 ? 0 : 1;
}
