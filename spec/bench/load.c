/* load.c - pushes made-up series at a server and says what that cost the server.
 *
 *   load --url http://127.0.0.1:9201/api/v1/write --series 100000 --scrapes 60 --pid PID
 *
 *   --url URL | --host HOST --port PORT --path PATH     where to push
 *   --format remote_write|remote_write2|text|influx|jsonl|otlp    default remote_write
 *   --series N --labels L --scrapes K --batch B         L counts the name; B series a request
 *   --connections C --interval MS --start MS            times are made up: nothing waits for them
 *   --kind counter|gauge|histogram|mix                  default mix
 *   --warmup N                                          scrapes whose CPU is not counted
 *   --pace N                                            1: scrapes wait for their time, as real
 * ones
 *   --verify                                            count back through /api/v1/query
 *   --pid PID --name NAME                               measure that process; a name for the report
 *
 * Each scrape is built and compressed before it is sent, so the clock sees sending only; the CPU
 * seconds are the server's own, from before the first byte until it has come to rest. Works with
 * Prometheus (remote write receiver) and VictoriaMetrics alike. Exit code 1: a request failed or
 * the count was wrong. */
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/text_map.h"
#include "load_http.h"
#include "wire/protobuf.h"
#include "wire/snappy_block.h"

enum format {
    FORMAT_REMOTE_WRITE,
    FORMAT_TEXT,
    FORMAT_INFLUX,
    FORMAT_JSONL,
    FORMAT_REMOTE_WRITE2,
    FORMAT_OTLP,
    FORMATS
};
enum kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM, KIND_MIX, KINDS };

static const char *const format_names[FORMATS] = {"remote_write", "text",          "influx",
                                                  "jsonl",        "remote_write2", "otlp"};
static const char *const format_paths[FORMATS] = {"/api/v1/write", "/api/v1/import/prometheus",
                                                  "/write",        "/api/v1/import",
                                                  "/api/v1/write", "/v1/metrics"};
static const char *const format_headers[FORMATS] = {
    "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
    "X-Prometheus-Remote-Write-Version: 0.1.0\r\n",
    "Content-Type: text/plain\r\n",
    "Content-Type: text/plain\r\n",
    "Content-Type: text/plain\r\n",
    "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"
    "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n",
    "Content-Type: application/x-protobuf\r\n"};
static const char *const kind_names[KINDS] = {"counter", "gauge", "histogram", "mix"};

struct options {
    const char *host, *port, *path, *name;
    enum format format;
    enum kind kind;
    size_t series, labels, scrapes, batch, connections, warmup;
    int64_t interval_ms, start_ms;
    long pid;
    bool verify, pace;
    char run[32]; /* a label that tells this run's series from all others */
};

struct series {
    double value;
    uint64_t random;
    enum kind kind;
    size_t prefix_at;  /* text formats: what stands before the value */
    size_t prefix_len; /* protobuf: where value and time are patched (prefix_at) */
};

/* The series of one request. */
struct request {
    size_t first, count;
    struct buf prefixes; /* or, for protobuf, the plain message */
    struct buf head;
    struct buf body;
};

struct sender {
    struct load *load;
    struct load_client client;
    size_t nth;
    uint64_t requests, failures, bytes;
    int64_t longest_ns; /* of a request, until it was answered */
    char problem[300];  /* the first answer that was not 2xx */
};

