/* http_counters.c - tidemark_http_* (http_site.h). */
#include <stdio.h>

#include "base/mem.h"
#include "base/thread.h"
#include "http/http_site.h"
#include "http/query_pool.h"
#include "store/append.h"
#include "wire/push.h"

/* Statuses that get a label of their own; anything else is "other". */
static const int statuses[] = {200, 204, 400, 401, 403, 404, 405, 408, 409, 413,
                               415, 417, 422, 429, 431, 499, 500, 501, 503, 505};

#define STATUSES (TIDE_COUNT(statuses) + 1)

struct route_counters {
    struct counter *by_status[STATUSES]; /* atomic pointers, made when first needed */
    struct histogram *seconds;
};

struct http_counters {
    const struct http_site *site;
    struct lock making_lock;       /* only one thread registers a counter */
    struct route_counters *routes; /* one a route, and one for requests without */
    struct gauge *connections;
    struct counter *accepted;
    struct counter *rejected[4];
    struct counter *received;
    struct counter *sent;
    struct counter *samples_accepted;
    struct counter *samples_refused[REFUSED_REASONS];
    struct counter *skipped[5]; /* in the order of struct push_skipped */
};

static double read_waiting(void *ctx)
{
    const struct http_site *site = ctx;

    return site->pool == NULL ? 0 : (double)query_pool_waiting(site->pool);
}

static double read_running(void *ctx)
{
    const struct http_site *site = ctx;

    return site->pool == NULL ? 0 : (double)query_pool_running(site->pool);
}

static double read_helps(void *ctx)
{
    const struct http_site *site = ctx;

    return site->pool == NULL ? 0 : (double)query_pool_helps(site->pool);
}

static void register_fixed(struct http_counters *counters, struct metrics *metrics)
{
    static const char *const reasons[] = {"limit", "framing", "timeout", "handshake"};
    static const char *const skipped[] = {"exemplar", "native_histogram", "created", "text",
                                          "empty"};
    char labels[64];

    counters->connections =
        metrics_gauge(metrics, "tidemark_http_connections", "Open HTTP connections.", "");
    counters->accepted = metrics_counter(metrics, "tidemark_http_connections_accepted_total",
                                         "HTTP connections accepted.", "");
    for (size_t i = 0; i < TIDE_COUNT(reasons); i++) {
        snprintf(labels, sizeof(labels), "reason=\"%s\"", reasons[i]);
        counters->rejected[i] =
            metrics_counter(metrics, "tidemark_http_connections_rejected_total",
                            "HTTP connections that were cut off, by reason.", labels);
    }
    counters->received = metrics_counter(metrics, "tidemark_http_received_bytes_total",
                                         "Bytes read from HTTP connections.", "");
    counters->sent = metrics_counter(metrics, "tidemark_http_sent_bytes_total",
                                     "Bytes written to HTTP connections.", "");
    counters->samples_accepted =
        metrics_counter(metrics, "tidemark_push_samples_accepted_total",
                        "Pushed samples that were stored, or were there already.", "");
    for (size_t i = 0; i < REFUSED_REASONS; i++) {
        snprintf(labels, sizeof(labels), "reason=\"%s\"", refusal_name((enum refusal)i));
        counters->samples_refused[i] =
            metrics_counter(metrics, "tidemark_push_samples_refused_total",
                            "Pushed samples that were not stored, by reason.", labels);
    }
    for (size_t i = 0; i < TIDE_COUNT(skipped); i++) {
        snprintf(labels, sizeof(labels), "kind=\"%s\"", skipped[i]);
        counters->skipped[i] =
            metrics_counter(metrics, "tidemark_push_skipped_total",
                            "Pushed items that were understood but are not stored.", labels);
    }
}

struct http_counters *http_counters_new(const struct http_site *site)
{
    struct http_counters *counters = mem_zalloc(1, sizeof(*counters));
    struct metrics *metrics = site->options.metrics;

    counters->site = site;
    lock_init(&counters->making_lock);
    counters->routes = mem_zalloc(site->routes.count + 1, sizeof(*counters->routes));
    if (metrics == NULL)
        return counters;
    register_fixed(counters, metrics);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_query_waiting",
                     "Queries that wait for a thread.", "", read_waiting, (void *)site);
    metrics_callback(metrics, METRIC_COUNTER, "tidemark_query_helps_total",
                     "Times that an idle thread helped a query.", "", read_helps, (void *)site);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_query_running", "Queries being evaluated.",
                     "", read_running, (void *)site);
    return counters;
}

