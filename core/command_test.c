/* command_test.c - `tidemark test`: the operator's tests of their rules, each on a store of its own
 * and by a clock that it moves. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "command.h"
#include "scratch.h"
#include "script/trial.h"
#include "serve.h"
#include "wire/result_json.h"

/* Memory, where there is such a place: stores come and go, and sync in vain. */
#define MEMORY_FOLDER "/dev/shm"
#define DEFAULT_SECONDS 10
#define MAX_SECONDS 3600

struct run {
    const struct config *config;
    const char *filter; /* NULL: all */
    const char *parent; /* of the scratch folder; NULL: where it is quick */
    bool json;
    int64_t time_ms;
    char *folder;     /* of the scripts; owned */
    const char *file; /* the one to try; NULL: all of the folder */

    struct scratch scratch;
    struct trial_options trial;
    struct buf listed; /* of --json */
    size_t passed, failed, ran;
    int status;
    int cancelled; /* atomic: by a signal */
};

/* --- telling -----------------------------------------------------------------------------------
 */

/* Each line of a text behind a margin. */
static void put_lines(FILE *out, const struct buf *text)
{
    for (size_t at = 0; at < text->len;) {
        const char *line = (const char *)text->data + at;
        const char *end = memchr(line, '\n', text->len - at);
        size_t len = end != NULL ? (size_t)(end - line) : text->len - at;

        fprintf(out, "      %.*s\n", (int)len, line);
        at += len + 1;
    }
}

static void put_member(struct buf *out, const char *name, const char *text, size_t len)
{
    buf_printf(out, ",\"%s\":", name);
    json_put_string(out, text != NULL ? text : "", len);
}

static void list(struct run *run, const struct script_file *file, const struct trial_entry *entry,
                 const struct trial_result *result)
{
    struct buf *out = &run->listed;

    buf_puts(out, out->len != 0 ? ",{\"file\":" : "{\"file\":");
    json_put_string(out, file->chunk_name + 1, strlen(file->chunk_name + 1));
    if (entry != NULL) {
        put_member(out, "title", entry->title, strlen(entry->title));
        buf_printf(out, ",\"line\":%d", entry->line);
    }
    buf_printf(out, ",\"passed\":%s,\"seconds\":%.6f", result->passed ? "true" : "false",
               (double)result->took_ns / 1e9);
    if (!result->passed)
        put_member(out, "problem", (char *)result->problem.data, result->problem.len);
    if (result->printed.len != 0)
        put_member(out, "printed", (char *)result->printed.data, result->printed.len);
    buf_putc(out, '}');
}

/* `entry` NULL: the file does not load. */
static void tell(struct run *run, const struct script_file *file, const struct trial_entry *entry,
                 const struct trial_result *result)
{
    *(result->passed ? &run->passed : &run->failed) += 1;
    if (run->json) {
        list(run, file, entry, result);
        return;
    }
    printf("%s  %s%s%s\n", result->passed ? "ok  " : "FAIL", file->name, entry != NULL ? ": " : "",
           entry != NULL ? entry->title : "");
    put_lines(stdout, &result->printed);
    put_lines(stdout, &result->problem);
    fflush(stdout);
}

static void tell_end(const struct run *run)
{
    if (run->json)
        printf("{\"passed\":%zu,\"failed\":%zu,\"tests\":[%.*s]}\n", run->passed, run->failed,
               (int)run->listed.len, run->listed.len != 0 ? (char *)run->listed.data : "");
    else
        printf("%zu passed, %zu failed\n", run->passed, run->failed);
}

/* --- running -----------------------------------------------------------------------------------
 */

static bool is_cancelled(const struct run *run)
{
    return __atomic_load_n(&run->cancelled, __ATOMIC_RELAXED) != 0;
}