struct load {
    struct options options;
    struct series *series;
    struct request *requests;
    size_t request_count;
    size_t scrape; /* written between the barriers */
    pthread_barrier_t barrier;
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* --- series ------------------------------------------------------------------------------------
 */

#define MAX_LABELS 32
#define LABEL_TEXT 80

/* Name and value of label `l` of series `i`, the metric's name first. */
static void make_label(const struct options *options, size_t i, size_t l, char *name, char *value)
{
    static const char *const kinds[] = {"requests_total", "temperature", "latency_bucket"};
    static const char *const names[] = {"__name__", "instance", "job", "le", "run", "code", "path"};
    size_t kind = options->kind == KIND_MIX ? i % 3 : (size_t)options->kind;

    snprintf(name, LABEL_TEXT, "%s", l < 7 ? names[l] : "");
    if (l >= 7)
        snprintf(name, LABEL_TEXT, "label_%zu", l);
    switch (l) {
    case 0:
        snprintf(value, LABEL_TEXT, "load_%s_%zu", kinds[kind], i / 3 % 100);
        break;
    case 1:
        snprintf(value, LABEL_TEXT, "host-%zu.example.net:9100", i / 300);
        break;
    case 2:
        snprintf(value, LABEL_TEXT, "load");
        break;
    case 3:
        snprintf(value, LABEL_TEXT, "%zu", i); /* makes the series unique */
        break;
    case 4:
        snprintf(value, LABEL_TEXT, "%s", options->run);
        break;
    default:
        snprintf(value, LABEL_TEXT, "value-%zu-%zu", l, i % (l * 7));
    }
}

static double next_value(struct series *series)
{
    uint32_t random = next_random(&series->random);

    switch (series->kind) {
    case KIND_COUNTER:
        series->value += random % 100;
        break;
    case KIND_GAUGE: /* a walk in steps of 0.01 */
        series->value = round(series->value * 100 + (double)(random % 201) - 100) / 100;
        break;
    default: /* buckets stand still most of the time */
        series->value += random % 4 == 0 ? random % 10 : 0;
    }
    return series->value;
}

static void put_labels(const struct options *options, size_t i, struct buf *out)
{
    static const char *const opening[] = {"", "{", ",", "{\"metric\":{"};
    static const char *const pair[] = {"", "%s%s=\"%s\"", ",%s%s=%s", "%s\"%s\":\"%s\""};
    static const char *const closing[] = {"", "} ", " value=", "},\"values\":["};
    enum format format = options->format;

    for (size_t l = 0; l < options->labels; l++) {
        char name[LABEL_TEXT], value[LABEL_TEXT];
        const char *comma = l > (format == FORMAT_JSONL ? 0u : 1u) ? "," : "";

        make_label(options, i, l, name, value);
        if (format == FORMAT_JSONL && l == 0)
            buf_puts(out, opening[format]);
        if (format != FORMAT_JSONL && l == 0) {
            buf_puts(out, value);
            buf_puts(out, format == FORMAT_TEXT ? opening[format] : "");
            continue;
        }
        if (format == FORMAT_TEXT)
            buf_printf(out, pair[1], comma, name, value);
        else if (format == FORMAT_INFLUX)
            buf_printf(out, pair[2], "", name, value);
        else
            buf_printf(out, pair[3], comma, name, value);
    }
    buf_puts(out, closing[format]);
}

/* Sample: tag, 16 bytes of message, 09 + 8 bytes of value, 10 + 6 bytes of time. */
#define SAMPLE_BYTES 18
#define TIME_BYTES 6

static void put_message(const struct options *options, size_t i, struct buf *out,
                        struct series *series)
{
    struct buf labels = {0}, label = {0};

