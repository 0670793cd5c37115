#include "http/exchange.h"

#include <stdio.h>

#include "http/status.h"

/* Bodies up to this size are appended behind the head; larger ones are not copied. */
#define INLINE_BYTES ((size_t)32 << 10)
/* Replies shorter than this are not worth a compressor. */
#define GZIP_MIN_BYTES 1024
/* Buffers of this size are kept from request to request. */
#define KEEP_BYTES ((size_t)1 << 20)
/* Bodies of this size are taken however much is held for others. */
#define SMALL_BODY_BYTES ((size_t)256 << 10)

struct exchange *exchange_new(struct http_site *site)
{
    struct exchange *exchange = mem_zalloc(1, sizeof(*exchange));

    exchange->site = site;
    return exchange;
}

static void trim(struct buf *buf)
{
    if (buf->cap > KEEP_BYTES)
        buf_destroy(buf);
    buf->len = 0;
}

static void free_state(struct http_request *request)
{
    if (request->state != NULL)
        request->state_free(request->state);
    request->state = NULL;
}

/* --- what bodies hold --------------------------------------------------------------------------
 */

/* Counts the memory of this body among that of all. False: that is more than may be. */
static bool charge_body(struct exchange *exchange)
{
    size_t held = exchange->gathered.cap + exchange->decoded.cap + exchange->request.held;
    size_t *all = &exchange->site->body_bytes;
    size_t total;

    if (held <= exchange->charged)
        return true;
    total = __atomic_add_fetch(all, held - exchange->charged, __ATOMIC_RELAXED);
    exchange->charged = held;
    return total <= exchange->site->options.all_bodies_bytes || held <= SMALL_BODY_BYTES;
}

void exchange_forget_body(struct exchange *exchange)
{
    trim(&exchange->gathered);
    trim(&exchange->decoded);
    exchange->request.body = NULL;
    exchange->request.body_len = 0;
    __atomic_sub_fetch(&exchange->site->body_bytes, exchange->charged, __ATOMIC_RELAXED);
    exchange->charged = 0;
}

static void refuse_memory(struct exchange *exchange)
{
    exchange_refuse(exchange, 503, "the bodies of other requests hold all the memory there is");
    http_reply_field(&exchange->reply, "Retry-After", "1");
}

void exchange_reset(struct exchange *exchange)
{
    free_state(&exchange->request);
    http_reply_reset(&exchange->reply);
    gzip_stream_free(exchange->gzip_stream);
    exchange->gzip_stream = NULL;
    trim(&exchange->head_bytes);
    exchange_forget_body(exchange);
    trim(&exchange->piece);
    arena_reset(&exchange->arena);
    exchange->request = (struct http_request){0};
    exchange->chunked = (struct chunked){0};
    exchange->access = (struct access){0};
    exchange->connection = NULL;
    exchange->body_left = 0;
    exchange->received = exchange->sent = 0;
    exchange->head.method.len = exchange->head.path.len = 0;
    __atomic_store_n(&exchange->cancelled, 0, __ATOMIC_RELAXED);
    exchange->verifying = exchange->has_body = exchange->keep_alive = exchange->gzip = false;
    exchange->streaming = exchange->no_chunks = false;
}

void exchange_free(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    free_state(&exchange->request);
    http_reply_destroy(&exchange->reply);
    gzip_stream_free(exchange->gzip_stream);
    exchange_forget_body(exchange);
    buf_destroy(&exchange->head_bytes);
    buf_destroy(&exchange->gathered);
    buf_destroy(&exchange->decoded);
    buf_destroy(&exchange->piece);
    arena_destroy(&exchange->arena);
    mem_free(exchange);
}

/* --- the request comes in ----------------------------------------------------------------------
 */

void exchange_refuse(struct exchange *exchange, int status, const char *text)
{
    const char *type = status >= 500 ? "unavailable" : "bad_data";

    http_reply_error(&exchange->reply, status, type, "%s", text);
    exchange->reply.close = true;
}

