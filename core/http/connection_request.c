/* connection_request.c - from the input's bytes to exchanges, and their replies to the output
 * (connection_impl.h). */
#include "http/access_log.h"
#include "http/clients.h"
#include "http/connection_impl.h"
#include "promql/engine.h"

/* More unsent answers than this, and no further request is read. */
#define BACKLOG_BYTES ((size_t)256 << 10)
/* So many bytes of a body within its timeout are progress. */
#define PROGRESS_BYTES ((size_t)256 << 10)

/* --- answers ------------------------------------------------------------------------------------
 */

/* A piece becomes the tail; the tail is empty: pieces are made one at a time. */
static void queue_piece(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    if (exchange->piece.len == 0)
        return;
    TIDE_ASSERT(connection->tail.len == 0);
    buf_destroy(&connection->tail);
    exchange->sent += exchange->piece.len;
    connection->tail = exchange->piece;
    connection->tail_at = 0;
    exchange->piece = (struct buf){0};
}

void connection_log(const struct connection *connection, int status)
{
    const struct exchange *exchange = connection->exchange;

    access_log_request(connection->worker->site->log, &exchange->request, status,
                       exchange->received, exchange->sent);
}

static void end_exchange(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    int status = exchange->reply.status == 0 ? 200 : exchange->reply.status;

    http_counters_request(connection->worker->site->counters, exchange->request.route, status,
                          clock_mono_ns(connection->worker->site->clock) -
                              exchange->request.started_ns);
    connection_log(connection, status);
    connection_release_exchange(connection);
    connection->answered = false;
    if (connection->close_after || connection->worker->draining)
        connection->state = SENDING; /* and no further request */
    else
        connection_await_request(connection);
}

/* The answer to a push waits until the log is as far as was promised; as on the pool, the exchange
 * is in other hands meanwhile. False: it may leave at once. */
static bool park(struct connection *connection)
{
    if (!parked_put(connection->worker, connection->exchange))
        return false;
    exchange_forget_body(connection->exchange);
    connection->exchange->connection = connection;
    connection->job = true;
    connection->parked = true;
    connection->state = RUNNING;
    connection->deadline_ns = INT64_MAX;
    return true;
}

void connection_answer(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    bool last = !exchange->keep_alive || exchange->reply.close || connection->worker->draining ||
                connection->ended || (exchange->no_chunks && exchange->streaming);
    struct buf *out;
    size_t before;

    connection->close_after = last;
    connection->unread = exchange->reply.close;
    connection->answered = true;
    connection->deadline_ns = INT64_MAX;
    connection->stall_ns = connection_stall(connection);
    out = connection_output(connection);
    before = out->len;
    exchange_write(exchange, worker_date(connection->worker), last, out);
    exchange->sent += out->len - before;
    queue_piece(connection);
    if (exchange->streaming)
        connection->state = SENDING;
    else
        end_exchange(connection);
}

/* --- the pool's side ----------------------------------------------------------------------------
 */

static void job_run(struct query_job *job, struct coding *coding)
{
    struct exchange *exchange = (struct exchange *)job;

    if (__atomic_load_n(&exchange->cancelled, __ATOMIC_RELAXED) == QUERY_GONE)
        return; /* nobody waits for it any more */
    if (exchange->verifying)
        exchange_verify(exchange);
    else if (exchange->streaming)
        exchange_run_piece(exchange, coding);
    else
        exchange_run(exchange, coding, NULL);
}

static void job_done(struct query_job *job)
{
    struct exchange *exchange = (struct exchange *)job;

    worker_job_done(exchange->connection->worker, exchange);
}

/* A job is under way, and nobody is there for what it makes. */
void connection_abandon(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    __atomic_store_n(&exchange->cancelled, QUERY_GONE, __ATOMIC_RELAXED);
    connection_settle(connection, true);
}

void connection_settle(struct connection *connection, bool gone)
{
    struct http_stream awaited = connection->awaited;

    connection->awaited = (struct http_stream){0};
    if (awaited.settle != NULL)
        awaited.settle(awaited.ctx, gone);
}