    for (size_t l = 0; l < options->labels; l++) {
        char name[LABEL_TEXT], value[LABEL_TEXT];

        make_label(options, i, l, name, value);
        label.len = 0;
        protobuf_put_bytes(&label, 1, name, strlen(name));
        protobuf_put_bytes(&label, 2, value, strlen(value));
        protobuf_put_bytes(&labels, 1, label.data, label.len);
    }
    protobuf_put_tag(out, 1, PROTOBUF_BYTES);
    protobuf_put_uvarint(out, labels.len + SAMPLE_BYTES);
    buf_append(out, labels.data, labels.len);
    buf_append(out,
               "\x12\x10\x09"
               "\0\0\0\0\0\0\0\0"
               "\x10"
               "\0\0\0\0\0\0",
               SAMPLE_BYTES);
    series->prefix_at = out->len - SAMPLE_BYTES + 3;
    buf_destroy(&labels);
    buf_destroy(&label);
}

/* --- remote write 2.0: labels are references into the request's symbols ------------------------
 */

static uint64_t symbol_of(struct text_map *symbols, struct buf *table, const char *text)
{
    void *known = text_map_get(symbols, text, strlen(text));

    if (known == NULL) {
        known = (void *)(symbols->count + 1); /* number 0 is the empty one */
        text_map_put(symbols, text, strlen(text), known);
        protobuf_put_bytes(table, 4, text, strlen(text));
    }
    return (uint64_t)(uintptr_t)known;
}

static void put_message2(const struct options *options, size_t i, struct text_map *symbols,
                         struct buf *table, struct buf *out, struct series *series)
{
    struct buf refs = {0}, message = {0};

    for (size_t l = 0; l < options->labels; l++) {
        char name[LABEL_TEXT], value[LABEL_TEXT];

        make_label(options, i, l, name, value);
        protobuf_put_uvarint(&refs, symbol_of(symbols, table, name));
        protobuf_put_uvarint(&refs, symbol_of(symbols, table, value));
    }
    protobuf_put_bytes(&message, 1, refs.data, refs.len);
    buf_append(&message,
               "\x12\x10\x09"
               "\0\0\0\0\0\0\0\0"
               "\x10"
               "\0\0\0\0\0\0",
               SAMPLE_BYTES);
    protobuf_put_bytes(out, 5, message.data, message.len);
    series->prefix_at = out->len - SAMPLE_BYTES + 3;
    buf_destroy(&refs);
    buf_destroy(&message);
}

static void prepare_message2(struct load *load, struct request *request)
{
    struct text_map symbols = {0};
    struct buf table = {0}, series = {0};

    protobuf_put_bytes(&table, 4, "", 0);
    for (size_t i = request->first; i < request->first + request->count; i++)
        put_message2(&load->options, i, &symbols, &table, &series, &load->series[i]);
    for (size_t i = request->first; i < request->first + request->count; i++)
        load->series[i].prefix_at += table.len;
    buf_append(&request->prefixes, table.data, table.len);
    buf_append(&request->prefixes, series.data, series.len);
    text_map_destroy(&symbols);
    buf_destroy(&table);
    buf_destroy(&series);
}

/* --- OTLP: a gauge of one point for each series ------------------------------------------------
 */

/* Point: tag and time, tag and value, then the attributes. */
#define POINT_BYTES 18

static void put_gauge(const struct options *options, size_t i, struct buf *out,
                      struct series *series)
{
    struct buf metric = {0}, gauge = {0}, point = {0}, value = {0}, attribute = {0};
    char name[LABEL_TEXT], text[LABEL_TEXT];
    size_t behind;

