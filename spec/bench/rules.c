/* rules.c - the cost of operator rules: a decision per series, in CPU nanoseconds.
 *
 * Usage: rules [SERIES]     (default 1,000,000; 8 labels each)
 * Retention by a function that reads two labels, by a declared match, admission that reads two
 * labels, query rules, a result rule, a function of PromQL over a hundred values; each over all
 * series, answers not cached. At the end what the thread's Lua state holds at rest. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "script/functions.h"
#include "script/mask.h"
#include "script/rulebook.h"
#include "script/sandbox.h"
#include "script/shape.h"

static const char scripts[] =
    "tide.retention('declared', { match = '{env=\"dev\"}', keep = '2d' })\n"
    "local teams = { team1 = '400d', team2 = '7d' }\n"
    "tide.retention('by team', function(series)\n"
    "  if series.labels.env == 'prod' then return teams[series.labels.team] end\n"
    "end)\n"
    "tide.admit('no dev', function(series)\n"
    "  if series.labels.env == 'dev' and series.labels.team == 'x' then return tide.drop 'dev' "
    "end\n"
    "end)\n"
    "tide.query('tenants', function(q)\n"
    "  if not q.tenant then return tide.refuse(403, 'who?') end\n"
    "  q:restrict { tenant = q.tenant }\n"
    "end)\n"
    "tide.query('guard', function(q)\n"
    "  if q.range > tide.days(90) then q.step = '1h' elseif q.range > tide.days(7) then q.step = "
    "'5m' end\n"
    "  q.timeout, q.max_samples = '30s', 10e6\n"
    "  q:clamp_ranges '30d'\n"
    "  if q.subqueries > 2 then return tide.refuse(422, 'no') end\n"
    "end)\n"
    "tide.result('mask', { hide = { 'instance' }, decide = function(q, series)\n"
    "  if q.user ~= 'chief' then series.labels.instance = 'hidden' end\n"
    "end })\n"
    "tide.func('spread', { args = 'range' }, function(times, values)\n"
    "  return values:max() - values:min()\n"
    "end)\n";

struct bench {
    size_t count;
    struct labels **labels;
    struct rulebook *book;
    const struct policy *policy;
};

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct labels *make_labels(size_t i, const char *env)
{
    static const char *const names[] = {"__name__", "env",  "team", "instance",
                                        "job",      "zone", "path", "code"};
    char values[8][40];
    struct label list[8];

    for (size_t j = 0; j < 8; j++)
        snprintf(values[j], sizeof(values[j]), "%s_%zu", names[j], i * (j + 1) % 100003);
    snprintf(values[1], sizeof(values[1]), "%s", env);
    snprintf(values[2], sizeof(values[2]), "team%zu", i % 10);
    for (size_t j = 0; j < 8; j++)
        list[j] = (struct label){names[j], values[j], (uint32_t)strlen(names[j]),
                                 (uint32_t)strlen(values[j])};
    struct error err;
    struct labels *labels = labels_new(list, 8, &err);

    TIDE_ASSERT(labels != NULL);
    return labels;
}

static void retention(const struct bench *bench, const char *what)
{
    uint64_t opinions = 0;
    double start = cpu_ns();

    for (size_t i = 0; i < bench->count; i++) {
        struct series_view view = {.labels = bench->labels[i], .last_ms = 1000};

        opinions += bench->policy->retention_of(bench->policy->ctx, &view).keep_ms > 0;
    }
    printf("%-44s %7.0f ns  (%" PRIu64 " opinions)\n", what,
           (cpu_ns() - start) / (double)bench->count, opinions);
}

static void admission(const struct bench *bench)
{
    struct labels_builder builder;
    char why[200];
    double start = cpu_ns();

    labels_builder_init(&builder);
    for (size_t i = 0; i < bench->count; i++) {
        labels_builder_reset(&builder, bench->labels[i]);
        bench->policy->admit(bench->policy->ctx, &builder, why, sizeof(why));
    }
    labels_builder_destroy(&builder);
    printf("%-44s %7.0f ns\n", "admission, a function reading two labels",
           (cpu_ns() - start) / (double)bench->count);
}

static void shaping(const struct bench *bench)
{
    double start = cpu_ns();

    for (size_t i = 0; i < bench->count; i++) {
        struct read_request request = {.kind = READ_QUERY, .tenant = "web"};
        struct error err;

        TIDE_ASSERT(rulebook_shape(bench->book, &request, &err) == 0);
        read_request_destroy(&request);
    }
    printf("%-44s %7.0f ns\n", "query, two rules: tenant and guard",
           (cpu_ns() - start) / (double)bench->count);
}

static void masking(const struct bench *bench)
{
    struct read_request request = {.kind = READ_QUERY, .tenant = "web"};
    double start = cpu_ns();

    for (size_t i = 0; i < bench->count; i++) {
        struct labels *masked;
        struct error err;

        TIDE_ASSERT(rulebook_mask(bench->book, &request, bench->labels[i], &masked, &err) == 0);
        TIDE_ASSERT(masked != NULL);
        labels_unref(masked);
    }
    printf("%-44s %7.0f ns\n", "result, a label of a series",
           (cpu_ns() - start) / (double)bench->count);
}

static void functions(const struct bench *bench)
{
    struct rule_functions functions;
    int64_t times_ms[100];
    double values[100], result, sum = 0, start;

    for (int i = 0; i < 100; i++) {
        times_ms[i] = i * 15000;
        values[i] = i % 7;
    }
    rule_functions_begin(&functions, bench->book);
    start = cpu_ns();
    for (size_t i = 0; i < bench->count; i++) {
        struct error err;

        TIDE_ASSERT(functions.added.call(functions.added.ctx, &functions.set->rows[0], times_ms,
                                         values, 100, NULL, 0, &result, &err) == 1);
        sum += result;
    }
    printf("%-44s %7.0f ns  (%.0f)\n", "function of PromQL, a window of 100 values",
           (cpu_ns() - start) / (double)bench->count, sum / (double)bench->count);
    rule_functions_end(&functions);
}

static void fill(struct bench *bench, const char *env)
{
    for (size_t i = 0; i < bench->count; i++) {
        labels_unref(bench->labels[i]);
        bench->labels[i] = make_labels(i, env);
    }
}

static void *run(void *arg)
{
    struct bench *bench = arg;

    bench->labels = mem_zalloc(bench->count, sizeof(struct labels *));
    fill(bench, "prod");
    retention(bench, "retention, a function reading two labels");
    admission(bench);
    shaping(bench);
    masking(bench);
    functions(bench);
    fill(bench, "dev");
    retention(bench, "retention, a declared match");
    printf("%-44s %7zu KiB\n", "Lua state of a thread, at rest",
           rulebook_state_bytes(bench->book) / 1024);
    for (size_t i = 0; i < bench->count; i++)
        labels_unref(bench->labels[i]);
    mem_free(bench->labels);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench bench = {.count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000};
    char folder[] = "/tmp/rules.XXXXXX";
    char path[64];
    struct error err;
    struct thread thread;

    TIDE_ASSERT(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/a.lua", folder);
    FILE *file = fopen(path, "w");

    TIDE_ASSERT(file != NULL);
    fputs(scripts, file);
    fclose(file);
    logger_set_level(LOG_LEVEL_ERROR);
    struct rulebook_options options = {.folder = folder};
    struct rulebook *book = rulebook_open(&options, &err);

    unlink(path);
    rmdir(folder);
    if (book == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    bench.book = book;
    bench.policy = rulebook_policy(book);
    TIDE_ASSERT(thread_start(&thread, "bench", SANDBOX_STACK_BYTES, run, &bench, &err) == 0);
    thread_join(&thread);
    rulebook_close(book);
    return 0;
}
