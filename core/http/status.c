#include "http/status.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http/http_site.h"
#include "http/tenant.h"
#include "wire/result_json.h"

/* Grafana asks for labels in the cheap way only of a Prometheus of 2.24 and later. */
#define PROMETHEUS_VERSION "2.24.0"

static void put_text(struct http_reply *reply, const char *type, const char *text)
{
    reply->content_type = type;
    buf_puts(&reply->body, text);
}

void status_healthy(struct http_request *request, struct http_reply *reply)
{
    (void)request;
    put_text(reply, HTTP_TYPE_TEXT, "Tidemark is Healthy.\n");
}

void status_put_unready(const struct http_site *site, struct http_reply *reply)
{
    bool stopping = http_site_stopping(site);
    struct store_progress_view view = {.phase = "none"};

    if (site->options.progress != NULL)
        view = store_progress_get(site->options.progress);
    if (stopping)
        view.phase = "stopping";
    http_reply_error(reply, 503, "unavailable", "the server %s: try again soon",
                     stopping ? "stops" : "is starting");
    reply->body.len--; /* into the object */
    buf_printf(&reply->body, ",\"phase\":\"%s\",\"done\":%" PRIu64 ",\"total\":%" PRIu64 "}\n",
               view.phase, view.done, view.total);
    http_reply_field(reply, "X-Prometheus-Stopping", "%s", stopping ? "true" : "false");
    http_reply_field(reply, "Retry-After", "%d", stopping ? 5 : 1);
}

void status_ready(struct http_request *request, struct http_reply *reply)
{
    const struct http_site *site = request->site;

    if (http_site_store(site) == NULL || http_site_stopping(site))
        status_put_unready(site, reply);
    else
        put_text(reply, HTTP_TYPE_TEXT,
                 store_is_read_only(http_site_store(site))
                     ? "Tidemark is Ready, but read-only: a write to its storage failed, see its "
                       "log.\n"
                     : "Tidemark is Ready.\n");
}

void status_health(struct http_request *request, struct http_reply *reply)
{
    bool ready = http_site_store(request->site) != NULL && !http_site_stopping(request->site);

    reply->status = ready ? 200 : 503;
    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"name\":\"tidemark\",\"message\":\"");
    buf_puts(&reply->body, ready ? "ready for queries and writes" : "not ready");
    buf_puts(&reply->body, "\",\"status\":\"");
    buf_puts(&reply->body, ready ? "pass" : "fail");
    buf_puts(&reply->body, "\",\"checks\":[],\"version\":");
    json_put_string(&reply->body, request->site->version, strlen(request->site->version));
    buf_puts(&reply->body, "}\n");
}

/* --- /metrics ----------------------------------------------------------------------------------
 */

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder's own */
}

static void put_gauge(struct buf *out, const char *name, const char *type, const char *help,
                      double value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

/* As Prometheus names it. */
static void put_reloads(const struct http_site *site, struct buf *out)
{
    struct reload_view view = reload_state_get(site->reloads);

    put_gauge(out, "prometheus_config_last_reload_successful", "gauge",
              "Whether the last reload of scripts and configuration went well.",
              view.failed_ms == 0 ? 1 : 0);
    put_gauge(out, "prometheus_config_last_reload_success_timestamp_seconds", "gauge",
              "When what is in force was loaded, Unix time.", (double)view.loaded_ms / 1e3);
}

/* The process_* names of every exporter. */
static void put_process(const struct http_site *site, struct buf *out)
{
    unsigned long long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    struct rlimit limit = {0};
    double page = (double)sysconf(_SC_PAGESIZE);

    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &pages, &resident) != 2)
            pages = resident = 0;
        fclose(file);
    }
    put_gauge(out, "process_cpu_seconds_total", "counter", "CPU time spent, user and system.",
              (double)clock_process_cpu_ns() / 1e9);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        put_gauge(out, "process_max_fds", "gauge", "Most descriptors that may be open.",
                  (double)limit.rlim_cur);
    put_gauge(out, "process_open_fds", "gauge", "Open descriptors.", (double)count_descriptors());
    put_gauge(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
              (double)resident * page);
    put_gauge(out, "process_start_time_seconds", "gauge", "Start of the server, Unix time.",
              (double)site->start_ms / 1e3);
    put_gauge(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
              (double)pages * page);
}

void status_metrics(struct http_request *request, struct http_reply *reply)
{
    /* Counts of all series, and what scripts count by labels. */
    if (tenant_is_one(request)) {
        http_reply_error(reply, 403, "forbidden",
                         "the metrics are of all tenants, and the credential is of one");
        return;
    }
    reply->content_type = HTTP_TYPE_METRICS;
    if (request->site->options.metrics != NULL)
        metrics_write(request->site->options.metrics, &reply->body);
    put_reloads(request->site, &reply->body);
    put_process(request->site, &reply->body);
}

void status_buildinfo(struct http_request *request, struct http_reply *reply)
{
    const char *version = request->site->version;

    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":{\"version\":\"" PROMETHEUS_VERSION
                           "\",\"revision\":");
    json_put_string(&reply->body, version, strlen(version));
    buf_puts(&reply->body, ",\"branch\":\"tidemark\",\"buildUser\":\"\",\"buildDate\":\"\","
                           "\"goVersion\":\"\"}}");
}

/* --- / -----------------------------------------------------------------------------------------
 */

void status_page(struct http_request *request, struct http_reply *reply)
{
    (void)request;
    put_text(
        reply, HTTP_TYPE_HTML,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Tidemark</title>\n"
        "<style>body{font:16px/1.5 sans-serif;max-width:46em;margin:3em auto;padding:0 1em}"
        "pre{background:#f4f4f4;padding:.8em;overflow:auto}</style>\n"
        "<h1>Tidemark</h1>\n"
        "<p>A time-series store that you can program. It takes samples over HTTP, keeps them in "
        "the storage layout of Prometheus 1.x and answers PromQL.</p>\n"
        "<h2>Push</h2>\n"
        "<pre>printf 'temperature{room=\"kitchen\"} 21.5\\n' |\n"
        "  curl --data-binary @- http://HOST/api/v1/import/prometheus</pre>\n"
        "<p>Prometheus and its kin: <code>remote_write: [{url: http://HOST/api/v1/write}]</code>"
        "</p>\n"
        "<h2>Ask</h2>\n"
        "<pre>curl 'http://HOST/api/v1/query?query=temperature'</pre>\n"
        "<p>Grafana: a data source of type Prometheus with the URL of this server.</p>\n"
        "<h2>Look</h2>\n"
        "<p><a href=\"metrics\">metrics</a> &middot; <a href=\"-/ready\">ready</a> &middot; "
        "<a href=\"-/healthy\">healthy</a></p>\n"
        "<p>This server was built without its page of graphs, which needs npm: "
        "<code>make web all</code></p>\n</html>\n");
}