    buf_append(&point, "\x19\0\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\0\0", POINT_BYTES);
    for (size_t l = 1; l < options->labels; l++) {
        make_label(options, i, l, name, text);
        value.len = attribute.len = 0;
        protobuf_put_bytes(&value, 1, text, strlen(text));
        protobuf_put_bytes(&attribute, 1, name, strlen(name));
        protobuf_put_bytes(&attribute, 2, value.data, value.len);
        protobuf_put_bytes(&point, 7, attribute.data, attribute.len);
    }
    behind = point.len;
    protobuf_put_bytes(&gauge, 1, point.data, point.len);
    make_label(options, i, 0, name, text);
    protobuf_put_bytes(&metric, 1, text, strlen(text));
    protobuf_put_bytes(&metric, 5, gauge.data, gauge.len);
    protobuf_put_bytes(out, 2, metric.data, metric.len);
    series->prefix_at = out->len - behind + 1;
    buf_destroy(&metric);
    buf_destroy(&gauge);
    buf_destroy(&point);
    buf_destroy(&value);
    buf_destroy(&attribute);
}

static void prepare_otlp(struct load *load, struct request *request)
{
    struct buf metrics = {0}, scope = {0};
    size_t shift;

    for (size_t i = request->first; i < request->first + request->count; i++)
        put_gauge(&load->options, i, &metrics, &load->series[i]);
    protobuf_put_bytes(&scope, 2, metrics.data, metrics.len);
    protobuf_put_bytes(&request->prefixes, 1, scope.data, scope.len);
    shift = request->prefixes.len - metrics.len;
    for (size_t i = request->first; i < request->first + request->count; i++)
        load->series[i].prefix_at += shift;
    buf_destroy(&metrics);
    buf_destroy(&scope);
}

static void prepare_request(struct load *load, struct request *request)
{
    const struct options *options = &load->options;

    for (size_t i = request->first; i < request->first + request->count; i++) {
        struct series *series = &load->series[i];

        series->random = i * 2654435761u + 1;
        series->kind = options->kind == KIND_MIX ? (enum kind)(i % 3) : options->kind;
        series->value = series->kind == KIND_GAUGE ? 20 : 0;
        if (options->format == FORMAT_REMOTE_WRITE)
            put_message(options, i, &request->prefixes, series);
        if (options->format != FORMAT_TEXT && options->format != FORMAT_INFLUX &&
            options->format != FORMAT_JSONL)
            continue;
        series->prefix_at = request->prefixes.len;
        put_labels(options, i, &request->prefixes);
        series->prefix_len = request->prefixes.len - series->prefix_at;
    }
    if (options->format == FORMAT_REMOTE_WRITE2)
        prepare_message2(load, request);
    else if (options->format == FORMAT_OTLP)
        prepare_otlp(load, request);
}

static void put_number(struct buf *out, double value)
{
    out->len += number_format_api((char *)buf_reserve(out, NUMBER_MAX_BYTES), value);
}

/* Value and time into the protobuf message of a series. */
static void patch(enum format format, uint8_t *at, double value, int64_t time_ms)
{
    if (format == FORMAT_OTLP) {
        put_le64(at, (uint64_t)time_ms * 1000000);
        put_le64(at + 9, double_bits(value));
        return;
    }
    put_le64(at, double_bits(value));
    if (uvarint_put(at + 9, (uint64_t)time_ms) != TIME_BYTES)
        abort();
}

/* The request's body with the samples of one scrape. */
static void build_body(struct load *load, struct request *request, int64_t time_ms)
{
    static const char *const before_time[] = {"", " ", " ", "],\"timestamps\":["};
    static const char *const after_time[] = {"", "\n", "000000\n", "]}\n"};
    enum format format = load->options.format;
    bool is_text = format == FORMAT_TEXT || format == FORMAT_INFLUX || format == FORMAT_JSONL;

    request->body.len = 0;
    for (size_t i = request->first; i < request->first + request->count; i++) {
        struct series *series = &load->series[i];
        double value = next_value(series);

        if (!is_text) {
            patch(format, request->prefixes.data + series->prefix_at, value, time_ms);
            continue;
        }
        buf_append(&request->body, request->prefixes.data + series->prefix_at, series->prefix_len);
        put_number(&request->body, value);
        buf_puts(&request->body, before_time[format]);
        put_number(&request->body, (double)time_ms);
        buf_puts(&request->body, after_time[format]);
    }
    if (format == FORMAT_OTLP)
        buf_append(&request->body, request->prefixes.data, request->prefixes.len);
    else if (!is_text)
        snappy_block_encode(request->prefixes.data, request->prefixes.len, &request->body);
}

static void build_head(const struct options *options, struct request *request)
{
    request->head.len = 0;
    buf_printf(&request->head,
               "POST %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: load\r\n%s"
               "Content-Length: %zu\r\n\r\n",
               options->path, options->host, options->port, format_headers[options->format],
               request->body.len);
}

/* --- sending -----------------------------------------------------------------------------------
 */

static void send_request(struct sender *sender, struct request *request)
{
    struct load_client *client = &sender->client;
    int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    int status = load_request(client, (const char *)request->head.data, request->head.len,
                              request->body.data, request->body.len);

    sender->longest_ns = TIDE_MAX(sender->longest_ns, now_ns(CLOCK_MONOTONIC) - begin_ns);
    sender->requests++;
    sender->bytes += request->body.len;
    if (status >= 200 && status < 300)
        return;
    if (sender->failures++ == 0)
        snprintf(sender->problem, sizeof(sender->problem), "status %d: %.*s", status,
                 (int)TIDE_MIN(client->body_len, (size_t)250),
                 client->in.data != NULL ? (const char *)client->in.data + client->body_at : "");
}

/* Requests are dealt to connections for good, so each series' samples keep their order. */
static void *send_all(void *arg)
{
    struct sender *sender = arg;
    struct load *load = sender->load;
    const struct options *options = &load->options;
    size_t step = options->connections;

    for (size_t scrape = 0; scrape < options->scrapes; scrape++) {
        for (size_t i = sender->nth; i < load->request_count; i += step) {
            uint64_t jitter = i * 7919 + scrape * 104729;

            build_body(load, &load->requests[i],
                       options->start_ms + (int64_t)scrape * options->interval_ms +
                           (int64_t)(next_random(&jitter) % 11));
            build_head(options, &load->requests[i]);
        }
        pthread_barrier_wait(&load->barrier); /* all is built */
        for (size_t i = sender->nth; i < load->request_count; i += step)
            send_request(sender, &load->requests[i]);
        pthread_barrier_wait(&load->barrier); /* all is sent */
    }
    return NULL;
}

/* --- the server's process ----------------------------------------------------------------------
 */

static double cpu_seconds(long pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    FILE *file;
    size_t len;
    char *at;

    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    file = fopen(path, "r");
    if (file == NULL)
        return NAN;
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    at = strrchr(text, ')');
    if (at == NULL ||
        sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return NAN;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* VmRSS or VmHWM, in bytes; 0 when the process is gone. */
static double memory_bytes(long pid, const char *key)
{
    char path[64], line[256];
    double kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/status", pid);
    file = fopen(path, "r");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key) + 1, NULL);
    }
    fclose(file);
    return kib * 1024;
}

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* Waits until the process has used less than 2 % of a core for two seconds; a minute at most. */
static double settled_cpu_seconds(long pid)
{
    double last = cpu_seconds(pid);
    int quiet = 0;

    for (int i = 0; i < 120 && quiet < 4; i++) {
        double now;

        pause_ms(500);
        now = cpu_seconds(pid);
        quiet = now - last <= 0.01 ? quiet + 1 : 0;
        last = now;
    }
    return last;
}

