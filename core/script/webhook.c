/* webhook.c - see webhook.h. */
#include "script/webhook.h"

#include "base/clock.h"
#include "base/fetch.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "model/labels.h"

#define FIRST_WAIT_NS ((int64_t)1000 * 1000 * 1000)
#define LONGEST_WAIT_NS ((int64_t)60 * 1000 * 1000 * 1000)

struct webhook {
    char *url;   /* constant, as the next two; may hold a password */
    char *shown; /* the same without user and password */
    int64_t timeout_ms;
    struct thread thread;
    uint64_t sent;    /* atomic, as the next two: alerts */
    uint64_t failed;  /* posts */
    uint64_t dropped; /* alerts */

    struct lock leaf_lock; /* guards the rest */
    struct cond arrived;
    char **ring; /* WEBHOOK_QUEUE owned texts */
    size_t first;
    size_t count;
    uint64_t taken; /* how many ever left at the front, by drop or by post */
    bool stopping;
};

static void add(uint64_t *counter, uint64_t by)
{
    __atomic_add_fetch(counter, by, __ATOMIC_RELAXED);
}

static double read_counter(void *ctx)
{
    return (double)__atomic_load_n((uint64_t *)ctx, __ATOMIC_RELAXED);
}

static void drop_first_locked(struct webhook *webhook)
{
    mem_free(webhook->ring[webhook->first]);
    webhook->first = (webhook->first + 1) % WEBHOOK_QUEUE;
    webhook->count--;
    webhook->taken++;
}

void webhook_put(struct webhook *webhook, const char *json, size_t len)
{
    lock_acquire(&webhook->leaf_lock);
    if (webhook->count == WEBHOOK_QUEUE) {
        drop_first_locked(webhook);
        add(&webhook->dropped, 1);
    }
    webhook->ring[(webhook->first + webhook->count++) % WEBHOOK_QUEUE] = mem_dup(json, len);
    cond_signal(&webhook->arrived);
    lock_release(&webhook->leaf_lock);
}

/* The oldest alerts as one body; how many. */
static size_t gather_locked(struct webhook *webhook, struct buf *body)
{
    size_t count = TIDE_MIN(webhook->count, (size_t)WEBHOOK_BATCH);

    body->len = 0;
    buf_putc(body, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_putc(body, ',');
        buf_puts(body, webhook->ring[(webhook->first + i) % WEBHOOK_QUEUE]);
    }
    buf_putc(body, ']');
    return count;
}

/* True: the receiver has them, or will never take them. */
static bool post(struct webhook *webhook, const struct buf *body, size_t alerts)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    const struct fetch_request request = {
        .url = webhook->url,
        .headers = headers,
        .body = body->data,
        .body_len = body->len,
        .connect_timeout_ms = webhook->timeout_ms,
        .timeout_ms = webhook->timeout_ms,
        .max_reply_bytes = 64 << 10,
    };
    struct fetch_reply reply;
    struct error err;
    int status = 0;

    if (fetch(&request, &reply, &err) == 0) {
        status = reply.status;
        error_set(&err, ERR_IO, "status %d", status);
        fetch_reply_destroy(&reply);
    }
    if (status >= 200 && status < 300) {
        add(&webhook->sent, alerts);
        return true;
    }
    add(&webhook->failed, 1);
    log_warn_limited("alerts were not taken", "url=%s alerts=%zu error=\"%s\"", webhook->shown,
                     alerts, err.text);
    if (status >= 400 && status < 500 && status != 408 && status != 429) {
        add(&webhook->dropped, alerts); /* asking again would not help */
        return true;
    }
    return false;
}

/* Waits for so long, whatever arrives; not when it is to stop. */
static void rest_locked(struct webhook *webhook, int64_t wait_ns)
{
    int64_t until_ns = clock_mono_ns(clock_system()) + wait_ns, left_ns = wait_ns;

    while (!webhook->stopping && left_ns > 0) {
        cond_wait_for(&webhook->arrived, &webhook->leaf_lock, left_ns);
        left_ns = until_ns - clock_mono_ns(clock_system());
    }
}

