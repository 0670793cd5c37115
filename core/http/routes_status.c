/* routes_status.c - see routes_status.h. */
#include "http/routes_status.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/text_map.h"
#include "http/door_counts.h"
#include "http/http_site.h"
#include "http/metadata_table.h"
#include "http/read_door.h"
#include "http/request_params.h"
#include "script/config.h"
#include "wire/result_json.h"

#define MOST_ENTRIES 10000

static void begin(struct http_reply *reply)
{
    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":");
}

static void put_text(struct buf *out, const char *name, const char *text)
{
    if (out->data[out->len - 1] != '{')
        buf_putc(out, ',');
    json_put_string(out, name, strlen(name));
    buf_putc(out, ':');
    json_put_string(out, text, strlen(text));
}

static void put_count(struct buf *out, const char *name, int64_t count)
{
    if (out->data[out->len - 1] != '{')
        buf_putc(out, ',');
    json_put_string(out, name, strlen(name));
    buf_printf(out, ":%" PRId64, count);
}

static void put_time(struct buf *out, const char *name, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[40];

    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    put_text(out, name, text);
}

/* --- metadata ----------------------------------------------------------------------------------
 */

/* The names that may be listed: of one metric, and of those that rules leave. */
struct listed {
    struct http_text metric; /* len 0: any */
    bool restricted;
    struct text_map names; /* when restricted */
};

static bool is_listed(void *ctx, const char *name, size_t len)
{
    const struct listed *listed = ctx;

    if (listed->metric.len > 0 &&
        (listed->metric.len != len || memcmp(listed->metric.at, name, len) != 0))
        return false;
    return !listed->restricted || text_map_get(&listed->names, name, len) != NULL;
}

/* Metadata names families: those of a histogram's or counter's series, too. */
static void add_name(struct text_map *names, const char *name, size_t len)
{
    static const char *const suffixes[] = {"_bucket", "_count",   "_sum",
                                           "_total",  "_created", "_info"};

    text_map_put(names, name, len, names);
    for (size_t i = 0; i < TIDE_COUNT(suffixes); i++) {
        size_t suffix = strlen(suffixes[i]);

        if (len > suffix && memcmp(name + len - suffix, suffixes[i], suffix) == 0)
            text_map_put(names, name, len - suffix, names);
    }
}

static int read_names(const struct read_door *door, struct listed *listed, struct error *err)
{
    const struct label_request asking = {.name = LABEL_METRIC_NAME,
                                         .name_len = strlen(LABEL_METRIC_NAME),
                                         .from_ms = door->read.start_ms,
                                         .to_ms = door->read.end_ms};
    struct text_list texts = {0};

    listed->restricted = read_door_is_restricted(door) || read_door_is_empty(door);
    if (!listed->restricted)
        return 0;
    if (door->querier->label_values(door->querier->ctx, &asking, &texts, err) != 0)
        return -1;
    for (size_t i = 0; i < texts.count; i++)
        add_name(&listed->names, texts.items[i].value, texts.items[i].value_len);
    text_list_destroy(&texts);
    return 0;
}

void route_metadata(struct http_request *request, struct http_reply *reply)
{
    struct listed listed = {0};
    struct read_door door;
    struct params params;
    struct error err;
    size_t limit = 0, per_metric = 1;

    read_door_init(&door, request, READ_STATUS);
    if (request_params(request, &params, &err) != 0 ||
        params_count(&params, "limit", &limit, &err) != 0 ||
        params_count(&params, "limit_per_metric", &per_metric, &err) != 0) {
        http_reply_failure(reply, &err);
    } else if (read_door_pass(&door, reply)) {
        listed.metric = params_get(&params, "metric");
        if (read_names(&door, &listed, &err) != 0) {
            http_reply_failure(reply, &err);
        } else {
            begin(reply);
            metadata_table_write(request->site->metadata, is_listed, &listed, limit, &reply->body);
            buf_putc(&reply->body, '}');
        }
    }
    text_map_destroy(&listed.names);
    read_door_destroy(&door);
}

/* --- status/tsdb -------------------------------------------------------------------------------
 */

static void put_top(const struct door_counts *counts, struct buf *out, const char *name,
                    enum store_top what, size_t limit)
{
    struct text_count_list list = {0};