/* --- counting back -----------------------------------------------------------------------------
 */

static double ask(struct load_client *client, const char *query, int64_t time_ms)
{
    struct buf head = {0};
    double answer = NAN;
    const char *value;

    buf_puts(&head, "GET /api/v1/query?query=");
    for (const char *c = query; *c != '\0'; c++)
        buf_printf(&head, "%%%02X", (unsigned char)*c);
    buf_printf(&head, "&time=%" PRId64 " HTTP/1.1\r\nHost: %s:%s\r\n\r\n", time_ms / 1000,
               client->host, client->port);
    if (load_request(client, (const char *)head.data, head.len, NULL, 0) == 200) {
        value = strstr((const char *)client->in.data + client->body_at, "\"value\":[");
        value = value != NULL ? strstr(value, ",\"") : NULL;
        answer = value != NULL ? strtod(value + 2, NULL) : 0;
    }
    buf_destroy(&head);
    return answer;
}

/* All samples of the run, as the server counts them; asked again until they are all there. */
static double count_back(const struct options *options, double expected, double *series)
{
    struct load_client client = {.host = options->host, .port = options->port, .fd = -1};
    int64_t length_ms = (int64_t)options->scrapes * options->interval_ms;
    char query[256];
    double count = NAN;

    for (int i = 0; i < 60 && count != expected; i++) {
        if (i > 0)
            pause_ms(500);
        snprintf(query, sizeof(query), "sum(count_over_time({run=\"%s\"}[%" PRId64 "s]))",
                 options->run, length_ms / 1000 + 60);
        count = ask(&client, query, options->start_ms + length_ms);
    }
    snprintf(query, sizeof(query), "count(count_over_time({run=\"%s\"}[%" PRId64 "s]))",
             options->run, length_ms / 1000 + 60);
    *series = ask(&client, query, options->start_ms + length_ms);
    load_disconnect(&client);
    buf_destroy(&client.in);
    return count;
}

