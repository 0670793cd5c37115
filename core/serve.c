/* serve.c - see serve.h. */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <malloc.h>

#include "base/clock.h"
#include "base/fetch.h"
#include "base/heap_trim.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "base/thread.h"
#include "console/console_server.h"
#include "http/http_server.h"
#include "promql/running.h"
#include "script/host.h"
#include "script/rulebook.h"
#include "script/sandbox.h"
#include "script/scheduler.h"
#include "store/store.h"
#include "version.h"

/* How often the service manager hears of us, and how much longer it waits for the start each time.
 */
#define REPORT_MS 5000
#define START_TIMEOUT_US 60000000

/* All parts of a running server. */
struct server {
    const struct arguments *arguments;
    const struct config *config;
    struct config reloaded; /* the newest, of which only some keys hold; zeroed: none yet */
    struct metrics *metrics;
    struct store_progress progress;
    struct http_server *http;
    struct store *store;
    struct store *serving; /* atomic: the same while it serves, for the console */
    struct running_queries *running;
    struct rulebook *rules; /* always there; without scripts it has no rules */
    struct scheduler *scheduler;
    struct console_server *consoles[2]; /* the console, the one that only looks; NULL: none */
    struct thread opener; /* opens the store while the main thread listens for signals */
    sigset_t signals;
    struct lock reload_lock; /* one reload at a time; guards `reloaded` */
    struct error open_error;
};

