/* transport.h - bytes of a connection from and to its socket, in the clear or by TLS: the one place
 * that knows which. Never blocks. One thread. */
#ifndef TIDE_HTTP_TRANSPORT_H
#define TIDE_HTTP_TRANSPORT_H

#include <sys/uio.h>

#include <openssl/ssl.h>

#include "base/base.h"

struct transport {
    int fd;
    SSL *ssl;         /* NULL: in the clear */
    bool wants_write; /* reading (or the handshake) goes on when the socket may be written */
    bool broken;      /* TLS has failed: nothing more is said */
};

/** Takes fd and ssl over. */
void transport_open(struct transport *transport, int fd, SSL *ssl);
/** Says goodbye as TLS does, if it can, and closes. Safe on a closed one. */
void transport_close(struct transport *transport);
/** No more output; input may still come. */
void transport_end_output(struct transport *transport);

enum transport_handshake { HANDSHAKE_DONE, HANDSHAKE_WAITS, HANDSHAKE_FAILED };

/**
 * Goes on with the handshake of TLS as far as it can. When it has failed, what is left is a
 * connection in the clear on which the other side was told why.
 */
enum transport_handshake transport_shake(struct transport *transport);

/**
 * As recv: as many bytes as are there, at most `len`; 0 at the end; -1 with errno: EAGAIN when
 * there is nothing now.
 */
ssize_t transport_recv(struct transport *transport, void *out, size_t len);
/** Is there a byte, or the end? As recv with MSG_PEEK of one byte. */
ssize_t transport_peek(struct transport *transport);
/** As sendmsg. What was begun must be offered again, first and unchanged. */
ssize_t transport_send(struct transport *transport, const struct iovec *parts, size_t count);
/** Bytes were read from the socket already and wait: no event will tell of them. */
bool transport_holds_input(const struct transport *transport);

#endif
