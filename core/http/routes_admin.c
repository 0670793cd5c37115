/* routes_admin.c - see routes_admin.h. */
#include "http/routes_admin.h"

#include <stdio.h>

#include "base/mem.h"
#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/request_params.h"
#include "http/selectors.h"
#include "http/tenant.h"
#include "store/clock_guard.h"
#include "store/delete.h"
#include "store/pass_guard.h"
#include "store/trash.h"
#include "wire/result_json.h"

#define TRASH_ID_FIELD "Tidemark-Trash-Id"

static struct store *store_of(const struct http_request *request)
{
    return http_site_store(request->site);
}

/* Who asks, for the audit: "ann from 10.0.0.7". */
static const char *asker(const struct http_request *request, char text[REMOVAL_BY_BYTES])
{
    const char *remote = request->remote != NULL ? request->remote : "?";

    if (request->user != NULL)
        snprintf(text, REMOVAL_BY_BYTES, "%s from %s", request->user, remote);
    else
        snprintf(text, REMOVAL_BY_BYTES, "%s", remote);
    return text;
}

static bool may_all(const struct http_request *request, struct http_reply *reply)
{
    struct error err;

    if (tenant_may_all(request, &err) == 0)
        return true;
    http_reply_failure(reply, &err);
    return false;
}

static void begin(struct http_reply *reply)
{
    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":");
}

static void done(struct http_reply *reply, int result, const struct error *err)
{
    if (result == 0)
        reply->status = 204;
    else
        http_reply_failure(reply, err);
}

/* A parameter that must be there; "" with err set if it is not. */
static int params_need(const struct http_request *request, const char *name, const char **value,
                       struct error *err)
{
    struct params params;
    struct http_text text;

    if (request_params(request, &params, err) != 0)
        return -1;
    text = params_get(&params, name);
    if (text.len == 0)
        return error_set(err, ERR_INVALID, "invalid parameter \"%s\": missing", name);
    *value = text.at;
    return 0;
}

/* --- deletes
 * ---------------------------------------------------------------------------------------- */

/* All matchers with one for the tenant in front of each set's; owned by the arena but for the
 * tenant's matcher. */
static void require_label(const struct http_request *request, struct selectors *selectors,
                          const struct matcher *tenant)
{
    for (size_t i = 0; i < selectors->count; i++) {
        struct select_request *set = &selectors->sets[i];
        struct matcher *matchers =
            arena_alloc(request->arena, (set->matcher_count + 1) * sizeof(*matchers));

        matchers[0] = *tenant;
        memcpy(matchers + 1, set->matchers, set->matcher_count * sizeof(*matchers));
        set->matchers = matchers;
        set->matcher_count++;
    }
}

static int delete_selected(struct http_request *request, struct selectors *selectors, bool dry_run,
                           struct removal *removed, struct error *err)
{
    char by[REMOVAL_BY_BYTES];
    struct matcher tenant = {0};
    struct label label;
    int bound = tenant_label(request, &label, err), result;
    struct delete_request asked = {
        .sets = selectors->sets,
        .set_count = selectors->count,
        .from_ms = selectors->from_ms,
        .to_ms = selectors->to_ms,
        .by = asker(request, by),
        .dry_run = dry_run,
        .cancelled = request->cancelled,
    };

    if (bound < 0)
        return -1;
    if (bound > 0) {
        if (matcher_init(&tenant, MATCH_EQUAL, label.name, label.name_len, label.value,
                         label.value_len, NULL, err) != 0)
            return -1;
        require_label(request, selectors, &tenant);
    }
    result = store_delete(store_of(request), &asked, removed, err);
    if (bound > 0)
        matcher_destroy(&tenant);
    return result;
}

void route_delete_series(struct http_request *request, struct http_reply *reply)
{
    struct selectors selectors = {0};
    struct removal removed = {0};
    bool dry_run = false;
    struct error err;
    int result = selectors_read(request, true, &selectors, &err);

    if (result == 0)
        result = params_flag(&selectors.params, "dry_run", &dry_run, &err);
    if (result == 0 && selectors.count == 0)
        result = error_set(&err, ERR_INVALID, "no match[] parameter provided");
    if (result == 0)
        result = delete_selected(request, &selectors, dry_run, &removed, &err);
    if (removed.id[0] != '\0')
        http_reply_field(reply, TRASH_ID_FIELD, "%s", removed.id);
    if (result == 0 && dry_run) {
        begin(reply);
        removal_put_json(&reply->body, "dry run", &removed);
        buf_putc(&reply->body, '}');
    } else {
        done(reply, result, &err);
    }
    selectors_destroy(&selectors);
}