/* Signals are taken by sigwait on the main thread; a reader that went away is an error of write. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGUSR1); /* the opener has ended */
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Connections and series files need more descriptors than the usual soft limit allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Buffers of pushes and answers come and go: what is free goes back to the system at once, and
 * large ones live in maps of their own (the C library's thresholds rise with use, up to 32 MiB). */
static void trim_heap(void)
{
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

/* Threads that ask the operator's rules need more stack than a system may give. */
static void raise_stack_size(void)
{
    pthread_attr_t attributes;
    size_t size;

    if (pthread_getattr_default_np(&attributes) != 0)
        return;
    if (pthread_attr_getstacksize(&attributes, &size) == 0 && size < SANDBOX_STACK_BYTES &&
        pthread_attr_setstacksize(&attributes, SANDBOX_STACK_BYTES) == 0)
        pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

void serve_fill_rule_options(struct rulebook_options *options, const struct config *config,
                             struct metrics *metrics)
{
    *options = (struct rulebook_options){
        .folder = config->scripts,
        .time_ms = config->limits.script_time_ms,
        .memory_bytes = (size_t)config->limits.script_memory_bytes,
        .max_errors = (uint32_t)config->limits.script_errors,
        .metrics = metrics,
    };
}

/* The operator's scripts, before anything is opened: those that do not load refuse the start. */
static int open_rules(struct server *server, struct error *err)
{
    struct rulebook_options options;

    serve_fill_rule_options(&options, server->config, server->metrics);
    server->rules = rulebook_open(&options, err);
    return server->rules != NULL ? 0 : -1;
}

static bool has_scripts(const struct server *server)
{
    return server->config->scripts[0] != '\0';
}

/* What changed in the configuration, but not in this server. */
static void tell_of_restart(const struct server *server, const struct config *config)
{
    static const char *const reloaded[] = {"log.level",
                                           "log.format",
                                           "log.requests",
                                           "log.slow_request",
                                           "log.requests_per_second",
                                           "http.users",
                                           "http.cors_origins",
                                           NULL};
    struct buf names = {0};

    config_differences(server->config, config, reloaded, &names);
    if (names.len != 0)
        log_warn("changes that need a restart", "keys=\"%.*s\"", (int)names.len,
                 (const char *)names.data);
    buf_destroy(&names);
}

/* The configuration as it is now: what of it may change. */
static int reload_config(struct server *server, struct error *err)
{
    struct config config;
    int result;

    if (arguments_try_config(server->arguments, &config, err) != 0)
        return -1;
    result = http_server_reload(server->http, &config, err);
    if (result != 0) {
        config_destroy(&config);
        return -1;
    }
    logger_set_level((enum log_level)config.log_level);
    logger_set_format((enum log_format)config.log_format);
    tell_of_restart(server, &config);
    config_destroy(&server->reloaded);
    server->reloaded = config;
    return 0;
}

/* What may change while the server runs. Scripts that do not load change nothing at all. */
static int reload_all(struct server *server, struct error *err)
{
    struct store *store;

    if (server->rules != NULL && rulebook_reload(server->rules, err) != 0)
        return -1;
    store = __atomic_load_n(&server->serving, __ATOMIC_ACQUIRE);
    if (store != NULL)
        store_refresh_rules(store);
    return reload_config(server, err);
}

/* Any thread. */
static int reload(void *ctx, struct error *err)
{
    struct server *server = ctx;
    int result;

    lock_acquire(&server->reload_lock);
    result = reload_all(server, err);
    http_server_reloaded(server->http, result == 0 ? NULL : err);
    lock_release(&server->reload_lock);
    if (result == 0)
        log_info("reloaded", NULL);
    else
        log_error("reload failed, what was in force stays", "error=\"%s\"", err->text);
    return result;
}

/* Any thread. */
static void tell_config(void *ctx, struct buf *out)
{
    struct server *server = ctx;

    lock_acquire(&server->reload_lock);
    config_list(server->config,
                server->reloaded.origins != NULL ? &server->reloaded : server->config, out);
    lock_release(&server->reload_lock);
}

void serve_fill_store_options(struct store_options *options, const struct config *config,
                              struct metrics *metrics)
{
    store_options_init(options);
    options->data_dir = config->data;
    options->retention_ms = config->storage.retention_ms == CONFIG_FOREVER_MS
                                ? RETENTION_FOREVER
                                : config->storage.retention_ms;
    options->chunk_encoding = (int)config->storage.chunk_encoding;
    options->out_of_order_ms = config->storage.out_of_order_ms;
    options->duplicates = (enum duplicate_rule)config->storage.duplicates;
    options->head_chunk_timeout_ms = config->storage.head_chunk_timeout_ms;
    options->checkpoint_interval_ms = config->storage.checkpoint_interval_ms;
    options->checkpoint_dirty_series_limit =
        (uint64_t)config->storage.checkpoint_dirty_series_limit;
    options->series_sync = (enum series_sync)config->storage.series_sync;
    options->min_shrink_ratio = config->storage.min_shrink_ratio;
    options->memory_target_bytes = (uint64_t)config->storage.memory_target_bytes;
    options->min_free_bytes = (uint64_t)config->storage.min_free_bytes;
    options->clock_slack_ms = config->storage.clock_slack_ms;
    options->disk_low_bytes = (uint64_t)config->storage.disk_low_bytes;
    options->hold_share = config->retention.hold_share;
    options->hold_least_bytes = (uint64_t)config->retention.hold_least_bytes;
    options->undelete_hold_ms = config->retention.undelete_hold_ms;
    options->trash_ttl_ms = config->trash.ttl_ms;
    options->wal_sync = (int)config->wal.sync;
    options->wal_interval_ms = config->wal.interval_ms;
    options->wal_replay_target_ms = config->wal.replay_target_ms;
    options->wal_max_bytes = (uint64_t)config->wal.max_size_bytes;
    options->limits.future_ms = config->limits.future_ms;
    options->limits.labels_per_series = (uint32_t)config->limits.labels_per_series;
    options->limits.label_name_bytes = (uint32_t)config->limits.label_name_bytes;
    options->limits.label_value_bytes = (uint32_t)config->limits.label_value_bytes;
    options->limits.max_series = (uint64_t)config->limits.series;
    options->limits.max_total_series = (uint64_t)config->limits.total_series;
    options->metrics = metrics;
}

static int start_http(struct server *server, struct error *err)
{
    struct http_options options;

    http_options_init(&options);
    http_options_configure(&options, server->config);
    options.version = TIDE_VERSION;
    options.progress = &server->progress;
    options.metrics = server->metrics;
    server->running = running_queries_new(server->config->query.log_slower_than_ms * 1000000);
    options.running = server->running;
    if (has_scripts(server))
        options.rules = server->rules;
    options.console = server->rules;
    options.console_time_ms = server->config->console.time_ms;
    options.reload = reload;
    options.reload_ctx = server;
    server->http = http_server_start(&options, err);
    return server->http != NULL ? 0 : -1;
}

/* The word in a console's prompt. */
static void describe_state(void *ctx, char *out, size_t size)
{
    const struct server *server = ctx;
    struct store_progress_view progress = store_progress_get(&server->progress);
    struct store *store = __atomic_load_n(&server->serving, __ATOMIC_ACQUIRE);
    struct store_stats stats;

    out[0] = '\0';
    if (store == NULL) {
        snprintf(out, size, "%s", progress.phase);
        return;
    }
    store_stats_get(store, &stats);
    if (stats.read_only)
        snprintf(out, size, "read only");
    else if (stats.throttled)
        snprintf(out, size, "throttled");
    else if (stats.disk_full)
        snprintf(out, size, "disk full");
}

/* A console is a help and no condition: a server without one serves. */
static struct console_server *start_console(struct server *server, const char *path,
                                            bool only_looks)
{
    struct console_options options = {
        .path = path,
        .only_looks = only_looks,
        .book = server->rules,
        .version = TIDE_VERSION,
        .time_ms = server->config->console.time_ms,
        .connections = (size_t)server->config->console.connections,
        .state = describe_state,
        .state_ctx = server,
        .metrics = server->metrics,
    };
    struct console_server *console;
    struct error err;

    console = console_server_start(&options, &err);
    if (console == NULL)
        log_warn("there is no console", "error=\"%s\"", err.text);
    return console;
}

static void start_consoles(struct server *server)
{
    const char *looking = server->config->console.read_only_socket;
    char path[4096];

    if (server->consoles[0] == NULL && arguments_console_path(server->config, path, sizeof(path)))
        server->consoles[0] = start_console(server, path, false);
    if (server->consoles[1] == NULL && looking[0] != '\0')
        server->consoles[1] = start_console(server, looking, true);
}

/* A folder that is none must stay empty until it is made into one. */
static bool is_store(const char *folder)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/VERSION", folder);
    return access(path, F_OK) == 0;
}

static void *open_store(void *arg)
{
    struct server *server = arg;
    struct store_options options;

    serve_fill_store_options(&options, server->config, server->metrics);
    if (has_scripts(server))
        options.policy = rulebook_policy(server->rules);
    server->store = store_open(&options, &server->progress, &server->open_error);
    kill(getpid(), SIGUSR1);
    return NULL;
}

/* The scripts may act from now on. */
static void start_scripts(struct server *server)
{
    const struct config *config = server->config;
    char url[1024];
    const char *unix_socket;
    struct script_host host = {
        .store = server->store,
        .running = server->running,
        .lookback_ms = config->query.lookback_ms,
        .query_timeout_ms = config->query.timeout_ms,
        .query_max_samples = (size_t)config->query.max_samples,
        .query_max_series = (size_t)config->query.max_series,
        .reload = reload,
        .tell_config = tell_config,
        .reload_ctx = server,
        /* With a bound of its own the store looks. */
        .data_dir = config->storage.disk_low_bytes == 0 ? config->data : NULL,
    };
    struct scheduler_options options = {
        .book = server->rules,
        .time_ms = config->limits.script_timer_time_ms,
        .webhooks = config->alerts.webhooks,
        .webhook_timeout_ms = config->alerts.timeout_ms,
        .resend_ms = config->alerts.resend_ms,
        .source_url = config->alerts.url,
        .metrics = server->metrics,
    };
    struct error err;

    rulebook_attach(server->rules, &host);
    if (config->alerts.url[0] == '\0') {
        fetch_address(http_server_address(server->http, 0), url, sizeof(url), &unix_socket);
        options.source_url = url;
    }
    server->scheduler = scheduler_start(&options, &err);
    if (server->scheduler == NULL)
        log_error("timers and alerts do not run", "error=\"%s\"", err.text);
}

static void announce(struct server *server, int64_t begin_ns)
{
    struct store_stats stats;

    start_scripts(server);
    __atomic_store_n(&server->serving, server->store, __ATOMIC_RELEASE);
    start_consoles(server);
    http_server_open(server->http, server->store);
    store_stats_get(server->store, &stats);
    log_info("ready", "series=%" PRIu64 " archived=%" PRIu64 " data=%s took_ms=%" PRId64,
             stats.series_in_memory, stats.series_archived, server->config->data,
             (clock_mono_ns(clock_system()) - begin_ns) / 1000000);
    notify_manager("READY=1\nSTATUS=serving");
}

/* How we are, for the service manager: what is served, or how far the opening is. */
static void report(struct server *server, bool is_open)
{
    struct store_progress_view progress = store_progress_get(&server->progress);
    struct store_stats stats;
    char text[256];

    if (is_open) {
        store_stats_get(server->store, &stats);
        snprintf(text, sizeof(text),
                 "WATCHDOG=1\nSTATUS=serving %" PRIu64 " series, %" PRIu64 " more archived",
                 stats.series_in_memory, stats.series_archived);
    } else {
        snprintf(text, sizeof(text),
                 "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=%d\nSTATUS=%s: %" PRIu64 " of %" PRIu64,
                 START_TIMEOUT_US, progress.phase, progress.done, progress.total);
    }
    notify_manager(text);
}

/* The next signal; 0 when it is time for a report. */
static int next_signal(const struct server *server, int64_t report_ms)
{
    struct timespec wait = {.tv_sec = report_ms / 1000, .tv_nsec = report_ms % 1000 * 1000000};
    int number = sigtimedwait(&server->signals, NULL, &wait);

    return number == -1 ? 0 : number;
}

/* Waits for signals until it is time to stop. @return 0 to stop, -1 if the store did not open. */
static int wait_for_the_end(struct server *server)
{
    int64_t begin_ns = clock_mono_ns(clock_system());
    int64_t watchdog_ms = notify_watchdog_ms();
    int64_t report_ms = watchdog_ms > 0 ? TIDE_MIN(watchdog_ms / 2, REPORT_MS) : REPORT_MS;
    bool stop_when_open = false, is_open = false;
    struct heap_trim trim = {0};

    for (;;) {
        int number = next_signal(server, report_ms);

        if (number == 0) {
            report(server, is_open);
            (void)heap_trim(&trim);
        } else if (number == SIGHUP) {
            (void)!reload(server, &(struct error){0});
        } else if (number == SIGUSR1 && server->opener.started) {
            thread_join(&server->opener);
            if (server->store == NULL)
                return -1;
            if (stop_when_open)
                return 0;
            announce(server, begin_ns);
            is_open = true;
        } else if (number == SIGTERM || number == SIGINT) {
            log_info("stopping", "signal=%s", number == SIGTERM ? "TERM" : "INT");
            notify_manager("STOPPING=1");
            if (!server->opener.started)
                return 0;
            stop_when_open = true; /* what is being opened is closed as soon as it is whole */
        }
    }
}

static int stop(struct server *server)
{
    struct error err;
    int result = 0;

    http_server_stop(server->http);
    console_server_stop(server->consoles[0]);
    console_server_stop(server->consoles[1]);
    scheduler_stop(server->scheduler);
    rulebook_attach(server->rules, NULL);
    if (server->store != NULL && store_close(server->store, &err) != 0) {
        log_error("could not stop cleanly; the next start recovers", "error=\"%s\"", err.text);
        result = -1;
    }
    rulebook_close(server->rules);
    config_destroy(&server->reloaded);
    running_queries_free(server->running);
    metrics_free(server->metrics);
    if (result == 0)
        log_info("stopped", NULL);
    return result;
}

int serve(const struct arguments *arguments, const struct config *config)
{
    struct server server = {.arguments = arguments, .config = config, .metrics = metrics_new()};
    struct error err;
    int result;

    lock_init(&server.reload_lock);
    logger_set_level((enum log_level)config->log_level);
    logger_set_format((enum log_format)config->log_format);
    raise_descriptor_limit();
    trim_heap();
    block_signals(&server.signals);
    raise_stack_size(); /* a reload may come on any thread */
    if (open_rules(&server, &err) != 0 || start_http(&server, &err) != 0 ||
        thread_start(&server.opener, "opener", 0, open_store, &server, &err) != 0) {
        fprintf(stderr, "tidemark: %s\n", err.text);
        stop(&server);
        return -1;
    }
    if (is_store(config->data))
        start_consoles(&server); /* a recovery can be watched */
    result = wait_for_the_end(&server);
    if (result != 0)
        fprintf(stderr, "tidemark: %s\n", server.open_error.text);
    if (stop(&server) != 0)
        result = -1;
    return result;
}
