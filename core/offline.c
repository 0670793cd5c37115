/* offline.c - see offline.h. */
#include "offline.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "disk/version.h"

#define PROGRESS_NS ((int64_t)500 * 1000 * 1000)
/* Not on a terminal each line stays. */
#define LINES_NS ((int64_t)10 * 1000 * 1000 * 1000)

/* --- folders ------------------------------------------------------------------------------------
 */

/* Those that end the command, and the one that says it has ended. */
static void set_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGUSR1);
}

/* Waits for a signal that ends the command: copies may be large, and are not to stay. */
static void *wait_for_signal(void *arg)
{
    struct offline *offline = arg;
    sigset_t signals;
    int number;

    set_signals(&signals);
    if (sigwait(&signals, &number) != 0 || number == SIGUSR1)
        return NULL;
    offline_end_progress();
    scratch_clear(&offline->scratch); /* which another thread may be using */
    _exit(128 + number);
}

static int watch_signals(struct offline *offline, struct error *err)
{
    sigset_t signals;

    set_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return thread_start(&offline->signals, "signals", 0, wait_for_signal, offline, err);
}

/* Nothing here is to make a store of a folder that is none. */
static int open_folder(struct offline *offline, const char *data, struct error *err)
{
    struct volume_stat stat;

    offline->folder = volume_posix_open(data, false, err);
    if (offline->folder == NULL)
        return -1;
    if (offline->folder->stat(offline->folder, VERSION_FILE, &stat, err) != 0)
        return error_note(err, "%s is no data folder", data);
    return 0;
}

int offline_open(struct offline *offline, const char *data, bool with_scratch, const char *parent)
{
    struct error err;

    *offline = (struct offline){.shown_ns = 0};
    if (open_folder(offline, data, &err) == 0 &&
        (!with_scratch ||
         (scratch_make(&offline->scratch, parent, &err) == 0 && watch_signals(offline, &err) == 0)))
        return 0;
    fprintf(stderr, "tidemark: %s\n", err.text);
    offline_close(offline);
    return -1;
}

void offline_close(struct offline *offline)
{
    if (offline->signals.started) {
        pthread_kill(offline->signals.id, SIGUSR1);
        thread_join(&offline->signals);
    }
    scratch_remove(&offline->scratch);
    if (offline->folder != NULL)
        offline->folder->close(offline->folder);
    *offline = (struct offline){0};
}

/* --- progress -----------------------------------------------------------------------------------
 */

static bool on_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

void offline_show_progress(struct offline *offline, const char *phase, uint64_t done,
                           uint64_t total)
{
    int64_t now_ns = clock_mono_ns(clock_system());

    if (offline->shown_ns == 0)
        offline->shown_ns = now_ns;
    if (now_ns - offline->shown_ns < (on_terminal() ? PROGRESS_NS : LINES_NS))
        return;
    offline->shown_ns = now_ns;
    fprintf(stderr, "%s%s: %" PRIu64, on_terminal() ? "\r\033[K" : "", phase, done);
    if (total != 0)
        fprintf(stderr, " of %" PRIu64, total);
    if (!on_terminal())
        fputc('\n', stderr);
    fflush(stderr);
}

void offline_end_progress(void)
{
    if (on_terminal())
        fputs("\r\033[K", stderr);
}

/* --- a store ------------------------------------------------------------------------------------
 */

/* Says how far the store is while it opens. */
struct watcher {
    struct offline *offline;
    struct thread thread;
    struct lock done_lock; /* guards the next line */
    bool done;
    struct cond ended;
};

static void *watch(void *arg)
{
    struct watcher *watcher = arg;

    lock_acquire(&watcher->done_lock);
    while (!watcher->done) {
        cond_wait_for(&watcher->ended, &watcher->done_lock, on_terminal() ? PROGRESS_NS : LINES_NS);
        if (!watcher->done) {
            struct store_progress_view view = store_progress_get(&watcher->offline->progress);

            offline_show_progress(watcher->offline, view.phase, view.done, view.total);
        }
    }
    lock_release(&watcher->done_lock);
    return NULL;
}

static void end_watch(struct watcher *watcher)
{
    lock_acquire(&watcher->done_lock);
    watcher->done = true;
    cond_broadcast(&watcher->ended);
    lock_release(&watcher->done_lock);
    thread_join(&watcher->thread);
    lock_destroy(&watcher->done_lock);
    cond_destroy(&watcher->ended);
    offline_end_progress();
}

struct store *offline_open_store(struct offline *offline, struct volume *volume, bool repair)
{
    struct watcher watcher = {.offline = offline};
    struct store_options options;
    struct store *store;
    struct error err;

    store_options_init(&options);
    options.volume = volume;
    options.retention_ms = RETENTION_FOREVER;
    options.no_background = true;
    options.force_recovery = repair;
    options.pedantic = repair;
    lock_init(&watcher.done_lock);
    cond_init(&watcher.ended);
    if (thread_start(&watcher.thread, "progress", 0, watch, &watcher, &err) != 0)
        watcher.done = true;
    store = store_open(&options, &offline->progress, &err);
    end_watch(&watcher);
    if (store == NULL)
        fprintf(stderr, "tidemark: %s\n", err.text);
    return store;
}