    door_counts_top(counts, what, limit, &list);
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < list.count; i++) {
        buf_puts(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        json_put_string(out, list.items[i].text, list.items[i].len);
        buf_printf(out, ",\"value\":%" PRIu64 "}", list.items[i].count);
    }
    buf_putc(out, ']');
    text_count_list_destroy(&list);
}

static void put_head_stats(const struct door_counts *counts, struct buf *out)
{
    bool empty = counts->min_time_ms > counts->max_time_ms;

    buf_puts(out, "{\"headStats\":{");
    put_count(out, "numSeries", (int64_t)counts->series);
    put_count(out, "numLabelPairs", (int64_t)counts->label_pairs);
    if (!counts->counted)
        put_count(out, "chunkCount", (int64_t)counts->chunks);
    put_count(out, "minTime", empty ? 0 : counts->min_time_ms);
    put_count(out, "maxTime", empty ? 0 : counts->max_time_ms);
    buf_putc(out, '}');
}

static void answer_tsdb(const struct read_door *door, size_t limit, struct http_reply *reply)
{
    struct buf *out = &reply->body;
    struct door_counts counts;
    struct error err;

    if (door_counts_init(&counts, door, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    begin(reply);
    put_head_stats(&counts, out);
    put_top(&counts, out, "seriesCountByMetricName", STORE_TOP_METRIC_NAMES, limit);
    put_top(&counts, out, "labelValueCountByLabelName", STORE_TOP_LABEL_NAMES, limit);
    put_top(&counts, out, "memoryInBytesByLabelName", STORE_TOP_LABEL_BYTES, limit);
    put_top(&counts, out, "seriesCountByLabelValuePair", STORE_TOP_LABEL_PAIRS, limit);
    buf_puts(out, "}}");
    door_counts_destroy(&counts);
}

void route_tsdb(struct http_request *request, struct http_reply *reply)
{
    struct read_door door;
    struct params params;
    struct error err;
    size_t limit = 10;
    int failed;

    read_door_init(&door, request, READ_STATUS);
    failed = request_params(request, &params, &err);
    if (failed == 0)
        failed = params_count(&params, "limit", &limit, &err);
    if (failed == 0 && (limit == 0 || limit > MOST_ENTRIES))
        failed = error_set(&err, ERR_INVALID, "invalid parameter \"limit\": must be 1 to %d",
                           MOST_ENTRIES);
    if (failed != 0)
        http_reply_failure(reply, &err);
    else if (read_door_pass(&door, reply))
        answer_tsdb(&door, limit, reply);
    read_door_destroy(&door);
}

/* --- the process and its configuration ---------------------------------------------------------
 */

static void put_duration(char *text, size_t size, int64_t ms)
{
    if (ms == CONFIG_FOREVER_MS)
        snprintf(text, size, "forever");
    else if (ms % 1000 == 0)
        snprintf(text, size, "%" PRId64 "s", ms / 1000);
    else
        snprintf(text, size, "%" PRId64 "ms", ms);
}

/* What Prometheus' pages know, and what ours shows besides. */
static void put_store(struct buf *out, struct store *store)
{
    struct store_recovery recovery;
    struct store_stats stats;

    store_recovery_get(store, &recovery);
    store_stats_get(store, &stats);
    put_count(out, "corruptionCount",
              (int64_t)(recovery.mended + recovery.quarantined + recovery.lost));
    put_text(out, "storageState",
             stats.read_only   ? "read only"
             : stats.throttled ? "throttled"
             : stats.disk_full ? "disk full"
                               : "serving");
    put_count(out, "seriesInMemory", (int64_t)stats.series_in_memory);
    put_count(out, "seriesArchived", (int64_t)stats.series_archived);
    put_count(out, "memoryBytes", (int64_t)stats.memory_bytes);
    put_count(out, "samplesAppended", (int64_t)stats.samples_appended);
}

void route_runtimeinfo(struct http_request *request, struct http_reply *reply)
{
    const struct http_site *site = request->site;
    const struct config *config = site->options.config;
    struct reload_view reloaded = reload_state_get(site->reloads);
    char folder[4096], host[256], retention[40];
    struct buf *out = &reply->body;

    begin(reply);
    buf_putc(out, '{');
    put_time(out, "startTime", site->start_ms);
    put_text(out, "CWD", getcwd(folder, sizeof(folder)) != NULL ? folder : "");
    put_text(out, "hostname", gethostname(host, sizeof(host) - 1) == 0 ? host : "");
    put_time(out, "serverTime", http_site_wall_ms(site));
    buf_printf(out, ",\"reloadConfigSuccess\":%s", reloaded.failed_ms == 0 ? "true" : "false");
    put_time(out, "lastConfigTime", reloaded.loaded_ms);
    put_count(out, "goroutineCount", 0);
    put_count(out, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    put_text(out, "GOGC", "");
    put_text(out, "GODEBUG", "");
    put_duration(retention, sizeof(retention),
                 config != NULL ? config->storage.retention_ms : CONFIG_FOREVER_MS);
    put_text(out, "storageRetention", retention);
    put_store(out, http_site_store(site));
    buf_puts(out, "}}");
}

static void put_duration_flag(struct buf *out, const char *name, int64_t ms)
{
    char text[40];

    put_duration(text, sizeof(text), ms);
    put_text(out, name, text);
}

static void put_count_flag(struct buf *out, const char *name, int64_t count)
{
    char text[40];

    snprintf(text, sizeof(text), "%" PRId64, count);
    put_text(out, name, text);
}

void route_flags(struct http_request *request, struct http_reply *reply)
{
    const struct config *config = request->site->options.config;
    struct buf *out = &reply->body;

    begin(reply);
    buf_putc(out, '{');
    if (config != NULL) {
        put_text(out, "storage.tsdb.path", config->data);
        put_duration_flag(out, "storage.tsdb.retention.time", config->storage.retention_ms);
        put_duration_flag(out, "query.timeout", config->query.timeout_ms);
        put_duration_flag(out, "query.lookback-delta", config->query.lookback_ms);
        put_count_flag(out, "query.max-concurrency", config->query.concurrency);
        put_count_flag(out, "query.max-samples", config->query.max_samples);
        put_count_flag(out, "web.max-connections", config->http.connections);
        put_text(out, "web.enable-remote-write-receiver", "true");
    }
    buf_puts(out, "}}");
}

void route_config(struct http_request *request, struct http_reply *reply)
{
    struct buf text = {0};

    if (request->site->options.config != NULL)
        config_print(request->site->options.config, &text);
    begin(reply);
    buf_puts(&reply->body, "{\"yaml\":");
    json_put_string(&reply->body, (const char *)text.data, text.len);
    buf_puts(&reply->body, "}}");
    buf_destroy(&text);
}

void route_walreplay(struct http_request *request, struct http_reply *reply)
{
    const struct http_site *site = request->site;
    struct store_progress_view view = {.phase = "none"};
    bool done = http_site_store(site) != NULL;

    if (site->options.progress != NULL)
        view = store_progress_get(site->options.progress);
    begin(reply);
    buf_putc(&reply->body, '{');
    put_count(&reply->body, "min", 0);
    put_count(&reply->body, "max", (int64_t)view.total);
    put_count(&reply->body, "current", (int64_t)(done ? view.total : view.done));
    put_text(&reply->body, "state", done ? "done" : view.done > 0 ? "in progress" : "waiting");
    buf_puts(&reply->body, "}}");
}

/* --- nothing -----------------------------------------------------------------------------------
 */

void route_nothing(struct http_request *request, struct http_reply *reply)
{
    static const struct {
        const char *pattern;
        const char *data;
    } answers[] = {
        {"/api/v1/query_exemplars", "[]"},
        {"/api/v1/targets",
         "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"},
        {"/api/v1/targets/metadata", "[]"},
        {"/api/v1/scrape_pools", "{\"scrapePools\":[]}"},
        {"/api/v1/alertmanagers", "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"},
        {"/api/v1/notifications", "[]"},
        {"/api/v1/features", "{}"},
    };
    size_t i = 0;

    while (strcmp(answers[i].pattern, request->route->pattern) != 0) {
        i++;
        TIDE_ASSERT(i < TIDE_COUNT(answers));
    }
    begin(reply);
    buf_puts(&reply->body, answers[i].data);
    buf_putc(&reply->body, '}');
}