/* --- the run -----------------------------------------------------------------------------------
 */

struct report {
    double samples, seconds, bytes;
    uint64_t requests, failures;
    double cpu_before, cpu, own_cpu, rss, rss_before, hwm;
    double counted, counted_series, longest_ms;
    const char *problem;
};

static int print_report(const struct options *options, const struct report *report)
{
    double millions = report->samples / 1e6;
    double measured = (double)options->series * (double)(options->scrapes - options->warmup) / 1e6;
    double series = (double)options->series;
    bool good = report->failures == 0;

    printf("%-18s %s\n", "target", options->name);
    printf("%-18s %s, %zu series, %zu labels, %zu scrapes, %zu a request, %zu connections\n",
           "load", format_names[options->format], options->series, options->labels,
           options->scrapes, options->batch, options->connections);
    printf("%-18s %.0f in %.2f s: %.0f samples/s, %.1f bytes each\n", "sent", report->samples,
           report->seconds, report->samples / report->seconds, report->bytes / report->samples);
    printf("%-18s %.3f CPU s per million samples\n", "generator", report->own_cpu / millions);
    if (options->pid != 0) {
        printf("%-18s %.3f CPU s per million samples\n", "server", report->cpu / measured);
        printf("%-18s %.0f bytes RSS a series (%.0f grown), peak %.0f\n", "memory",
               report->rss / series, (report->rss - report->rss_before) / series,
               report->hwm / series);
    }
    if (options->verify) {
        good = good && report->counted == report->samples && report->counted_series == series;
        printf("%-18s %.0f samples in %.0f series: %s\n", "counted back", report->counted,
               report->counted_series, good ? "equal" : "NOT EQUAL");
    }
    if (report->failures != 0)
        printf("%-18s %" PRIu64 " of %" PRIu64 " requests; %s\n", "failed", report->failures,
               report->requests, report->problem);
    printf(
        "{\"target\":\"%s\",\"format\":\"%s\",\"series\":%zu,\"samples\":%.0f,\"failed\":%" PRIu64
        ",\"samples_per_second\":%.0f,\"bytes_per_sample\":%.2f,"
        "\"generator_cpu_seconds_per_million\":%.4f,\"longest_push_ms\":%.1f",
        options->name, format_names[options->format], options->series, report->samples,
        report->failures, report->samples / report->seconds, report->bytes / report->samples,
        report->own_cpu / millions, report->longest_ms);
    if (options->pid != 0)
        printf(",\"cpu_seconds_per_million\":%.4f,\"rss_bytes_per_series\":%.1f,"
               "\"peak_rss_bytes_per_series\":%.1f",
               report->cpu / measured, report->rss / series, report->hwm / series);
    if (options->verify)
        printf(",\"counted\":%.0f", isnan(report->counted) ? -1 : report->counted);
    printf("}\n");
    return good ? 0 : 1;
}

