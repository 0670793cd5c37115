/* desk.c - see desk.h.
 *
 * The desk's thread evaluates and gathers events; the connection's worker takes them. When there
 * are none, the desk keeps the job that makes the next piece (http_stream.await) and runs it as
 * soon as there is something: nobody waits on a thread of the pool. */
#include "http/desk.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "http/query_pool.h"
#include "script/sandbox.h"
#include "script/session.h"
#include "wire/result_json.h"

#define MAX_DESKS 16
/* A session that nobody used for so long makes place for another one; or ends. */
#define REPLACE_NS ((int64_t)60 * 1000000000)
#define IDLE_NS ((int64_t)900 * 1000000000)
/* Events that nobody has taken; then the line waits. */
#define WAITING_BYTES ((size_t)256 << 10)
#define COMPLETE_NS ((int64_t)5 * 1000000000)
#define NICENESS 5

enum desk_work { DESK_IDLE, DESK_EVAL, DESK_COMPLETE };

struct desk {
    struct desks *desks;
    char id[DESK_ID_BYTES];
    char *user; /* "": unknown */
    char *tenant;
    char *name; /* for lists and audit lines: "ann", "http:10.0.0.7" */
    struct thread thread;
    int references; /* atomic: the list's, the streams' and those of calls */

    struct lock desk_lock; /* guards the rest; a leaf but for session_cancel */
    struct cond changed;   /* work, room, what was completed */
    enum desk_work work;
    char *text;
    size_t len;
    size_t cursor;
    bool closing;
    bool cancelled;          /* the work under way is to end */
    bool attached;           /* a stream takes the events */
    bool ended;              /* the last event is among them */
    struct buf events;       /* not taken yet */
    struct buf completion;   /* of the last DESK_COMPLETE */
    struct query_job *job;   /* waits for events */
    struct session *session; /* used by the thread, cancelled by all */
    int64_t used_ns;
};

struct desks {
    struct desks_options options;
    struct lock list_lock; /* guards the rest; desk_lock may be taken inside */
    struct desk *list[MAX_DESKS];
    size_t count;
    bool stopping;
};

/* --- life
 * ------------------------------------------------------------------------------------------- */

