#include "http/transport.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/logger.h"
#include "http/tls.h"

void transport_open(struct transport *transport, int fd, SSL *ssl)
{
    *transport = (struct transport){.fd = fd, .ssl = ssl};
}

/* --- TLS ---------------------------------------------------------------------------------------
 */

/* What a call of OpenSSL that gave `result` <= 0 means to recv and send: 0 or -1 with errno. */
static ssize_t fail(struct transport *transport, int result)
{
    int system_errno = errno;
    int error = SSL_get_error(transport->ssl, result);

    transport->wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    ERR_clear_error();
    transport->broken = true;
    errno = error == SSL_ERROR_SYSCALL && system_errno != 0 ? system_errno : ECONNRESET;
    return -1;
}

static ssize_t recv_tls(struct transport *transport, uint8_t *out, size_t len)
{
    size_t total = 0;

    transport->wants_write = false;
    /* A call gives one record at most, of 16 KiB. */
    while (total < len) {
        size_t got;
        int result;

        ERR_clear_error();
        result = SSL_read_ex(transport->ssl, out + total, len - total, &got);
        if (result <= 0) {
            ssize_t failure = fail(transport, result);

            return total > 0 && !transport->broken ? (ssize_t)total : failure;
        }
        total += got;
    }
    return (ssize_t)total;
}

static ssize_t send_tls(struct transport *transport, const struct iovec *parts, size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < parts[i].iov_len;) {
            size_t sent;
            int result;

            ERR_clear_error();
            result = SSL_write_ex(transport->ssl, (const uint8_t *)parts[i].iov_base + at,
                                  parts[i].iov_len - at, &sent);
            if (result <= 0) {
                bool waits_to_write = transport->wants_write;
                ssize_t failure = fail(transport, result);

                transport->wants_write = waits_to_write; /* the write event is set anyway */
                return total > 0 && !transport->broken ? (ssize_t)total : failure;
            }
            at += sent;
            total += sent;
        }
    }
    return (ssize_t)total;
}

/* Who speaks HTTP to a TLS port should read why it fails. */
static void explain(const struct transport *transport)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 22\r\nConnection: close\r\n\r\n"
                                 "this port wants https\n";

    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST &&
        send(transport->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("an answer in the clear was not taken", "errno=%d", errno);
}

enum transport_handshake transport_shake(struct transport *transport)
{
    int result, error;
    char text[200];

    ERR_clear_error();
    result = SSL_do_handshake(transport->ssl);
    if (result == 1) {
        transport->wants_write = false;
        return HANDSHAKE_DONE;
    }
    error = SSL_get_error(transport->ssl, result);
    transport->wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return HANDSHAKE_WAITS;
    explain(transport);
    log_debug("TLS handshake failed", "error=\"%s\"", tls_error_text(text, sizeof(text)));
    SSL_free(transport->ssl);
    transport->ssl = NULL;
    return HANDSHAKE_FAILED;
}

/* --- bytes -------------------------------------------------------------------------------------
 */

ssize_t transport_recv(struct transport *transport, void *out, size_t len)
{
    if (transport->ssl != NULL)
        return recv_tls(transport, out, len);
    return recv(transport->fd, out, len, 0);
}

ssize_t transport_peek(struct transport *transport)
{
    char byte;
    size_t got;
    int result;

    if (transport->ssl == NULL)
        return recv(transport->fd, &byte, 1, MSG_PEEK);
    transport->wants_write = false;
    ERR_clear_error();
    result = SSL_peek_ex(transport->ssl, &byte, 1, &got);
    return result > 0 ? 1 : fail(transport, result);
}

ssize_t transport_send(struct transport *transport, const struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};

    if (transport->ssl != NULL)
        return send_tls(transport, parts, count);
    return sendmsg(transport->fd, &message, MSG_NOSIGNAL);
}

bool transport_holds_input(const struct transport *transport)
{
    return transport->ssl != NULL && SSL_pending(transport->ssl) > 0;
}

static void say_goodbye(struct transport *transport)
{
    if (transport->ssl == NULL || transport->broken || !SSL_is_init_finished(transport->ssl))
        return;
    ERR_clear_error();
    SSL_shutdown(transport->ssl);
    ERR_clear_error();
}

void transport_end_output(struct transport *transport)
{
    say_goodbye(transport);
    shutdown(transport->fd, SHUT_WR);
}

void transport_close(struct transport *transport)
{
    if (transport->fd < 0)
        return;
    say_goodbye(transport);
    SSL_free(transport->ssl);
    close(transport->fd);
    *transport = (struct transport){.fd = -1};
}
