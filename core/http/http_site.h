/* http_site.h - what all workers and routes of a server share, and its counters.
 *
 * Immutable after the start but for what is marked atomic. */
#ifndef TIDE_HTTP_HTTP_SITE_H
#define TIDE_HTTP_HTTP_SITE_H

#include "base/base.h"
#include "base/metrics.h"
#include "base/regex.h"
#include "http/http_request.h"
#include "http/http_server.h"
#include "http/reload_state.h"
#include "promql/engine.h"

struct access_log;
struct auth;
struct clients;
struct cors;
struct desks;
struct gateway;
struct http_counters;
struct metadata_table;
struct query_pool;

struct http_site {
    struct http_options options;
    char *version; /* owned */
    const struct clock *clock;
    struct http_routes routes;   /* the product's and the options', owned list */
    struct regex_cache *regexes; /* of all queries' matchers */
    struct query_pool *pool;
    struct query_pool *login_pool; /* where passwords are tried */
    struct auth *auth;
    struct access_log *log;
    struct clients *clients; /* who has a connection */
    struct cors *cors;
    struct query_helpers helpers;    /* idle threads of the pool */
    struct running_queries *running; /* the options'; may be NULL */
    struct http_counters *counters;
    struct gateway *gateway;         /* groups of a Pushgateway */
    struct metadata_table *metadata; /* what pushes said about metrics */
    struct reload_state *reloads;    /* owned: how the last one went */
    struct desks *desks;             /* owned: consoles over HTTP; NULL: none */
    int64_t start_ms;                /* wall clock */
    struct store *opened;            /* atomic: http_site_store */
    struct query_pot *pot;           /* owned: samples that queries and their answers hold */
    size_t body_bytes;               /* atomic: memory that bodies of requests hold */
    int stopping;                    /* atomic: http_site_stopping */
};

/** The store once the server is open, else NULL. Any thread. */
struct store *http_site_store(const struct http_site *site);
bool http_site_stopping(const struct http_site *site);
int64_t http_site_wall_ms(const struct http_site *site);

/* --- counters: bounded numbers of labels whatever clients send ---------------------------------
 */

enum http_rejection {
    HTTP_REJECTED_LIMIT,
    HTTP_REJECTED_FRAMING,
    HTTP_REJECTED_TIMEOUT,
    HTTP_REJECTED_HANDSHAKE
};

struct http_counters *http_counters_new(const struct http_site *site);
void http_counters_free(struct http_counters *counters);
/** A request was answered. `route` NULL: none was found. */
void http_counters_request(struct http_counters *counters, const struct http_route *route,
                           int status, int64_t duration_ns);
void http_counters_connection(struct http_counters *counters, int change);
void http_counters_rejected(struct http_counters *counters, enum http_rejection why);
void http_counters_bytes(struct http_counters *counters, size_t received, size_t sent);
/** What became of a push: accepted samples, refused ones by reason, and what nobody stores. */
struct append_result;
struct push_skipped;
void http_counters_push(struct http_counters *counters, const struct append_result *result,
                        const struct push_skipped *skipped);

#endif
