#include "http/graphite_door.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/logger.h"
#include "base/thread.h"
#include "http/http_site.h"
#include "http/listener.h"
#include "http/push.h"
#include "script/config.h"
#include "wire/graphite.h"

#define READ_BYTES ((size_t)256 << 10)
#define LINE_BYTES ((size_t)64 << 10)
#define CONNECTIONS 1024
/* How long a connection rests when the store is busy, and between looks for the store. */
#define PAUSE_US 100000

struct line_connection {
    struct graphite_door *door;
    struct line_connection *next;
    struct line_connection *previous;
    struct event *readable;
    struct event *resume;
    int fd;
    struct buf rest; /* what is not stored yet */
    bool skipping;   /* up to the end of a line that is too long */
    bool ended;      /* the sender has closed; what is left is to be stored */
};

struct graphite_door {
    const struct http_site *site;
    struct listener listener;
    struct thread thread;
    struct event_base *base;
    struct event *accept;
    struct event *ready; /* looks for the store */
    struct event *stop;
    int stop_fd;
    struct pusher *pusher; /* made when the store is there */
    struct line_connection *connections;
    size_t count;
    uint8_t *input; /* READ_BYTES */
};

/* --- lines -------------------------------------------------------------------------------------
 */

static void report(const struct append_result *result)
{
    if (push_faults(result) > 0)
        log_warn_limited("Graphite lines were refused", "refused=%" PRIu64 " first=\"%s\"",
                         push_faults(result),
                         result->example_count > 0 ? result->examples[0].text : "");
}

/* Stores whole lines; false when the store is busy: come again with the same. */
static bool store_lines(struct graphite_door *door, const uint8_t *bytes, size_t len)
{
    struct pusher *pusher = door->pusher;
    struct push push = {.now_ms = http_site_wall_ms(door->site)};
    struct error err;

    batch_reset(&pusher->batch);
    append_result_init(&pusher->result);
    if (graphite_decode(bytes, len, &push, &pusher->batch, &pusher->result, &err) != 0 ||
        store_append(pusher->appender, &pusher->batch, &pusher->result, &err) != 0) {
        if (err.code == ERR_BUSY)
            return false;
        log_warn_limited("Graphite lines could not be stored", "error=\"%s\"", err.text);
    }
    http_counters_push(door->site->counters, &pusher->result, &push.skipped);
    report(&pusher->result);
    return true;
}

static size_t whole_lines(const uint8_t *bytes, size_t len)
{
    const uint8_t *newline = len > 0 ? memrchr(bytes, '\n', len) : NULL;

    return newline != NULL ? (size_t)(newline + 1 - bytes) : 0;
}

/* Uses what is in `rest` as far as it is whole (all of it, when the sender has ended). */
static bool store_rest(struct line_connection *connection)
{
    struct buf *rest = &connection->rest;
    size_t whole = connection->ended ? rest->len : whole_lines(rest->data, rest->len);

    if (whole > 0 && !store_lines(connection->door, rest->data, whole))
        return false;
    rest->len -= whole;
    if (rest->len > LINE_BYTES) {
        log_warn_limited("a Graphite line is too long", "bytes=%zu", rest->len);
        connection->skipping = true;
        rest->len = 0;
    }
    if (rest->len > 0)
        memmove(rest->data, rest->data + whole, rest->len);
    else
        buf_destroy(rest);
    return true;
}

/* --- connections -------------------------------------------------------------------------------
 */

static void close_connection(struct line_connection *connection)
{
    struct graphite_door *door = connection->door;

    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        door->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    door->count--;
    event_free(connection->readable);
    event_free(connection->resume);
    close(connection->fd);
    buf_destroy(&connection->rest);
    mem_free(connection);
}

