/* load_http.h - a small blocking HTTP/1.1 client for the load generator: one kept connection. */
#ifndef TIDE_BENCH_LOAD_HTTP_H
#define TIDE_BENCH_LOAD_HTTP_H

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"
#include "base/buf.h"

struct load_client {
    const char *host, *port;
    int fd;         /* -1: not connected */
    struct buf in;  /* the answer, from its first byte */
    size_t body_at; /* of the last answer, in `in` */
    size_t body_len;
};

static int load_connect(struct load_client *client)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int one = 1;

    if (client->fd >= 0)
        return 0;
    if (getaddrinfo(client->host, client->port, &hints, &found) != 0)
        return -1;
    client->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd >= 0 && connect(client->fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(client->fd);
        client->fd = -1;
    }
    freeaddrinfo(found);
    if (client->fd < 0)
        return -1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return 0;
}

static void load_disconnect(struct load_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static int load_write(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t done = writev(fd, parts, count);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        while (count > 0 && (size_t)done >= parts->iov_len) {
            done -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + done;
            parts->iov_len -= (size_t)done;
        }
    }
    return 0;
}

/* More of the answer, terminated for the string functions; false at its end. */
static bool load_read_more(struct load_client *client)
{
    uint8_t *at = buf_reserve(&client->in, 65536);
    ssize_t got;

    do {
        got = read(client->fd, at, 65535);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    client->in.len += (size_t)got;
    client->in.data[client->in.len] = '\0';
    return true;
}

static const char *load_header(const struct load_client *client, const char *name)
{
    const char *found = strcasestr((const char *)client->in.data, name);

    return found != NULL && found < (const char *)client->in.data + client->body_at
               ? found + strlen(name)
               : NULL;
}

/* Joins the chunks of a chunked body in place. */
static int load_read_chunks(struct load_client *client)
{
    size_t at = client->body_at, out = at;

    for (;;) {
        char *line = (char *)client->in.data + at, *end;
        unsigned long size;

        while (strstr(line, "\r\n") == NULL) {
            if (!load_read_more(client))
                return -1;
            line = (char *)client->in.data + at;
        }
        size = strtoul(line, &end, 16);
        at = (size_t)(strstr(line, "\r\n") + 2 - (char *)client->in.data);
        while (client->in.len < at + size + 2) {
            if (!load_read_more(client))
                return -1;
        }
        memmove(client->in.data + out, client->in.data + at, size);
        out += size;
        at += size + 2;
        if (size == 0)
            break;
    }
    client->body_len = out - client->body_at;
    client->in.data[out] = '\0';
    return 0;
}

static int load_read_body(struct load_client *client, int status)
{
    const char *length = load_header(client, "\r\nContent-Length:");

    if (status == 204 || status == 304)
        return 0;
    if (length == NULL)
        return load_header(client, "\r\nTransfer-Encoding: chunked") != NULL
                   ? load_read_chunks(client)
                   : -1;
    client->body_len = strtoul(length, NULL, 10);
    while (client->in.len < client->body_at + client->body_len) {
        if (!load_read_more(client))
            return -1;
    }
    return 0;
}

/* One request, one answer. @return the status, or -1 when the connection failed */
static int load_request(struct load_client *client, const char *head, size_t head_len,
                        const void *body, size_t body_len)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)head, head_len},
                             {(void *)(uintptr_t)body, body_len}};
    const char *end;
    int status;

    client->in.len = 0;
    client->body_len = 0;
    if (load_connect(client) != 0 || load_write(client->fd, parts, 2) != 0)
        goto failed;
    do {
        if (!load_read_more(client))
            goto failed;
        end = strstr((const char *)client->in.data, "\r\n\r\n");
    } while (end == NULL);
    client->body_at = (size_t)(end + 4 - (const char *)client->in.data);
    if (strncmp((const char *)client->in.data, "HTTP/1.1 ", 9) != 0)
        goto failed;
    status = (int)strtol((const char *)client->in.data + 9, NULL, 10);
    if (load_read_body(client, status) != 0)
        goto failed;
    if (load_header(client, "\r\nConnection: close") != NULL)
        load_disconnect(client);
    return status;
failed:
    load_disconnect(client);
    return -1;
}

#endif