static void *run(void *arg)
{
    struct webhook *webhook = arg;
    int64_t wait_ns = FIRST_WAIT_NS;
    struct buf body = {0};

    lock_acquire(&webhook->leaf_lock);
    while (!webhook->stopping || webhook->count > 0) {
        uint64_t before = webhook->taken;
        size_t count;
        bool last = webhook->stopping, done;

        if (webhook->count == 0) {
            cond_wait(&webhook->arrived, &webhook->leaf_lock);
            continue;
        }
        count = gather_locked(webhook, &body);
        lock_release(&webhook->leaf_lock);
        done = post(webhook, &body, count);
        lock_acquire(&webhook->leaf_lock);
        /* A full queue may have dropped some of them meanwhile. */
        while (done && webhook->taken < before + count)
            drop_first_locked(webhook);
        if (last && !done)
            break;
        if (!done)
            rest_locked(webhook, wait_ns);
        wait_ns = done ? FIRST_WAIT_NS : TIDE_MIN(2 * wait_ns, LONGEST_WAIT_NS);
    }
    lock_release(&webhook->leaf_lock);
    buf_destroy(&body);
    return NULL;
}

/* "http://user:password@host/" as "http://host/": for logs and metrics. */
static char *without_password(const char *url)
{
    const char *host = strstr(url, "://"), *end, *at;
    struct buf shown = {0};
    char *copy;

    host = host != NULL ? host + 3 : url;
    end = host + strcspn(host, "/?#");
    at = memrchr(host, '@', (size_t)(end - host));
    buf_append(&shown, url, (size_t)(host - url));
    buf_puts(&shown, at != NULL ? at + 1 : host);
    copy = mem_dup(shown.data, shown.len);
    buf_destroy(&shown);
    return copy;
}

static void show(struct webhook *webhook, struct metrics *metrics)
{
    struct buf labels = {0};
    const struct {
        const char *name, *help;
        uint64_t *counter;
    } counters[] = {
        {"tidemark_webhook_alerts_sent_total", "Alerts that the receiver took.", &webhook->sent},
        {"tidemark_webhook_posts_failed_total", "Posts that the receiver did not take.",
         &webhook->failed},
        {"tidemark_webhook_alerts_dropped_total",
         "Alerts that were refused for good, or found the queue full.", &webhook->dropped},
    };

    buf_puts(&labels, "url=");
    labels_quote(&labels, webhook->shown, strlen(webhook->shown));
    buf_putc(&labels, '\0');
    for (size_t i = 0; i < TIDE_COUNT(counters); i++)
        metrics_callback(metrics, METRIC_COUNTER, counters[i].name, counters[i].help,
                         (char *)labels.data, read_counter, counters[i].counter);
    buf_destroy(&labels);
}

struct webhook *webhook_start(const char *url, int64_t timeout_ms, struct metrics *metrics,
                              struct error *err)
{
    struct webhook *webhook = mem_zalloc(1, sizeof(*webhook));

    webhook->url = mem_dup(url, strlen(url));
    webhook->shown = without_password(url);
    webhook->timeout_ms = timeout_ms;
    webhook->ring = mem_zalloc(WEBHOOK_QUEUE, sizeof(*webhook->ring));
    lock_init(&webhook->leaf_lock);
    cond_init(&webhook->arrived);
    if (thread_start(&webhook->thread, "webhook", 0, run, webhook, err) != 0) {
        webhook_stop(webhook);
        return NULL;
    }
    if (metrics != NULL)
        show(webhook, metrics);
    return webhook;
}

void webhook_stop(struct webhook *webhook)
{
    if (webhook == NULL)
        return;
    lock_acquire(&webhook->leaf_lock);
    webhook->stopping = true;
    cond_signal(&webhook->arrived);
    lock_release(&webhook->leaf_lock);
    thread_join(&webhook->thread);
    while (webhook->count > 0)
        drop_first_locked(webhook);
    mem_free(webhook->ring);
    cond_destroy(&webhook->arrived);
    lock_destroy(&webhook->leaf_lock);
    mem_free(webhook->url);
    mem_free(webhook->shown);
    mem_free(webhook);
}
