#include "http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/tls.h"
#include "script/config.h"

#define BACKLOG 1024

/* Listens on a bound socket, or says why it could not be bound. */
static int finish(int fd, const char *address, bool bound, struct error *err)
{
    if (bound && listen(fd, BACKLOG) == 0)
        return 0;
    if (errno == EADDRINUSE)
        error_set(err, ERR_CONFLICT, "cannot listen on %s: the address is in use", address);
    else
        error_set_errno(err, "cannot listen on %s", address);
    close(fd);
    return -1;
}

/* --- Unix --------------------------------------------------------------------------------------
 */

/* Is there a socket file that nobody serves any more? */
static bool is_stale(const struct sockaddr_un *name)
{
    struct stat info;
    bool stale;
    int fd;

    if (lstat(name->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stale = fd >= 0 && connect(fd, (const struct sockaddr *)name, sizeof(*name)) != 0 &&
            errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return stale;
}

static int open_unix(struct listener *listener, const char *address, struct error *err)
{
    const char *path = address + strlen("unix:");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd;

    if (path[0] == '\0' || strlen(path) >= sizeof(name.sun_path))
        return error_set(err, ERR_INVALID, "listen \"%s\": a path of 1 to %zu bytes is needed",
                         address, sizeof(name.sun_path) - 1);
    memcpy(name.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(err, "cannot listen on %s", address);
    if (is_stale(&name))
        unlink(path);
    if (finish(fd, address, bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0, err) != 0)
        return -1;
    listener->fd = fd;
    listener->local = true;
    listener->path = mem_dup(path, strlen(path));
    listener->address = mem_dup(address, strlen(address));
    return 0;
}

/* --- TCP ---------------------------------------------------------------------------------------
 */

/* "[::1]:80" and "host:80" in two; false: neither. */
static bool split_address(const char *address, char *host, size_t host_size, const char **port)
{
    const char *colon = strrchr(address, ':'), *from = address;
    size_t len;

    if (colon == NULL || colon[1] == '\0')
        return false;
    len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && colon[-1] == ']') {
        from++;
        len -= 2;
    }
    if (len >= host_size)
        return false;
    memcpy(host, from, len);
    host[len] = '\0';
    *port = colon + 1;
    return true;
}

/* The address as it is: a port 0 was chosen by the system. */
static char *describe(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    char host[INET6_ADDRSTRLEN] = "?";
    struct buf text = {0};
    uint16_t port;

    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0)
        return mem_dup("?", 1);
    if (name.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&name;

        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
        port = ntohs(six->sin6_port);
        buf_printf(&text, "[%s]:%u", host, (unsigned)port);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&name;

        inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
        port = ntohs(four->sin_port);
        buf_printf(&text, "%s:%u", host, (unsigned)port);
    }
    buf_putc(&text, '\0');
    return (char *)text.data;
}

static bool is_loopback(const struct sockaddr *name)
{
    if (name->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)name)->sin_addr.s_addr) >> 24) == 127;
    return name->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)name)->sin6_addr);
}

static int open_tcp(struct listener *listener, const char *address, struct error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *port;
    char host[256];
    int one = 1, fd, failure;

    if (!split_address(address, host, sizeof(host), &port))
        return error_set(err, ERR_INVALID, "listen \"%s\": not HOST:PORT or unix:PATH", address);
    failure = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &found);
    if (failure != 0)
        return error_set(err, ERR_INVALID, "listen \"%s\": %s", address, gai_strerror(failure));
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        freeaddrinfo(found);
        return error_set_errno(err, "cannot listen on %s", address);
    }
    /* Not SO_REUSEPORT: a port that is taken must be an error. Accepted sockets inherit NODELAY. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    failure = bind(fd, found->ai_addr, found->ai_addrlen);
    listener->local = is_loopback(found->ai_addr);
    freeaddrinfo(found);
    if (finish(fd, address, failure == 0, err) != 0)
        return -1;
    listener->fd = fd;
    listener->address = describe(fd);
    return 0;
}

int listener_open(struct listener *listener, const struct config_listener *settings,
                  struct error *err)
{
    const char *address = settings->address;

    *listener =
        (struct listener){.fd = -1, .auth = settings->auth, .roles = (unsigned)settings->roles};
    if (settings->certificate != NULL && settings->certificate[0] != '\0') {
        SSL_CTX *context = tls_load(settings, err);

        if (context == NULL)
            return -1;
        listener->tls = tls_new(context);
    }
    if (strncmp(address, "unix:", 5) == 0)
        return open_unix(listener, address, err);
    return open_tcp(listener, address, err);
}

void listener_close(struct listener *listener)
{
    if (listener->address == NULL || listener->fd < 0)
        return;
    close(listener->fd);
    if (listener->path != NULL)
        unlink(listener->path);
    listener->fd = -1;
}

void listener_destroy(struct listener *listener)
{
    listener_close(listener);
    tls_free(listener->tls);
    mem_free(listener->path);
    mem_free(listener->address);
    *listener = (struct listener){.fd = -1};
}
