/* seat.c - see seat.h. */
#include "console/seat.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "console/frame.h"
#include "script/sandbox.h"
#include "script/session.h"

/* Requests that may wait behind the running one; a client that sends more is cut off. */
#define WAITING_MAX ((size_t)64)
#define WAITING_BYTES ((size_t)4 << 20)
/* A client that takes nothing for so long is cut off. */
#define SEND_TIMEOUT_S 10
#define NICENESS 5

struct request {
    struct request *next;
    enum frame_kind kind;
    uint32_t id;
    size_t len;
    uint8_t payload[];
};

struct seat {
    const struct console_options *options;
    int fd;
    int wake_fd;
    struct buf in; /* the server's thread: an unfinished frame */
    struct thread thread;

    struct lock requests_lock; /* guards the members up to the next blank line */
    struct cond requests_cond;
    struct request *first, **last;
    size_t waiting, waiting_bytes;
    bool running;
    uint32_t running_id;
    bool closing;

    bool broken; /* atomic: nothing more can be written */
    bool ended;  /* atomic: the thread is about to end by itself */
    struct session *session;
    struct session_reply reply;
    uint32_t current_id; /* of the seat's thread */
    char state[64];      /* as the client knows it */
    char user[32];
};

/* --- writing: by the seat's thread ---------------------------------------------------------------
 */

static void send_all(struct seat *seat, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    while (len > 0 && !__atomic_load_n(&seat->broken, __ATOMIC_RELAXED)) {
        ssize_t sent = send(seat->fd, at, len, MSG_NOSIGNAL);

        if (sent > 0) {
            at += sent;
            len -= (size_t)sent;
        } else if (errno != EINTR) { /* EAGAIN: the timeout of the socket */
            __atomic_store_n(&seat->broken, true, __ATOMIC_RELAXED);
            if (seat->session != NULL)
                session_cancel(seat->session);
        }
    }
}

static void send_frame(struct seat *seat, enum frame_kind kind, uint32_t id, const void *payload,
                       size_t len)
{
    uint8_t head[FRAME_HEAD_BYTES];

    frame_head(head, kind, id, len);
    send_all(seat, head, sizeof(head));
    send_all(seat, payload, len);
}

static void send_part(void *ctx, const char *text, size_t len)
{
    struct seat *seat = ctx;

    send_frame(seat, FRAME_PART, seat->current_id, text, len);
}

static void send_state(struct seat *seat)
{
    char state[sizeof(seat->state)] = "";

    if (seat->options->state != NULL)
        seat->options->state(seat->options->state_ctx, state, sizeof(state));
    if (state[0] == '\0' && seat->options->only_looks)
        snprintf(state, sizeof(state), "look only");
    if (strcmp(state, seat->state) == 0)
        return;
    memcpy(seat->state, state, sizeof(state));
    send_frame(seat, FRAME_STATE, 0, state, strlen(state));
}

static void send_reply(struct seat *seat, uint32_t id)
{
    static const enum frame_kind kinds[] = {
        [SESSION_DONE] = FRAME_DONE,
        [SESSION_INCOMPLETE] = FRAME_INCOMPLETE,
        [SESSION_FAILED] = FRAME_FAILED,
        [SESSION_CANCELLED] = FRAME_CANCELLED,
    };
    const struct session_reply *reply = &seat->reply;
    uint8_t head[FRAME_HEAD_BYTES + 4];

    send_state(seat);
    frame_head(head, kinds[reply->outcome], id, 4 + reply->text.len + reply->json.len);
    put_le32(head + FRAME_HEAD_BYTES, (uint32_t)reply->text.len);
    send_all(seat, head, sizeof(head));
    send_all(seat, reply->text.data, reply->text.len);
    send_all(seat, reply->json.data, reply->json.len);
}

/* --- running -------------------------------------------------------------------------------------
 */

static void fail(struct seat *seat, const char *text)
{
    seat->reply.outcome = SESSION_FAILED;
    seat->reply.text.len = seat->reply.json.len = 0;
    buf_puts(&seat->reply.text, text);
    buf_puts(&seat->reply.json, "{\"error\":\"no session\"}");
}

/* The session comes with the first request: a console that only looks at the prompt costs nothing.
 */
static bool open_session(struct seat *seat)
{
    struct session_options options = {
        .book = seat->options->book,
        .user = seat->user,
        .time_ms = seat->options->time_ms,
        .only_looks = seat->options->only_looks,
        .print = send_part,
        .print_ctx = seat,
    };
    struct session *session;
    struct error err;

    if (seat->session != NULL)
        return true;
    session = session_open(&options, &err);
    if (session == NULL) {
        fail(seat, err.text);
        return false;
    }
    lock_acquire(&seat->requests_lock);
    seat->session = session;
    lock_release(&seat->requests_lock);
    return true;
}

static void complete(struct seat *seat, const struct request *request)
{
    struct buf items = {0};

    if (request->len >= 4 && open_session(seat))
        session_complete(seat->session, (const char *)request->payload + 4, request->len - 4,
                         TIDE_MIN((size_t)get_le32(request->payload), request->len - 4), &items);
    if (items.len == 0)
        buf_puts(&items, "{\"from\":0,\"items\":[]}");
    send_frame(seat, FRAME_ITEMS, request->id, items.data, items.len);
    buf_destroy(&items);
}

static void run_request(struct seat *seat, const struct request *request)
{
    seat->current_id = request->id;
    if (request->kind == FRAME_COMPLETE) {
        complete(seat, request);
        return;
    }
    if (open_session(seat))
        session_eval(seat->session, (const char *)request->payload, request->len, &seat->reply);
    send_reply(seat, request->id);
}

