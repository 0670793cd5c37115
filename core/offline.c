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

static int make_scratch(struct offline *offline, const char *parent, struct error *err)
{
    struct buf path = {0};

    if (parent == NULL)
        parent = getenv("TMPDIR");
    buf_printf(&path, "%s/tidemark-XXXXXX", parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    buf_putc(&path, '\0');
    if (mkdtemp((char *)path.data) == NULL) {
        error_set_errno(err, "cannot make a scratch folder (%s; --scratch DIR puts it elsewhere)",
                        (const char *)path.data);
        buf_destroy(&path);
        return -1;
    }
    offline->scratch_path = (char *)path.data;
    offline->scratch = volume_posix_open(offline->scratch_path, false, err);
    return offline->scratch != NULL ? 0 : -1;
}

static int collect_name(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct buf *names = ctx;

    (void)err;
    buf_putc(names, entry->stat.is_folder ? 'd' : 'f');
    buf_append(names, entry->name, strlen(entry->name) + 1);
    return 0;
}

static void remove_scratch(struct volume *scratch)
{
    struct buf names = {0};
    struct error err;

    if (scratch->list(scratch, "", collect_name, &names, &err) == 0) {
        for (size_t at = 0; at < names.len;) {
            const char *name = (const char *)names.data + at + 1;

            if (names.data[at] == 'd')
                (void)scratch->remove_folder(scratch, name, &err);
            else
                (void)scratch->remove(scratch, name, &err);
            at += strlen(name) + 2;
        }
    }
    buf_destroy(&names);
}

static void remove_folder_of(struct offline *offline)
{
    if (offline->scratch != NULL)
        remove_scratch(offline->scratch);
    if (offline->scratch_path != NULL && rmdir(offline->scratch_path) != 0)
        fprintf(stderr, "tidemark: %s could not be removed: %s\n", offline->scratch_path,
                strerror(errno));
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
    remove_folder_of(offline);
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
         (make_scratch(offline, parent, &err) == 0 && watch_signals(offline, &err) == 0)))
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
    remove_folder_of(offline);
    if (offline->scratch != NULL)
        offline->scratch->close(offline->scratch);
    mem_free(offline->scratch_path);
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
