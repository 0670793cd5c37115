#include "http/connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "http/exchange.h"

/* More unsent answers than this, and no further request is read. */
#define BACKLOG_BYTES ((size_t)256 << 10)
/* A refused request's bytes are read away for so long, or the refusal might not arrive. */
#define LINGER_NS INT64_C(2000000000)
#define LINGER_BYTES ((size_t)16 << 20)
/* Calls of recv before others get their turn. */
#define READ_ROUNDS 8

enum state {
    WANTS_HEAD, /* between requests, or within a head */
    WANTS_BODY,
    RUNNING,   /* its job is on the pool */
    SENDING,   /* the next piece is made, or the connection ends, when all output has left */
    LINGERING, /* answered and shut down; what comes is thrown away */
    CLOSED,
};

struct connection {
    struct worker *worker;
    struct connection *next;
    struct connection *previous;
    struct event read_event;
    struct event write_event;
    int fd;
    enum state state;
    struct peer peer;
    int64_t deadline_ns; /* of what the state waits for */
    int64_t stall_ns;    /* output must have moved until then */
    struct buf pending;  /* input that was not used yet */
    size_t scanned;      /* of it, in search of a head's end */
    struct buf out;      /* answers, sent up to out_at */
    size_t out_at;
    struct buf tail; /* goes behind out, without having been copied */
    size_t tail_at;
    size_t lingered;
    struct exchange *exchange;
    bool in_head;     /* the first bytes of a head are there */
    bool answered;    /* the head of the exchange's answer was written */
    bool reading;     /* read_event is added */
    bool writing;     /* write_event is added */
    bool close_after; /* of all output */
    bool unread;      /* the peer may be sending more: linger before closing */
    bool job;         /* the pool has the exchange */
    bool ended;       /* the peer sends no more */
};

struct connection *connection_next(const struct connection *connection)
{
    return connection->next;
}

/* --- deadlines ---------------------------------------------------------------------------------
 */

static void set_deadline(struct connection *connection, int64_t timeout_ms)
{
    connection->deadline_ns = connection->worker->now_ns + timeout_ms * INT64_C(1000000);
}

/* A reader may stand still as long as a body may take. */
static int64_t stall_of(const struct connection *connection)
{
    return connection->worker->now_ns +
           connection->worker->site->options.body_timeout_ms * INT64_C(1000000);
}

static void await_request(struct connection *connection)
{
    connection->state = WANTS_HEAD;
    set_deadline(connection, connection->worker->site->options.idle_timeout_ms);
}

/* --- events ------------------------------------------------------------------------------------
 */

static void set_reading(struct connection *connection, bool on)
{
    if (connection->reading == on)
        return;
    connection->reading = on;
    if (on)
        event_add(&connection->read_event, NULL);
    else
        event_del(&connection->read_event);
}

