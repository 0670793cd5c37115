#include "http/connection.h"

#include <errno.h>

#include <event2/event.h>

#include "http/access_log.h"
#include "http/clients.h"
#include "http/connection_impl.h"
#include "http/listener.h"
#include "http/tls.h"
#include "promql/engine.h"

/* A refused request's bytes are read away for so long, or the refusal might not arrive. */
#define LINGER_NS INT64_C(2000000000)
#define LINGER_BYTES ((size_t)16 << 20)
/* Calls of recv before others get their turn. */
#define READ_ROUNDS 8

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_end(evutil_socket_t fd, short what, void *arg);

struct connection *connection_next(const struct connection *connection)
{
    return connection->next;
}

/* --- deadlines ----------------------------------------------------------------------------------
 */

void connection_set_deadline(struct connection *connection, int64_t timeout_ms)
{
    connection->deadline_ns = connection->worker->now_ns + timeout_ms * INT64_C(1000000);
}

int64_t connection_stall(const struct connection *connection)
{
    return connection->worker->now_ns +
           connection->worker->site->options.body_timeout_ms * INT64_C(1000000);
}

void connection_await_request(struct connection *connection)
{
    connection->state = WANTS_HEAD;
    connection_set_deadline(connection, connection->worker->site->options.idle_timeout_ms);
}

/* --- events -------------------------------------------------------------------------------------
 */

/* While input waits that cannot be used yet: only the end is looked for. */
static void watch_end(struct connection *connection)
{
    connection_set_reading(connection, false);
    connection->watching = true;
    event_assign(&connection->read_event, connection->worker->base, connection->transport.fd,
                 EV_CLOSED | EV_PERSIST, on_end, connection);
    event_add(&connection->read_event, NULL);
}

static void unwatch_end(struct connection *connection)
{
    event_del(&connection->read_event);
    connection->watching = false;
    event_assign(&connection->read_event, connection->worker->base, connection->transport.fd,
                 EV_READ | EV_PERSIST, on_readable, connection);
}

void connection_set_reading(struct connection *connection, bool on)
{
    if (connection->watching)
        unwatch_end(connection);
    if (connection->reading != on) {
        connection->reading = on;
        if (on)
            event_add(&connection->read_event, NULL);
        else
            event_del(&connection->read_event);
    }
    if (on && transport_holds_input(&connection->transport))
        event_active(&connection->read_event, EV_READ, 0);
}

void connection_set_writing(struct connection *connection, bool on)
{
    if (connection->writing == on)
        return;
    connection->writing = on;
    if (on)
        event_add(&connection->write_event, NULL);
    else
        event_del(&connection->write_event);
}

/* --- the end ------------------------------------------------------------------------------------
 */

void connection_release_exchange(struct connection *connection)
{
    if (connection->counted)
        client_end_query(connection->client);
    connection->counted = false;
    if (connection->exchange != NULL)
        worker_give_exchange(connection->worker, connection->exchange);
    connection->exchange = NULL;
}

void connection_close(struct connection *connection)
{
    struct worker *worker = connection->worker;

    if (connection->state == CLOSED)
        return;
    connection->state = CLOSED;
    connection_set_reading(connection, false);
    connection_set_writing(connection, false);
    transport_close(&connection->transport);
    worker_give_buf(worker, &connection->pending);
    worker_give_buf(worker, &connection->out);
    buf_destroy(&connection->tail);
    if (connection->exchange != NULL) /* nobody is there for the answer, or the rest of it */
        connection_log(connection, ACCESS_LOG_GONE);
    if (connection->job)
        connection_abandon(connection);
    else
        connection_release_exchange(connection);
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
        clients_leave(worker->site->clients, connection->client);
        mem_free(connection);
    }
}

/* All answers are sent. Closing with unread input would reset the connection under them. */
static void end_output(struct connection *connection)
{
    if (!connection->unread || connection->ended) {
        connection_close(connection);
        return;
    }
    transport_end_output(&connection->transport);
    connection->state = LINGERING;
    connection->deadline_ns = connection->worker->now_ns + LINGER_NS;
    worker_give_buf(connection->worker, &connection->pending);
    connection_set_reading(connection, true);
}

/* --- going on -----------------------------------------------------------------------------------
 */

/* Does all that can be done now, then sets the events for what comes next. */
static void go_on(struct connection *connection)
{
    for (;;) {
        size_t before;

        connection_flush(connection);
        if (connection->state == CLOSED || connection->state == RUNNING)
            return;
        if (connection->state == SENDING && connection_backlog(connection) == 0) {
            if (connection->exchange != NULL) {
                connection_submit(connection, true);
                return;
            }
            end_output(connection);
            return;
        }
        before = connection->pending.len;
        if (before == 0 || !connection_can_parse(connection))
            break;
        connection_consume_pending(connection);
        if (connection->state == CLOSED || connection->pending.len == before)
            break;
    }
    if (connection->state != CLOSED)
        connection_set_reading(connection,
                               connection->state == LINGERING || connection_can_parse(connection));
}

void connection_job_done(struct connection *connection)
{
    connection->job = false;
    connection_settle(connection, false);
    if (connection->state == CLOSED) {
        connection_release_exchange(connection);
        return;
    }
    connection_take_back(connection);
    go_on(connection);
}

/* --- events of the socket -----------------------------------------------------------------------
 */

static void linger(struct connection *connection)
{
    ssize_t got =
        transport_recv(&connection->transport, connection->worker->input, WORKER_READ_BYTES);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->lingered += got > 0 ? (size_t)got : 0;
    if (got <= 0 || connection->lingered > LINGER_BYTES)
        connection_close(connection);
}