static void list_verbs(unsigned verbs, char *out, size_t size)
{
    static const struct {
        unsigned verb;
        const char *name;
    } names[] = {{HTTP_VERB_GET, "GET, HEAD"},
                 {HTTP_VERB_POST, "POST"},
                 {HTTP_VERB_PUT, "PUT"},
                 {HTTP_VERB_DELETE, "DELETE"}};
    size_t len = 0;

    for (size_t i = 0; i < TIDE_COUNT(names); i++) {
        if (verbs & names[i].verb)
            len += (size_t)snprintf(out + len, size - len, "%s, ", names[i].name);
    }
    snprintf(out + len, size - len, "OPTIONS");
}

/* No route has this path and method. */
static void refuse_route(struct exchange *exchange, unsigned allowed)
{
    const struct http_head *head = &exchange->head;
    char verbs[64];

    list_verbs(allowed, verbs, sizeof(verbs));
    if (head->verb == HTTP_VERB_OPTIONS && (allowed != 0 || head->path.at[0] == '*')) {
        exchange->reply.status = 204;
        http_reply_field(&exchange->reply, "Allow", "%s", verbs);
    } else if (allowed != 0) {
        http_reply_error(&exchange->reply, 405, "bad_data", "method %.*s is not allowed here: %s",
                         (int)TIDE_MIN(head->method.len, (size_t)20), head->method.at, verbs);
        http_reply_field(&exchange->reply, "Allow", "%s", verbs);
    } else {
        http_reply_error(&exchange->reply, 404, "not_found", "page not found: %.*s",
                         (int)TIDE_MIN(head->path.len, (size_t)200), head->path.at);
    }
}

/* Is the server in a state to answer this route? */
static bool is_open(const struct exchange *exchange)
{
    const struct http_site *site = exchange->site;

    if (exchange->request.route->flags & HTTP_ROUTE_ALWAYS)
        return true;
    return http_site_store(site) != NULL && !http_site_stopping(site);
}

static void too_large(struct exchange *exchange)
{
    struct error err;

    error_set(&err, ERR_LIMIT, "the body is larger than %zu bytes",
              exchange->site->options.body_bytes);
    exchange_refuse(exchange, 413, err.text);
}

/* Never NULL: decoders may add to it. */
static const uint8_t *bytes_of(const struct buf *buf)
{
    static const uint8_t nothing[1];

    return buf->data != NULL ? buf->data : nothing;
}

/* The request as routes see it; the body follows. */
static void fill_request(struct exchange *exchange, const struct peer *peer)
{
    struct http_request *request = &exchange->request;

    request->site = exchange->site;
    request->body = bytes_of(&exchange->gathered);
    request->head = &exchange->head;
    request->arena = &exchange->arena;
    request->cancelled = &exchange->cancelled;
    request->remote = arena_dup(&exchange->arena, peer->address, strlen(peer->address));
    request->started_ns = clock_mono_ns(exchange->site->clock);
}

/* The reply says no: the body, if there is one, is not wanted. */
static enum exchange_step refused(struct exchange *exchange)
{
    exchange->reply.close |= exchange->has_body;
    return EXCHANGE_ANSWER;
}

/* What comes next when it is known who asks. */
static enum exchange_step admit(struct exchange *exchange, enum access_result result)
{
    const struct http_head *head = &exchange->head;

    if (result == ACCESS_REFUSED)
        return refused(exchange);
    if (result == ACCESS_SLOW)
        return EXCHANGE_VERIFY;
    if (head->has_length && exchange->request.route->take_body == NULL &&
        head->content_length > exchange->site->options.body_bytes) {
        too_large(exchange);
        return refused(exchange);
    }
    return exchange->has_body ? EXCHANGE_MORE : EXCHANGE_RUN;
}

void exchange_verify(struct exchange *exchange)
{
    access_verify(&exchange->access, &exchange->request);
}

enum exchange_step exchange_verified(struct exchange *exchange)
{
    return admit(exchange, access_finish(&exchange->access, &exchange->request, &exchange->reply));
}