void route_undelete(struct http_request *request, struct http_reply *reply)
{
    char by[REMOVAL_BY_BYTES];
    struct removal restored;
    const char *id = "";
    struct error err;

    if (!may_all(request, reply))
        return;
    if (params_need(request, "id", &id, &err) != 0 ||
        store_undelete(store_of(request), id, asker(request, by), &restored, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    begin(reply);
    removal_put_json(&reply->body, "undelete", &restored);
    buf_putc(&reply->body, '}');
}

static void put_trash(struct store *store, const struct removal *removal, struct buf *out)
{
    int64_t expires_ms = store_trash_expires(store, removal);

    removal_put_json(out, removal->interrupted ? "interrupted" : removal_action(removal), removal);
    out->len--; /* into the object */
    if (expires_ms == TIDE_LATEST_MS)
        buf_puts(out, ",\"expires_ms\":null}");
    else
        buf_printf(out, ",\"expires_ms\":%" PRId64 "}", expires_ms);
}

void route_trash(struct http_request *request, struct http_reply *reply)
{
    struct removal *list;
    size_t count;
    struct error err;

    if (!may_all(request, reply))
        return;
    if (store_trash_list(store_of(request), &list, &count, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    begin(reply);
    buf_putc(&reply->body, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_putc(&reply->body, ',');
        put_trash(store_of(request), &list[i], &reply->body);
    }
    buf_puts(&reply->body, "]}");
    mem_free(list);
}

void route_trash_delete(struct http_request *request, struct http_reply *reply)
{
    char by[REMOVAL_BY_BYTES];
    struct params params;
    struct http_text id = {0};
    bool all = false;
    struct error err;
    int result;

    if (!may_all(request, reply))
        return;
    result = request_params(request, &params, &err);
    if (result == 0)
        result = params_flag(&params, "all", &all, &err);
    if (result == 0) {
        id = params_get(&params, "id");
        if (id.len == 0 && !all)
            result = error_set(&err, ERR_INVALID,
                               "invalid parameter \"id\": missing (all=true empties the trash)");
        else
            result = store_trash_remove(store_of(request), id.len != 0 ? id.at : NULL,
                                        asker(request, by), &err);
    }
    done(reply, result, &err);
}

void route_clean_tombstones(struct http_request *request, struct http_reply *reply)
{
    struct error err;

    if (may_all(request, reply))
        done(reply, store_merge(store_of(request), &err), &err);
}

/* --- what is held
 * ----------------------------------------------------------------------------------- */

static void put_ms(struct buf *out, const char *name, int64_t ms, int64_t none)
{
    if (ms == none)
        buf_printf(out, ",\"%s\":null", name);
    else
        buf_printf(out, ",\"%s\":%" PRId64, name, ms);
}

static void put_clock_hold(struct buf *out, const struct store_clock *clock)
{
    buf_printf(out, "{\"id\":\"" CLOCK_HOLD_ID "\",\"kind\":\"clock\",\"why\":\"%s\"",
               clock_doubt_name(clock->doubt));
    put_ms(out, "since_ms", clock->since_ms, 0);
    buf_putc(out, '}');
}

static void put_pass_hold(struct buf *out, const struct store_hold *hold)
{
    buf_printf(out,
               "{\"id\":\"%s\",\"kind\":\"retention\",\"since_ms\":%" PRId64
               ",\"rules\":\"%016" PRIx64 "\",\"series\":%" PRIu64 ",\"chunks\":%" PRIu64
               ",\"bytes\":%" PRIu64 ",\"all_chunks\":%" PRIu64,
               hold->id, hold->since_ms, hold->rules, hold->series, hold->chunks, hold->bytes,
               hold->all_chunks);
    put_ms(out, "first_ms", hold->first_ms, hold->first_ms > hold->last_ms ? hold->first_ms : 0);
    put_ms(out, "last_ms", hold->last_ms, hold->first_ms > hold->last_ms ? hold->last_ms : 0);
    buf_putc(out, '}');
}

static void put_holds(struct store *store, const struct store_clock *clock, struct buf *out)
{
    struct store_hold hold;

    store_hold_get(store, &hold);
    buf_puts(out, ",\"holds\":[");
    if (clock->doubt != CLOCK_TRUSTED)
        put_clock_hold(out, clock);
    if (clock->doubt != CLOCK_TRUSTED && hold.id[0] != '\0')
        buf_putc(out, ',');
    if (hold.id[0] != '\0')
        put_pass_hold(out, &hold);
    buf_putc(out, ']');
}

void route_holds(struct http_request *request, struct http_reply *reply)
{
    struct store_clock clock;

    store_clock_get(store_of(request), &clock);
    begin(reply);
    buf_printf(&reply->body, "{\"clock\":\"%s\",\"held\":%s,\"wall_ms\":%" PRId64,
               clock_doubt_name(clock.doubt), clock.doubt != CLOCK_TRUSTED ? "true" : "false",
               clock.wall_ms);
    put_ms(&reply->body, "since_ms", clock.since_ms, 0);
    put_ms(&reply->body, "newest_sample_ms", clock.newest_ms, TIDE_EARLIEST_MS);
    put_ms(&reply->body, "confirmed_ms", clock.confirmed_ms, TIDE_EARLIEST_MS);
    put_ms(&reply->body, "slack_ms", clock.slack_ms, CLOCK_SLACK_OFF);
    put_holds(store_of(request), &clock, &reply->body);
    buf_puts(&reply->body, "}}");
}

static int confirm(struct http_request *request, const char *by, struct error *err)
{
    struct params params;
    struct http_text id;

    if (request_params(request, &params, err) != 0)
        return -1;
    id = params_get(&params, "id");
    if (id.len == 0 || strcmp(id.at, CLOCK_HOLD_ID) == 0)
        return store_clock_confirm(store_of(request), by, err);
    return store_hold_confirm(store_of(request), id.at, by, err);
}

void route_confirm(struct http_request *request, struct http_reply *reply)
{
    char by[REMOVAL_BY_BYTES];
    struct error err;

    if (!may_all(request, reply))
        return;
    if (confirm(request, asker(request, by), &err) != 0)
        http_reply_failure(reply, &err);
    else
        route_holds(request, reply);
}