/* Bytes, or the end, while an answer is being made. Who hangs up does not want it any more. */
static void look_ahead(struct connection *connection)
{
    ssize_t got = transport_peek(&connection->transport);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->ended = got == 0;
    if (got < 0 || (got == 0 && connection->state == RUNNING && !connection->parked))
        connection_close(connection);
    else if (got > 0 && connection->state == RUNNING && !connection->parked)
        watch_end(connection);
    else
        connection_set_reading(connection, false);
}

/* Reads once; false when there is no more now. */
static bool read_some(struct connection *connection)
{
    struct worker *worker = connection->worker;
    ssize_t got = transport_recv(&connection->transport, worker->input, WORKER_READ_BYTES);
    size_t used;

    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            connection_close(connection);
        return false;
    }
    if (got == 0) {
        connection->ended = true;
        connection->close_after = true;
        if (connection_backlog(connection) == 0)
            connection_close(connection);
        else
            connection->state = SENDING;
        return false;
    }
    http_counters_bytes(worker->site->counters, (size_t)got, 0);
    if (connection->pending.len > 0) {
        buf_append(&connection->pending, worker->input, (size_t)got);
        connection_consume_pending(connection);
    } else {
        used = connection_consume(connection, worker->input, (size_t)got);
        if (connection->state != CLOSED && used < (size_t)got) {
            if (connection->pending.cap == 0)
                connection->pending = worker_take_buf(worker);
            buf_append(&connection->pending, worker->input + used, (size_t)got - used);
        }
    }
    return (size_t)got == WORKER_READ_BYTES && connection_can_parse(connection);
}

/* The handshake of TLS; when it is done, what came behind it. */
static void shake(struct connection *connection)
{
    switch (transport_shake(&connection->transport)) {
    case HANDSHAKE_FAILED:
        http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_HANDSHAKE);
        connection->unread = true;
        end_output(connection);
        return;
    case HANDSHAKE_WAITS:
        break;
    case HANDSHAKE_DONE:
        connection_await_request(connection);
        break;
    }
    connection_set_reading(connection, true);
    connection_set_writing(connection, connection->transport.wants_write);
}

static void take_input(struct connection *connection)
{
    if (connection->state == SHAKING) {
        shake(connection);
    } else if (connection->state == LINGERING) {
        linger(connection);
    } else if (connection->state == RUNNING || connection->state == SENDING) {
        look_ahead(connection);
    } else {
        for (int round = 0; round < READ_ROUNDS && read_some(connection); round++)
            ;
        if (connection->state != CLOSED)
            go_on(connection);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = connection->worker;

    (void)fd;
    (void)what;
    worker->now_ns = clock_mono_ns(worker->site->clock);
    take_input(connection);
    connection_sweep(worker);
}

/* The peer has hung up behind input that is not used yet. */
static void on_end(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = connection->worker;

    (void)fd;
    (void)what;
    worker->now_ns = clock_mono_ns(worker->site->clock);
    if (connection->state == RUNNING && !connection->parked)
        connection_close(connection);
    else
        connection_set_reading(connection, false);
    connection_sweep(worker);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = connection->worker;

    (void)fd;
    (void)what;
    worker->now_ns = clock_mono_ns(worker->site->clock);
    if (connection->transport.wants_write) /* TLS has to write before it can read */
        take_input(connection);
    else
        go_on(connection);
    connection_sweep(worker);
}

void connection_open(struct worker *worker, int fd, const struct peer *peer,
                     const struct listener *listener, struct client *client)
{
    struct connection *connection = mem_zalloc(1, sizeof(*connection));

    connection->worker = worker;
    transport_open(&connection->transport, fd,
                   listener->tls != NULL ? tls_accept(listener->tls, fd) : NULL);
    connection->peer = *peer;
    connection->listener = listener;
    connection->client = client;
    event_assign(&connection->read_event, worker->base, fd, EV_READ | EV_PERSIST, on_readable,
                 connection);
    event_assign(&connection->write_event, worker->base, fd, EV_WRITE | EV_PERSIST, on_writable,
                 connection);
    connection->next = worker->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    worker->connections = connection;
    http_counters_connection(worker->site->counters, 1);
    connection_await_request(connection);
    if (listener->tls != NULL) {
        connection->state = SHAKING;
        connection_set_deadline(connection, worker->site->options.header_timeout_ms);
    }
    if (listener->tls != NULL && connection->transport.ssl == NULL)
        connection_close(connection); /* there is no memory for it */
    connection_set_reading(connection, connection->state != CLOSED);
    if (worker->draining)
        connection_drain(connection, false);
}

void connection_check_deadline(struct connection *connection)
{
    int64_t now_ns = connection->worker->now_ns;

    if (connection_backlog(connection) > 0 && now_ns >= connection->stall_ns) {
        http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_TIMEOUT);
        connection_close(connection);
        return;
    }
    if (now_ns < connection->deadline_ns)
        return;
    if (connection->state == WANTS_BODY) {
        exchange_refuse(connection->exchange, 408, "the request's body took too long");
        connection_answer(connection);
    } else if (connection->in_head) {
        connection_refuse_head(connection, 408, "the request's head took too long");
    } else {
        if (connection->state == SHAKING)
            http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_HANDSHAKE);
        connection_close(connection);
        return;
    }
    http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_TIMEOUT);
    go_on(connection);
}

void connection_drain(struct connection *connection, bool now)
{
    if (now || connection->state == SHAKING ||
        (connection->state == WANTS_HEAD && connection->pending.len == 0 &&
         connection_backlog(connection) == 0))
        connection_close(connection);
}
