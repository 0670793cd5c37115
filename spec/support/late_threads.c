/* late_threads.c - eight threads that push the samples of the same series out of order.
 *
 * Usage: late_threads FOLDER STEPS
 * Sample `step` of every series is pushed by writer step % 8; each writer goes through its steps in
 * shuffled blocks, at its own pace, but never further from the others than the window of late
 * samples allows. A tenth of the samples come twice, from two writers. Meanwhile one thread reads
 * and checks all it gets, and one does the background work: persists, merges, evicts, checkpoints.
 * At the end each series must hold every step once, with its value; again after a restart. Exit
 * status 1 when anything was wrong. */
#include "base/logger.h"
#include "base/thread.h"
#include "store_race.h"

#define WRITERS 8
#define SERIES 12
#define BLOCK 16   /* steps that are shuffled */
#define AHEAD 1500 /* steps of a second between the first and the last writer: below the window */
#define START_MS INT64_C(1600000000000)

struct run {
    struct store *store;
    struct clock *clock;
    int steps;
    int progress[WRITERS]; /* atomic: steps done */
    int stop;              /* atomic, as all below */
    uint64_t accepted;
    uint64_t late;
    uint64_t wrong;
};

struct writer {
    struct run *run;
    int number;
    uint32_t random;
    struct appender *appender;
    struct batch batch;
};

static double value_of(int series, int step)
{
    return (double)(((int64_t)step * 7919 + series * 104729) % 1000003) / 7;
}

static int64_t time_of(int step)
{
    return START_MS + (int64_t)step * 1000;
}

static uint32_t next_random(struct writer *writer)
{
    writer->random = writer->random * 1664525 + 1013904223;
    return writer->random >> 16;
}

static void note_wrong(struct run *run, const char *what)
{
    fprintf(stderr, "%s\n", what);
    __atomic_add_fetch(&run->wrong, 1, __ATOMIC_RELAXED);
}

static void push_steps(struct writer *writer, const int *steps, int count)
{
    struct run *run = writer->run;
    struct buf blocks[SERIES] = {0};
    struct append_result result;
    struct error err;

    batch_reset(&writer->batch);
    for (int i = 0; i < SERIES; i++) {
        race_put_label(&blocks[i], "__name__", "m%d", 0);
        race_put_label(&blocks[i], "series", "%d", i);
        batch_add_entry(&writer->batch, blocks[i].data, blocks[i].len, 0);
        for (int k = 0; k < count; k++)
            batch_add_sample(&writer->batch, time_of(steps[k]), value_of(i, steps[k]));
    }
    append_result_init(&result);
    if (store_append(writer->appender, &writer->batch, &result, &err) != 0)
        note_wrong(run, err.text);
    if (append_result_refused(&result) != 0)
        note_wrong(run, result.examples[0].text);
    __atomic_add_fetch(&run->accepted, result.accepted, __ATOMIC_RELAXED);
    __atomic_add_fetch(&run->late, result.late, __ATOMIC_RELAXED);
    for (int i = 0; i < SERIES; i++)
        buf_destroy(&blocks[i]);
}

static int slowest(const struct run *run)
{
    int least = run->steps;

    for (int i = 0; i < WRITERS; i++)
        least = TIDE_MIN(least, __atomic_load_n(&run->progress[i], __ATOMIC_RELAXED));
    return least;
}

static void shuffle(struct writer *writer, int *steps, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int k = (int)(next_random(writer) % (uint32_t)(i + 1)), swap = steps[i];

        steps[i] = steps[k];
        steps[k] = swap;
    }
}

