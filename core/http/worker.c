#include "http/worker.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "http/coding.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/push.h"

/* How often deadlines are looked at. */
#define TICK_MS 100
#define FREE_EXCHANGES 16

/* --- mail --------------------------------------------------------------------------------------
 */

static void send_mail(struct worker *worker, struct worker_mail mail)
{
    const uint64_t one = 1;
    bool first;

    lock_acquire(&worker->mail_lock);
    if (worker->mail_count == worker->mail_cap) {
        worker->mail_cap = TIDE_MAX(worker->mail_cap * 2, (size_t)64);
        worker->mail = mem_realloc(worker->mail, worker->mail_cap * sizeof(*worker->mail));
    }
    first = worker->mail_count == 0;
    worker->mail[worker->mail_count++] = mail;
    lock_release(&worker->mail_lock);
    if (first && write(worker->wake_fd, &one, sizeof(one)) < 0)
        TIDE_ASSERT(errno == EAGAIN); /* it is awake already */
}

void worker_deal(struct worker *worker, int fd, const struct peer *peer,
                 const struct listener *listener, struct client *client)
{
    __atomic_add_fetch(&worker->open, 1, __ATOMIC_RELAXED);
    send_mail(worker, (struct worker_mail){.kind = MAIL_CONNECTION,
                                           .fd = fd,
                                           .peer = *peer,
                                           .listener = listener,
                                           .client = client});
}

void worker_job_done(struct worker *worker, struct exchange *exchange)
{
    send_mail(worker, (struct worker_mail){.kind = MAIL_JOB_DONE, .exchange = exchange});
}

void worker_durable_moved(struct worker *worker)
{
    if (parked_wants_news(&worker->parked))
        send_mail(worker, (struct worker_mail){.kind = MAIL_DURABLE});
}

void worker_drain(struct worker *worker)
{
    send_mail(worker, (struct worker_mail){.kind = MAIL_DRAIN});
}

/* --- what connections share --------------------------------------------------------------------
 */

struct buf worker_take_buf(struct worker *worker)
{
    if (worker->spare_count == 0)
        return (struct buf){0};
    return worker->spare[--worker->spare_count];
}

void worker_give_buf(struct worker *worker, struct buf *buf)
{
    if (worker->spare_count < WORKER_SPARE_BUFS && buf->cap > 0 && buf->cap <= WORKER_READ_BYTES) {
        buf->len = 0;
        worker->spare[worker->spare_count++] = *buf;
        *buf = (struct buf){0};
        return;
    }
    buf_destroy(buf);
}

struct exchange *worker_take_exchange(struct worker *worker)
{
    struct exchange *exchange = worker->free_exchanges;

    if (exchange == NULL)
        return exchange_new(worker->site);
    worker->free_exchanges = exchange->next_free;
    worker->free_exchange_count--;
    return exchange;
}

void worker_give_exchange(struct worker *worker, struct exchange *exchange)
{
    if (worker->free_exchange_count == FREE_EXCHANGES) {
        exchange_free(exchange);
        return;
    }
    exchange_reset(exchange);
    exchange->next_free = worker->free_exchanges;
    worker->free_exchanges = exchange;
    worker->free_exchange_count++;
}

struct pusher *worker_pusher(struct worker *worker)
{
    struct store *store = http_site_store(worker->site);

    if (worker->pusher == NULL && store != NULL)
        worker->pusher = pusher_new(store);
    return worker->pusher;
}

const char *worker_date(struct worker *worker)
{
    int64_t now_s = http_site_wall_ms(worker->site) / 1000;

    if (now_s != worker->date_s) {
        time_t seconds = (time_t)now_s;
        struct tm parts;

        gmtime_r(&seconds, &parts);
        strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        worker->date_s = now_s;
    }
    return worker->date;
}

/* --- the loop ----------------------------------------------------------------------------------
 */

static void set_tick(struct worker *worker)
{
    const struct timeval interval = {.tv_sec = 0, .tv_usec = TICK_MS * 1000};
    bool wanted = worker->connections != NULL || worker->dead != NULL || worker->draining;

    if (wanted && !event_pending(worker->tick, EV_TIMEOUT, NULL))
        event_add(worker->tick, &interval);
    else if (!wanted)
        event_del(worker->tick);
}

