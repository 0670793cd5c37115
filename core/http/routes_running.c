/* routes_running.c - see routes_running.h. They answer on the worker: the query pool may be full.
 */
#include "http/routes_running.h"

#include "base/number.h"
#include "http/http_site.h"
#include "http/params.h"
#include "http/request_params.h"
#include "promql/running.h"
#include "wire/result_json.h"

static void put_text(struct buf *out, const char *name, const char *text, size_t len)
{
    buf_printf(out, ",\"%s\":", name);
    json_put_string(out, text, len);
}

static void put_time(struct buf *out, const char *name, int64_t ms)
{
    char number[NUMBER_MAX_BYTES];
    size_t len = number_format_seconds(number, ms);

    buf_printf(out, ",\"%s\":", name);
    buf_append(out, number, len);
}

static void put_query(struct buf *out, const struct running_info *info)
{
    buf_printf(out, "{\"id\":\"%" PRIu64 "\"", info->id);
    put_text(out, "query", info->text, info->len);
    put_text(out, "type", info->step_ms != 0 ? "range" : "instant", info->step_ms != 0 ? 5 : 7);
    put_time(out, "start", info->start_ms);
    put_time(out, "end", info->end_ms);
    put_time(out, "step", info->step_ms);
    put_text(out, "client", info->client, strlen(info->client));
    put_text(out, "user", info->user, strlen(info->user));
    put_time(out, "asked", info->began_ms);
    put_time(out, "age", info->age_ns / 1000000);
    buf_printf(out,
               ",\"samples\":%" PRIu64 ",\"series\":%" PRIu64 ",\"memoryBytes\":%" PRIu64
               ",\"killed\":%s",
               info->samples, info->series, info->memory_bytes, info->killed ? "true" : "false");
}

static void put_list(struct buf *out, const struct running_list *list, bool ended)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        const struct running_info *info = &list->items[i];

        if (i != 0)
            buf_putc(out, ',');
        put_query(out, info);
        if (ended)
            buf_printf(out, ",\"outcome\":\"%s\"", running_outcome(info->error));
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

void route_queries(struct http_request *request, struct http_reply *reply)
{
    struct running_queries *queries = request->site->running;
    struct running_list list;

    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":{\"running\":");
    running_queries_list(queries, &list);
    put_list(&reply->body, &list, false);
    running_list_destroy(&list);
    buf_puts(&reply->body, ",\"slow\":");
    running_queries_slow(queries, &list);
    put_list(&reply->body, &list, true);
    running_list_destroy(&list);
    buf_puts(&reply->body, "}}");
}

void route_kill_query(struct http_request *request, struct http_reply *reply)
{
    struct params params;
    size_t id = 0;
    struct error err;
    const char *by = request->user != NULL ? request->user : request->remote;

    if (request_params(request, &params, &err) == 0 && params_get(&params, "id").len == 0)
        error_set(&err, ERR_INVALID,
                  "invalid parameter \"id\": missing (try GET /api/v1/status/queries)");
    else if (params_count(&params, "id", &id, &err) == 0 &&
             running_queries_kill(request->site->running, id, by != NULL ? by : "", &err) == 0) {
        reply->content_type = HTTP_TYPE_JSON;
        buf_puts(&reply->body, "{\"status\":\"success\"}");
        return;
    }
    http_reply_failure(reply, &err);
}
