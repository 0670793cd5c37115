/* console_client.c - see console_client.h. */
#include "console/console_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

#define GREETING_MS 5000

static int gone(struct console_client *client, struct error *err)
{
    console_client_close(client);
    return error_set(err, ERR_IO, "the server has gone");
}

static void take_text(char *out, size_t size, const struct frame *frame)
{
    snprintf(out, size, "%.*s", (int)TIDE_MIN(frame->len, size), (const char *)frame->payload);
}

/* Its greeting, so that something else that listens there is noticed at once. */
static int take_greeting(struct console_client *client, const char *path, struct error *err)
{
    struct frame frame;
    int result;

    do {
        result = console_client_receive(client, GREETING_MS, &frame, err);
    } while (result == 0 && errno == EINTR);
    if (result == 1 && frame.kind == FRAME_HELLO) {
        take_text(client->version, sizeof(client->version), &frame);
        return 0;
    }
    console_client_close(client);
    return error_set(err, ERR_IO,
                     "%s: whoever serves there is no Tidemark console, or lets you not in", path);
}

int console_client_open(struct console_client *client, const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *client = (struct console_client){.fd = -1, .next_id = 1};
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ERR_INVALID, "%s: too long for a socket's path", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd == -1 ||
        connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        error_set_errno(err, "no server at %s", path);
        console_client_close(client);
        return -1;
    }
    return take_greeting(client, path, err);
}

void console_client_close(struct console_client *client)
{
    if (client->fd > 0)
        close(client->fd);
    client->fd = -1;
    buf_destroy(&client->in);
    client->taken = 0;
}

static int send_all(const struct console_client *client, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    while (len > 0) {
        ssize_t sent = send(client->fd, at, len, MSG_NOSIGNAL);

        if (sent == -1 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        at += sent;
        len -= (size_t)sent;
    }
    return 0;
}

int console_client_send(struct console_client *client, enum frame_kind kind, const void *payload,
                        size_t len, uint32_t *id, struct error *err)
{
    uint8_t head[FRAME_HEAD_BYTES];

    if (len > FRAME_REQUEST_MAX)
        return error_set(err, ERR_LIMIT, "%zu bytes are too many for one request (at most %zu)",
                         len, FRAME_REQUEST_MAX);
    *id = client->next_id++;
    frame_head(head, kind, *id, len);
    if (send_all(client, head, sizeof(head)) != 0 || send_all(client, payload, len) != 0)
        return gone(client, err);
    return 0;
}

void console_client_cancel(const struct console_client *client, uint32_t id)
{
    uint8_t head[FRAME_HEAD_BYTES];

    frame_head(head, FRAME_CANCEL, id, 0);
    (void)!send(client->fd, head, sizeof(head), MSG_NOSIGNAL);
}

/* A frame out of what has come already; 0 if there is no whole one, -1 if it is none. */
static int take_frame(struct console_client *client, struct frame *frame)
{
    for (;;) {
        int64_t size = frame_parse(client->in.data + client->taken, client->in.len - client->taken,
                                   FRAME_ANSWER_MAX, frame);

        if (size <= 0)
            return (int)size;
        client->taken += (size_t)size;
        if (frame->kind != FRAME_STATE)
            return 1;
        take_text(client->state, sizeof(client->state), frame);
    }
}

int console_client_receive(struct console_client *client, int timeout_ms, struct frame *frame,
                           struct error *err)
{
    struct pollfd polled = {.fd = client->fd, .events = POLLIN};

    if (client->fd == -1)
        return gone(client, err);
    for (;;) {
        int found = client->in.len > 0 ? take_frame(client, frame) : 0;
        ssize_t got;

        if (found != 0)
            return found == 1 ? 1 : gone(client, err);
        if (client->taken > 0) {
            memmove(client->in.data, client->in.data + client->taken,
                    client->in.len - client->taken);
            client->in.len -= client->taken;
            client->taken = 0;
        }
        if (poll(&polled, 1, timeout_ms) <= 0)
            return 0;
        got = recv(client->fd, buf_reserve(&client->in, 65536), 65536, 0);
        if (got == -1 && errno == EINTR)
            return 0;
        if (got <= 0)
            return gone(client, err);
        client->in.len += (size_t)got;
    }
}
