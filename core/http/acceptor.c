#include "http/acceptor.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/logger.h"
#include "http/clients.h"

/* Connections taken from one listener before the others are looked at. */
#define ACCEPT_ROUNDS 64
/* Pause when the process has no descriptor left. */
#define PAUSE_US 100000

struct gate {
    struct acceptor *acceptor;
    const struct listener *listener;
    struct event *event;
};

struct acceptor {
    struct http_site *site;
    struct worker **workers;
    size_t worker_count;
    struct thread thread;
    struct event_base *base;
    struct event *stop;
    struct event *resume;
    int stop_fd;
    struct gate *gates;
    size_t gate_count;
};

/* The worker with the fewest connections, and how many there are in all. */
static struct worker *pick_worker(const struct acceptor *acceptor, size_t *total)
{
    struct worker *best = NULL;
    size_t fewest = SIZE_MAX;

    *total = 0;
    for (size_t i = 0; i < acceptor->worker_count; i++) {
        size_t open = __atomic_load_n(&acceptor->workers[i]->open, __ATOMIC_RELAXED);

        *total += open;
        if (open < fewest) {
            fewest = open;
            best = acceptor->workers[i];
        }
    }
    return best;
}

/* TLS would have to shake hands first: there nothing is said. */
static void turn_away(const struct gate *gate, int fd, const char *answer)
{
    if (gate->listener->tls == NULL &&
        send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("connection turned away", "errno=%d", errno);
    shutdown(fd, SHUT_WR);
    close(fd);
    http_counters_rejected(gate->acceptor->site->counters, HTTP_REJECTED_LIMIT);
}

#define TURNED_AWAY(status, length, text)                                                          \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nContent-Length: " length             \
    "\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"                                              \
    "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"" text "\"}\n"

/* To the worker with the fewest, unless there are too many. */
static void deal(const struct gate *gate, int fd, const struct sockaddr_storage *name)
{
    static const char full[] =
        TURNED_AWAY("503 Service Unavailable", "85", "too many connections are open");
    static const char greedy[] = TURNED_AWAY("503 Service Unavailable", "103",
                                             "too many connections from this address are open");
    struct http_site *site = gate->acceptor->site;
    struct client *client;
    struct worker *worker;
    struct peer peer = {0};
    size_t total;

    peer_from_address(&peer, name);
    worker = pick_worker(gate->acceptor, &total);
    if (total >= site->options.connections) {
        turn_away(gate, fd, full);
        return;
    }
    client = clients_enter(site->clients, peer.client,
                           name->ss_family == AF_UNIX ? 0 : site->options.client_connections);
    if (client == NULL)
        turn_away(gate, fd, greedy);
    else
        worker_deal(worker, fd, &peer, gate->listener, client);
}

static void pause_all(struct acceptor *acceptor)
{
    const struct timeval pause = {.tv_usec = PAUSE_US};

    log_warn_limited("cannot accept connections", "errno=%d", errno);
    for (size_t i = 0; i < acceptor->gate_count; i++)
        event_del(acceptor->gates[i].event);
    event_add(acceptor->resume, &pause);
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
    const struct gate *gate = arg;
    struct acceptor *acceptor = gate->acceptor;

    (void)what;
    for (int round = 0; round < ACCEPT_ROUNDS; round++) {
        struct sockaddr_storage name = {0};
        socklen_t len = sizeof(name);
        int fd = accept4(listener, (struct sockaddr *)&name, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_all(acceptor);
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            return;
        }
        deal(gate, fd, &name);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *acceptor = arg;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < acceptor->gate_count; i++)
        event_add(acceptor->gates[i].event, NULL);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(((struct acceptor *)arg)->base);
}

static void *run(void *arg)
{
    event_base_loop(((struct acceptor *)arg)->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static void free_acceptor(struct acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->gate_count; i++) {
        if (acceptor->gates[i].event != NULL)
            event_free(acceptor->gates[i].event);
    }
    if (acceptor->stop != NULL)
        event_free(acceptor->stop);
    if (acceptor->resume != NULL)
        event_free(acceptor->resume);
    if (acceptor->base != NULL)
        event_base_free(acceptor->base);
    if (acceptor->stop_fd >= 0)
        close(acceptor->stop_fd);
    mem_free(acceptor->gates);
    mem_free(acceptor);
}

struct acceptor *acceptor_start(struct http_site *site, struct listener *listeners,
                                size_t listener_count, struct worker **workers, size_t worker_count,
                                struct error *err)
{
    struct acceptor *acceptor = mem_zalloc(1, sizeof(*acceptor));

    acceptor->site = site;
    acceptor->workers = workers;
    acceptor->worker_count = worker_count;
    acceptor->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    acceptor->base = event_base_new();
    if (acceptor->base == NULL || acceptor->stop_fd < 0) {
        error_set_errno(err, "event loop");
        free_acceptor(acceptor);
        return NULL;
    }
    acceptor->stop = event_new(acceptor->base, acceptor->stop_fd, EV_READ, on_stop, acceptor);
    acceptor->resume = event_new(acceptor->base, -1, 0, on_resume, acceptor);
    event_add(acceptor->stop, NULL);
    acceptor->gates = mem_zalloc(listener_count, sizeof(*acceptor->gates));
    for (; acceptor->gate_count < listener_count; acceptor->gate_count++) {
        struct gate *gate = &acceptor->gates[acceptor->gate_count];

        gate->acceptor = acceptor;
        gate->listener = &listeners[acceptor->gate_count];
        gate->event = event_new(acceptor->base, listeners[acceptor->gate_count].fd,
                                EV_READ | EV_PERSIST, on_connection, gate);
        event_add(gate->event, NULL);
    }
    if (thread_start(&acceptor->thread, "http-accept", 0, run, acceptor, err) != 0) {
        free_acceptor(acceptor);
        return NULL;
    }
    return acceptor;
}

void acceptor_stop(struct acceptor *acceptor)
{
    const uint64_t one = 1;

    if (acceptor == NULL)
        return;
    if (write(acceptor->stop_fd, &one, sizeof(one)) < 0)
        TIDE_ASSERT(errno == EAGAIN);
    thread_join(&acceptor->thread);
    free_acceptor(acceptor);
}
