/* tls.h - the TLS of a listener: certificate, key, whose certificates clients must show; TLS 1.2
 * and 1.3, forward secrecy and authenticated ciphers only, HTTP/1.1 by ALPN.
 *
 * A reload makes a new context; connections keep the one that they began with. Thread-safe. */
#ifndef TIDE_HTTP_TLS_H
#define TIDE_HTTP_TLS_H

#include <openssl/ssl.h>

#include "base/base.h"
#include "base/error.h"

struct config_listener;
struct tls;

/**
 * Reads the files of a listener's settings.
 *
 * @return an owned context, or NULL with err: IO, INVALID (file, and what OpenSSL says of it)
 */
TIDE_NODISCARD SSL_CTX *tls_load(const struct config_listener *settings, struct error *err);

/** Takes the context over. */
struct tls *tls_new(SSL_CTX *context);
void tls_free(struct tls *tls);
/** Another context for connections to come; taken over. */
void tls_replace(struct tls *tls, SSL_CTX *context);
/** The server's side of a new connection; NULL when there is no memory. The descriptor stays the
 * caller's. */
SSL *tls_accept(struct tls *tls, int fd);
/** The first error of OpenSSL's queue as text; empties the queue. */
const char *tls_error_text(char *out, size_t size);

#endif
