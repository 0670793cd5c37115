/* passes.c - CPU of a retention pass over very many series, with a rule that reads two labels.
 *
 * Usage: passes FOLDER [SERIES]     (default 1,000,000; FOLDER must not exist or be empty)
 * The first pass asks the rule for every series, the second knows the answers; nothing is old
 * enough to go. For comparison: a pass without rules. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "bench.h"
#include "script/rulebook.h"
#include "script/sandbox.h"
#include "store/append.h"
#include "store/store.h"

static const char script[] =
    "local teams = { team1 = '400d', team2 = '7d' }\n"
    "tide.retention('by team', function(series)\n"
    "  if series.labels.env == 'prod' then return teams[series.labels.team] end\n"
    "end)\n";

struct bench {
    size_t series;
    const char *folder;
};

static double cpu_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A sample for each series, of now. */
static void fill(struct store *store, size_t series)
{
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    struct appender *appender = appender_new(store);
    int64_t now_ms = clock_wall_ms(clock_system());
    struct buf block = {0};
    struct append_result result;
    struct error err;

    for (size_t i = 0; i < series; i++) {
        block.len = 0;
        put_label(&block, "__name__", "node_metric_%zu_total", i % 200);
        put_label(&block, "env", i % 2 == 0 ? "prod" : "dev", 0);
        put_label(&block, "instance", "host-%zu.example.org:9100", i / 200);
        put_label(&block, "job", "node", 0);
        put_label(&block, "mode", "mode%zu", i % 8);
        put_label(&block, "team", "team%zu", i / 2 % 10);
        batch_add_entry(&batch, block.data, block.len, 0);
        batch_add_sample(&batch, now_ms, (double)i);
        append_result_init(&result);
        must(store_append(appender, &batch, &result, &err), &err);
        batch_reset(&batch);
    }
    appender_free(appender);
    batch_destroy(&batch);
    buf_destroy(&block);
}

static struct rulebook *open_rules(const char *folder)
{
    struct rulebook_options options = {.folder = folder};
    struct rulebook *book;
    struct error err;
    char path[4200];
    FILE *file;

    snprintf(path, sizeof(path), "%s/team.lua", folder);
    file = fopen(path, "w");
    TIDE_ASSERT(file != NULL && fputs(script, file) >= 0 && fclose(file) == 0);
    book = rulebook_open(&options, &err);
    must(book != NULL ? 0 : -1, &err);
    unlink(path);
    return book;
}

static void pass(struct store *store, const char *what)
{
    struct store_stats stats;
    struct error err;
    double begin = cpu_s();

    must(store_maintain(store, &err), &err);
    store_stats_get(store, &stats);
    printf("%-44s %7.3f s CPU  (%" PRIu64 " series)\n", what, cpu_s() - begin,
           stats.series_in_memory + stats.series_archived);
    fflush(stdout);
}

static void *run(void *arg)
{
    const struct bench *bench = arg;
    char scripts[] = "/tmp/passes.XXXXXX";
    struct store_options options;
    struct rulebook *book;
    struct store *store;
    struct error err;

    TIDE_ASSERT(mkdtemp(scripts) != NULL);
    book = open_rules(scripts);
    store_options_init(&options);
    options.data_dir = bench->folder;
    options.no_background = true;
    options.memory_target_bytes = (uint64_t)16 << 30;
    options.policy = rulebook_policy(book);
    store = store_open(&options, NULL, &err);
    must(store != NULL ? 0 : -1, &err);
    fill(store, bench->series);
    pass(store, "first pass, a rule that reads two labels");
    pass(store, "second pass, the answers known");
    must(rulebook_reload(book, &err), &err);
    pass(store, "after a reload, without rules");
    store_abandon(store);
    rulebook_close(book);
    rmdir(scripts);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench bench = {.series = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 1000000};
    struct thread thread;
    struct error err;

    if (argc < 2) {
        fprintf(stderr, "usage: passes FOLDER [SERIES]\n");
        return 2;
    }
    bench.folder = argv[1];
    logger_set_level(LOG_LEVEL_WARN);
    must(thread_start(&thread, "bench", SANDBOX_STACK_BYTES, run, &bench, &err), &err);
    thread_join(&thread);
    return 0;
}
