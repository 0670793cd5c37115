/* console_server.h - consoles on the running server: a Unix socket, a session for each connection.
 *
 * The socket is made with mode 0600, and only root and the server's own user are let in, whatever
 * its mode became. One whose sessions only look is for the group as well. One thread reads all
 * connections; each has one more that runs its lines, at a lower priority than pushes and queries,
 * so a busy console stalls no other. */
#ifndef TIDE_CONSOLE_CONSOLE_SERVER_H
#define TIDE_CONSOLE_CONSOLE_SERVER_H

#include "base/base.h"
#include "base/error.h"
#include "base/metrics.h"

struct console_server;
struct rulebook;

struct console_options {
    const char *path;      /* of the socket; copied */
    bool only_looks;       /* mode 0660, for whoever may open it; sessions refuse what acts */
    struct rulebook *book; /* of the sessions; outlives the server */
    const char *version;   /* told to clients; copied */
    int64_t time_ms;       /* of one evaluation; 0: 60 s */
    size_t connections;    /* at once; 0: 128 */
    /* Puts a word for the prompt into `out` ("recovering"), or nothing. Any thread. */
    void (*state)(void *ctx, char *out, size_t size);
    void *state_ctx;
    struct metrics *metrics; /* may be NULL; borrowed */
};

/**
 * Listens and starts the thread. A socket that nobody serves any more is replaced.
 *
 * @return owned server (console_server_stop), or NULL with err: IO, CONFLICT (another process
 *         serves there), INVALID (the path is too long for a socket)
 */
TIDE_NODISCARD struct console_server *console_server_start(const struct console_options *options,
                                                           struct error *err);
/** Cancels what runs, closes all connections, removes the socket, frees. Takes NULL. Blocks. */
void console_server_stop(struct console_server *server);

#endif
