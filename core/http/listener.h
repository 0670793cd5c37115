/* listener.h - addresses that are listened on, TCP and Unix. */
#ifndef TIDE_HTTP_LISTENER_H
#define TIDE_HTTP_LISTENER_H

#include "base/base.h"
#include "base/error.h"

struct config_listener;
struct tls;

/* Immutable while connections of it are open. */
struct listener {
    int fd;          /* nonblocking; -1: none */
    char *address;   /* owned: "127.0.0.1:9201" with the real port, "unix:/run/t.sock" */
    char *path;      /* owned: of a Unix socket, removed at the end; else NULL */
    bool local;      /* a Unix socket or a loopback address: only this machine gets here */
    struct tls *tls; /* owned; NULL: in the clear */
    int64_t auth;    /* enum config_auth */
    unsigned roles;  /* enum config_role: the most that anybody may do here; 0: as is usual */
};

/**
 * Binds and listens to settings->address: "HOST:PORT", "[IPv6]:PORT" (HOST is an address or
 * "localhost"), "unix:PATH". A socket file that nobody serves is replaced.
 *
 * @return 0 with *listener to be closed, or -1 with err: CONFLICT (in use), INVALID, IO
 */
TIDE_NODISCARD int listener_open(struct listener *listener, const struct config_listener *settings,
                                 struct error *err);
/** Listens no more; what connections ask of it stays. Safe on a closed one. */
void listener_close(struct listener *listener);
/** Frees it, closing it first where that was not done. Safe on a zeroed one. */
void listener_destroy(struct listener *listener);

#endif