static void set_writing(struct connection *connection, bool on)
{
    if (connection->writing == on)
        return;
    connection->writing = on;
    if (on)
        event_add(&connection->write_event, NULL);
    else
        event_del(&connection->write_event);
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void release_exchange(struct connection *connection)
{
    if (connection->exchange != NULL)
        worker_give_exchange(connection->worker, connection->exchange);
    connection->exchange = NULL;
}

/* The descriptor goes at once, the rest when the callback, and a job, have ended. */
static void close_now(struct connection *connection)
{
    struct worker *worker = connection->worker;

    if (connection->state == CLOSED)
        return;
    connection->state = CLOSED;
    set_reading(connection, false);
    set_writing(connection, false);
    close(connection->fd);
    worker_give_buf(worker, &connection->pending);
    worker_give_buf(worker, &connection->out);
    buf_destroy(&connection->tail);
    if (connection->job)
        __atomic_store_n(&connection->exchange->cancelled, 1, __ATOMIC_RELAXED);
    else
        release_exchange(connection);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        worker->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    connection->next = worker->dead;
    worker->dead = connection;
    __atomic_sub_fetch(&worker->open, 1, __ATOMIC_RELAXED);
    http_counters_connection(worker->site->counters, -1);
}

void connection_sweep(struct worker *worker)
{
    struct connection **link = &worker->dead;

    while (*link != NULL) {
        struct connection *connection = *link;

        if (connection->job) {
            link = &connection->next;
            continue;
        }
        *link = connection->next;
        mem_free(connection);
    }
}

/* All answers are sent. Closing with unread input would reset the connection under them. */
static void end_output(struct connection *connection)
{
    if (!connection->unread || connection->ended) {
        close_now(connection);
        return;
    }
    shutdown(connection->fd, SHUT_WR);
    connection->state = LINGERING;
    connection->deadline_ns = connection->worker->now_ns + LINGER_NS;
    worker_give_buf(connection->worker, &connection->pending);
    set_reading(connection, true);
}

/* --- output ------------------------------------------------------------------------------------
 */

static size_t backlog_of(const struct connection *connection)
{
    return connection->out.len - connection->out_at + connection->tail.len - connection->tail_at;
}

static void took(struct connection *connection, size_t sent)
{
    size_t part = TIDE_MIN(sent, connection->out.len - connection->out_at);

    connection->out_at += part;
    connection->tail_at += sent - part;
    if (connection->out_at == connection->out.len) {
        connection->out.len = connection->out_at = 0;
        worker_give_buf(connection->worker, &connection->out);
    }
    if (connection->tail_at == connection->tail.len) {
        connection->tail_at = 0;
        worker_give_buf(connection->worker, &connection->tail);
    }
}

/* Sends what the socket takes; what stays waits for the write event. */
static void flush(struct connection *connection)
{
    while (backlog_of(connection) > 0) {
        struct iovec parts[2];
        struct msghdr message = {.msg_iov = parts};
        ssize_t sent;

        if (connection->out.len > connection->out_at)
            parts[message.msg_iovlen++] =
                (struct iovec){.iov_base = connection->out.data + connection->out_at,
                               .iov_len = connection->out.len - connection->out_at};
        if (connection->tail.len > connection->tail_at)
            parts[message.msg_iovlen++] =
                (struct iovec){.iov_base = connection->tail.data + connection->tail_at,
                               .iov_len = connection->tail.len - connection->tail_at};
        sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                close_now(connection);
            break;
        }
        http_counters_bytes(connection->worker->site->counters, 0, (size_t)sent);
        took(connection, (size_t)sent);
        connection->stall_ns = stall_of(connection);
    }
    if (connection->state != CLOSED)
        set_writing(connection, backlog_of(connection) > 0);
}

