/* connection_output.c - answers to the socket (connection_impl.h). */
#include <errno.h>

#include "http/connection_impl.h"

size_t connection_backlog(const struct connection *connection)
{
    return connection->out.len - connection->out_at + connection->tail.len - connection->tail_at;
}

static void took(struct connection *connection, size_t sent)
{
    size_t part = TIDE_MIN(sent, connection->out.len - connection->out_at);

    connection->out_at += part;
    connection->tail_at += sent - part;
    if (connection->out_at == connection->out.len) {
        connection->out.len = connection->out_at = 0;
        worker_give_buf(connection->worker, &connection->out);
    }
    if (connection->tail_at == connection->tail.len) {
        connection->tail_at = 0;
        worker_give_buf(connection->worker, &connection->tail);
    }
}

void connection_flush(struct connection *connection)
{
    while (connection_backlog(connection) > 0) {
        struct iovec parts[2];
        size_t count = 0;
        ssize_t sent;

        if (connection->out.len > connection->out_at)
            parts[count++] = (struct iovec){.iov_base = connection->out.data + connection->out_at,
                                            .iov_len = connection->out.len - connection->out_at};
        if (connection->tail.len > connection->tail_at)
            parts[count++] = (struct iovec){.iov_base = connection->tail.data + connection->tail_at,
                                            .iov_len = connection->tail.len - connection->tail_at};
        sent = transport_send(&connection->transport, parts, count);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                connection_close(connection);
            break;
        }
        http_counters_bytes(connection->worker->site->counters, 0, (size_t)sent);
        took(connection, (size_t)sent);
        connection->stall_ns = connection_stall(connection);
    }
    if (connection->state != CLOSED)
        connection_set_writing(connection, connection_backlog(connection) > 0 ||
                                               connection->transport.wants_write);
}

struct buf *connection_output(struct connection *connection)
{
    if (connection->out.cap == 0)
        connection->out = worker_take_buf(connection->worker);
    return &connection->out;
}
