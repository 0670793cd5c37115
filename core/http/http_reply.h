/* http_reply.h - what a route answers: status, fields, and a body at once or piece by piece.
 *
 * The server adds Date, Content-Length or chunks, Connection, CORS and Vary, and compresses what is
 * worth it. A zeroed reply is 200 without a body. One owner at a time. */
#ifndef TIDE_HTTP_HTTP_REPLY_H
#define TIDE_HTTP_HTTP_REPLY_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "store/append.h"

struct query_job;

/* A body made while it is sent. One function at a time, on the thread that ran the route's kind:
 * each piece is asked for when the one before has left, so a slow reader holds one piece. */
struct http_stream {
    /* Appends the next piece (aim at HTTP_PIECE_BYTES); false when it was the last one. */
    bool (*produce)(void *ctx, struct buf *out);
    /* Called once, whatever happened. */
    void (*free)(void *ctx);
    /* For a body that comes in its own time; NULL: it can always be made at once. Takes the job
     * that makes the next piece (produce) and runs it on any thread (its run, then its done) when
     * there is something, or when the client has gone. */
    void (*await)(void *ctx, struct query_job *job);
    /* Once for each await, on the connection's worker: that job has come back, or (`gone`) the
     * client has hung up before. ctx must live until then, whatever free was called for. Quick. */
    void (*settle)(void *ctx, bool gone);
    void *ctx;
};

#define HTTP_PIECE_BYTES ((size_t)256 << 10)

struct http_reply {
    int status;                   /* 0 is 200 */
    const char *content_type;     /* static; NULL when there is no body */
    struct buf body;              /* owned */
    struct buf fields;            /* further header lines, each with its CR LF; owned */
    struct http_stream stream;    /* when produce is set; what is in body goes first */
    struct append_ticket durable; /* the answer leaves when the log is so far; zeroed: at once */
    bool cut;                     /* by a stream that failed: what was sent must not look whole */
    bool close;                   /* close the connection behind the answer */
    const char *coding;           /* of the body as it is; "identity": leave it so; NULL: the server
                                     may compress it. Static */
};

#define HTTP_TYPE_JSON "application/json"
#define HTTP_TYPE_TEXT "text/plain; charset=utf-8"
#define HTTP_TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define HTTP_TYPE_HTML "text/html; charset=utf-8"

/** Empties it, keeping small buffers; frees a stream that was never taken. */
void http_reply_reset(struct http_reply *reply);
void http_reply_destroy(struct http_reply *reply);
/** Adds a header line. The value must not hold line ends (asserted). */
void http_reply_field(struct http_reply *reply, const char *name, const char *format, ...)
    TIDE_PRINTF(3, 4);
/** Status and a line of plain text. */
void http_reply_text(struct http_reply *reply, int status, const char *text);
/**
 * The API's error: {"status":"error","errorType":type,"error":text}; replaces the body.
 */
void http_reply_error(struct http_reply *reply, int status, const char *type, const char *format,
                      ...) TIDE_PRINTF(4, 5);
/** The same with status and type of err's code; overload gets Retry-After. */
void http_reply_failure(struct http_reply *reply, const struct error *err);
/** HTTP status and the API's errorType of an error code. */
int http_status_of(enum error_code code, const char **type);
/** "Not Found"; "Status" for numbers without a name. Static. */
const char *http_status_text(int status);

#endif
