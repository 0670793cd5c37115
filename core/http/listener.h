/* listener.h - addresses that are listened on, TCP and Unix. */
#ifndef TIDE_HTTP_LISTENER_H
#define TIDE_HTTP_LISTENER_H

#include "base/base.h"
#include "base/error.h"

struct listener {
    int fd;        /* nonblocking; -1: none */
    char *address; /* owned: "127.0.0.1:9201" with the real port, "unix:/run/t.sock" */
    char *path;    /* owned: of a Unix socket, removed at the end; else NULL */
};

/**
 * Binds and listens: "HOST:PORT", "[IPv6]:PORT" (HOST is an address or "localhost"), "unix:PATH".
 * A socket file that nobody serves is replaced.
 *
 * @return 0 with *listener to be closed, or -1 with err: CONFLICT (in use), INVALID, IO
 */
TIDE_NODISCARD int listener_open(struct listener *listener, const char *address, struct error *err);
/** Safe on a closed one. */
void listener_close(struct listener *listener);

#endif
