#include "http/tls.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "script/config.h"

/* Of TLS 1.2; those of 1.3 are all good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls {
    struct lock context_lock; /* guards the next */
    SSL_CTX *context;
};

const char *tls_error_text(char *out, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    snprintf(out, size, "%s",
             reason != NULL                             ? reason
             : code != 0 && ERR_SYSTEM_ERROR(code) != 0 ? strerror(ERR_GET_REASON(code))
                                                        : "unknown");
    ERR_clear_error();
    return out;
}

/* --- loading -----------------------------------------------------------------------------------
 */

static const unsigned char protocols[] = "\x08http/1.1\x08http/1.0";

/* HTTP/1 or nothing. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, protocols, sizeof(protocols) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A key with a passphrase would ask the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return 0;
}

static int fail(const struct config_listener *settings, const char *what, const char *path,
                struct error *err)
{
    char text[200];

    return error_set(err, ERR_INVALID, "listen %s: %s %s: %s", settings->address, what, path,
                     tls_error_text(text, sizeof(text)));
}

static int load_certificate(SSL_CTX *context, const struct config_listener *settings,
                            struct error *err)
{
    struct stat info;

    if (SSL_CTX_use_certificate_chain_file(context, settings->certificate) != 1)
        return fail(settings, "certificate", settings->certificate, err);
    if (stat(settings->key, &info) == 0 && (info.st_mode & S_IROTH) != 0)
        log_warn("everybody may read a private key", "path=\"%s\"", settings->key);
    if (SSL_CTX_use_PrivateKey_file(context, settings->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return fail(settings, "key", settings->key, err);
    return 0;
}

/* Clients show a certificate of this authority. */
static int load_authority(SSL_CTX *context, const struct config_listener *settings,
                          struct error *err)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(settings->client_ca);
    int mode = SSL_VERIFY_PEER;

    if (names == NULL)
        return fail(settings, "client_ca", settings->client_ca, err);
    SSL_CTX_set_client_CA_list(context, names);
    if (SSL_CTX_load_verify_file(context, settings->client_ca) != 1)
        return fail(settings, "client_ca", settings->client_ca, err);
    if (settings->client_certificate == CONFIG_CLIENT_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, mode, NULL);
    return 0;
}

SSL_CTX *tls_load(const struct config_listener *settings, struct error *err)
{
    static const unsigned char session_context[] = "tidemark";
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL) {
        fail(settings, "TLS", "", err);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    TIDE_ASSERT(SSL_CTX_set_cipher_list(context, CIPHERS) == 1);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets cost no memory */
    SSL_CTX_set_session_id_context(context, session_context, sizeof(session_context) - 1);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (load_certificate(context, settings, err) != 0 ||
        (settings->client_ca != NULL && settings->client_ca[0] != '\0' &&
         load_authority(context, settings, err) != 0)) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

/* --- in force ----------------------------------------------------------------------------------
 */

struct tls *tls_new(SSL_CTX *context)
{
    struct tls *tls = mem_zalloc(1, sizeof(*tls));

    lock_init(&tls->context_lock);
    tls->context = context;
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    lock_destroy(&tls->context_lock);
    mem_free(tls);
}

void tls_replace(struct tls *tls, SSL_CTX *context)
{
    SSL_CTX *old;

    lock_acquire(&tls->context_lock);
    old = tls->context;
    tls->context = context;
    lock_release(&tls->context_lock);
    SSL_CTX_free(old);
}

SSL *tls_accept(struct tls *tls, int fd)
{
    SSL *ssl;

    lock_acquire(&tls->context_lock);
    ssl = SSL_new(tls->context);
    lock_release(&tls->context_lock);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}