/* Stores what came; rests when the store is busy. */
static void go_on(struct line_connection *connection)
{
    const struct timeval pause = {.tv_usec = PAUSE_US};

    if (!store_rest(connection)) {
        event_del(connection->readable);
        event_add(connection->resume, &pause);
    } else if (connection->ended) {
        close_connection(connection);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct line_connection *connection = arg;

    (void)fd;
    (void)what;
    if (!connection->ended)
        event_add(connection->readable, NULL);
    go_on(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct line_connection *connection = arg;
    struct graphite_door *door = connection->door;
    ssize_t got = recv(fd, door->input, READ_BYTES, 0);
    const uint8_t *at = door->input;
    size_t len = got > 0 ? (size_t)got : 0, whole = 0;

    (void)what;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->ended = got <= 0;
    if (connection->skipping && len > 0) {
        const uint8_t *newline = memchr(at, '\n', len);

        connection->skipping = newline == NULL;
        len -= newline != NULL ? (size_t)(newline + 1 - at) : len;
        at = newline != NULL ? newline + 1 : at;
    }
    if (connection->rest.len == 0) { /* read where they are */
        whole = whole_lines(at, len);
        if (whole > 0 && !store_lines(door, at, whole))
            whole = 0;
    }
    if (len > whole)
        buf_append(&connection->rest, at + whole, len - whole);
    go_on(connection);
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
    struct graphite_door *door = arg;
    struct line_connection *connection;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)what;
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            log_warn_limited("cannot accept a Graphite connection", "errno=%d", errno);
        return;
    }
    if (door->count == CONNECTIONS) {
        log_warn_limited("too many Graphite connections", "connections=%d", CONNECTIONS);
        close(fd);
        return;
    }
    connection = mem_zalloc(1, sizeof(*connection));
    connection->door = door;
    connection->fd = fd;
    connection->readable = event_new(door->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->resume = event_new(door->base, -1, 0, on_resume, connection);
    connection->next = door->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    door->connections = connection;
    door->count++;
    event_add(connection->readable, NULL);
}

/* --- life --------------------------------------------------------------------------------------
 */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    const struct timeval pause = {.tv_usec = PAUSE_US};
    struct graphite_door *door = arg;
    struct store *store = http_site_store(door->site);

    (void)fd;
    (void)what;
    if (store == NULL) {
        event_add(door->ready, &pause);
        return;
    }
    door->pusher = pusher_new(store);
    event_add(door->accept, NULL);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(((struct graphite_door *)arg)->base);
}

static void *run(void *arg)
{
    const struct timeval now = {0};
    struct graphite_door *door = arg;

    event_add(door->ready, &now);
    event_base_loop(door->base, EVLOOP_NO_EXIT_ON_EMPTY);
    while (door->connections != NULL) {
        door->connections->ended = true;
        store_rest(door->connections);
        close_connection(door->connections);
    }
    return NULL;
}

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

static void free_door(struct graphite_door *door)
{
    free_event(door->accept);
    free_event(door->ready);
    free_event(door->stop);
    if (door->base != NULL)
        event_base_free(door->base);
    if (door->stop_fd >= 0)
        close(door->stop_fd);
    listener_destroy(&door->listener);
    pusher_free(door->pusher);
    mem_free(door->input);
    mem_free(door);
}

struct graphite_door *graphite_door_open(const struct http_site *site, const char *address,
                                         struct error *err)
{
    struct graphite_door *door = mem_zalloc(1, sizeof(*door));

    door->site = site;
    door->input = mem_alloc(READ_BYTES);
    door->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    door->base = event_base_new();
    door->listener.fd = -1;
    if (door->base == NULL || door->stop_fd < 0) {
        error_set_errno(err, "event loop");
        free_door(door);
        return NULL;
    }
    if (listener_open(&door->listener, &(struct config_listener){.address = (char *)address},
                      err) != 0) {
        error_note(err, "push.graphite_listen");
        free_door(door);
        return NULL;
    }
    door->accept =
        event_new(door->base, door->listener.fd, EV_READ | EV_PERSIST, on_connection, door);
    door->ready = event_new(door->base, -1, 0, on_ready, door);
    door->stop = event_new(door->base, door->stop_fd, EV_READ, on_stop, door);
    event_add(door->stop, NULL);
    if (thread_start(&door->thread, "graphite", 0, run, door, err) != 0) {
        free_door(door);
        return NULL;
    }
    log_info("listening for Graphite", "address=%s", door->listener.address);
    return door;
}

void graphite_door_close(struct graphite_door *door)
{
    const uint64_t one = 1;

    if (door == NULL)
        return;
    if (write(door->stop_fd, &one, sizeof(one)) < 0)
        TIDE_ASSERT(errno == EAGAIN);
    thread_join(&door->thread);
    free_door(door);
}
