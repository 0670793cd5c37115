/* http_server.h - the HTTP door: listeners, an acceptor, workers with an event loop each, and a
 * pool of threads for queries.
 *
 * Life: http_server_start listens at once and answers 503 on every route but the health ones, so
 * that a long recovery can be watched at /-/ready; http_server_open lets requests through to the
 * store; http_server_stop drains. Routes are in routes.c; how they see a request and answer it is
 * in http_request.h and http_reply.h. The inside: README.md of this room. */
#ifndef TIDE_HTTP_HTTP_SERVER_H
#define TIDE_HTTP_HTTP_SERVER_H

#include "base/base.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "store/store.h"

struct config;
struct config_listener;
struct config_origin;
struct config_user;
struct http_route;
struct http_server;
struct rulebook;

struct http_options {
    const struct config_listener *listen; /* borrowed; port 0: any free */
    size_t listen_count;
    const struct config_user *users; /* borrowed until the start has ended */
    size_t user_count;
    const struct config_origin *origins; /* likewise */
    size_t origin_count;
    size_t workers;            /* threads for connections; 0: as many as processors, at most 8 */
    size_t connections;        /* open at once; further ones get 503 and are closed */
    size_t client_connections; /* of them, of one address (503 beyond); 0: no limit */
    size_t client_queries;     /* of one address that wait or run: 429 beyond */
    size_t header_bytes;       /* request line and fields together: 431 beyond */
    size_t body_bytes;         /* of a body as it comes over the wire: 413 beyond */
    size_t decompressed_bytes; /* of a body after its content coding: 413 beyond */
    size_t all_bodies_bytes;   /* memory of all bodies that are being taken: 503 beyond */
    int64_t header_timeout_ms; /* from the first byte of a request to the end of its head */
    int64_t body_timeout_ms;   /* from there to the end of the body; also: a reader that stands */
    int64_t idle_timeout_ms;   /* a connection without a request */
    int64_t drain_timeout_ms;  /* what http_server_stop grants to requests under way */

    const char *graphite_listen; /* of Graphite's lines; NULL or "": nowhere; borrowed */
    size_t group_series;         /* that the groups of a Pushgateway remember */

    size_t query_threads;     /* queries evaluated at once */
    size_t query_queue;       /* queries that may wait; further ones get 503 */
    int64_t query_timeout_ms; /* waiting included; a request may ask for less */
    size_t query_max_samples;
    size_t query_memory_bytes; /* of all queries and of answers that are not sent yet: 503 beyond */
    size_t query_max_series;
    size_t query_max_points; /* steps of a range query */
    size_t query_max_bytes;  /* of a query's text */
    int64_t query_lookback_ms;
    bool query_experimental;         /* the experimental parts of PromQL, too */
    struct running_queries *running; /* where queries are listed; borrowed; may be NULL */

    const struct config *config; /* shown by status/config; borrowed; may be NULL */
    int64_t log_requests;        /* enum config_log_requests */
    int64_t log_slow_ms;
    int64_t log_lines_per_second;

    const char *version; /* of the program, as shown; copied */

    const struct store_progress *progress; /* what /-/ready tells until open; may be NULL */
    const struct clock *clock;             /* NULL: the system's; borrowed */
    struct metrics *metrics;               /* shown at /metrics; borrowed, outlives the server */

    /* Reads what may change while the server runs; any thread of the query pool. 0, or -1 with err:
     * then nothing changed. NULL: there is nothing. */
    int (*reload)(void *ctx, struct error *err);
    void *reload_ctx;

    const char *tenant_label; /* tenant.h; NULL or "": none; borrowed */

    struct rulebook *rules; /* asked before any read (read_door.h); NULL: none; borrowed */

    struct rulebook *console; /* of console sessions over HTTP (desk.h); NULL: none; borrowed */
    int64_t console_time_ms;  /* of one line */

    const struct http_route *routes; /* further routes (of specs, of later rooms); borrowed */
    size_t route_count;
};

/** Zeroes and sets the defaults, which are those of the configuration. */
void http_options_init(struct http_options *options);
/** Takes over what the configuration says of http.*, query.* and listen (borrowed from it). */
void http_options_configure(struct http_options *options, const struct config *config);

/**
 * Listens and starts the threads. A port that is taken is an error: SO_REUSEPORT would share it
 * silently with a second server. A Unix socket that nobody serves any more is replaced.
 *
 * @param options  copied; pointers are borrowed as their lines say
 * @return owned server (http_server_stop), or NULL with err: IO, CONFLICT (address in use), INVALID
 *         (not an address)
 * Threads: the caller's signals are blocked in all of them.
 */
TIDE_NODISCARD struct http_server *http_server_start(const struct http_options *options,
                                                     struct error *err);
/**
 * Takes over what of a new configuration may change while it serves: users (with the files of their
 * secrets, which are read again), certificates and keys (the same files), origins,
 * which requests are logged.
 *
 * @return 0, or -1 with err: all stays as it was
 */
TIDE_NODISCARD int http_server_reload(struct http_server *server, const struct config *config,
                                      struct error *err);
/** Says how a reload of all went (err NULL: well), for those who ask. Any thread. */
void http_server_reloaded(struct http_server *server, const struct error *err);
/** Ready: requests reach the store from now on. Once; the store must outlive http_server_stop. */
void http_server_open(struct http_server *server, struct store *store);
/** The i-th listener's address with the port that it really has; owned by the server. */
const char *http_server_address(const struct http_server *server, size_t i);
/**
 * Stops cleanly: accepts nothing more, lets requests under way end (at most drain_timeout_ms, new
 * ones on kept connections get 503 with X-Prometheus-Stopping: true), cancels what is left, joins
 * the threads and frees. Takes NULL. Blocks.
 */
void http_server_stop(struct http_server *server);

#endif
