/* routes_scripts.c - see routes_scripts.h. */
#include "http/routes_scripts.h"

#include "http/http_site.h"
#include "script/rulebook.h"

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

    reply->content_type = HTTP_TYPE_JSON;
    buf_printf(&reply->body, "{\"status\":\"success\",\"data\":{\"version\":%" PRIu64 ",\"rules\":",
               rules != NULL ? rulebook_version(rules) : 0);
    if (rules != NULL)
        rulebook_describe(rules, &reply->body);
    else
        buf_puts(&reply->body, "[]");
    buf_puts(&reply->body, "}}");
}