static struct buf *output_of(struct connection *connection)
{
    if (connection->out.cap == 0)
        connection->out = worker_take_buf(connection->worker);
    return &connection->out;
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* A piece becomes the tail; the tail is empty: pieces are made one at a time. */
static void queue_piece(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    if (exchange->piece.len == 0)
        return;
    TIDE_ASSERT(connection->tail.len == 0);
    buf_destroy(&connection->tail);
    connection->tail = exchange->piece;
    connection->tail_at = 0;
    exchange->piece = (struct buf){0};
}

static void end_exchange(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    int status = exchange->reply.status == 0 ? 200 : exchange->reply.status;

    http_counters_request(connection->worker->site->counters, exchange->request.route, status,
                          clock_mono_ns(connection->worker->site->clock) -
                              exchange->request.started_ns);
    release_exchange(connection);
    connection->answered = false;
    if (connection->close_after)
        connection->state = SENDING;
    else
        await_request(connection);
}

/* The route has returned: head and body (or the first piece) go out. */
static void answer(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    bool last = !exchange->keep_alive || exchange->reply.close || connection->worker->draining ||
                connection->ended || (exchange->no_chunks && exchange->streaming);

    connection->close_after = last;
    connection->unread = exchange->reply.close;
    connection->answered = true;
    connection->deadline_ns = INT64_MAX;
    connection->stall_ns = stall_of(connection);
    exchange_write(exchange, worker_date(connection->worker), last, output_of(connection));
    queue_piece(connection);
    if (exchange->streaming)
        connection->state = SENDING;
    else
        end_exchange(connection);
}

/* --- the pool's side ---------------------------------------------------------------------------
 */

static void job_run(struct query_job *job, struct coding *coding)
{
    struct exchange *exchange = (struct exchange *)job;

    if (exchange->streaming)
        exchange_run_piece(exchange, coding);
    else
        exchange_run(exchange, coding, NULL);
}

static void job_done(struct query_job *job)
{
    struct exchange *exchange = (struct exchange *)job;

    worker_job_done(exchange->connection->worker, exchange);
}

/* Hands the exchange to the pool; false when the pool is full. */
static bool submit(struct connection *connection, bool again)
{
    struct exchange *exchange = connection->exchange;

    exchange->connection = connection;
    exchange->job.run = job_run;
    exchange->job.done = job_done;
    exchange->job.client = connection->peer.client;
    connection->job = true;
    connection->state = RUNNING;
    connection->deadline_ns = INT64_MAX;
    if (query_pool_submit(connection->worker->site->pool, &exchange->job, again))
        return true;
    connection->job = false;
    return false;
}

/* --- requests ----------------------------------------------------------------------------------
 */

static void run_exchange(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct exchange *exchange = connection->exchange;

    if (!exchange_wants_pool(exchange)) {
        exchange_run(exchange, worker->coding, worker_pusher(worker));
        answer(connection);
        return;
    }
    if (!submit(connection, false)) {
        http_reply_error(&exchange->reply, 503, "unavailable", "too many queries are waiting");
        http_reply_field(&exchange->reply, "Retry-After", "1");
        answer(connection);
    }
}

static void take_step(struct connection *connection, enum exchange_step step)
{
    if (step == EXCHANGE_RUN)
        run_exchange(connection);
    else if (step == EXCHANGE_ANSWER)
        answer(connection);
}

/* A head that is too long, too slow, or broken before its end. */
static void refuse_head(struct connection *connection, int status, const char *text)
{
    struct exchange *exchange = worker_take_exchange(connection->worker);

    connection->exchange = exchange;
    exchange->request.started_ns = connection->worker->now_ns;
    exchange_refuse(exchange, status, text);
    answer(connection);
}

/* Uses a complete head; 0 when there is none yet. */
static size_t take_head(struct connection *connection, const uint8_t *bytes, size_t len)
{
    size_t limit = connection->worker->site->options.header_bytes;
    enum exchange_step step;
    ptrdiff_t end;

    if (connection->scanned == 0 && bytes[0] == '\r') /* empty lines between requests */
        return len >= 2 && bytes[1] == '\n' ? 2 : 0;
    end = http_head_find_end((const char *)bytes, len, &connection->scanned);
    if (end < 0) {
        http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_FRAMING);
        refuse_head(connection, 400, "a line of the request's head ends without a return");
        return len;
    }
    if ((end == 0 && len > limit) || (size_t)end > limit) {
        refuse_head(connection, 431, "the request's head is too long");
        return len;
    }
    if (end == 0) {
        if (!connection->in_head)
            set_deadline(connection, connection->worker->site->options.header_timeout_ms);
        connection->in_head = true;
        return 0;
    }
    connection->scanned = 0;
    connection->in_head = false;
    connection->exchange = worker_take_exchange(connection->worker);
    step =
        exchange_begin(connection->exchange, (const char *)bytes, (size_t)end, &connection->peer);
    if (step == EXCHANGE_MORE) {
        connection->state = WANTS_BODY;
        set_deadline(connection, connection->worker->site->options.body_timeout_ms);
        if (connection->exchange->head.expect_continue && (size_t)end == len)
            buf_puts(output_of(connection), "HTTP/1.1 100 Continue\r\n\r\n");
    }
    take_step(connection, step);
    return (size_t)end;
}

static bool can_parse(const struct connection *connection)
{
    return (connection->state == WANTS_HEAD || connection->state == WANTS_BODY) &&
           !connection->close_after && backlog_of(connection) <= BACKLOG_BYTES;
}

/* Uses as many of the bytes as it can; returns how many. */
static size_t consume(struct connection *connection, const uint8_t *bytes, size_t len)
{
    size_t used = 0;

    while (used < len && can_parse(connection)) {
        size_t part;

        if (connection->tail.len > 0) { /* an answer in flight must leave before another */
            flush(connection);
            if (connection->state == CLOSED || connection->tail.len > 0)
                break;
        }
        if (connection->state == WANTS_HEAD) {
            part = take_head(connection, bytes + used, len - used);
            if (part == 0)
                break;
        } else {
            enum exchange_step step =
                exchange_take_body(connection->exchange, bytes + used, len - used, &part);

            take_step(connection, step);
        }
        used += part;
    }
    return used;
}

static void consume_pending(struct connection *connection)
{
    struct buf *pending = &connection->pending;
    size_t used = consume(connection, pending->data, pending->len);

    if (connection->state == CLOSED || pending->len == 0)
        return;
    memmove(pending->data, pending->data + used, pending->len - used);
    pending->len -= used;
    if (pending->len == 0)
        worker_give_buf(connection->worker, pending);
}

/* Does all that can be done now, then sets the events for what comes next. */
static void go_on(struct connection *connection)
{
    for (;;) {
        size_t before;

        flush(connection);
        if (connection->state == CLOSED || connection->state == RUNNING)
            return;
        if (connection->state == SENDING && backlog_of(connection) == 0) {
            if (connection->exchange != NULL) {
                submit(connection, true);
                return;
            }
            end_output(connection);
            return;
        }
        before = connection->pending.len;
        if (before == 0 || !can_parse(connection))
            break;
        consume_pending(connection);
        if (connection->state == CLOSED || connection->pending.len == before)
            break;
    }
    if (connection->state != CLOSED)
        set_reading(connection, connection->state == LINGERING || can_parse(connection));
}

