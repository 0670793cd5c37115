/* quota_threads.c - eight threads push into quotas while series are archived and rules reloaded.
 *
 * Usage: quota_threads FOLDER ROUNDS
 * Four tenants have 40 series each by one version of the rules, 50 by the other. Each round the
 * threads push 100 series a tenant, all the same ones, of which two thirds rest; the main thread
 * moves the clock, does the background work and reloads. No quota may ever hold more than 50, and
 * at the end, and after a restart, the quotas' sum is the number of series in memory. Prints what
 * was counted; exit status 1 when anything was wrong. */
#include <sched.h>
#include <sys/stat.h>

#include "base/logger.h"
#include "base/thread.h"
#include "script/rulebook.h"
#include "script/sandbox.h"
#include "store_race.h"

#define PUSHERS 8
#define TENANTS 4
#define SERIES 400
#define ROUND_MS 240000
#define START_MS INT64_C(1600000000000)

struct run {
    struct store *store;
    int stop; /* atomic, as all below */
    int round;
    uint64_t pushes;
    uint64_t refused;
    uint64_t accepted;
    uint64_t wrong;
};

static void write_rules(const char *folder, int series)
{
    char path[300], hidden[300];
    FILE *file;

    snprintf(path, sizeof(path), "%s/a.lua", folder);
    snprintf(hidden, sizeof(hidden), "%s/.new", folder);
    file = fopen(hidden, "w");
    TIDE_ASSERT(file != NULL);
    fprintf(file,
            "tide.limit('tenants', { by = 't', series = %d, samples_per_second = 1e9 })\n"
            "tide.transform('scale', { match = '{t=\"1\"}', scale = 2, min_interval = '1ms' })\n",
            series);
    fclose(file);
    TIDE_ASSERT(rename(hidden, path) == 0);
}

static void push_round(struct run *run, struct appender *appender, struct batch *batch,
                       struct buf *blocks, int round)
{
    struct append_result result;
    uint64_t count = 0;
    struct error err;

    batch_reset(batch);
    for (int i = 0; i < SERIES; i++) {
        if ((round / 25 + i / TENANTS) % 3 != 0)
            continue;
        blocks[i].len = 0;
        race_put_label(&blocks[i], "__name__", "m%d", i);
        race_put_label(&blocks[i], "t", "%d", i % TENANTS);
        batch_add_entry(batch, blocks[i].data, blocks[i].len, 0);
        batch_add_sample(batch, START_MS + (int64_t)round * ROUND_MS, i);
        count++;
    }
    batch->format = LABEL_FORMAT_PAIRS;
    batch->parse = label_parse_pairs;
    append_result_init(&result);
    if (store_append(appender, batch, &result, &err) != 0)
        return; /* busy */
    __atomic_add_fetch(&run->pushes, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&run->accepted, result.accepted, __ATOMIC_RELAXED);
    __atomic_add_fetch(&run->refused, append_result_refused(&result), __ATOMIC_RELAXED);
    if (result.accepted + append_result_refused(&result) != count)
        __atomic_add_fetch(&run->wrong, 1, __ATOMIC_RELAXED);
}

static void *push(void *arg)
{
    struct run *run = arg;
    struct appender *appender = appender_new(run->store);
    struct batch batch = {0};
    struct buf blocks[SERIES] = {0};

    while (__atomic_load_n(&run->stop, __ATOMIC_RELAXED) == 0)
        push_round(run, appender, &batch, blocks, __atomic_load_n(&run->round, __ATOMIC_RELAXED));
    for (int i = 0; i < SERIES; i++)
        buf_destroy(&blocks[i]);
    batch_destroy(&batch);
    appender_free(appender);
    return NULL;
}

/* The sum of all quotas; more than `most` in one is wrong. */
static uint64_t count_quotas(struct run *run, uint64_t most)
{
    struct quota_list list;
    uint64_t sum = 0;

    store_quotas_get(run->store, 100, &list);
    for (size_t i = 0; i < list.count; i++) {
        sum += list.quotas[i].series;
        run->wrong += list.quotas[i].series > most;
    }
    quota_list_destroy(&list);
    return sum;
}

static void check_sum(struct run *run, const char *when)
{
    struct store_stats stats;
    uint64_t sum = count_quotas(run, 50);

    store_stats_get(run->store, &stats);
    if (sum != stats.series_in_memory || sum == 0) {
        run->wrong++;
        printf("%s: quotas say %" PRIu64 ", there are %" PRIu64 "\n", when, sum,
               stats.series_in_memory);
    }
}

static struct store *open_store(const char *folder, const struct clock *clock,
                                const struct policy *policy)
{
    struct store_options options;
    struct error err;
    struct store *store;

    store_options_init(&options);
    options.data_dir = folder;
    options.clock = clock;
    options.policy = policy;
    options.retention_ms = RETENTION_FOREVER;
    options.no_background = true;
    store = store_open(&options, NULL, &err);
    race_must(store != NULL ? 0 : -1, &err);
    return store;
}

int main(int argc, char **argv)
{
    struct thread threads[PUSHERS] = {0};
    struct run run = {0};
    struct store_stats stats;
    struct clock clock;
    char data[256], scripts[256];
    struct error err;

    if (argc != 3)
        return 2;
    int rounds = (int)strtol(argv[2], NULL, 10);

    logger_set_level(LOG_LEVEL_ERROR);
    snprintf(data, sizeof(data), "%s/data", argv[1]);
    snprintf(scripts, sizeof(scripts), "%s/scripts", argv[1]);
    TIDE_ASSERT(mkdir(scripts, 0700) == 0);
    clock_init_manual(&clock, START_MS);
    write_rules(scripts, 50);
    struct rulebook_options options = {.folder = scripts, .time_ms = 1000, .clock = &clock};
    struct rulebook *book = rulebook_open(&options, &err);
    TIDE_ASSERT(book != NULL);
    run.store = open_store(data, &clock, rulebook_policy(book));
    for (int i = 0; i < PUSHERS; i++)
        race_must(thread_start(&threads[i], "push", SANDBOX_STACK_BYTES, push, &run, &err), &err);
    for (int i = 0; i < rounds; i++) {
        uint64_t pushes = __atomic_load_n(&run.pushes, __ATOMIC_RELAXED);

        clock_advance(&clock, ROUND_MS);
        __atomic_add_fetch(&run.round, 1, __ATOMIC_RELAXED);
        while (__atomic_load_n(&run.pushes, __ATOMIC_RELAXED) < pushes + PUSHERS)
            sched_yield();
        race_must(store_maintain(run.store, &err), &err);
        race_must(store_persist(run.store, &err), &err);
        if (i % 10 == 9) {
            write_rules(scripts, i % 20 == 9 ? 40 : 50);
            race_must(rulebook_reload(book, &err), &err);
            store_refresh_rules(run.store);
        }
        count_quotas(&run, 50);
    }
    __atomic_store_n(&run.stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < PUSHERS; i++)
        thread_join(&threads[i]);
    check_sum(&run, "at the end");
    store_stats_get(run.store, &stats);
    uint64_t archived = stats.series_archived;
    race_must(store_close(run.store, &err), &err);
    run.store = open_store(data, &clock, rulebook_policy(book));
    check_sum(&run, "after a restart");
    race_must(store_close(run.store, &err), &err);
    rulebook_close(book);
    printf("accepted %s refused %s archived %s wrong %" PRIu64 "\n",
           run.accepted > 0 ? "some" : "0", run.refused > 0 ? "some" : "0",
           archived > 0 ? "some" : "0", run.wrong);
    return run.wrong == 0 ? 0 : 1;
}