static bool is_wanted(const struct run *run, const struct script_file *file,
                      const struct trial_entry *entry)
{
    struct buf name = {0};
    bool wanted;

    if (run->filter == NULL)
        return true;
    buf_printf(&name, "%s: %s", file->name, entry->title);
    buf_putc(&name, '\0');
    wanted = strstr((char *)name.data, run->filter) != NULL;
    buf_destroy(&name);
    return wanted;
}

static void try_one(struct run *run, const struct script_file *file, const struct trial_list *tests,
                    size_t index)
{
    struct trial_result result = {0};
    struct buf folder = {0};
    char name[32];
    struct error err;

    snprintf(name, sizeof(name), "%zu", run->ran++);
    buf_printf(&folder, "%s/%s", run->scratch.path, name);
    buf_putc(&folder, '\0');
    run->trial.data_dir = (char *)folder.data;
    trial_run(&run->trial, file, tests, index, &result);
    if (run->scratch.volume->remove_folder(run->scratch.volume, name, &err) != 0)
        fprintf(stderr, "tidemark: %s\n", err.text);
    if (!is_cancelled(run))
        tell(run, file, &tests->items[index], &result);
    trial_result_destroy(&result);
    buf_destroy(&folder);
}

static void try_file(struct run *run, const struct script_file *file)
{
    struct trial_list tests = {0};
    struct error err;

    if (trial_list_read(&run->trial, file, &tests, &err) != 0) {
        struct trial_result result = {0};

        buf_puts(&result.problem, err.text);
        tell(run, file, NULL, &result);
        trial_result_destroy(&result);
        trial_list_destroy(&tests);
        return;
    }
    for (size_t i = 0; i < tests.count && !is_cancelled(run); i++) {
        if (is_wanted(run, file, &tests.items[i]))
            try_one(run, file, &tests, i);
    }
    trial_list_destroy(&tests);
}

/* Scripts that do not load are told once, not by every test. */
static int load_scripts(const struct run *run, struct error *err)
{
    struct rulebook_options options = run->trial.rules;
    struct rulebook *book;

    options.folder = run->folder;
    book = rulebook_open(&options, err);
    rulebook_close(book);
    return book != NULL ? 0 : -1;
}

static int try_all(struct run *run, struct error *err)
{
    struct script_file *files;
    size_t count;
    bool found = false;

    if (load_scripts(run, err) != 0 ||
        script_files_read_tests(run->folder, &files, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count && !is_cancelled(run); i++) {
        if (run->file != NULL && strcmp(files[i].name, run->file) != 0)
            continue;
        found = true;
        try_file(run, &files[i]);
    }
    script_files_free(files, count);
    if (!found && !is_cancelled(run))
        return error_set(err, ERR_NOT_FOUND, "%s: there is no %s", run->folder,
                         run->file != NULL ? run->file : "*_test.lua");
    if (run->passed + run->failed == 0 && run->filter != NULL && !is_cancelled(run))
        return error_set(err, ERR_NOT_FOUND, "no test's name has '%s' in it", run->filter);
    return 0;
}

static void *work(void *arg)
{
    struct run *run = arg;
    struct error err;

    run->status = EXIT_FOUND;
    if (try_all(run, &err) != 0) {
        fprintf(stderr, "tidemark: %s\n", err.text);
    } else if (!is_cancelled(run)) {
        tell_end(run);
        run->status = run->failed == 0 ? EXIT_GOOD : EXIT_FOUND;
    }
    kill(getpid(), SIGUSR1);
    return NULL;
}

/* A thread with the stack that sandboxes want, while this one takes signals: what was begun is
 * ended and cleared away. */
static void work_and_watch(struct run *run)
{
    struct thread thread = {0};
    sigset_t signals;
    int number = 0;
    struct error err;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1); /* the work is done */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (thread_start(&thread, "tests", TRIAL_STACK_BYTES, work, run, &err) != 0) {
        fprintf(stderr, "tidemark: %s\n", err.text);
        run->status = EXIT_FOUND;
        return;
    }
    while (sigwait(&signals, &number) != 0)
        ;
    if (number != SIGUSR1) {
        __atomic_store_n(&run->cancelled, 1, __ATOMIC_RELAXED);
        thread_join(&thread);
        run->status = 128 + number;
        return;
    }
    thread_join(&thread);
}

