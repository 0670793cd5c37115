/* routes_snapshot.c - snapshots, as Prometheus asks for them and as VictoriaMetrics does
 * (routes_admin.h). */
#include "base/mem.h"
#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/request_params.h"
#include "http/routes_admin.h"
#include "http/tenant.h"
#include "store/snapshot.h"

static struct store *store_of(const struct http_request *request)
{
    return http_site_store(request->site);
}

/* A snapshot holds every tenant's series. */
static int may_all(const struct http_request *request, struct error *err)
{
    struct label label;
    int bound = tenant_label(request, &label, err);

    if (bound > 0)
        return error_set(err, ERR_DENIED,
                         "a snapshot concerns all tenants, and the credential is of one");
    return bound;
}

static int make(struct http_request *request, struct snapshot_info *info, struct error *err)
{
    struct snapshot_options options = {0};
    struct params params;
    struct http_text text;

    if (may_all(request, err) != 0 || request_params(request, &params, err) != 0)
        return -1;
    text = params_get(&params, "skip_head");
    if (text.len != 0 && strcmp(text.at, "true") != 0 && strcmp(text.at, "false") != 0 &&
        strcmp(text.at, "1") != 0 && strcmp(text.at, "0") != 0)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"skip_head\": \"%.40s\" is neither true nor false",
                         text.at);
    options.skip_head = text.len != 0 && (text.at[0] == 't' || text.at[0] == '1');
    return store_snapshot(store_of(request), &options, info, err);
}

static int remove_named(struct http_request *request, const char *parameter, struct error *err)
{
    struct params params;
    struct http_text name;

    if (may_all(request, err) != 0 || request_params(request, &params, err) != 0)
        return -1;
    name = params_get(&params, parameter);
    if (name.len == 0)
        return error_set(err, ERR_INVALID, "invalid parameter \"%s\": missing", parameter);
    return store_snapshot_remove(store_of(request), name.at, err);
}

static int put_list(struct http_request *request, struct buf *out, bool objects, struct error *err)
{
    struct snapshot_info *list;
    size_t count;

    if (may_all(request, err) != 0 ||
        store_snapshot_list(store_of(request), &list, &count, err) != 0)
        return -1;
    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_putc(out, ',');
        if (objects)
            buf_printf(out, "{\"name\":\"%s\",\"time_ms\":%" PRId64 "}", list[i].name,
                       list[i].time_ms);
        else
            buf_printf(out, "\"%s\"", list[i].name);
    }
    buf_putc(out, ']');
    mem_free(list);
    return 0;
}

void route_snapshot(struct http_request *request, struct http_reply *reply)
{
    struct snapshot_info info;
    struct error err;

    if (make(request, &info, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    reply->content_type = HTTP_TYPE_JSON;
    buf_printf(&reply->body,
               "{\"status\":\"success\",\"data\":{\"name\":\"%s\",\"series\":%" PRIu64
               ",\"archived\":%" PRIu64 ",\"bytes\":%" PRIu64 "}}",
               info.name, info.series, info.archived, info.bytes_linked);
}

void route_snapshot_list(struct http_request *request, struct http_reply *reply)
{
    struct error err;

    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":");
    if (put_list(request, &reply->body, true, &err) != 0)
        http_reply_failure(reply, &err);
    else
        buf_putc(&reply->body, '}');
}

void route_snapshot_delete(struct http_request *request, struct http_reply *reply)
{
    struct error err;

    if (remove_named(request, "name", &err) != 0)
        http_reply_failure(reply, &err);
    else
        reply->status = 204;
}

/* --- as VictoriaMetrics has them
 * -------------------------------------------------------------------- */

static void vm_begin(struct http_reply *reply)
{
    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"ok\"");
}

void route_vm_snapshot_create(struct http_request *request, struct http_reply *reply)
{
    struct snapshot_info info;
    struct error err;

    if (make(request, &info, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    vm_begin(reply);
    buf_printf(&reply->body, ",\"snapshot\":\"%s\"}", info.name);
}

void route_vm_snapshot_list(struct http_request *request, struct http_reply *reply)
{
    struct error err;

    vm_begin(reply);
    buf_puts(&reply->body, ",\"snapshots\":");
    if (put_list(request, &reply->body, false, &err) != 0)
        http_reply_failure(reply, &err);
    else
        buf_putc(&reply->body, '}');
}

void route_vm_snapshot_delete(struct http_request *request, struct http_reply *reply)
{
    struct error err;

    if (remove_named(request, "snapshot", &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    vm_begin(reply);
    buf_putc(&reply->body, '}');
}

void route_vm_snapshot_delete_all(struct http_request *request, struct http_reply *reply)
{
    struct snapshot_info *list = NULL;
    size_t count = 0;
    struct error err;
    int result = may_all(request, &err);

    if (result == 0)
        result = store_snapshot_list(store_of(request), &list, &count, &err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = store_snapshot_remove(store_of(request), list[i].name, &err);
    mem_free(list);
    if (result != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    vm_begin(reply);
    buf_putc(&reply->body, '}');
}
