/* http_server.c - the HTTP door alone, with routes that show its sides, for the specs of spec/http.
 *
 * Usage: http_server [KEY=VALUE]... where KEY is an option in milliseconds, bytes or counts; or
 * listen=ADDRESS, and certificate= and key= of the listener before. Prints the addresses, serves
 * until SIGTERM, stops cleanly. */
#include "http/http_server.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/http_reply.h"
#include "http/http_request.h"
#include "http/params.h"
#include "script/config.h"
#include "store/store.h"

/* The body back, and what the head said. */
static void echo(struct http_request *request, struct http_reply *reply)
{
    reply->content_type = "application/octet-stream";
    buf_append(&reply->body, request->body, request->body_len);
    http_reply_field(reply, "X-Body-Length", "%zu", request->body_len);
}

static void segment(struct http_request *request, struct http_reply *reply)
{
    reply->content_type = HTTP_TYPE_TEXT;
    buf_append(&reply->body, request->captures[0].at, request->captures[0].len);
}

struct count {
    uint64_t left;
};

/* Lines of 16 bytes. */
static bool produce(void *ctx, struct buf *out)
{
    struct count *count = ctx;

    for (; count->left > 0 && out->len < HTTP_PIECE_BYTES; count->left--)
        buf_printf(out, "%015" PRIu64 "\n", count->left);
    return count->left > 0;
}

static void stream(struct http_request *request, struct http_reply *reply)
{
    struct params params;
    struct error err;
    struct count *count = mem_zalloc(1, sizeof(*count));
    size_t lines = 0;

    if (params_parse(request->head->query, (struct http_text){"", 0}, request->arena, &params,
                     &err) != 0 ||
        params_count(&params, "lines", &lines, &err) != 0) {
        mem_free(count);
        http_reply_failure(reply, &err);
        return;
    }
    count->left = lines;
    reply->content_type = HTTP_TYPE_TEXT;
    reply->stream = (struct http_stream){.produce = produce, .free = mem_free, .ctx = count};
}

/* Answers when nobody wants the answer any more, or after 10 s. */
static void wait_for_cancel(struct http_request *request, struct http_reply *reply)
{
    for (int i = 0; i < 1000; i++) {
        if (__atomic_load_n(request->cancelled, __ATOMIC_RELAXED)) {
            fprintf(stderr, "cancelled\n");
            break;
        }
        usleep(10000);
    }
    http_reply_text(reply, 200, "waited");
}

static void wait_a_moment(struct http_request *request, struct http_reply *reply)
{
    (void)request;
    usleep(300000);
    http_reply_text(reply, 200, "waited");
}

/* Counts a body of any size as it comes. */
static bool take_body(struct http_request *request, const uint8_t *bytes, size_t len,
                      struct http_reply *reply)
{
    (void)bytes;
    (void)reply;
    request->body_len += len;
    return true;
}

static void counted(struct http_request *request, struct http_reply *reply)
{
    reply->content_type = HTTP_TYPE_TEXT;
    buf_printf(&reply->body, "%zu", request->body_len);
}

static const struct http_route routes[] = {
    {"/echo", HTTP_VERB_GET | HTTP_VERB_POST, HTTP_ROLE_NONE, HTTP_ROUTE_ALWAYS, echo, NULL},
    {"/echo/pool", HTTP_VERB_POST, HTTP_ROLE_NONE, HTTP_ROUTE_ALWAYS | HTTP_ROUTE_POOL, echo, NULL},
    {"/segment/*/end", HTTP_VERB_GET, HTTP_ROLE_NONE, HTTP_ROUTE_ALWAYS, segment, NULL},
    {"/stream", HTTP_VERB_GET, HTTP_ROLE_NONE, HTTP_ROUTE_ALWAYS | HTTP_ROUTE_POOL, stream, NULL},
    {"/cancel", HTTP_VERB_GET, HTTP_ROLE_NONE, HTTP_ROUTE_ALWAYS | HTTP_ROUTE_POOL, wait_for_cancel,
     NULL},
    {"/wait", HTTP_VERB_GET, HTTP_ROLE_NONE, HTTP_ROUTE_ALWAYS | HTTP_ROUTE_POOL, wait_a_moment,
     NULL},
    {"/count", HTTP_VERB_POST, HTTP_ROLE_NONE, HTTP_ROUTE_ALWAYS, counted, take_body},
    {"/closed", HTTP_VERB_GET, HTTP_ROLE_NONE, 0, echo, NULL},
};

static bool set_option(struct http_options *options, const char *text)
{
    const struct {
        const char *key;
        size_t *size;
        int64_t *ms;
    } table[] = {
        {"workers", &options->workers, NULL},
        {"connections", &options->connections, NULL},
        {"header_bytes", &options->header_bytes, NULL},
        {"body_bytes", &options->body_bytes, NULL},
        {"all_bodies_bytes", &options->all_bodies_bytes, NULL},
        {"decompressed_bytes", &options->decompressed_bytes, NULL},
        {"client_connections", &options->client_connections, NULL},
        {"client_queries", &options->client_queries, NULL},
        {"query_threads", &options->query_threads, NULL},
        {"query_queue", &options->query_queue, NULL},
        {"header_timeout_ms", NULL, &options->header_timeout_ms},
        {"body_timeout_ms", NULL, &options->body_timeout_ms},
        {"idle_timeout_ms", NULL, &options->idle_timeout_ms},
        {"drain_timeout_ms", NULL, &options->drain_timeout_ms},
    };
    const char *equals = strchr(text, '=');

    for (size_t i = 0; equals != NULL && i < TIDE_COUNT(table); i++) {
        if (strlen(table[i].key) != (size_t)(equals - text) ||
            memcmp(table[i].key, text, (size_t)(equals - text)) != 0)
            continue;
        if (table[i].size != NULL)
            *table[i].size = (size_t)strtoull(equals + 1, NULL, 10);
        else
            *table[i].ms = strtoll(equals + 1, NULL, 10);
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static char first[] = "127.0.0.1:0";
    struct config_listener listen[8] = {{.address = first}};
    size_t listen_count = 0;
    struct store_progress progress = {.phase = STORE_PHASE_HEADS, .done = 3, .total = 7};
    struct http_options options;
    struct http_server *server;
    struct error err;
    sigset_t signals;
    int received;

    http_options_init(&options);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "listen=", 7) == 0 && listen_count < TIDE_COUNT(listen)) {
            listen[listen_count++].address = argv[i] + 7;
        } else if (strncmp(argv[i], "certificate=", 12) == 0 && listen_count > 0) {
            listen[listen_count - 1].certificate = argv[i] + 12;
        } else if (strncmp(argv[i], "key=", 4) == 0 && listen_count > 0) {
            listen[listen_count - 1].key = argv[i] + 4;
        } else if (!set_option(&options, argv[i])) {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            return 2;
        }
    }
    options.listen = listen;
    options.listen_count = TIDE_MAX(listen_count, (size_t)1);
    options.progress = &progress;
    options.metrics = metrics_new();
    options.routes = routes;
    options.route_count = TIDE_COUNT(routes);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    server = http_server_start(&options, &err);
    if (server == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < options.listen_count; i++)
        printf("%s\n", http_server_address(server, i));
    fflush(stdout);
    sigwait(&signals, &received);
    http_server_stop(server);
    metrics_free(options.metrics);
    return 0;
}