void http_counters_free(struct http_counters *counters)
{
    if (counters == NULL)
        return;
    lock_destroy(&counters->making_lock);
    mem_free(counters->routes);
    mem_free(counters);
}

static size_t status_index(int status)
{
    size_t i = 0;

    while (i < TIDE_COUNT(statuses) && statuses[i] != status)
        i++;
    return i;
}

/* The first request of a route registers its histogram, the first of a status its counter. */
static struct counter *make_counter(struct http_counters *counters, size_t route_index,
                                    size_t status)
{
    static const double bounds[] = {0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5, 30};
    struct metrics *metrics = counters->site->options.metrics;
    struct route_counters *route = &counters->routes[route_index];
    const char *pattern = route_index < counters->site->routes.count
                              ? counters->site->routes.list[route_index].pattern
                              : "none";
    struct counter *counter;
    char labels[160];

    lock_acquire(&counters->making_lock);
    counter = __atomic_load_n(&route->by_status[status], __ATOMIC_ACQUIRE);
    if (counter == NULL) {
        if (route->seconds == NULL) {
            snprintf(labels, sizeof(labels), "handler=\"%s\"", pattern);
            __atomic_store_n(&route->seconds,
                             metrics_histogram(metrics, "tidemark_http_request_duration_seconds",
                                               "From the end of a request's head to its answer.",
                                               labels, bounds, TIDE_COUNT(bounds)),
                             __ATOMIC_RELEASE);
        }
        if (status == TIDE_COUNT(statuses))
            snprintf(labels, sizeof(labels), "handler=\"%s\",code=\"other\"", pattern);
        else
            snprintf(labels, sizeof(labels), "handler=\"%s\",code=\"%d\"", pattern,
                     statuses[status]);
        counter = metrics_counter(metrics, "tidemark_http_requests_total",
                                  "HTTP requests answered.", labels);
        __atomic_store_n(&route->by_status[status], counter, __ATOMIC_RELEASE);
    }
    lock_release(&counters->making_lock);
    return counter;
}

/* Rows of one path, for several verbs, count together: with the first of them, which the table
 * keeps just in front. */
static size_t counted_with(const struct http_routes *routes, const struct http_route *route)
{
    size_t index = (size_t)(route - routes->list);

    while (index > 0 && strcmp(routes->list[index - 1].pattern, route->pattern) == 0)
        index--;
    return index;
}

void http_counters_request(struct http_counters *counters, const struct http_route *route,
                           int status, int64_t duration_ns)
{
    const struct http_routes *routes = &counters->site->routes;
    size_t index = route == NULL ? routes->count : counted_with(routes, route);
    size_t at = status_index(status);
    struct counter *counter;

    if (counters->site->options.metrics == NULL)
        return;
    counter = __atomic_load_n(&counters->routes[index].by_status[at], __ATOMIC_ACQUIRE);
    if (counter == NULL)
        counter = make_counter(counters, index, at);
    counter_add(counter, 1);
    histogram_observe(__atomic_load_n(&counters->routes[index].seconds, __ATOMIC_ACQUIRE),
                      (double)duration_ns / 1e9);
}

void http_counters_connection(struct http_counters *counters, int change)
{
    if (counters->connections == NULL)
        return;
    gauge_add(counters->connections, change);
    if (change > 0)
        counter_add(counters->accepted, 1);
}

void http_counters_rejected(struct http_counters *counters, enum http_rejection why)
{
    if (counters->rejected[why] != NULL)
        counter_add(counters->rejected[why], 1);
}

void http_counters_bytes(struct http_counters *counters, size_t received, size_t sent)
{
    if (counters->received == NULL)
        return;
    if (received > 0)
        counter_add(counters->received, received);
    if (sent > 0)
        counter_add(counters->sent, sent);
}

void http_counters_push(struct http_counters *counters, const struct append_result *result,
                        const struct push_skipped *skipped)
{
    const uint64_t items[] = {skipped->exemplars, skipped->histograms, skipped->created,
                              skipped->texts, skipped->empty};

    if (counters->samples_accepted == NULL)
        return;
    counter_add(counters->samples_accepted, result->accepted);
    for (size_t i = 0; i < REFUSED_REASONS; i++) {
        if (result->refused[i] > 0)
            counter_add(counters->samples_refused[i], result->refused[i]);
    }
    for (size_t i = 0; i < TIDE_COUNT(items); i++) {
        if (items[i] > 0)
            counter_add(counters->skipped[i], items[i]);
    }
}
