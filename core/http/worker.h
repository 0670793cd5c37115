/* worker.h - a thread with an event loop that serves its share of the connections.
 *
 * Other threads reach a worker only through its mail. Everything else belongs to its thread. */
#ifndef TIDE_HTTP_WORKER_H
#define TIDE_HTTP_WORKER_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/thread.h"
#include "http/http_site.h"
#include "http/parked.h"
#include "http/peer.h"

struct coding;
struct connection;
struct event_base;
struct event;
struct exchange;
struct listener;
struct client;
struct pusher;

enum worker_mail_kind { MAIL_CONNECTION, MAIL_JOB_DONE, MAIL_DURABLE, MAIL_DRAIN };

struct worker_mail {
    enum worker_mail_kind kind;
    int fd;
    struct peer peer;
    const struct listener *listener;
    struct client *client;
    struct exchange *exchange;
};

#define WORKER_SPARE_BUFS 8
/* Read at once: a usual push in one call. */
#define WORKER_READ_BYTES ((size_t)256 << 10)

struct worker {
    struct http_site *site;
    struct thread thread;
    struct event_base *base;
    struct event *wake; /* mail has come */
    struct event *tick; /* deadlines; pending while there are connections */
    int wake_fd;

    struct lock mail_lock; /* guards the next three */
    struct worker_mail *mail;
    size_t mail_count;
    size_t mail_cap;

    size_t open; /* atomic: connections dealt to it and not closed */

    uint8_t *input; /* WORKER_READ_BYTES */
    struct buf spare[WORKER_SPARE_BUFS];
    size_t spare_count;
    struct exchange *free_exchanges;
    size_t free_exchange_count;
    struct connection *connections; /* open ones */
    struct connection *dead;        /* closed ones, freed when no callback uses them any more */
    struct coding *coding;
    struct pusher *pusher; /* made with the first push */
    int64_t now_ns;        /* of the running callback */
    int64_t date_s;
    char date[40];        /* for the Date field */
    struct parked parked; /* answers that wait for the log */
    bool draining;
    int64_t drain_until_ns;
};

/** @return owned, running worker (worker_join), or NULL with err: IO */
TIDE_NODISCARD struct worker *worker_start(struct http_site *site, size_t number,
                                           struct error *err);
/** Any thread. Takes the descriptor and the client over. */
void worker_deal(struct worker *worker, int fd, const struct peer *peer,
                 const struct listener *listener, struct client *client);
/** Any thread: a job of one of its exchanges has ended. */
void worker_job_done(struct worker *worker, struct exchange *exchange);
/** Any thread: the log has moved on, answers may leave. */
void worker_durable_moved(struct worker *worker);
/** Any thread: end when the connections have, at most drain_timeout_ms from now. */
void worker_drain(struct worker *worker);
/** Waits for its end and frees it. Takes NULL. */
void worker_join(struct worker *worker);

/* --- for connections, on the worker's thread ---------------------------------------------------
 */

struct buf worker_take_buf(struct worker *worker);
/** Takes the buffer over and empties *buf. */
void worker_give_buf(struct worker *worker, struct buf *buf);
struct exchange *worker_take_exchange(struct worker *worker);
void worker_give_exchange(struct worker *worker, struct exchange *exchange);
/** The worker's pusher; NULL until the store is open. */
struct pusher *worker_pusher(struct worker *worker);
const char *worker_date(struct worker *worker);

#endif
