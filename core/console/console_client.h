/* console_client.h - the other end of a console's socket. One owner, not thread-safe; blocks. */
#ifndef TIDE_CONSOLE_CONSOLE_CLIENT_H
#define TIDE_CONSOLE_CONSOLE_CLIENT_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "console/frame.h"

struct console_client {
    int fd; /* -1: not connected */
    uint32_t next_id;
    struct buf in;    /* what has come; frames point into it */
    size_t taken;     /* of it */
    char version[64]; /* the server's */
    char state[64];   /* "", or why it does not serve as usual */
};

/**
 * Connects and waits for the server's greeting. The client is a zeroed one or was closed.
 *
 * @return 0, or -1 with err: IO (nobody serves there), INVALID (the path)
 */
TIDE_NODISCARD int console_client_open(struct console_client *client, const char *path,
                                       struct error *err);
/** Safe on a zeroed or closed one. */
void console_client_close(struct console_client *client);

/** Sends a request; its id into *id. -1 with err: IO (the server has gone; the client is closed),
 * LIMIT (longer than FRAME_REQUEST_MAX). */
TIDE_NODISCARD int console_client_send(struct console_client *client, enum frame_kind kind,
                                       const void *payload, size_t len, uint32_t *id,
                                       struct error *err);
/** Asks for the end of a request under way. Async-signal-safe; errors show at the next receive. */
void console_client_cancel(const struct console_client *client, uint32_t id);
/**
 * The next frame but states, which are taken note of.
 *
 * @param timeout_ms  -1: none
 * @param frame       out: good until the next call
 * @return 1; 0: nothing came in time, or a signal did; -1 with err: IO (the server has gone)
 */
TIDE_NODISCARD int console_client_receive(struct console_client *client, int timeout_ms,
                                          struct frame *frame, struct error *err);

#endif
