/* fetch.h - one HTTP exchange as a client, by libcurl: for subcommands that ask the running server
 * and for webhooks. Blocks; thread-safe. http and https only, no redirects are followed. */
#ifndef TIDE_BASE_FETCH_H
#define TIDE_BASE_FETCH_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

/* Zero it, then set what is wanted. All borrowed for the call. */
struct fetch_request {
    const char *method;         /* NULL: POST with a body, else GET */
    const char *url;            /* "http://127.0.0.1:9201/api/v1/query" */
    const char *unix_socket;    /* path; the host of the url is only a name then; may be NULL */
    const char *const *headers; /* "Name: value", the list ends with NULL; may be NULL */
    const char *user_password;  /* "user:password" for basic authentication; may be NULL */
    const char *ca_file;        /* certificates to trust instead of the system's; may be NULL */

    const void *body;
    size_t body_len;
    /* Instead of `body`: gives the next piece, 0 at the end, SIZE_MAX to break off. */
    size_t (*read_body)(void *ctx, void *out, size_t room);
    /* Takes pieces of a reply with a status below 300 as they come, its content_type is set then;
     * 0, or -1 to break off. NULL: gathered. */
    int (*take)(void *ctx, const void *bytes, size_t len);
    void *ctx;

    int64_t connect_timeout_ms; /* 0: 10 s */
    int64_t timeout_ms;         /* of the whole exchange; 0: none, but 60 s without a byte end it */
    size_t max_reply_bytes;     /* gathered; 0: 64 MiB */
};

struct fetch_reply {
    int status;             /* HTTP's */
    struct buf body;        /* gathered; of refusals also with `take` */
    char content_type[128]; /* "" if there was none */
};

/**
 * Asks and waits for the whole answer.
 *
 * @param reply  out: filled on success, destroy it with fetch_reply_destroy
 * @return 0 (any HTTP status), or -1 with err: IO (no connection, broken off), TIMEOUT, LIMIT (the
 *         answer is too large), INVALID (the address), CANCELLED (a callback said so)
 */
TIDE_NODISCARD int fetch(const struct fetch_request *request, struct fetch_reply *reply,
                         struct error *err);
void fetch_reply_destroy(struct fetch_reply *reply);

/**
 * Where a server with this `listen` entry is asked ("0.0.0.0:9201", "[::]:9201",
 * "unix:/run/t.sock").
 *
 * @param url          out: "http://127.0.0.1:9201" without a final slash
 * @param unix_socket  out: a path in `listen`, or NULL
 */
void fetch_address(const char *listen, char *url, size_t url_size, const char **unix_socket);

#endif