enum exchange_step exchange_begin(struct exchange *exchange, const char *bytes, size_t len,
                                  const struct peer *peer, const struct listener *listener)
{
    struct http_head *head = &exchange->head;
    struct http_request *request = &exchange->request;
    struct error err;
    unsigned allowed;
    int status;

    buf_append(&exchange->head_bytes, bytes, len);
    fill_request(exchange, peer);
    if (http_head_parse((const char *)exchange->head_bytes.data, len, head, &status, &err) != 0) {
        http_counters_rejected(exchange->site->counters, HTTP_REJECTED_FRAMING);
        /* What was read of the head is not to be trusted. */
        head->field_count = 0;
        head->method.len = head->path.len = 0;
        head->verb = HTTP_VERB_GET;
        exchange_refuse(exchange, status, err.text);
        return EXCHANGE_ANSWER;
    }
    exchange->has_body = head->chunked || (head->has_length && head->content_length > 0);
    exchange->keep_alive = head->keep_alive;
    exchange->no_chunks = head->http10;
    exchange->gzip = coding_accepts_gzip(head);
    exchange->body_left = head->content_length;
    request->route = http_routes_find(&exchange->site->routes, head->path, head->verb,
                                      &exchange->arena, request->captures, &allowed);
    exchange->access.listener = listener;
    exchange->access.client = peer->client;
    exchange->access.origin = cors_judge(exchange->site->cors, head);
    if (request->route == NULL)
        refuse_route(exchange, allowed);
    else if (!is_open(exchange))
        status_put_unready(exchange->site, &exchange->reply);
    else
        return admit(exchange, access_check(&exchange->access, request, &exchange->reply));
    return refused(exchange);
}

/* What take_body decoded goes to a route that takes it as it comes. */
static enum exchange_step pass_on(struct exchange *exchange, const uint8_t *bytes, size_t len,
                                  enum exchange_step step)
{
    if (len > 0 &&
        !exchange->request.route->take_body(&exchange->request, bytes, len, &exchange->reply)) {
        exchange->reply.close = true;
        return EXCHANGE_ANSWER;
    }
    if (!charge_body(exchange)) {
        refuse_memory(exchange);
        return EXCHANGE_ANSWER;
    }
    return step;
}

static enum exchange_step take_chunked(struct exchange *exchange, const uint8_t *bytes, size_t len,
                                       size_t *used)
{
    bool passes = exchange->request.route->take_body != NULL;
    uint64_t limit = passes ? INT64_MAX : exchange->site->options.body_bytes;
    enum exchange_step step = EXCHANGE_MORE;
    enum chunked_result result =
        chunked_feed(&exchange->chunked, bytes, len, limit, used, &exchange->gathered);

    exchange->received += *used;
    switch (result) {
    case CHUNKED_BAD:
        http_counters_rejected(exchange->site->counters, HTTP_REJECTED_FRAMING);
        exchange_refuse(exchange, 400, "the body is not chunked as it should be");
        return EXCHANGE_ANSWER;
    case CHUNKED_TOO_LARGE:
        too_large(exchange);
        return EXCHANGE_ANSWER;
    case CHUNKED_END:
        step = EXCHANGE_RUN;
        break;
    case CHUNKED_MORE:
        break;
    }
    if (passes) {
        step = pass_on(exchange, exchange->gathered.data, exchange->gathered.len, step);
        exchange->gathered.len = 0;
    } else if (!charge_body(exchange)) {
        refuse_memory(exchange);
        step = EXCHANGE_ANSWER;
    } else {
        exchange->request.body = bytes_of(&exchange->gathered);
        exchange->request.body_len = exchange->gathered.len;
    }
    return step;
}

enum exchange_step exchange_take_body(struct exchange *exchange, const uint8_t *bytes, size_t len,
                                      size_t *used)
{
    struct http_request *request = &exchange->request;
    size_t part;

    if (exchange->head.chunked)
        return take_chunked(exchange, bytes, len, used);
    part = (size_t)TIDE_MIN(exchange->body_left, (uint64_t)len);
    *used = part;
    exchange->body_left -= part;
    exchange->received += part;
    if (request->route->take_body != NULL)
        return pass_on(exchange, bytes, part,
                       exchange->body_left == 0 ? EXCHANGE_RUN : EXCHANGE_MORE);
    if (exchange->body_left == 0 && exchange->gathered.len == 0 && !exchange_wants_pool(exchange)) {
        /* All of it came at once: the route reads it where it is. */
        request->body = bytes;
        request->body_len = part;
        return EXCHANGE_RUN;
    }
    buf_append(&exchange->gathered, bytes, part);
    if (!charge_body(exchange)) {
        refuse_memory(exchange);
        return EXCHANGE_ANSWER;
    }
    request->body = bytes_of(&exchange->gathered);
    request->body_len = exchange->gathered.len;
    return exchange->body_left == 0 ? EXCHANGE_RUN : EXCHANGE_MORE;
}

