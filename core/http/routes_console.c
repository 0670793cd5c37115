/* routes_console.c - the console over HTTP (desk.h): a line in, its events out. For admins that are
 * bound to no tenant; pages of other origins are kept out as from all that acts (access.h). */
#include "http/desk.h"
#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/request_params.h"
#include "http/routes_admin.h"
#include "http/tenant.h"

#define TYPE_EVENTS "text/event-stream"

/* What a request names: its session and who asks. Parameters of the address only: the body is the
 * line. */
struct asked {
    const char *id;
    size_t cursor;
    struct desk_asker asker;
};

static int read_asked(const struct http_request *request, struct asked *asked, struct error *err)
{
    struct params params;
    struct http_text id;

    if (tenant_may_all(request, err) != 0)
        return -1;
    if (request->site->desks == NULL)
        return error_set(err, ERR_UNSUPPORTED, "this server has no console");
    if (params_parse(request->head->query, (struct http_text){0}, request->arena, &params, err) !=
        0)
        return -1;
    id = params_get(&params, "session");
    *asked = (struct asked){
        .id = id.at != NULL ? id.at : "",
        .cursor = request->body_len,
        .asker = {.user = request->user, .tenant = request->tenant, .remote = request->remote}};
    return params_count(&params, "cursor", &asked->cursor, err);
}

void route_console(struct http_request *request, struct http_reply *reply)
{
    struct asked asked;
    struct error err;

    if (read_asked(request, &asked, &err) != 0 ||
        desk_run(request->site->desks, asked.id, &asked.asker, (const char *)request->body,
                 request->body_len, &reply->stream, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    reply->content_type = TYPE_EVENTS;
    reply->coding = "identity"; /* each event leaves as it comes */
    http_reply_field(reply, "Cache-Control", "no-store");
}

void route_console_complete(struct http_request *request, struct http_reply *reply)
{
    struct asked asked;
    struct error err;

    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":");
    if (read_asked(request, &asked, &err) != 0 ||
        desk_complete(request->site->desks, asked.id, &asked.asker, (const char *)request->body,
                      request->body_len, asked.cursor, &reply->body, &err) != 0)
        http_reply_failure(reply, &err);
    else
        buf_putc(&reply->body, '}');
}

void route_console_close(struct http_request *request, struct http_reply *reply)
{
    struct asked asked;
    struct error err;

    if (read_asked(request, &asked, &err) != 0 ||
        desk_close(request->site->desks, asked.id, &asked.asker, &err) != 0)
        http_reply_failure(reply, &err);
    else
        reply->status = 204;
}
