/* http_request.h - what a route sees of a request, and the table of routes.
 *
 * Routes never see sockets: a route is a function from a request to a reply (http_reply.h). It runs
 * on the connection's worker, which serves nobody else meanwhile, or, with HTTP_ROUTE_POOL, on a
 * thread of the query pool. Its request and reply belong to it until it returns; a reply that
 * streams keeps the request alive until its stream was freed. */
#ifndef TIDE_HTTP_HTTP_REQUEST_H
#define TIDE_HTTP_HTTP_REQUEST_H

#include "base/arena.h"
#include "base/base.h"
#include "http/http_head.h"

struct coding;
struct http_reply;
struct http_site;
struct pusher;

/* Who may ask; which credentials give which role is decided in front of the routes. */
enum http_role { HTTP_ROLE_NONE, HTTP_ROLE_PUSH, HTTP_ROLE_READ, HTTP_ROLE_ADMIN };

enum http_route_flags {
    HTTP_ROUTE_ALWAYS = 1 << 0,    /* answered before the store is ready, and while it stops */
    HTTP_ROUTE_POOL = 1 << 1,      /* runs on the query pool */
    HTTP_ROUTE_RAW = 1 << 2,       /* the body as it came: its coding is the route's business */
    HTTP_ROUTE_URL_LOGIN = 1 << 3, /* u and p in the address are a user and a password */
    HTTP_ROUTE_TENANT = 1 << 4,    /* for admins of one tenant, too (tenants.label) */
};

#define HTTP_CAPTURES_MAX 2

struct http_request {
    const struct http_site *site;                 /* what all routes share */
    const struct http_route *route;               /* the one that was found */
    const struct http_head *head;                 /* of this request */
    struct http_text captures[HTTP_CAPTURES_MAX]; /* what '*' stood for, decoded */
    const uint8_t *body;                          /* after its content coding */
    size_t body_len;
    struct arena *arena;   /* scratch until the reply is complete; one thread at a time */
    struct coding *coding; /* of the running thread */
    struct pusher *pusher; /* of the connection's worker, where a route without POOL runs; NULL on
                              the pool and before readiness */
    int64_t started_ns;    /* when the head was complete, monotonic */
    /* Who asks; texts live in the arena. What is unknown is NULL, which is not "". */
    const char *user;   /* of the credential; NULL: the listener asks for none */
    const char *tenant; /* of the credential, which names the user's when it names none */
    const char *remote; /* the client's address without its port; "unix" for a Unix socket */
    int *cancelled;     /* atomic: nonzero when nobody waits for the answer any more */
    size_t held;        /* memory that state holds of the body; kept by the route */
    void *state;        /* of a route that takes its body as it comes; its own */
    void (*state_free)(void *state); /* called once, whatever happened; set together with state */
};

typedef void http_handler(struct http_request *request, struct http_reply *reply);
/**
 * Takes a piece of the body while it comes (for bodies that may be larger than memory); content
 * codings are the route's business. The request's body is empty then.
 *
 * @return false to answer at once with what is in the reply; the connection is closed behind it
 */
typedef bool http_body_sink(struct http_request *request, const uint8_t *bytes, size_t len,
                            struct http_reply *reply);

struct http_route {
    const char *pattern; /* "/api/v1/label/" "*" "/values": '*' stands for one segment, "**"
                            at the end for the rest, which is not captured */
    unsigned verbs;      /* bits; HEAD is GET's, OPTIONS is everybody's */
    enum http_role role;
    unsigned flags;
    http_handler *handle;      /* body complete */
    http_body_sink *take_body; /* NULL: the body is gathered, within the limits */
};

struct http_routes {
    const struct http_route *list;
    size_t count;
};

/** The product's routes: routes.c. */
struct http_routes http_routes_all(void);

/**
 * Finds the route of a path (raw; a prefix /prometheus is left out) and fills captures.
 *
 * @param allowed  out: verbs of all routes that have the path; 0: no such path
 * @return the route whose path and verb fit, or NULL
 */
const struct http_route *http_routes_find(const struct http_routes *routes, struct http_text path,
                                          unsigned verb, struct arena *arena,
                                          struct http_text captures[HTTP_CAPTURES_MAX],
                                          unsigned *allowed);

#endif