bool exchange_passes(const struct exchange *exchange)
{
    return exchange->request.route != NULL && exchange->request.route->take_body != NULL;
}

bool exchange_wants_pool(const struct exchange *exchange)
{
    return exchange->request.route != NULL && (exchange->request.route->flags & HTTP_ROUTE_POOL);
}

/* --- the route runs ----------------------------------------------------------------------------
 */

/* False: refused. */
static bool decode_body(struct exchange *exchange, struct coding *coding)
{
    struct http_request *request = &exchange->request;
    enum coding_kind kind;
    struct error err;

    if (!exchange->has_body || (request->route->flags & HTTP_ROUTE_RAW) ||
        request->route->take_body != NULL)
        return true;
    kind = coding_of_body(&exchange->head);
    if (kind == CODING_IDENTITY)
        return true;
    if (coding_decode(coding, kind, request->body, request->body_len,
                      exchange->site->options.decompressed_bytes, &exchange->decoded, &err) != 0) {
        http_reply_failure(&exchange->reply, &err);
        if (err.code == ERR_LIMIT)
            exchange->reply.status = 413;
        return false;
    }
    if (!charge_body(exchange)) {
        refuse_memory(exchange);
        return false;
    }
    request->body = bytes_of(&exchange->decoded);
    request->body_len = exchange->decoded.len;
    return true;
}

/* A chunk's head has a fixed width, so that it can be filled in when the piece is known. */
#define CHUNK_HEAD_BYTES 10

static void frame_piece(struct exchange *exchange, const struct buf *raw, bool last)
{
    struct buf *out = &exchange->piece;
    size_t from = out->len, size;
    char head[CHUNK_HEAD_BYTES + 1];

    if (!exchange->no_chunks)
        buf_append(out, "00000000\r\n", CHUNK_HEAD_BYTES);
    if (exchange->gzip_stream != NULL)
        gzip_stream_put(exchange->gzip_stream, raw, last, out);
    else
        buf_append(out, raw->data, raw->len);
    if (exchange->no_chunks)
        return;
    size = out->len - from - CHUNK_HEAD_BYTES;
    TIDE_ASSERT(size <= UINT32_MAX);
    if (size == 0) {
        out->len = from; /* an empty chunk would end the body */
    } else {
        snprintf(head, sizeof(head), "%08x\r\n", (unsigned)size);
        memcpy(out->data + from, head, CHUNK_HEAD_BYTES);
        buf_append(out, "\r\n", 2);
    }
    if (last)
        buf_append(out, "0\r\n\r\n", 5);
}

static void end_stream(struct exchange *exchange)
{
    struct http_stream *stream = &exchange->reply.stream;

    exchange->streaming = false;
    if (stream->free != NULL)
        stream->free(stream->ctx);
    *stream = (struct http_stream){0};
}

/* A body that ends within its first piece is sent whole. */
static void begin_stream(struct exchange *exchange)
{
    struct http_reply *reply = &exchange->reply;

    exchange->streaming = true;
    if (!reply->stream.produce(reply->stream.ctx, &reply->body)) {
        end_stream(exchange);
        if (reply->cut)
            http_reply_error(reply, 500, "internal", "reading failed, the log says why");
        return;
    }
    if (exchange->head.verb == HTTP_VERB_HEAD)
        return;
    if (exchange->gzip && reply->coding == NULL) {
        exchange->gzip_stream = gzip_stream_new();
        reply->coding = "gzip";
    }
    frame_piece(exchange, &reply->body, false);
    reply->body.len = 0;
}