/* With --pace the bodies that were built wait until their time has come. */
static void wait_for_scrape(const struct options *options, int64_t begin_ns, size_t scrape)
{
    int64_t due_ns = begin_ns + (int64_t)scrape * options->interval_ms * 1000000;
    int64_t left_ns = due_ns - now_ns(CLOCK_MONOTONIC);

    if (options->pace && left_ns > 0)
        pause_ms((long)(left_ns / 1000000));
}

static void run_scrapes(struct load *load, struct sender *senders, struct report *report)
{
    size_t connections = load->options.connections;
    pthread_t *threads = mem_zalloc(connections, sizeof(*threads));
    int64_t begin_ns = now_ns(CLOCK_MONOTONIC);

    pthread_barrier_init(&load->barrier, NULL, (unsigned)connections + 1);
    for (size_t i = 0; i < connections; i++) {
        senders[i].load = load;
        senders[i].nth = i;
        senders[i].client =
            (struct load_client){.host = load->options.host, .port = load->options.port, .fd = -1};
        if (pthread_create(&threads[i], NULL, send_all, &senders[i]) != 0)
            abort();
    }
    for (size_t scrape = 0; scrape < load->options.scrapes; scrape++) {
        int64_t start, cpu;

        if (scrape == load->options.warmup && load->options.pid != 0)
            report->cpu_before = scrape == 0 ? cpu_seconds(load->options.pid)
                                             : settled_cpu_seconds(load->options.pid);
        wait_for_scrape(&load->options, begin_ns, scrape);
        pthread_barrier_wait(&load->barrier);
        start = now_ns(CLOCK_MONOTONIC);
        cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        pthread_barrier_wait(&load->barrier);
        report->seconds += (double)(now_ns(CLOCK_MONOTONIC) - start) / 1e9;
        report->own_cpu += (double)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9;
    }
    for (size_t i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
        report->requests += senders[i].requests;
        report->failures += senders[i].failures;
        report->bytes += (double)senders[i].bytes;
        report->longest_ms = TIDE_MAX(report->longest_ms, (double)senders[i].longest_ns / 1e6);
        if (senders[i].failures != 0)
            report->problem = senders[i].problem;
    }
    pthread_barrier_destroy(&load->barrier);
    mem_free(threads);
}

static int run(struct load *load)
{
    const struct options *options = &load->options;
    struct sender *senders = mem_zalloc(options->connections, sizeof(*senders));
    struct report report = {.samples = (double)options->series * (double)options->scrapes};

    load->request_count = (options->series + options->batch - 1) / options->batch;
    load->series = mem_zalloc(options->series, sizeof(*load->series));
    load->requests = mem_zalloc(load->request_count, sizeof(*load->requests));
    for (size_t i = 0; i < load->request_count; i++) {
        load->requests[i].first = i * options->batch;
        load->requests[i].count =
            TIDE_MIN(options->batch, options->series - load->requests[i].first);
        prepare_request(load, &load->requests[i]);
    }
    if (options->pid != 0)
        report.rss_before = memory_bytes(options->pid, "VmRSS:");
    run_scrapes(load, senders, &report);
    if (options->pid != 0) {
        report.cpu = settled_cpu_seconds(options->pid) - report.cpu_before;
        report.rss = memory_bytes(options->pid, "VmRSS:");
        report.hwm = memory_bytes(options->pid, "VmHWM:");
    }
    if (options->verify)
        report.counted = count_back(options, report.samples, &report.counted_series);
    return print_report(options, &report);
}

/* --- arguments ---------------------------------------------------------------------------------
 */

static int wrong_usage(const char *what)
{
    fprintf(stderr, "load: %s (the top of spec/bench/load.c lists the options)\n", what);
    return 2;
}

static bool find_name(const char *text, const char *const *names, int count, int *found)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *found = i;
            return true;
        }
    }
    return false;
}

