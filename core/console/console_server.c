/* console_server.c - see console_server.h. */
#include "console/console_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "console/seat.h"

#define CONNECTIONS 128
#define BACKLOG 16

struct console_server {
    struct console_options options; /* strings are owned */
    char *path;
    char *version;
    int listen_fd;
    int wake_fd;  /* eventfd: to stop, or a seat has ended */
    int stopping; /* atomic */
    struct thread thread;
    struct seat **seats; /* of the thread */
    size_t seat_count;
    uint64_t open; /* atomic: seats, for the metrics */
};

/* --- the socket ----------------------------------------------------------------------------------
 */

/* Does a process answer there? A socket file outlives the server that was killed. */
static bool is_served(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool served;

    if (fd == -1)
        return true;
    served = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    close(fd);
    return served;
}

static int open_socket(const char *path, mode_t mode, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat stat;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ERR_INVALID,
                         "console.socket %s: longer than the %zu bytes a socket's path may have",
                         path, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (lstat(path, &stat) == 0) {
        if (!S_ISSOCK(stat.st_mode))
            return error_set(err, ERR_CONFLICT, "console.socket %s: is there, and no socket", path);
        if (is_served(&address))
            return error_set(err, ERR_CONFLICT, "console.socket %s: another process serves there",
                             path);
        unlink(path);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return error_set_errno(err, "console.socket %s", path);
    /* The mode of the inode comes from the descriptor's, before anybody can see it. */
    if (fchmod(fd, mode) != 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0) {
        error_set_errno(err, "console.socket %s", path);
        close(fd);
        return -1;
    }
    return fd;
}

/* Root and our own user only; to look, whoever the socket's mode lets in. */
static bool is_welcome(int fd, bool only_looks, uid_t *user)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    *user = peer.uid;
    return only_looks || peer.uid == 0 || peer.uid == geteuid();
}

static void accept_one(struct console_server *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct seat *seat;
    struct error err;
    uid_t user = (uid_t)-1;

    if (fd == -1)
        return;
    if (!is_welcome(fd, server->options.only_looks, &user)) {
        log_warn("a console was refused", "user=%u", (unsigned)user);
        close(fd);
        return;
    }
    if (server->seat_count == server->options.connections) {
        log_warn_limited("a console was refused: too many are open", "connections=%zu",
                         server->seat_count);
        close(fd);
        return;
    }
    seat = seat_new(&server->options, fd, user, server->wake_fd, &err);
    if (seat == NULL) {
        log_error("a console cannot be served", "error=\"%s\"", err.text);
        return;
    }
    server->seats[server->seat_count++] = seat;
    __atomic_store_n(&server->open, server->seat_count, __ATOMIC_RELAXED);
}

/* --- the thread ----------------------------------------------------------------------------------
 */

static void close_seat(struct console_server *server, size_t i)
{
    seat_free(server->seats[i]);
    server->seats[i] = server->seats[--server->seat_count];
    __atomic_store_n(&server->open, server->seat_count, __ATOMIC_RELAXED);
}

/* Seats are looked at from the last to the first, so that closing one moves none that is due. */
static void serve_seats(struct console_server *server, const struct pollfd *polled, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        bool keep = !seat_ended(server->seats[i]);

        if (keep && polled[i].revents != 0)
            keep = seat_read(server->seats[i]);
        if (!keep)
            close_seat(server, i);
    }
}

static void *run(void *arg)
{
    struct console_server *server = arg;
    struct pollfd *polled = mem_zalloc(server->options.connections + 2, sizeof(*polled));

    while (!__atomic_load_n(&server->stopping, __ATOMIC_ACQUIRE)) {
        size_t count = server->seat_count;
        uint64_t ignored;

        for (size_t i = 0; i < count; i++)
            polled[i] = (struct pollfd){.fd = seat_fd(server->seats[i]), .events = POLLIN};
        polled[count] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
        polled[count + 1] = (struct pollfd){.fd = server->listen_fd, .events = POLLIN};
        if (poll(polled, (nfds_t)count + 2, -1) <= 0)
            continue;
        if (polled[count].revents != 0 &&
            read(server->wake_fd, &ignored, sizeof(ignored)) != sizeof(ignored))
            continue;
        serve_seats(server, polled, count);
        if (polled[count + 1].revents != 0)
            accept_one(server);
    }
    while (server->seat_count > 0)
        close_seat(server, server->seat_count - 1);
    mem_free(polled);
    return NULL;
}

/* --- life ----------------------------------------------------------------------------------------
 */

static double count_open(void *ctx)
{
    return (double)__atomic_load_n(&((struct console_server *)ctx)->open, __ATOMIC_RELAXED);
}

static void free_server(struct console_server *server)
{
    if (server->listen_fd != -1) {
        close(server->listen_fd);
        unlink(server->path);
    }
    if (server->wake_fd != -1)
        close(server->wake_fd);
    mem_free(server->seats);
    mem_free(server->path);
    mem_free(server->version);
    mem_free(server);
}

struct console_server *console_server_start(const struct console_options *options,
                                            struct error *err)
{
    struct console_server *server = mem_zalloc(1, sizeof(*server));

    server->options = *options;
    server->options.path = server->path = mem_dup(options->path, strlen(options->path));
    server->options.version = server->version = mem_dup(options->version, strlen(options->version));
    if (server->options.connections == 0)
        server->options.connections = CONNECTIONS;
    server->seats = mem_zalloc(server->options.connections, sizeof(struct seat *));
    server->wake_fd = eventfd(0, EFD_CLOEXEC);
    server->listen_fd = open_socket(server->path, options->only_looks ? 0660 : 0600, err);
    if (server->listen_fd == -1 ||
        thread_start(&server->thread, "console", 0, run, server, err) != 0) {
        free_server(server);
        return NULL;
    }
    if (options->metrics != NULL)
        metrics_callback(options->metrics, METRIC_GAUGE,
                         options->only_looks ? "tidemark_consoles_read_only" : "tidemark_consoles",
                         "Open consoles.", "", count_open, server);
    return server;
}

void console_server_stop(struct console_server *server)
{
    uint64_t one = 1;

    if (server == NULL)
        return;
    __atomic_store_n(&server->stopping, 1, __ATOMIC_RELEASE);
    if (write(server->wake_fd, &one, sizeof(one)) != sizeof(one))
        log_error("the console's thread cannot be woken", NULL);
    thread_join(&server->thread);
    free_server(server);
}