bool connection_submit(struct connection *connection, bool again)
{
    struct exchange *exchange = connection->exchange;
    const struct http_site *site = connection->worker->site;

    exchange->connection = connection;
    exchange->job.run = job_run;
    exchange->job.done = job_done;
    exchange->job.client = peer_line(&connection->peer, exchange->request.user);
    connection->job = true;
    connection->state = RUNNING;
    connection->deadline_ns = INT64_MAX;
    if (again && exchange->reply.stream.await != NULL) {
        connection->awaited = exchange->reply.stream;
        connection->awaited.await(connection->awaited.ctx, &exchange->job);
        return true;
    }
    if (query_pool_submit(exchange->verifying ? site->login_pool : site->pool, &exchange->job,
                          again))
        return true;
    connection->job = false;
    return false;
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void run_exchange(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct exchange *exchange = connection->exchange;

    if (!exchange_wants_pool(exchange)) {
        exchange_run(exchange, worker->coding, worker_pusher(worker));
        if (!park(connection))
            connection_answer(connection);
        return;
    }
    connection->counted =
        client_begin_query(connection->client, worker->site->options.client_queries);
    if (!connection->counted)
        http_reply_error(&exchange->reply, 429, "too_many_requests",
                         "too many queries from this address wait or run");
    else if (connection_submit(connection, false))
        return;
    else
        http_reply_error(&exchange->reply, 503, "unavailable", "too many queries are waiting");
    http_reply_field(&exchange->reply, "Retry-After", "1");
    connection_answer(connection);
}

/* Before any byte of the body is taken. */
static void verify_exchange(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    exchange->verifying = true;
    if (connection_submit(connection, false))
        return;
    exchange->verifying = false;
    http_reply_error(&exchange->reply, 503, "unavailable", "too many passwords are being tried");
    http_reply_field(&exchange->reply, "Retry-After", "1");
    exchange->reply.close |= exchange->has_body;
    connection_answer(connection);
}

static void take_step(struct connection *connection, enum exchange_step step)
{
    if (step == EXCHANGE_RUN)
        run_exchange(connection);
    else if (step == EXCHANGE_ANSWER)
        connection_answer(connection);
    else if (step == EXCHANGE_VERIFY)
        verify_exchange(connection);
}

/* The first step after a head. `more`: bytes of the body are there already. */
static void take_first_step(struct connection *connection, enum exchange_step step, bool more)
{
    if (step == EXCHANGE_MORE) {
        connection->state = WANTS_BODY;
        connection->passed = 0;
        connection->exchange->request.pusher = worker_pusher(connection->worker);
        connection_set_deadline(connection, connection->worker->site->options.body_timeout_ms);
        if (connection->exchange->head.expect_continue && !more)
            buf_puts(connection_output(connection), "HTTP/1.1 100 Continue\r\n\r\n");
    }
    take_step(connection, step);
}

void connection_take_back(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    connection->parked = false;
    if (exchange->verifying) {
        exchange->verifying = false;
        take_first_step(connection, exchange_verified(exchange), connection->pending.len > 0);
    } else if (!connection->answered) {
        if (!park(connection))
            connection_answer(connection);
    } else {
        queue_piece(connection);
        connection->state = SENDING;
        if (exchange->streaming)
            return;
        connection->close_after |= exchange->reply.cut;
        end_exchange(connection);
    }
}

void connection_refuse_head(struct connection *connection, int status, const char *text)
{
    struct exchange *exchange = worker_take_exchange(connection->worker);

    connection->exchange = exchange;
    exchange->request.started_ns = connection->worker->now_ns;
    exchange_refuse(exchange, status, text);
    connection_answer(connection);
}

/* Uses a complete head; 0 when there is none yet. */
static size_t take_head(struct connection *connection, const uint8_t *bytes, size_t len)
{
    size_t limit = connection->worker->site->options.header_bytes;
    enum exchange_step step;
    ptrdiff_t end;

    if (connection->scanned == 0 && bytes[0] == '\r') { /* empty lines between requests */
        if (len == 1)
            return 0;
        if (bytes[1] == '\n')
            return 2;
        http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_FRAMING);
        connection_refuse_head(connection, 400,
                               "a return that ends no line stands before a request");
        return len;
    }
    end = http_head_find_end((const char *)bytes, len, &connection->scanned);
    if (end < 0) {
        http_counters_rejected(connection->worker->site->counters, HTTP_REJECTED_FRAMING);
        connection_refuse_head(connection, 400,
                               "a line of the request's head ends without a return");
        return len;
    }
    if ((end == 0 && len > limit) || (size_t)end > limit) {
        connection_refuse_head(connection, 431, "the request's head is too long");
        return len;
    }
    if (end == 0) {
        if (!connection->in_head)
            connection_set_deadline(connection,
                                    connection->worker->site->options.header_timeout_ms);
        connection->in_head = true;
        return 0;
    }
    connection->scanned = 0;
    connection->in_head = false;
    connection->exchange = worker_take_exchange(connection->worker);
    step = exchange_begin(connection->exchange, (const char *)bytes, (size_t)end, &connection->peer,
                          connection->listener);
    take_first_step(connection, step, (size_t)end < len);
    return (size_t)end;
}

bool connection_can_parse(const struct connection *connection)
{
    return (connection->state == WANTS_HEAD || connection->state == WANTS_BODY) &&
           !connection->close_after && connection_backlog(connection) <= BACKLOG_BYTES;
}

/* A body that is taken as it comes may take for ever, but not stand still. */
static void note_progress(struct connection *connection, size_t bytes)
{
    connection->passed += bytes;
    if (!exchange_passes(connection->exchange) || connection->passed < PROGRESS_BYTES)
        return;
    connection->passed = 0;
    connection_set_deadline(connection, connection->worker->site->options.body_timeout_ms);
}

size_t connection_consume(struct connection *connection, const uint8_t *bytes, size_t len)
{
    size_t used = 0;

    while (used < len && connection_can_parse(connection)) {
        size_t part;

        if (connection->tail.len > 0) { /* an answer in flight must leave before another */
            connection_flush(connection);
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

            if (step == EXCHANGE_MORE)
                note_progress(connection, part);
            take_step(connection, step);
        }
        used += part;
    }
    return used;
}

void connection_consume_pending(struct connection *connection)
{
    struct buf *pending = &connection->pending;
    size_t used = connection_consume(connection, pending->data, pending->len);

    if (connection->state == CLOSED || pending->len == 0)
        return;
    memmove(pending->data, pending->data + used, pending->len - used);
    pending->len -= used;
    if (pending->len == 0)
        worker_give_buf(connection->worker, pending);
}