/* http://HOST:PORT/PATH, cut in place. */
static bool split_url(char *url, struct options *options)
{
    char *port, *path;

    if (strncmp(url, "http://", 7) != 0)
        return false;
    options->host = url + 7;
    port = strchr(url + 7, ':');
    if (port == NULL)
        return false;
    *port++ = '\0';
    options->port = port;
    path = strchr(port, '/');
    if (path != NULL) {
        options->path = mem_dup(path, strlen(path));
        *path = '\0';
    }
    return true;
}

static bool parse_option(int option, char *text, struct options *options)
{
    char *end;
    long long number = strtoll(text != NULL ? text : "1", &end, 10);
    int found = 0;
    bool positive = *end == '\0' && number > 0;

    switch (option) {
    case 'u':
        return split_url(text, options);
    case 'h':
        options->host = text;
        return true;
    case 'p':
        options->port = text;
        return true;
    case 'P':
        options->path = text;
        return true;
    case 'n':
        options->name = text;
        return true;
    case 'f':
        if (!find_name(text, format_names, FORMATS, &found))
            return false;
        options->format = (enum format)found;
        return true;
    case 'k':
        if (!find_name(text, kind_names, KINDS, &found))
            return false;
        options->kind = (enum kind)found;
        return true;
    case 's':
        options->series = (size_t)number;
        return positive;
    case 'l':
        options->labels = (size_t)number;
        return positive && number >= 5 && number <= MAX_LABELS;
    case 'K':
        options->scrapes = (size_t)number;
        return positive;
    case 'b':
        options->batch = (size_t)number;
        return positive;
    case 'c':
        options->connections = (size_t)number;
        return positive && number <= 1024;
    case 'w':
        options->warmup = (size_t)number;
        return positive;
    case 'i':
        options->interval_ms = number;
        return positive;
    case 'S':
        options->start_ms = number;
        return positive;
    case 'I':
        options->pid = (long)number;
        return positive;
    case 'a':
        options->pace = number == 1;
        return positive;
    case 'v':
        options->verify = true;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"url", 1, NULL, 'u'},      {"host", 1, NULL, 'h'},   {"port", 1, NULL, 'p'},
        {"path", 1, NULL, 'P'},     {"name", 1, NULL, 'n'},   {"format", 1, NULL, 'f'},
        {"kind", 1, NULL, 'k'},     {"series", 1, NULL, 's'}, {"labels", 1, NULL, 'l'},
        {"scrapes", 1, NULL, 'K'},  {"batch", 1, NULL, 'b'},  {"connections", 1, NULL, 'c'},
        {"interval", 1, NULL, 'i'}, {"start", 1, NULL, 'S'},  {"pid", 1, NULL, 'I'},
        {"warmup", 1, NULL, 'w'},   {"verify", 0, NULL, 'v'}, {"pace", 1, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    static struct load load = {.options = {.host = "127.0.0.1",
                                           .port = "9201",
                                           .kind = KIND_MIX,
                                           .series = 10000,
                                           .labels = 8,
                                           .scrapes = 10,
                                           .batch = 2000,
                                           .connections = 2,
                                           .interval_ms = 15000}};
    struct options *options = &load.options;
    int64_t now_ms = now_ns(CLOCK_REALTIME) / 1000000;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (!parse_option(option, optarg, options))
            return wrong_usage(optarg != NULL ? optarg : "unknown option");
    }
    if (optind != argc)
        return wrong_usage(argv[optind]);
    if (options->warmup >= options->scrapes)
        return wrong_usage("--warmup leaves nothing to measure");
    if (options->path == NULL)
        options->path = format_paths[options->format];
    if (options->name == NULL)
        options->name = options->port;
    if (options->start_ms == 0)
        options->start_ms =
            options->pace ? now_ms : now_ms - (int64_t)options->scrapes * options->interval_ms;
    snprintf(options->run, sizeof(options->run), "%" PRIx64, (uint64_t)now_ms);
    signal(SIGPIPE, SIG_IGN);
    return run(&load);
}