static const char *scratch_parent(const struct run *run)
{
    if (run->parent != NULL)
        return run->parent;
    return access(MEMORY_FOLDER, W_OK) == 0 ? MEMORY_FOLDER : NULL;
}

static int run_tests(struct run *run)
{
    const struct config *config = run->config;
    struct error err;

    serve_fill_store_options(&run->trial.store, config, NULL);
    serve_fill_rule_options(&run->trial.rules, config, NULL);
    run->trial.folder = run->folder;
    run->trial.host = (struct script_host){
        .lookback_ms = config->query.lookback_ms,
        .query_timeout_ms = config->query.timeout_ms,
        .query_max_samples = (size_t)config->query.max_samples,
        .query_max_series = (size_t)config->query.max_series,
    };
    run->trial.timer_time_ms = config->limits.script_timer_time_ms;
    run->trial.resend_ms = config->alerts.resend_ms;
    run->trial.time_ms = run->time_ms;
    run->trial.cancelled = &run->cancelled;
    logger_set_level(LOG_LEVEL_NONE); /* what goes wrong, tests say */
    if (scratch_make(&run->scratch, scratch_parent(run), &err) != 0) {
        fprintf(stderr, "tidemark: %s\n", err.text);
        run->status = EXIT_FOUND;
    } else {
        work_and_watch(run);
    }
    scratch_remove(&run->scratch);
    return run->status;
}

/* --- arguments ---------------------------------------------------------------------------------
 */

/* A folder of scripts, or one test file in it. */
static void take_operand(struct run *run, const char *operand)
{
    const char *slash = strrchr(operand, '/');
    struct stat stat_buf;
    struct buf folder = {0};
    size_t len = strlen(operand);

    if (stat(operand, &stat_buf) == 0 && S_ISREG(stat_buf.st_mode)) {
        run->file = slash != NULL ? slash + 1 : operand;
        if (slash == NULL) {
            operand = ".";
            len = 1;
        } else {
            len = TIDE_MAX((size_t)(slash - operand), (size_t)1);
        }
    }
    while (len > 1 && operand[len - 1] == '/')
        len--;
    buf_append(&folder, operand, len);
    buf_putc(&folder, '\0');
    run->folder = (char *)folder.data;
}

static int take_seconds(struct run *run, const char *text)
{
    char *end;
    long seconds = text != NULL ? strtol(text, &end, 10) : DEFAULT_SECONDS;

    if (text != NULL && (*text == '\0' || *end != '\0' || seconds < 1 || seconds > MAX_SECONDS)) {
        fprintf(stderr, "tidemark test: --time-limit %s: whole seconds from 1 to %d, please\n",
                text, MAX_SECONDS);
        return -1;
    }
    run->time_ms = seconds * 1000;
    return 0;
}

int command_test(int argc, char **argv)
{
    struct run run = {0};
    const char *time_limit = NULL;
    const struct command_option options[] = {{"--filter", &run.filter, NULL},
                                             {"--json", NULL, &run.json},
                                             {"--time-limit", &time_limit, NULL},
                                             {"--scratch", &run.parent, NULL},
                                             {0}};
    struct arguments arguments;
    struct config config;
    int status;

    if (arguments_parse(&arguments, argc, argv, options, 1) != 0 ||
        take_seconds(&run, time_limit) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    if (arguments.operand_count == 0 && config.scripts[0] == '\0') {
        fprintf(stderr, "tidemark test: which scripts? A folder, or --scripts DIR, please\n");
        config_destroy(&config);
        return EXIT_USAGE;
    }
    take_operand(&run, arguments.operand_count != 0 ? arguments.operands[0] : config.scripts);
    run.config = &config;
    status = run_tests(&run);
    mem_free(run.folder);
    buf_destroy(&run.listed);
    config_destroy(&config);
    return status;
}
