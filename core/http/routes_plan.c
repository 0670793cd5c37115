/* routes_plan.c - what the next pass of retention would drop, as JSON and as text
 * (routes_admin.h). */
#include <stdio.h>
#include <time.h>

#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/request_params.h"
#include "http/routes_admin.h"
#include "http/selectors.h"
#include "http/tenant.h"
#include "script/rulebook.h"
#include "store/plan.h"
#include "wire/result_json.h"

static const char *const kinds[] = {"rule", "configuration", "broken"};

/* --- JSON
 * ------------------------------------------------------------------------------------------ */

static void put_decider(struct buf *out, enum plan_kind kind, const char *title)
{
    buf_puts(out, "\"rule\":");
    json_put_string(out, title, strlen(title));
    buf_printf(out, ",\"kind\":\"%s\"", kinds[kind]);
}

static void put_time(struct buf *out, const char *name, int64_t ms, bool none)
{
    if (none)
        buf_printf(out, ",\"%s\":null", name);
    else
        buf_printf(out, ",\"%s\":%" PRId64, name, ms);
}

static void put_rule(struct buf *out, const struct plan_rule *rule)
{
    const struct removal *removed = &rule->removed;
    bool none = removed->first_ms > removed->last_ms;

    buf_putc(out, '{');
    put_decider(out, rule->kind, rule->title);
    buf_printf(out,
               ",\"decides\":%" PRIu64 ",\"series\":%" PRIu64 ",\"series_gone\":%" PRIu64
               ",\"chunks\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"bytes\":%" PRIu64,
               rule->decides, removed->series, removed->series_gone, removed->chunks,
               removed->samples, removed->bytes);
    put_time(out, "oldest_ms", removed->first_ms, none);
    put_time(out, "newest_ms", removed->last_ms, none);
    buf_puts(out, ",\"examples\":[");
    for (size_t i = 0; i < rule->example_count; i++) {
        buf_puts(out, i > 0 ? ",{\"labels\":" : "{\"labels\":");
        json_put_labels(out, rule->examples[i].labels);
        buf_printf(out, ",\"chunks\":%" PRIu64 "}", rule->examples[i].chunks);
    }
    buf_puts(out, "]}");
}

static void put_explained(struct buf *out, const struct plan_explained *one)
{
    buf_puts(out, "{\"labels\":");
    json_put_labels(out, one->labels);
    buf_putc(out, ',');
    put_decider(out, one->kind, one->title);
    put_time(out, "keep_ms", one->keep_ms, one->keep_ms == RETENTION_FOREVER);
    put_time(out, "from_ms", one->from_ms, one->from_ms == TIDE_EARLIEST_MS);
    buf_printf(out, ",\"chunks\":%" PRIu64 "}", one->removed.chunks);
}

static void put_json(struct buf *out, const struct store_plan *plan)
{
    buf_printf(out,
               "{\"status\":\"success\",\"data\":{\"time_ms\":%" PRId64
               ",\"held\":%s,\"series\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"rules\":[",
               plan->time_ms, plan->held ? "true" : "false", plan->series, plan->damaged);
    for (size_t i = 0; i < plan->rule_count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_rule(out, &plan->rules[i]);
    }
    buf_puts(out, "],\"downsample\":[");
    for (size_t i = 0; i < plan->thinned_count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_rule(out, &plan->thinned[i]);
    }
    buf_printf(out, "],\"disk\":{\"free_bytes\":%" PRIu64 ",\"low_bytes\":%" PRIu64 "}",
               plan->disk_free_bytes, plan->disk_low_bytes);
    buf_puts(out, ",\"disk_pressure\":[");
    if (plan->pressed != NULL && plan->pressed->removed.series != 0)
        put_rule(out, plan->pressed);
    buf_puts(out, "],\"explained\":[");
    for (size_t i = 0; i < plan->explained_count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_explained(out, &plan->explained[i]);
    }
    buf_puts(out, "]}}");
}

/* --- text
 * ------------------------------------------------------------------------------------------ */

