/* connection_impl.h - the inside of a connection, for its three files: connection.c (life, events,
 * deadlines), connection_output.c (bytes out) and connection_request.c (from input to answers). */
#ifndef TIDE_HTTP_CONNECTION_IMPL_H
#define TIDE_HTTP_CONNECTION_IMPL_H

#include <event2/event_struct.h>

#include "http/connection.h"
#include "http/exchange.h"
#include "http/transport.h"

enum connection_state {
    SHAKING,    /* hands, as TLS does */
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
    struct transport transport;
    enum connection_state state;
    struct peer peer;
    const struct listener *listener;
    struct client *client; /* of clients.h */
    int64_t deadline_ns;   /* of what the state waits for */
    int64_t stall_ns;      /* output must have moved until then */
    struct buf pending;    /* input that was not used yet */
    size_t scanned;        /* of it, in search of a head's end */
    struct buf out;        /* answers, sent up to out_at */
    size_t out_at;
    struct buf tail; /* goes behind out, without having been copied */
    size_t tail_at;
    size_t lingered;
    size_t passed; /* of a body that is taken as it comes, since its deadline was set */
    struct exchange *exchange;
    bool counted;               /* the exchange is one of the client's queries */
    bool in_head;               /* the first bytes of a head are there */
    bool answered;              /* the head of the exchange's answer was written */
    bool watching;              /* read_event looks for the end only */
    bool reading;               /* read_event is added */
    bool writing;               /* write_event is added */
    bool close_after;           /* of all output */
    bool unread;                /* the peer may be sending more: linger before closing */
    bool job;                   /* the pool has the exchange */
    bool parked;                /* its answer waits for the log */
    struct http_stream awaited; /* zeroed: its next piece is in nobody's hands but ours */
    bool ended;                 /* the peer sends no more */
};

/* --- connection.c --- */

/** What the state waits for must have come within so long. */
void connection_set_deadline(struct connection *connection, int64_t timeout_ms);
/** Until when output must have moved: a reader may stand still as long as a body may take. */
int64_t connection_stall(const struct connection *connection);
void connection_await_request(struct connection *connection);
void connection_set_reading(struct connection *connection, bool on);
void connection_set_writing(struct connection *connection, bool on);
void connection_release_exchange(struct connection *connection);
/** The descriptor goes at once, the rest when the callback, and a job, have ended. */
void connection_close(struct connection *connection);

/* --- connection_output.c --- */

/** Bytes of answers that are not sent yet. */
size_t connection_backlog(const struct connection *connection);
/** Sends what the socket takes; what stays waits for the write event. May close. */
void connection_flush(struct connection *connection);
/** Where the bytes of answers are appended. */
struct buf *connection_output(struct connection *connection);

/* --- connection_request.c --- */

/** May further input be used now? */
bool connection_can_parse(const struct connection *connection);
/** Uses as many of the bytes as it can; returns how many. */
size_t connection_consume(struct connection *connection, const uint8_t *bytes, size_t len);
/** The same with the input that was kept. */
void connection_consume_pending(struct connection *connection);
/** A head that is too long, too slow, or broken before its end. */
void connection_refuse_head(struct connection *connection, int status, const char *text);
/** The exchange's reply is there: head and body (or the first piece) go out. */
void connection_answer(struct connection *connection);
/** A reply or its next piece has come back from the pool. */
void connection_take_back(struct connection *connection);
/** A line of the request log, if it is wanted. */
void connection_log(const struct connection *connection, int status);
/** Hands the exchange to the pool; false when the pool is full. */
bool connection_submit(struct connection *connection, bool again);
/** A job is under way, and the client has gone. */
void connection_abandon(struct connection *connection);
/** What a stream awaited has come back, or its client has gone; if there is one. */
void connection_settle(struct connection *connection, bool gone);

#endif