static void begin_drain(struct worker *worker)
{
    struct connection *next;

    worker->draining = true;
    worker->drain_until_ns =
        worker->now_ns + worker->site->options.drain_timeout_ms * INT64_C(1000000);
    for (struct connection *each = worker->connections; each != NULL; each = next) {
        next = connection_next(each);
        connection_drain(each, false);
    }
}

static void handle_mail(struct worker *worker, const struct worker_mail *mail)
{
    switch (mail->kind) {
    case MAIL_CONNECTION:
        connection_open(worker, mail->fd, &mail->peer, mail->listener, mail->client);
        break;
    case MAIL_JOB_DONE:
        connection_job_done(mail->exchange->connection);
        break;
    case MAIL_DURABLE:
        parked_release(worker, false);
        break;
    case MAIL_DRAIN:
        begin_drain(worker);
        break;
    }
}

/* The loop ends when it is draining and nobody is left. */
static void after_callback(struct worker *worker)
{
    connection_sweep(worker);
    set_tick(worker);
    if (worker->draining && worker->connections == NULL && worker->dead == NULL)
        event_base_loopbreak(worker->base);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct worker_mail *mail;
    uint64_t ignored;
    size_t count;

    (void)what;
    if (read(fd, &ignored, sizeof(ignored)) < 0) /* one read takes all of an eventfd */
        TIDE_ASSERT(errno == EAGAIN || errno == EINTR);
    worker->now_ns = clock_mono_ns(worker->site->clock);
    lock_acquire(&worker->mail_lock);
    mail = worker->mail;
    count = worker->mail_count;
    worker->mail = NULL;
    worker->mail_count = worker->mail_cap = 0;
    lock_release(&worker->mail_lock);
    for (size_t i = 0; i < count; i++)
        handle_mail(worker, &mail[i]);
    mem_free(mail);
    after_callback(worker);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct connection *next;
    bool overdue;

    (void)fd;
    (void)what;
    worker->now_ns = clock_mono_ns(worker->site->clock);
    overdue = worker->draining && worker->now_ns >= worker->drain_until_ns;
    parked_release(worker, overdue);
    for (struct connection *each = worker->connections; each != NULL; each = next) {
        next = connection_next(each);
        if (overdue)
            connection_drain(each, true);
        else
            connection_check_deadline(each);
    }
    after_callback(worker);
}

static void free_worker(struct worker *worker)
{
    if (worker->wake != NULL)
        event_free(worker->wake);
    if (worker->tick != NULL)
        event_free(worker->tick);
    if (worker->base != NULL)
        event_base_free(worker->base);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    while (worker->free_exchanges != NULL) {
        struct exchange *next = worker->free_exchanges->next_free;

        exchange_free(worker->free_exchanges);
        worker->free_exchanges = next;
    }
    for (size_t i = 0; i < worker->spare_count; i++)
        buf_destroy(&worker->spare[i]);
    pusher_free(worker->pusher);
    coding_free(worker->coding);
    lock_destroy(&worker->mail_lock);
    mem_free(worker->mail);
    mem_free(worker->input);
    mem_free(worker);
}

static void *run(void *arg)
{
    struct worker *worker = arg;

    event_base_loop(worker->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

struct worker *worker_start(struct http_site *site, size_t number, struct error *err)
{
    struct worker *worker = mem_zalloc(1, sizeof(*worker));
    char name[16];

    worker->site = site;
    lock_init(&worker->mail_lock);
    worker->input = mem_alloc(WORKER_READ_BYTES);
    worker->coding = coding_new();
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->base = event_base_new();
    if (worker->base == NULL || worker->wake_fd < 0) {
        error_set_errno(err, "event loop");
        free_worker(worker);
        return NULL;
    }
    worker->wake = event_new(worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
    worker->tick = event_new(worker->base, -1, EV_PERSIST, on_tick, worker);
    event_add(worker->wake, NULL);
    snprintf(name, sizeof(name), "http-%zu", number % 100000);
    if (thread_start(&worker->thread, name, 0, run, worker, err) != 0) {
        free_worker(worker);
        return NULL;
    }
    return worker;
}

void worker_join(struct worker *worker)
{
    if (worker == NULL)
        return;
    thread_join(&worker->thread);
    free_worker(worker);
}