static void *write_thread(void *arg)
{
    struct writer *writer = arg;
    struct run *run = writer->run;
    int steps[BLOCK + BLOCK / 8 + 1];

    for (int step = writer->number; step < run->steps;) {
        int count = 0;

        if (step > slowest(run) + AHEAD) {
            sched_yield();
            continue;
        }
        for (; count < BLOCK && step < run->steps; step += WRITERS) {
            steps[count++] = step;
            if (next_random(writer) % 10 == 0 && step > 0)
                steps[count++] = step - 1; /* another writer's, too */
        }
        shuffle(writer, steps, count);
        push_steps(writer, steps, count);
        __atomic_store_n(&run->progress[writer->number], step, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&run->progress[writer->number], run->steps, __ATOMIC_RELAXED);
    return NULL;
}

/* Reads all series; with `all`, each must have every step. */
static void read_all(struct run *run, bool all)
{
    const struct querier *querier = store_querier(run->store);
    struct select_request request = {.from_ms = TIDE_EARLIEST_MS, .to_ms = TIDE_LATEST_MS};
    struct selection *selection;
    struct columns columns = {0};
    struct error err;

    race_must(querier->select(querier->ctx, &request, &selection, &err), &err);
    if (all && selection->count != SERIES)
        note_wrong(run, "series are missing");
    for (size_t i = 0; i < selection->count; i++) {
        int series = race_label_number(selection->series[i].labels, "series");
        uint64_t wrong = 0;

        columns.len = 0;
        race_must(querier->read(selection, i, request.from_ms, request.to_ms, &columns, &err),
                  &err);
        for (size_t k = 0; k < columns.len; k++) {
            int64_t step = (columns.times_ms[k] - START_MS) / 1000;

            wrong += columns.times_ms[k] != time_of((int)step);
            wrong += double_bits(columns.values[k]) != double_bits(value_of(series, (int)step));
            wrong += k > 0 && columns.times_ms[k] <= columns.times_ms[k - 1];
        }
        if (wrong != 0)
            note_wrong(run, "samples are wrong");
        if (all && columns.len != (size_t)run->steps)
            note_wrong(run, "samples are missing or doubled");
    }
    querier->selection_free(querier->ctx, selection);
    columns_destroy(&columns);
}

static void *read_thread(void *arg)
{
    struct run *run = arg;

    while (!__atomic_load_n(&run->stop, __ATOMIC_RELAXED))
        read_all(run, false);
    return NULL;
}

static void *background_thread(void *arg)
{
    struct run *run = arg;
    struct error err;

    for (int turn = 0; !__atomic_load_n(&run->stop, __ATOMIC_RELAXED); turn++) {
        clock_advance(run->clock, 1000);
        race_must(store_persist(run->store, &err), &err);
        race_must(store_tick(run->store, &err), &err);
        if (turn % 3 == 0)
            race_must(store_merge(run->store, &err), &err);
        if (turn % 5 == 0)
            store_evict(run->store, 0);
        if (turn % 7 == 0)
            race_must(store_checkpoint(run->store, &err), &err);
    }
    return NULL;
}

static void race(struct run *run)
{
    struct thread threads[WRITERS + 2];
    struct writer writers[WRITERS];
    struct error err;

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){
            .run = run,
            .number = i,
            .random = (uint32_t)i + 1,
            .appender = appender_new(run->store),
            .batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs},
        };
        race_must(thread_start(&threads[i], "writer", 0, write_thread, &writers[i], &err), &err);
    }
    race_must(thread_start(&threads[WRITERS], "reader", 0, read_thread, run, &err), &err);
    race_must(thread_start(&threads[WRITERS + 1], "background", 0, background_thread, run, &err),
              &err);
    for (int i = 0; i < WRITERS; i++) {
        thread_join(&threads[i]);
        batch_destroy(&writers[i].batch);
        appender_free(writers[i].appender);
    }
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    thread_join(&threads[WRITERS]);
    thread_join(&threads[WRITERS + 1]);
}

int main(int argc, char **argv)
{
    struct clock clock;
    struct run run = {.clock = &clock};
    struct error err;

    if (argc != 3)
        return 2;
    logger_set_level(LOG_LEVEL_WARN);
    run.steps = atoi(argv[2]);
    clock_init_manual(&clock, time_of(run.steps)); /* nothing is of the future */
    run.store = race_open_store(argv[1], &clock);
    race(&run);
    read_all(&run, true);
    printf("late %s\n", run.late > (uint64_t)run.steps * SERIES / 4 ? "many" : "few");
    race_must(store_close(run.store, &err), &err);
    run.store = race_open_store(argv[1], &clock);
    read_all(&run, true);
    race_must(store_close(run.store, &err), &err);
    printf("wrong %d\n", (int)run.wrong);
    return run.wrong == 0 ? 0 : 1;
}
