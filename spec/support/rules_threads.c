/* rules_threads.c - threads ask the rules while others reload them; prints what was counted.
 *
 * Usage: rules_threads THREADS RELOADS
 * Every second version answers 1 day, the others 2 days; every third reload fails and must change
 * nothing. One rule never ends, for the watchdog. Exit status 1 when an answer is none of these. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "script/rulebook.h"
#include "script/sandbox.h"

#define DAY_MS ((int64_t)86400000)

struct run {
    struct rulebook *book;
    const struct policy *policy;
    int stop;       /* atomic */
    uint64_t asked; /* atomic, as all below */
    uint64_t wrong;
    uint64_t stopped; /* endless rules that were */
};

static void write_script(const char *folder, int days, bool broken)
{
    char path[100];
    char hidden[100];

    snprintf(path, sizeof(path), "%s/a.lua", folder);
    snprintf(hidden, sizeof(hidden), "%s/.new", folder);
    FILE *file = fopen(hidden, "w");

    TIDE_ASSERT(file != NULL);
    fprintf(file,
            "tide.retention('endless', { match = '{a=\"endless\"}',\n"
            "  keep = function() while true do pcall(error) end end })\n"
            "tide.retention('days', function(s) if s.labels.a then return '%dd' end end)\n"
            "tide.admit('mark', function(s) s.labels.days = '%d' end)\n%s",
            days, days, broken ? "oops(" : "");
    fclose(file);
    TIDE_ASSERT(rename(hidden, path) == 0);
}

static void *ask(void *arg)
{
    struct run *run = arg;
    const struct policy *policy = run->policy;
    struct error err;
    struct label plain = {"a", "1", 1, 1};
    struct label endless = {"a", "endless", 1, 7};
    struct labels *labels = labels_new(&plain, 1, &err);
    struct labels *endless_labels = labels_new(&endless, 1, &err);
    struct labels_builder builder;
    char why[100];

    labels_builder_init(&builder);
    for (int i = 0; __atomic_load_n(&run->stop, __ATOMIC_RELAXED) == 0; i++) {
        struct series_view view = {.labels = labels};
        int64_t keep_ms = policy->retention_of(policy->ctx, &view).keep_ms;

        __atomic_add_fetch(&run->asked, 1, __ATOMIC_RELAXED);
        if (keep_ms != DAY_MS && keep_ms != 2 * DAY_MS)
            __atomic_add_fetch(&run->wrong, 1, __ATOMIC_RELAXED);
        labels_builder_reset(&builder, labels);
        if (policy->admit(policy->ctx, &builder, why, sizeof(why)) != ADMIT_CHANGED)
            __atomic_add_fetch(&run->wrong, 1, __ATOMIC_RELAXED);
        if (i % 500 == 0) {
            view.labels = endless_labels;
            if (policy->retention_of(policy->ctx, &view).keep_ms == RETENTION_FOREVER)
                __atomic_add_fetch(&run->stopped, 1, __ATOMIC_RELAXED);
        }
    }
    labels_builder_destroy(&builder);
    labels_unref(labels);
    labels_unref(endless_labels);
    return NULL;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/rules.XXXXXX";
    char path[100];
    struct run run = {0};
    struct error err;

    if (argc != 3 || mkdtemp(folder) == NULL)
        return 2;
    long threads = strtol(argv[1], NULL, 10);
    long reloads = strtol(argv[2], NULL, 10);
    struct thread *thread = mem_zalloc((size_t)threads, sizeof(*thread));
    struct rulebook_options options = {.folder = folder, .time_ms = 100};
    uint64_t versions = 1;

    logger_set_level(LOG_LEVEL_ERROR);
    write_script(folder, 1, false);
    run.book = rulebook_open(&options, &err);
    TIDE_ASSERT(run.book != NULL);
    run.policy = rulebook_policy(run.book);
    for (long i = 0; i < threads; i++)
        TIDE_ASSERT(thread_start(&thread[i], "ask", SANDBOX_STACK_BYTES, ask, &run, &err) == 0);
    for (long i = 0; i < reloads; i++) {
        struct buf described = {0};
        bool broken = i % 3 == 2;

        write_script(folder, (int)(i % 2) + 1, broken);
        if (rulebook_reload(run.book, &err) == 0)
            versions++;
        else if (!broken)
            run.wrong++;
        rulebook_describe(run.book, &described);
        buf_destroy(&described);
        /* So that threads ask each version. */
        uint64_t asked = __atomic_load_n(&run.asked, __ATOMIC_RELAXED);
        while (__atomic_load_n(&run.asked, __ATOMIC_RELAXED) < asked + 20)
            usleep(100);
    }
    __atomic_store_n(&run.stop, 1, __ATOMIC_RELAXED);
    for (long i = 0; i < threads; i++)
        thread_join(&thread[i]);
    printf("versions %" PRIu64 " wrong %" PRIu64 " stopped %s\n", rulebook_version(run.book),
           run.wrong, run.stopped > 0 ? "yes" : "no");
    if (rulebook_version(run.book) != versions)
        run.wrong++;
    rulebook_close(run.book);
    snprintf(path, sizeof(path), "%s/a.lua", folder);
    unlink(path);
    rmdir(folder);
    mem_free(thread);
    return run.wrong == 0 ? 0 : 1;
}