void exchange_run(struct exchange *exchange, struct coding *coding, struct pusher *pusher)
{
    struct http_request *request = &exchange->request;
    struct http_reply *reply = &exchange->reply;

    request->coding = coding;
    request->pusher = pusher;
    if (decode_body(exchange, coding))
        request->route->handle(request, reply);
    if (reply->stream.produce != NULL)
        begin_stream(exchange);
    if (!exchange->streaming && exchange->gzip && reply->coding == NULL &&
        reply->body.len > GZIP_MIN_BYTES && coding_gzip(coding, &reply->body))
        reply->coding = "gzip";
}

void exchange_run_piece(struct exchange *exchange, struct coding *coding)
{
    struct http_stream *stream = &exchange->reply.stream;
    struct buf *raw = &exchange->reply.body;
    bool more;

    exchange->request.coding = coding;
    raw->len = 0;
    more = stream->produce(stream->ctx, raw);
    frame_piece(exchange, raw, !more && !exchange->reply.cut);
    if (!more)
        end_stream(exchange);
}

/* --- the answer goes out -----------------------------------------------------------------------
 */

static void put_number(struct buf *out, uint64_t number)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buf_append(out, digits + n, sizeof(digits) - n);
}

static void put_status_line(struct buf *out, int status)
{
    buf_append(out, "HTTP/1.1 ", 9);
    put_number(out, (uint64_t)status);
    buf_putc(out, ' ');
    buf_puts(out, http_status_text(status));
    buf_append(out, "\r\n", 2);
}

/* What browsers are to know of the answer (docs/security.md). */
static void put_for_browsers(const struct exchange *exchange, struct buf *out)
{
    const char *type = exchange->reply.content_type;

    cors_put(exchange->access.origin, &exchange->head, out);
    if (type == NULL)
        return;
    buf_puts(out, "X-Content-Type-Options: nosniff\r\n");
    if (strncmp(type, "text/html", 9) == 0)
        buf_puts(out, "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src "
                      "'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src "
                      "'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n"
                      "X-Frame-Options: DENY\r\n"
                      "Referrer-Policy: no-referrer\r\n");
}

static void put_length(const struct exchange *exchange, int status, struct buf *out)
{
    if (exchange->streaming || exchange->piece.len > 0) {
        if (!exchange->no_chunks)
            buf_puts(out, "Transfer-Encoding: chunked\r\n");
    } else if (status != 204 && status != 304 && status >= 200) {
        buf_append(out, "Content-Length: ", 16);
        put_number(out, exchange->reply.body.len);
        buf_append(out, "\r\n", 2);
    }
}

void exchange_write(struct exchange *exchange, const char *date, bool last, struct buf *out)
{
    struct http_reply *reply = &exchange->reply;
    int status = reply->status == 0 ? 200 : reply->status;
    bool whole = !exchange->streaming && exchange->piece.len == 0;
    struct buf swap;

    put_status_line(out, status);
    buf_append(out, "Date: ", 6);
    buf_puts(out, date);
    buf_append(out, "\r\n", 2);
    if (reply->content_type != NULL) {
        buf_append(out, "Content-Type: ", 14);
        buf_puts(out, reply->content_type);
        buf_puts(out, "\r\nVary: Accept-Encoding, Origin\r\n");
    }
    if (reply->coding != NULL && strcmp(reply->coding, "identity") != 0)
        buf_printf(out, "Content-Encoding: %s\r\n", reply->coding);
    put_for_browsers(exchange, out);
    put_length(exchange, status, out);
    if (last)
        buf_puts(out, "Connection: close\r\n");
    else if (exchange->no_chunks)
        buf_puts(out, "Connection: keep-alive\r\n");
    buf_append(out, reply->fields.data, reply->fields.len);
    buf_append(out, "\r\n", 2);
    if (exchange->head.verb == HTTP_VERB_HEAD) {
        if (exchange->streaming)
            end_stream(exchange);
        return;
    }
    if (!whole)
        return;
    if (reply->body.len <= INLINE_BYTES) {
        buf_append(out, reply->body.data, reply->body.len);
        return;
    }
    swap = exchange->piece;
    exchange->piece = reply->body;
    reply->body = swap;
}