static void print_time(struct buf *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[40];

    if (gmtime_r(&seconds, &tm) != NULL &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
        buf_puts(out, text);
    else
        buf_printf(out, "%" PRId64 " ms", ms);
}

static void print_rule(struct buf *out, const struct plan_rule *rule)
{
    const struct removal *removed = &rule->removed;

    buf_printf(out, rule->kind == PLAN_RULE ? "rule \"%s\"" : "%s", rule->title);
    buf_printf(out, ": decides for %" PRIu64 " series\n", rule->decides);
    if (removed->series == 0)
        return;
    buf_printf(out,
               "  drops %" PRIu64 " chunks (%" PRIu64 " samples, %" PRIu64 " bytes) of %" PRIu64
               " series, all of %" PRIu64 "\n  from ",
               removed->chunks, removed->samples, removed->bytes, removed->series,
               removed->series_gone);
    print_time(out, removed->first_ms);
    buf_puts(out, " to ");
    print_time(out, removed->last_ms);
    buf_putc(out, '\n');
    for (size_t i = 0; i < rule->example_count; i++) {
        buf_printf(out, "  %6" PRIu64 " of ", rule->examples[i].chunks);
        labels_format_metric(out, rule->examples[i].labels);
        buf_putc(out, '\n');
    }
}

static void print_thinned(struct buf *out, const struct plan_rule *rule)
{
    const struct removal *removed = &rule->removed;

    buf_printf(out, "downsample \"%s\": means %" PRIu64 " series\n", rule->title, rule->decides);
    if (removed->series == 0)
        return;
    buf_printf(out,
               "  thins %" PRIu64 " series: %" PRIu64 " samples go, %" PRIu64 " chunks (%" PRIu64
               " bytes)\n  from ",
               removed->series, removed->samples, removed->chunks, removed->bytes);
    print_time(out, removed->first_ms);
    buf_puts(out, " to ");
    print_time(out, removed->last_ms);
    buf_putc(out, '\n');
}

static void print_pressed(struct buf *out, const struct store_plan *plan)
{
    const struct plan_rule *rule = plan->pressed;

    if (plan->disk_free_bytes >= plan->disk_low_bytes)
        return;
    buf_printf(out, "the disk is low: %" PRIu64 " bytes are free, not %" PRIu64 "\n",
               plan->disk_free_bytes, plan->disk_low_bytes);
    if (rule == NULL || rule->removed.series == 0)
        return;
    buf_printf(out,
               "disk_pressure \"%s\": drops %" PRIu64 " chunks (%" PRIu64 " samples, %" PRIu64
               " bytes) of %" PRIu64 " series, all of %" PRIu64 "\n",
               rule->title, rule->removed.chunks, rule->removed.samples, rule->removed.bytes,
               rule->removed.series, rule->removed.series_gone);
}

static void print_explained(struct buf *out, const struct plan_explained *one)
{
    labels_format_metric(out, one->labels);
    buf_printf(out, one->kind == PLAN_RULE ? ": rule \"%s\" keeps " : ": %s keeps ", one->title);
    if (one->from_ms == TIDE_EARLIEST_MS) {
        buf_puts(out, "everything\n");
        return;
    }
    buf_puts(out, "samples since ");
    print_time(out, one->from_ms);
    buf_printf(out, "; %" PRIu64 " chunks would go\n", one->removed.chunks);
}

static void print_plan(struct buf *out, const struct store_plan *plan, bool explains)
{
    uint64_t chunks = 0, samples = 0;

    if (plan->held)
        buf_puts(out, "held: the clock is doubted, so nothing is dropped before a confirm\n");
    for (size_t i = 0; i < plan->explained_count; i++)
        print_explained(out, &plan->explained[i]);
    if (plan->explained_count == PLAN_EXPLAINED)
        buf_printf(out, "(the first %d)\n", PLAN_EXPLAINED);
    if (explains && plan->series == 0)
        buf_puts(out, "no series matches\n");
    for (size_t i = 0; i < plan->rule_count && !explains; i++)
        print_rule(out, &plan->rules[i]);
    for (size_t i = 0; i < plan->thinned_count && !explains; i++)
        print_thinned(out, &plan->thinned[i]);
    if (!explains)
        print_pressed(out, plan);
    for (size_t i = 0; i < plan->rule_count; i++) {
        chunks += plan->rules[i].removed.chunks;
        samples += plan->rules[i].removed.samples;
    }
    if (plan->damaged != 0)
        buf_printf(out, "%" PRIu64 " series have damaged files, which are not counted\n",
                   plan->damaged);
    buf_printf(out, "in all: %" PRIu64 " chunks, %" PRIu64 " samples of %" PRIu64 " series\n",
               chunks, samples, plan->series);
}

/* -------------------------------------------------------------------------------------------------
 */

/* The rules of the folder that is asked for. *other: NULL if none is. */
static int open_other(const struct http_request *request, const struct params *params,
                      struct rulebook **other, struct error *err)
{
    struct rulebook *own = request->site->options.rules;
    struct http_text folder = params_get(params, "scripts");
    struct rulebook_options options = {.folder = folder.at};

    if (folder.len == 0)
        return 0;
    *other = own != NULL ? rulebook_open_beside(own, folder.at, err) : rulebook_open(&options, err);
    if (*other != NULL)
        return 0;
    err->code = ERR_INVALID; /* whatever it is, the client named the folder */
    return error_note(err, "invalid parameter \"scripts\"");
}

static int read_format(const struct params *params, bool *text, struct error *err)
{
    struct http_text format = params_get(params, "format");

    *text = http_text_is(format, "text");
    if (format.len != 0 && !*text && !http_text_is(format, "json"))
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"format\": \"%.40s\" is neither json nor text",
                         format.at);
    return 0;
}

static int make(struct http_request *request, struct selectors *selectors, struct store_plan *plan,
                struct error *err)
{
    struct plan_request asked = {.cancelled = request->cancelled};
    struct rulebook *other = NULL;
    int result;

    if (selectors->count > 1)
        return error_set(err, ERR_INVALID, "invalid parameter \"match[]\": more than one");
    if (selectors->count == 1) {
        asked.matchers = selectors->sets[0].matchers;
        asked.matcher_count = selectors->sets[0].matcher_count;
    }
    if (open_other(request, &selectors->params, &other, err) != 0)
        return -1;
    if (other != NULL)
        asked.policy = rulebook_policy(other);
    result = store_plan(http_site_store(request->site), &asked, plan, err);
    rulebook_close(other);
    return result;
}

void route_plan(struct http_request *request, struct http_reply *reply)
{
    struct selectors selectors = {0};
    struct store_plan plan = {0};
    bool text = false;
    struct error err;

    if (tenant_may_all(request, &err) != 0 ||
        selectors_read(request, true, &selectors, &err) != 0 ||
        read_format(&selectors.params, &text, &err) != 0 ||
        make(request, &selectors, &plan, &err) != 0) {
        http_reply_failure(reply, &err);
    } else if (text) {
        reply->content_type = HTTP_TYPE_TEXT;
        print_plan(&reply->body, &plan, selectors.count != 0);
    } else {
        reply->content_type = HTTP_TYPE_JSON;
        put_json(&reply->body, &plan);
    }
    store_plan_destroy(&plan);
    selectors_destroy(&selectors);
}
