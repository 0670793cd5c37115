/* routes_scripts.c - see routes_scripts.h. */
#include "http/routes_scripts.h"

#include "http/http_site.h"
#include "http/read_door.h"
#include "http/request_params.h"
#include "script/rulebook.h"
#include "wire/result_json.h"

void route_reload(struct http_request *request, struct http_reply *reply)
{
    const struct http_options *options = &request->site->options;
    struct error err;

    if (options->reload != NULL && options->reload(options->reload_ctx, &err) != 0) {
        http_reply_error(reply, 500, "internal", "failed to reload config: %s", err.text);
        return;
    }
    reply->status = 200;
    reply->content_type = HTTP_TYPE_TEXT;
}

void route_scripts(struct http_request *request, struct http_reply *reply)
{
    struct rulebook *rules = request->site->options.rules;
    struct reload_view reloaded = reload_state_get(request->site->reloads);

    reply->content_type = HTTP_TYPE_JSON;
    buf_printf(&reply->body,
               "{\"status\":\"success\",\"data\":{\"version\":%" PRIu64 ",\"loaded_ms\":%" PRId64,
               rules != NULL ? rulebook_version(rules) : 0, reloaded.loaded_ms);
    if (reloaded.failed_ms != 0) {
        buf_printf(&reply->body, ",\"failed_ms\":%" PRId64 ",\"failure\":", reloaded.failed_ms);
        json_put_string(&reply->body, reloaded.failed.text, strlen(reloaded.failed.text));
    }
    buf_puts(&reply->body, ",\"rules\":");
    if (rules != NULL)
        rulebook_describe(rules, &reply->body);
    else
        buf_puts(&reply->body, "[]");
    buf_puts(&reply->body, "}}");
}

static void begin(struct http_reply *reply)
{
    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":");
}

static void end(struct http_reply *reply, int result, const struct error *err)
{
    if (result != 0)
        http_reply_failure(reply, err);
    else
        buf_putc(&reply->body, '}');
}

void route_rules(struct http_request *request, struct http_reply *reply)
{
    struct rulebook *rules = request->site->options.rules;
    struct http_text type = {0};
    struct read_door door;
    struct params params;
    struct error err = {0};

    if (request_params(request, &params, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    type = params_get(&params, "type");
    if (type.len != 0 && !http_text_is(type, "alert") && !http_text_is(type, "record")) {
        http_reply_error(reply, 400, "bad_data", "invalid parameter \"type\": alert or record");
        return;
    }
    read_door_init(&door, request, READ_STATUS);
    if (read_door_pass(&door, reply)) {
        int result = 0;

        begin(reply);
        if (rules == NULL)
            buf_puts(&reply->body, "{\"groups\":[]}");
        else
            result = rulebook_put_rules(
                rules, &door.read, type.len == 0 || http_text_is(type, "alert"),
                type.len == 0 || http_text_is(type, "record"), &reply->body, &err);
        end(reply, result, &err);
    }
    read_door_destroy(&door);
}

void route_alerts(struct http_request *request, struct http_reply *reply)
{
    struct rulebook *rules = request->site->options.rules;
    struct read_door door;
    struct error err = {0};

    read_door_init(&door, request, READ_STATUS);
    if (read_door_pass(&door, reply)) {
        int result = 0;

        begin(reply);
        if (rules == NULL)
            buf_puts(&reply->body, "{\"alerts\":[]}");
        else
            result = rulebook_put_alerts(rules, &door.read, &reply->body, &err);
        end(reply, result, &err);
    }
    read_door_destroy(&door);
}