static struct request *next_request(struct seat *seat)
{
    struct request *request;

    lock_acquire(&seat->requests_lock);
    seat->running = false;
    if (seat->session != NULL)
        session_uncancel(seat->session); /* one that came behind the answer */
    while (seat->first == NULL && !seat->closing)
        cond_wait(&seat->requests_cond, &seat->requests_lock);
    request = seat->closing ? NULL : seat->first;
    if (request != NULL) {
        seat->first = request->next;
        if (seat->first == NULL)
            seat->last = &seat->first;
        seat->waiting--;
        seat->waiting_bytes -= request->len;
        seat->running = true;
        seat->running_id = request->id;
    }
    lock_release(&seat->requests_lock);
    return request;
}

static void close_session(struct seat *seat)
{
    struct session *session = seat->session;

    lock_acquire(&seat->requests_lock);
    seat->running = false;
    seat->session = NULL; /* nobody cancels it any more */
    lock_release(&seat->requests_lock);
    session_close(session);
}

static void *run(void *arg)
{
    struct seat *seat = arg;
    const char *version = seat->options->version;
    struct request *request;
    uint64_t one = 1;

    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS); /* of this thread alone */
    send_frame(seat, FRAME_HELLO, 0, version, strlen(version));
    send_state(seat);
    while (!__atomic_load_n(&seat->broken, __ATOMIC_RELAXED) &&
           (request = next_request(seat)) != NULL) {
        run_request(seat, request);
        mem_free(request);
    }
    close_session(seat);
    __atomic_store_n(&seat->ended, true, __ATOMIC_RELEASE);
    if (write(seat->wake_fd, &one, sizeof(one)) != sizeof(one)) {
        /* The counter is full: the server's thread wakes all the same. */
    }
    return NULL;
}

/* --- reading: by the server's thread ------------------------------------------------------------
 */

static void cancel(struct seat *seat, uint32_t id)
{
    lock_acquire(&seat->requests_lock);
    if (seat->running && seat->running_id == id && seat->session != NULL)
        session_cancel(seat->session);
    lock_release(&seat->requests_lock);
}

static bool take_frame(struct seat *seat, const struct frame *frame)
{
    struct request *request;
    bool room;

    if (frame->kind == FRAME_CANCEL) {
        cancel(seat, frame->id);
        return true;
    }
    if (frame->kind != FRAME_EVAL && frame->kind != FRAME_COMPLETE)
        return false;
    request = mem_alloc(sizeof(*request) + frame->len);
    *request = (struct request){.kind = frame->kind, .id = frame->id, .len = frame->len};
    memcpy(request->payload, frame->payload, frame->len);
    lock_acquire(&seat->requests_lock);
    room = seat->waiting < WAITING_MAX && seat->waiting_bytes + frame->len <= WAITING_BYTES;
    if (room) {
        *seat->last = request;
        seat->last = &request->next;
        seat->waiting++;
        seat->waiting_bytes += frame->len;
        cond_signal(&seat->requests_cond);
    }
    lock_release(&seat->requests_lock);
    if (!room)
        mem_free(request);
    return room;
}

bool seat_read(struct seat *seat)
{
    size_t at = 0;
    ssize_t got = recv(seat->fd, buf_reserve(&seat->in, 65536), 65536, MSG_DONTWAIT);

    if (got == -1 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0)
        return false;
    seat->in.len += (size_t)got;
    for (;;) {
        struct frame frame;
        int64_t size =
            frame_parse(seat->in.data + at, seat->in.len - at, FRAME_REQUEST_MAX, &frame);

        if (size == -1 || (size > 0 && !take_frame(seat, &frame)))
            return false;
        if (size == 0)
            break;
        at += (size_t)size;
    }
    memmove(seat->in.data, seat->in.data + at, seat->in.len - at);
    seat->in.len -= at;
    if (seat->in.len == 0)
        buf_destroy(&seat->in);
    return true;
}

/* --- life ----------------------------------------------------------------------------------------
 */

struct seat *seat_new(const struct console_options *options, int fd, uid_t user, int wake_fd,
                      struct error *err)
{
    struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
    struct seat *seat = mem_zalloc(1, sizeof(*seat));

    *seat = (struct seat){.options = options, .fd = fd, .wake_fd = wake_fd};
    seat->last = &seat->first;
    snprintf(seat->user, sizeof(seat->user), "unix:%u", (unsigned)user);
    lock_init(&seat->requests_lock);
    cond_init(&seat->requests_cond);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (thread_start(&seat->thread, "console-seat", SANDBOX_STACK_BYTES, run, seat, err) == 0)
        return seat;
    seat_free(seat);
    return NULL;
}

int seat_fd(const struct seat *seat)
{
    return seat->fd;
}

bool seat_ended(const struct seat *seat)
{
    return __atomic_load_n(&seat->ended, __ATOMIC_ACQUIRE);
}

void seat_free(struct seat *seat)
{
    lock_acquire(&seat->requests_lock);
    seat->closing = true;
    if (seat->running && seat->session != NULL)
        session_cancel(seat->session);
    cond_signal(&seat->requests_cond);
    lock_release(&seat->requests_lock);
    __atomic_store_n(&seat->broken, true, __ATOMIC_RELAXED);
    shutdown(seat->fd, SHUT_RDWR); /* ends a send that waits */
    thread_join(&seat->thread);
    while (seat->first != NULL) {
        struct request *next = seat->first->next;

        mem_free(seat->first);
        seat->first = next;
    }
    close(seat->fd);
    buf_destroy(&seat->in);
    session_reply_destroy(&seat->reply);
    cond_destroy(&seat->requests_cond);
    lock_destroy(&seat->requests_lock);
    mem_free(seat);
}