void connection_job_done(struct connection *connection)
{
    connection->job = false;
    if (connection->state == CLOSED) {
        release_exchange(connection);
        return;
    }
    if (!connection->answered) {
        answer(connection);
    } else {
        queue_piece(connection);
        connection->state = SENDING;
        if (!connection->exchange->streaming)
            end_exchange(connection);
    }
    go_on(connection);
}

/* --- events of the socket ----------------------------------------------------------------------
 */

static void linger(struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->worker->input, WORKER_READ_BYTES, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->lingered += got > 0 ? (size_t)got : 0;
    if (got <= 0 || connection->lingered > LINGER_BYTES)
        close_now(connection);
}

/* Bytes, or the end, while an answer is being made. Who hangs up does not want it any more. */
static void look_ahead(struct connection *connection)
{
    char byte;
    ssize_t got = recv(connection->fd, &byte, 1, MSG_PEEK);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->ended = got == 0;
    if (got < 0 || (got == 0 && connection->state == RUNNING))
        close_now(connection);
    else
        set_reading(connection, false);
}

/* Reads once; false when there is no more now. */
static bool read_some(struct connection *connection)
{
    struct worker *worker = connection->worker;
    ssize_t got = recv(connection->fd, worker->input, WORKER_READ_BYTES, 0);
    size_t used;

    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            close_now(connection);
        return false;
    }
    if (got == 0) {
        connection->ended = true;
        connection->close_after = true;
        if (backlog_of(connection) == 0)
            close_now(connection);
        else
            connection->state = SENDING;
        return false;
    }
    http_counters_bytes(worker->site->counters, (size_t)got, 0);
    if (connection->pending.len > 0) {
        buf_append(&connection->pending, worker->input, (size_t)got);
        consume_pending(connection);
    } else {
        used = consume(connection, worker->input, (size_t)got);
        if (connection->state != CLOSED && used < (size_t)got) {
            if (connection->pending.cap == 0)
                connection->pending = worker_take_buf(worker);
            buf_append(&connection->pending, worker->input + used, (size_t)got - used);
        }
    }
    return (size_t)got == WORKER_READ_BYTES && can_parse(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = connection->worker;

    (void)fd;
    (void)what;
    worker->now_ns = clock_mono_ns(worker->site->clock);
    if (connection->state == LINGERING) {
        linger(connection);
    } else if (connection->state == RUNNING || connection->state == SENDING) {
        look_ahead(connection);
    } else {
        for (int round = 0; round < READ_ROUNDS && read_some(connection); round++)
            ;
        if (connection->state != CLOSED)
            go_on(connection);
    }
    connection_sweep(worker);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = connection->worker;

    (void)fd;
    (void)what;
    worker->now_ns = clock_mono_ns(worker->site->clock);
    go_on(connection);
    connection_sweep(worker);
}

void connection_open(struct worker *worker, int fd, const struct peer *peer)
{
    struct connection *connection = mem_zalloc(1, sizeof(*connection));

    connection->worker = worker;
    connection->fd = fd;
    connection->peer = *peer;
    event_assign(&connection->read_event, worker->base, fd, EV_READ | EV_PERSIST, on_readable,
                 connection);
    event_assign(&connection->write_event, worker->base, fd, EV_WRITE | EV_PERSIST, on_writable,
                 connection);
    connection->next = worker->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    worker->connections = connection;
    await_request(connection);
    http_counters_connection(worker->site->counters, 1);
    set_reading(connection, true);
    if (worker->draining)
        connection_drain(connection, false);
}

void connection_check_deadline(struct connection *connection)
{
    int64_t now_ns = connection->worker->now_ns;

    if (backlog_of(connection) > 0 && now_ns >= connection->stall_ns) {
        http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_TIMEOUT);
        close_now(connection);
        return;
    }
    if (now_ns < connection->deadline_ns)
        return;
    if (connection->state == WANTS_BODY) {
        exchange_refuse(connection->exchange, 408, "the request's body took too long");
        answer(connection);
    } else if (connection->in_head) {
        refuse_head(connection, 408, "the request's head took too long");
    } else {
        close_now(connection);
        return;
    }
    http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_TIMEOUT);
    go_on(connection);
}

void connection_drain(struct connection *connection, bool now)
{
    if (now || (connection->state == WANTS_HEAD && connection->pending.len == 0 &&
                backlog_of(connection) == 0))
        close_now(connection);
}
