/* exchange.h - one request and its reply, from the bytes of the head to the bytes of the answer:
 * all of HTTP but the socket.
 *
 * A connection feeds it: begin with a complete head, take_body until the body is there, run (on the
 * worker, or on the query pool), then write. Owned by its connection; while a job runs on the pool,
 * by that thread (but `cancelled`, which is atomic). Exchanges are reused: a request allocates
 * nothing once buffers have grown. */
#ifndef TIDE_HTTP_EXCHANGE_H
#define TIDE_HTTP_EXCHANGE_H

#include "base/base.h"
#include "base/buf.h"
#include "http/access.h"
#include "http/chunked.h"
#include "http/coding.h"
#include "http/http_reply.h"
#include "http/http_request.h"
#include "http/http_site.h"
#include "http/peer.h"
#include "http/query_pool.h"

struct connection;

struct exchange {
    struct query_job job;
    struct connection *connection;
    struct http_site *site;
    struct http_request request;
    struct http_reply reply;
    struct access access;
    struct http_head head;
    struct buf head_bytes; /* what head borrows from */
    struct buf gathered;   /* the body as it came */
    struct buf decoded;    /* after its content coding */
    struct arena arena;
    struct chunked chunked;
    size_t charged;     /* memory of the body, as counted in the site */
    uint64_t received;  /* of the body */
    uint64_t sent;      /* of the answer, head and body */
    uint64_t body_left; /* of a body with a length */
    int cancelled;      /* atomic */

    bool verifying;  /* its job is exchange_verify */
    bool has_body;   /* bytes of a body follow the head */
    bool keep_alive; /* another request may follow the reply */
    bool gzip;       /* the asker takes it */
    bool streaming;  /* pieces follow */
    bool no_chunks;  /* HTTP/1.0: the end of the connection ends the body */
    struct gzip_stream *gzip_stream;
    struct buf piece; /* framed bytes to send */
    struct exchange *next_free;
    struct exchange *next_parked;
    int64_t parked_ns; /* since when its answer waits for the log */
};

enum exchange_step {
    EXCHANGE_MORE,   /* wants (more of) the body */
    EXCHANGE_RUN,    /* complete: exchange_run it */
    EXCHANGE_VERIFY, /* who asks must be proved first: exchange_verify, on the login pool */
    EXCHANGE_ANSWER, /* the reply is there already: refused */
};

struct exchange *exchange_new(struct http_site *site);
void exchange_free(struct exchange *exchange);
/** Makes it ready for the next request; keeps buffers of usual sizes. */
void exchange_reset(struct exchange *exchange);

/** Parses a complete head, finds the route, checks what can be refused without the body. */
enum exchange_step exchange_begin(struct exchange *exchange, const char *bytes, size_t len,
                                  const struct peer *peer, const struct listener *listener);
/** EXCHANGE_VERIFY's job, on a thread of the login pool. */
void exchange_verify(struct exchange *exchange);
/** The step after it. */
enum exchange_step exchange_verified(struct exchange *exchange);
/** Takes the body as it comes, however large: who sends it must only go on. */
bool exchange_passes(const struct exchange *exchange);
/**
 * Takes bytes of the body.
 *
 * @param used  out: bytes that belonged to it
 */
enum exchange_step exchange_take_body(struct exchange *exchange, const uint8_t *bytes, size_t len,
                                      size_t *used);
/** Answers with an error outside of any route, and closes behind it. */
void exchange_refuse(struct exchange *exchange, int status, const char *text);
/** The route has returned and its reply needs the body no more: gives back its memory. */
void exchange_forget_body(struct exchange *exchange);
/** Does the route want the pool? */
bool exchange_wants_pool(const struct exchange *exchange);
/** Decodes the body, runs the route, makes the first piece of a stream. */
void exchange_run(struct exchange *exchange, struct coding *coding, struct pusher *pusher);
/** Makes the next piece of a stream into exchange->piece; clears `streaming` at the last. */
void exchange_run_piece(struct exchange *exchange, struct coding *coding);
/**
 * Appends the answer's head and, when it is small, its body; a large body or first piece is left
 * in exchange->piece for the connection to send after it.
 *
 * @param date  "Tue, 24 Nov 2026 15:46:00 GMT"
 * @param last  say that the connection closes
 */
void exchange_write(struct exchange *exchange, const char *date, bool last, struct buf *out);

#endif