static void unref(struct desk *desk)
{
    if (__atomic_sub_fetch(&desk->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    buf_destroy(&desk->events);
    buf_destroy(&desk->completion);
    cond_destroy(&desk->changed);
    lock_destroy(&desk->desk_lock);
    mem_free(desk->text);
    mem_free(desk->user);
    mem_free(desk->tenant);
    mem_free(desk->name);
    mem_free(desk);
}

static struct desk *ref(struct desk *desk)
{
    __atomic_add_fetch(&desk->references, 1, __ATOMIC_RELAXED);
    return desk;
}

/* Under the desk's lock. */
static void cancel_locked(struct desk *desk)
{
    if (desk->work == DESK_IDLE)
        return;
    desk->cancelled = true;
    if (desk->session != NULL)
        session_cancel(desk->session);
    cond_broadcast(&desk->changed);
}

/* --- events
 * ----------------------------------------------------------------------------------------- */

static void put_head(struct buf *out, const char *event)
{
    buf_printf(out, "event: %s\ndata: ", event);
}

/* Takes the job that waits, to be run without the lock. */
static struct query_job *take_job_locked(struct desk *desk)
{
    struct query_job *job = desk->job;

    desk->job = NULL;
    return job;
}

static void run_job(struct query_job *job)
{
    if (job == NULL)
        return;
    job->run(job, NULL);
    job->done(job);
}

/* What print() writes, on the desk's thread. Waits for room, unless nobody listens. */
static void print(void *ctx, const char *text, size_t len)
{
    struct desk *desk = ctx;
    struct query_job *job;

    lock_acquire(&desk->desk_lock);
    while (desk->attached && !desk->cancelled && desk->events.len > WAITING_BYTES)
        cond_wait(&desk->changed, &desk->desk_lock);
    if (desk->attached && !desk->cancelled) {
        put_head(&desk->events, "output");
        json_put_string(&desk->events, text, len);
        buf_puts(&desk->events, "\n\n");
    }
    job = take_job_locked(desk);
    lock_release(&desk->desk_lock);
    run_job(job);
}

/* The last event. From here on the next line may come. */
static void put_end(struct desk *desk, const struct session_reply *reply)
{
    static const char *const names[] = {"done", "incomplete", "failed", "cancelled"};
    struct query_job *job;

    lock_acquire(&desk->desk_lock);
    put_head(&desk->events, names[reply->outcome]);
    buf_puts(&desk->events, "{\"text\":");
    json_put_string(&desk->events, (const char *)reply->text.data, reply->text.len);
    buf_puts(&desk->events, ",\"result\":");
    if (reply->json.len > 0)
        buf_append(&desk->events, reply->json.data, reply->json.len);
    else
        buf_puts(&desk->events, "null");
    buf_puts(&desk->events, "}\n\n");
    desk->ended = true;
    desk->work = DESK_IDLE;
    job = take_job_locked(desk);
    lock_release(&desk->desk_lock);
    run_job(job);
}

/* --- the desk's thread
 * ------------------------------------------------------------------------------ */

/* NULL with the reason in err. */
static struct session *session_of(struct desk *desk, struct error *err)
{
    const struct desks_options *options = &desk->desks->options;
    const struct session_options wanted = {.book = options->book,
                                           .user = desk->name,
                                           .tenant = desk->tenant[0] != '\0' ? desk->tenant : NULL,
                                           .time_ms = options->time_ms,
                                           .print = print,
                                           .print_ctx = desk};
    struct session *session = desk->session;

    if (session == NULL)
        session = session_open(&wanted, err);
    if (session == NULL)
        return NULL;
    lock_acquire(&desk->desk_lock);
    desk->session = session;
    session_uncancel(session);
    if (desk->cancelled)
        session_cancel(session);
    lock_release(&desk->desk_lock);
    return session;
}

static void evaluate(struct desk *desk)
{
    struct session_reply reply = {.outcome = SESSION_FAILED};
    struct error err;
    struct session *session = session_of(desk, &err);

    if (session != NULL)
        session_eval(session, desk->text, desk->len, &reply);
    else
        buf_puts(&reply.text, err.text);
    put_end(desk, &reply);
    session_reply_destroy(&reply);
}

static void complete(struct desk *desk)
{
    struct buf items = {0};
    struct error err;
    struct session *session = session_of(desk, &err);

    if (session != NULL)
        session_complete(session, desk->text, desk->len, desk->cursor, &items);
    lock_acquire(&desk->desk_lock);
    buf_destroy(&desk->completion);
    desk->completion = items;
    desk->work = DESK_IDLE;
    cond_broadcast(&desk->changed);
    lock_release(&desk->desk_lock);
}

/* A session that is not used gives its memory back. */
static void drop_session(struct desk *desk)
{
    struct session *session = desk->session;

    lock_acquire(&desk->desk_lock);
    desk->session = NULL;
    lock_release(&desk->desk_lock);
    session_close(session);
}

/* DESK_IDLE: nothing came for long, or it closes. */
static enum desk_work next_work(struct desk *desk, bool *closing)
{
    enum desk_work work;
    bool in_time = true;

    lock_acquire(&desk->desk_lock);
    while (desk->work == DESK_IDLE && !desk->closing && in_time)
        in_time = cond_wait_for(&desk->changed, &desk->desk_lock, IDLE_NS);
    work = desk->work;
    *closing = desk->closing && work == DESK_IDLE;
    lock_release(&desk->desk_lock);
    return work;
}

static void *run(void *arg)
{
    struct desk *desk = arg;
    bool closing = false;

    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS); /* of this thread alone */
    while (!closing) {
        switch (next_work(desk, &closing)) {
        case DESK_EVAL:
            evaluate(desk);
            break;
        case DESK_COMPLETE:
            complete(desk);
            break;
        case DESK_IDLE: /* nothing came for long, or it closes */
            drop_session(desk);
            break;
        }
    }
    return NULL;
}

/* --- the list
 * --------------------------------------------------------------------------------------- */

static void make_id(char id[DESK_ID_BYTES])
{
    uint64_t bits[2];

    TIDE_ASSERT(getrandom(bits, sizeof(bits), 0) == (ssize_t)sizeof(bits));
    snprintf(id, DESK_ID_BYTES, "%016" PRIx64 "%016" PRIx64, bits[0], bits[1]);
}

static char *copy(const char *text)
{
    text = text != NULL ? text : "";
    return mem_dup(text, strlen(text));
}

static struct desk *open_desk(struct desks *desks, const struct desk_asker *asker,
                              struct error *err)
{
    struct desk *desk = mem_zalloc(1, sizeof(*desk));
    char name[128];

    desk->desks = desks;
    desk->references = 1;
    make_id(desk->id);
    desk->user = copy(asker->user);
    desk->tenant = copy(asker->tenant);
    snprintf(name, sizeof(name), "http:%.100s", asker->remote != NULL ? asker->remote : "?");
    desk->name = copy(asker->user != NULL ? asker->user : name);
    desk->used_ns = clock_mono_ns(desks->options.clock);
    lock_init(&desk->desk_lock);
    cond_init(&desk->changed);
    if (thread_start(&desk->thread, "console-http", SANDBOX_STACK_BYTES, run, desk, err) == 0)
        return desk;
    unref(desk);
    return NULL;
}

/* Out of the list already. */
static void end_desk(struct desk *desk)
{
    lock_acquire(&desk->desk_lock);
    desk->closing = true;
    cancel_locked(desk);
    cond_broadcast(&desk->changed);
    lock_release(&desk->desk_lock);
    thread_join(&desk->thread);
    unref(desk);
}

/* Under the list's lock. */
static struct desk *take_out(struct desks *desks, size_t i)
{
    struct desk *desk = desks->list[i];

    desks->list[i] = desks->list[--desks->count];
    return desk;
}

static int64_t idle_ns(struct desk *desk, int64_t now_ns)
{
    int64_t idle;

    lock_acquire(&desk->desk_lock);
    idle = desk->work != DESK_IDLE || desk->attached ? -1 : now_ns - desk->used_ns;
    lock_release(&desk->desk_lock);
    return idle;
}

/* One that nobody uses any more; NULL: none. Under the list's lock. */
static struct desk *take_unused(struct desks *desks)
{
    int64_t now_ns = clock_mono_ns(desks->options.clock), longest = 0;
    size_t at = 0;

    for (size_t i = 0; i < desks->count; i++) {
        int64_t idle = idle_ns(desks->list[i], now_ns);

        if (idle > longest) {
            longest = idle;
            at = i;
        }
    }
    if (longest > IDLE_NS || (desks->count == MAX_DESKS && longest > REPLACE_NS))
        return take_out(desks, at);
    return NULL;
}

static struct desk *find_locked(struct desks *desks, const char *id, const struct desk_asker *asker,
                                size_t *at)
{
    const char *user = asker->user != NULL ? asker->user : "";

    for (size_t i = 0; i < desks->count; i++) {
        if (strcmp(desks->list[i]->id, id) == 0 && strcmp(desks->list[i]->user, user) == 0) {
            *at = i;
            return desks->list[i];
        }
    }
    return NULL;
}

/* The desk with a reference; "": a new one. NULL with err. */
static struct desk *desk_of(struct desks *desks, const char *id, const struct desk_asker *asker,
                            struct error *err)
{
    struct desk *desk = NULL, *unused = NULL;
    size_t at;

    lock_acquire(&desks->list_lock);
    if (desks->stopping) {
        error_set(err, ERR_BUSY, "the server stops");
    } else if (id[0] != '\0') {
        desk = find_locked(desks, id, asker, &at);
        if (desk == NULL)
            error_set(err, ERR_NOT_FOUND, "there is no such console session (any more)");
    } else {
        unused = take_unused(desks);
        if (desks->count == MAX_DESKS)
            error_set(err, ERR_BUSY, "%d console sessions are open, which is all there may be",
                      MAX_DESKS);
        else
            desk = open_desk(desks, asker, err);
        if (desk != NULL)
            desks->list[desks->count++] = desk;
    }
    if (desk != NULL)
        ref(desk);
    lock_release(&desks->list_lock);
    if (unused != NULL)
        end_desk(unused);
    return desk;
}

/* --- the stream
 * ------------------------------------------------------------------------------------- */

static bool stream_produce(void *ctx, struct buf *out)
{
    struct desk *desk = ctx;
    bool more;

    lock_acquire(&desk->desk_lock);
    buf_append(out, desk->events.data, desk->events.len);
    buf_destroy(&desk->events);
    more = !desk->ended;
    cond_broadcast(&desk->changed);
    lock_release(&desk->desk_lock);
    return more;
}

static void stream_await(void *ctx, struct query_job *job)
{
    struct desk *desk = ctx;
    bool now;

    lock_acquire(&desk->desk_lock);
    now = desk->events.len > 0 || desk->ended;
    ref(desk);
    if (!now)
        desk->job = job;
    lock_release(&desk->desk_lock);
    if (now)
        run_job(job);
}

static void stream_settle(void *ctx, bool gone)
{
    struct desk *desk = ctx;
    struct query_job *job = NULL;

    if (gone) {
        lock_acquire(&desk->desk_lock);
        cancel_locked(desk);
        job = take_job_locked(desk);
        lock_release(&desk->desk_lock);
    }
    run_job(job);
    unref(desk);
}

static void stream_free(void *ctx)
{
    struct desk *desk = ctx;

    lock_acquire(&desk->desk_lock);
    cancel_locked(desk);
    desk->attached = false;
    desk->used_ns = clock_mono_ns(desk->desks->options.clock);
    buf_destroy(&desk->events);
    cond_broadcast(&desk->changed);
    lock_release(&desk->desk_lock);
    unref(desk);
}

/* --- from outside
 * ----------------------------------------------------------------------------------- */

/* False: something runs still. Under the desk's lock. */
static bool begin_locked(struct desk *desk, enum desk_work work, const char *text, size_t len)
{
    if (desk->work != DESK_IDLE || desk->attached || desk->closing)
        return false;
    mem_free(desk->text);
    desk->text = mem_dup(text, len);
    desk->len = len;
    desk->work = work;
    desk->cancelled = false;
    desk->used_ns = clock_mono_ns(desk->desks->options.clock);
    cond_broadcast(&desk->changed);
    return true;
}

int desk_run(struct desks *desks, const char *id, const struct desk_asker *asker, const char *text,
             size_t len, struct http_stream *stream, struct error *err)
{
    struct desk *desk = desk_of(desks, id, asker, err);
    bool begun;

    if (desk == NULL)
        return -1;
    lock_acquire(&desk->desk_lock);
    begun = begin_locked(desk, DESK_EVAL, text, len);
    if (begun) {
        desk->attached = true;
        desk->ended = false;
        buf_destroy(&desk->events);
        put_head(&desk->events, "session");
        buf_printf(&desk->events, "{\"id\":\"%s\",\"fresh\":%s}\n\n", desk->id,
                   desk->session == NULL ? "true" : "false");
    }
    lock_release(&desk->desk_lock);
    if (!begun) {
        unref(desk);
        return error_set(err, ERR_CONFLICT, "the session's line before still runs");
    }
    *stream = (struct http_stream){.produce = stream_produce,
                                   .free = stream_free,
                                   .await = stream_await,
                                   .settle = stream_settle,
                                   .ctx = desk};
    return 0;
}

int desk_complete(struct desks *desks, const char *id, const struct desk_asker *asker,
                  const char *text, size_t len, size_t cursor, struct buf *out, struct error *err)
{
    struct desk *desk = desk_of(desks, id, asker, err);
    bool in_time = true;
    int result = -1;

    if (desk == NULL)
        return -1;
    lock_acquire(&desk->desk_lock);
    if (!begin_locked(desk, DESK_COMPLETE, text, len)) {
        error_set(err, ERR_CONFLICT, "the session's line before still runs");
    } else {
        desk->cursor = TIDE_MIN(cursor, len);
        while (desk->work == DESK_COMPLETE && in_time)
            in_time = cond_wait_for(&desk->changed, &desk->desk_lock, COMPLETE_NS);
        if (desk->work == DESK_COMPLETE)
            error_set(err, ERR_TIMEOUT, "completion takes too long");
        else
            result = 0;
    }
    if (result == 0 && desk->completion.len > 0)
        buf_append(out, desk->completion.data, desk->completion.len);
    else if (result == 0)
        buf_printf(out, "{\"from\":%zu,\"items\":[]}", desk->cursor);
    lock_release(&desk->desk_lock);
    unref(desk);
    return result;
}

int desk_close(struct desks *desks, const char *id, const struct desk_asker *asker,
               struct error *err)
{
    struct desk *desk;
    size_t at = 0;

    lock_acquire(&desks->list_lock);
    desk = find_locked(desks, id, asker, &at);
    if (desk != NULL)
        take_out(desks, at);
    lock_release(&desks->list_lock);
    if (desk == NULL)
        return error_set(err, ERR_NOT_FOUND, "there is no such console session (any more)");
    end_desk(desk);
    return 0;
}

static double count_desks(void *ctx)
{
    struct desks *desks = ctx;
    double count;

    lock_acquire(&desks->list_lock);
    count = (double)desks->count;
    lock_release(&desks->list_lock);
    return count;
}

struct desks *desks_new(const struct desks_options *options)
{
    struct desks *desks = mem_zalloc(1, sizeof(*desks));

    desks->options = *options;
    lock_init(&desks->list_lock);
    if (options->metrics != NULL)
        metrics_callback(options->metrics, METRIC_GAUGE, "tidemark_http_consoles",
                         "Console sessions over HTTP.", "", count_desks, desks);
    return desks;
}

void desks_stop(struct desks *desks)
{
    lock_acquire(&desks->list_lock);
    desks->stopping = true;
    for (size_t i = 0; i < desks->count; i++) {
        lock_acquire(&desks->list[i]->desk_lock);
        cancel_locked(desks->list[i]);
        lock_release(&desks->list[i]->desk_lock);
    }
    lock_release(&desks->list_lock);
}

void desks_free(struct desks *desks)
{
    if (desks == NULL)
        return;
    while (desks->count > 0)
        end_desk(take_out(desks, desks->count - 1));
    lock_destroy(&desks->list_lock);
    mem_free(desks);
}
