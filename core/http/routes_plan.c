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

/* The line that begins at *at, without its end; false: there are no more. */
static bool next_line(const struct buf *lines, size_t *at, const char **line, size_t *len)
{
    const char *end;

    if (*at >= lines->len)
        return false;
    *line = (const char *)lines->data + *at;
    end = memchr(*line, '\n', lines->len - *at);
    *len = end != NULL ? (size_t)(end - *line) : lines->len - *at;
    *at += *len + 1;
    return true;
}

static void put_asked(struct buf *out, const struct buf *asked)
{
    const char *line;
    size_t at = 0, len;
    bool any = false;

    buf_puts(out, ",\"asked\":[");
    for (; next_line(asked, &at, &line, &len); any = true) {
        if (any)
            buf_putc(out, ',');
        json_put_string(out, line, len);
    }
    buf_putc(out, ']');
}

static void put_explained(struct buf *out, const struct plan_explained *one)
{
    buf_puts(out, "{\"labels\":");
    json_put_labels(out, one->labels);
    buf_putc(out, ',');
    put_decider(out, one->kind, one->title);
    put_time(out, "keep_ms", one->keep_ms, one->keep_ms == RETENTION_FOREVER);
    put_time(out, "from_ms", one->from_ms, one->from_ms == TIDE_EARLIEST_MS);
    put_time(out, "first_ms", one->first_ms, one->first_ms == TIDE_EARLIEST_MS);
    put_time(out, "last_ms", one->last_ms, one->last_ms == TIDE_EARLIEST_MS);
    buf_printf(out,
               ",\"archived\":%s,\"undeleted\":%s,\"unexpected\":%s,\"all_chunks\":%" PRIu64
               ",\"chunks\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"bytes\":%" PRIu64,
               one->archived ? "true" : "false", one->undeleted ? "true" : "false",
               one->surprising ? "true" : "false", one->all_chunks, one->removed.chunks,
               one->removed.samples, one->removed.bytes);
    put_asked(out, &one->asked);
    buf_putc(out, '}');
}

/* What becomes of the plan as a whole. */
static void put_fate(struct buf *out, const struct store_plan *plan)
{
    const struct removal *surprising = &plan->surprising;

    buf_printf(out,
               ",\"waits\":%s,\"first\":%s,\"rules_hash\":\"%016" PRIx64
               "\",\"all_chunks\":%" PRIu64 ",\"unexpected\":{\"series\":%" PRIu64
               ",\"chunks\":%" PRIu64 ",\"samples\":%" PRIu64 "}",
               plan->waits ? "true" : "false", plan->first ? "true" : "false", plan->rules_name,
               plan->chunks, surprising->series, surprising->chunks, surprising->samples);
}

static void put_data(struct buf *out, const struct store_plan *plan)
{
    buf_printf(out, "{\"time_ms\":%" PRId64, plan->time_ms);
    put_fate(out, plan);
    buf_printf(out, ",\"held\":%s,\"series\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"rules\":[",
               plan->held ? "true" : "false", plan->series, plan->damaged);
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
    buf_puts(out, "]}");
}

static void put_json(struct buf *out, const struct store_plan *plan)
{
    buf_puts(out, "{\"status\":\"success\",\"data\":");
    put_data(out, plan);
    buf_putc(out, '}');
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

/* If somebody was asked before the one who decides. */
static void print_asked(struct buf *out, const struct buf *asked)
{
    const char *line;
    size_t at = 0, len;

    if (!next_line(asked, &at, &line, &len) || at >= asked->len)
        return;
    for (at = 0; next_line(asked, &at, &line, &len);)
        buf_printf(out, "  %.*s\n", (int)len, line);
}

static void print_decision(struct buf *out, const struct plan_explained *one)
{
    labels_format_metric(out, one->labels);
    buf_printf(out, one->kind == PLAN_RULE ? ": rule \"%s\" keeps " : ": %s keeps ", one->title);
    if (one->from_ms == TIDE_EARLIEST_MS) {
        buf_puts(out, "everything\n");
        return;
    }
    buf_puts(out, "samples since ");
    print_time(out, one->from_ms);
    buf_printf(out, "; %" PRIu64 " chunks would go", one->removed.chunks);
    buf_printf(out, " of %" PRIu64 " (%" PRIu64 " samples, %" PRIu64 " bytes)\n", one->all_chunks,
               one->removed.samples, one->removed.bytes);
    if (one->undeleted)
        buf_puts(out, "  an undelete brought some of it back: it is left alone for now\n");
    if (one->surprising)
        buf_puts(out, "  more than became too old since the last pass\n");
}

static void print_explained(struct buf *out, const struct plan_explained *one)
{
    print_decision(out, one);
    print_asked(out, &one->asked);
}

static void print_plan(struct buf *out, const struct store_plan *plan, bool explains)
{
    uint64_t chunks = 0, samples = 0;

    if (plan->held)
        buf_puts(out, "held: the clock is doubted, so nothing is dropped before a confirm\n");
    if (!explains && plan->waits)
        buf_printf(out,
                   "too much at once: the pass would be held until a confirm, for %" PRIu64
                   " of %" PRIu64 " chunks would go unexpectedly\n",
                   plan->surprising.chunks, plan->chunks);
    if (!explains && plan->first)
        buf_puts(out, "the first pass under these rules: what it drops is kept in the trash\n");
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

/* --- two plans: the rules in force and others
 * ---------------------------------------------------------------------------------------------- */

static const struct plan_rule *find_same(const struct store_plan *plan,
                                         const struct plan_rule *rule)
{
    for (size_t i = 0; i < plan->rule_count; i++) {
        if (plan->rules[i].kind == rule->kind && strcmp(plan->rules[i].title, rule->title) == 0)
            return &plan->rules[i];
    }
    return NULL;
}

/* A row of the difference; either may be NULL. */
typedef void put_row(struct buf *out, const struct plan_rule *before,
                     const struct plan_rule *after);

static bool is_same(const struct plan_rule *before, const struct plan_rule *after)
{
    return before != NULL && after != NULL && before->decides == after->decides &&
           before->removed.series == after->removed.series &&
           before->removed.chunks == after->removed.chunks &&
           before->removed.samples == after->removed.samples;
}

/* What differs, in the order of the rules in force; then what is new. */
static void each_change(struct buf *out, const struct store_plan *before,
                        const struct store_plan *after, put_row *put)
{
    for (size_t i = 0; i < before->rule_count; i++) {
        const struct plan_rule *other = find_same(after, &before->rules[i]);

        if (!is_same(&before->rules[i], other))
            put(out, &before->rules[i], other);
    }
    for (size_t i = 0; i < after->rule_count; i++) {
        if (find_same(before, &after->rules[i]) == NULL)
            put(out, NULL, &after->rules[i]);
    }
}

static void put_change(struct buf *out, const struct plan_rule *before,
                       const struct plan_rule *after)
{
    const struct plan_rule *named = before != NULL ? before : after;

    if (out->data[out->len - 1] != '[')
        buf_putc(out, ',');
    buf_putc(out, '{');
    put_decider(out, named->kind, named->title);
    buf_puts(out, ",\"before\":");
    if (before != NULL)
        put_rule(out, before);
    else
        buf_puts(out, "null");
    buf_puts(out, ",\"after\":");
    if (after != NULL)
        put_rule(out, after);
    else
        buf_puts(out, "null");
    buf_putc(out, '}');
}

static void put_difference(struct buf *out, const struct store_plan *before,
                           const struct store_plan *after)
{
    buf_puts(out, "{\"status\":\"success\",\"data\":{\"before\":");
    put_data(out, before);
    buf_puts(out, ",\"after\":");
    put_data(out, after);
    buf_puts(out, ",\"changes\":[");
    each_change(out, before, after, put_change);
    buf_puts(out, "]}}");
}

static void print_counts(struct buf *out, const char *when, const struct plan_rule *rule)
{
    if (rule == NULL)
        buf_printf(out, "  %s: decides for nothing\n", when);
    else
        buf_printf(out,
                   "  %s: decides for %" PRIu64 " series, drops %" PRIu64 " chunks (%" PRIu64
                   " samples, %" PRIu64 " bytes) of %" PRIu64 "\n",
                   when, rule->decides, rule->removed.chunks, rule->removed.samples,
                   rule->removed.bytes, rule->removed.series);
}

static void print_change(struct buf *out, const struct plan_rule *before,
                         const struct plan_rule *after)
{
    const struct plan_rule *named = before != NULL ? before : after;

    buf_printf(out, named->kind == PLAN_RULE ? "rule \"%s\"\n" : "%s\n", named->title);
    print_counts(out, "now", before);
    print_counts(out, "then", after);
}

static void sum_rules(const struct store_plan *plan, struct removal *sum)
{
    *sum = (struct removal){.first_ms = TIDE_LATEST_MS, .last_ms = TIDE_EARLIEST_MS};
    for (size_t i = 0; i < plan->rule_count; i++)
        removal_add(sum, &plan->rules[i].removed);
}

static void print_difference(struct buf *out, const struct store_plan *before,
                             const struct store_plan *after)
{
    struct removal now, then;

    sum_rules(before, &now);
    sum_rules(after, &then);
    each_change(out, before, after, print_change);
    if (after->waits)
        buf_puts(out, "then the pass would be held until a confirm\n");
    buf_printf(out,
               "in all: now %" PRIu64 " chunks, %" PRIu64 " samples; then %" PRIu64
               " chunks, %" PRIu64 " samples\n",
               now.chunks, now.samples, then.chunks, then.samples);
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

/* `now`: a plan by the rules in force, too; NULL: none is wanted. */
static int make(struct http_request *request, struct selectors *selectors, struct store_plan *plan,
                struct store_plan *now, struct error *err)
{
    struct plan_request asked = {.cancelled = request->cancelled};
    struct rulebook *other = NULL;
    int result = 0;

    if (selectors->count > 1)
        return error_set(err, ERR_INVALID, "invalid parameter \"match[]\": more than one");
    if (selectors->count == 1) {
        asked.matchers = selectors->sets[0].matchers;
        asked.matcher_count = selectors->sets[0].matcher_count;
    }
    if (open_other(request, &selectors->params, &other, err) != 0)
        return -1;
    if (now != NULL && other == NULL)
        return error_set(err, ERR_INVALID, "invalid parameter \"diff\": without \"scripts\"");
    if (now != NULL)
        result = store_plan(http_site_store(request->site), &asked, now, err);
    if (other != NULL)
        asked.policy = rulebook_policy(other);
    if (result == 0)
        result = store_plan(http_site_store(request->site), &asked, plan, err);
    rulebook_close(other);
    return result;
}

static void answer(struct http_reply *reply, const struct store_plan *plan,
                   const struct store_plan *now, bool text, bool explains)
{
    reply->content_type = text ? HTTP_TYPE_TEXT : HTTP_TYPE_JSON;
    if (now != NULL && text)
        print_difference(&reply->body, now, plan);
    else if (now != NULL)
        put_difference(&reply->body, now, plan);
    else if (text)
        print_plan(&reply->body, plan, explains);
    else
        put_json(&reply->body, plan);
}

void route_plan(struct http_request *request, struct http_reply *reply)
{
    struct selectors selectors = {0};
    struct store_plan plan = {0}, now = {0};
    struct store_plan *before = NULL;
    bool text = false, diff = false;
    struct error err;
    int result = tenant_may_all(request, &err);

    if (result == 0)
        result = selectors_read(request, true, &selectors, &err);
    if (result == 0)
        result = read_format(&selectors.params, &text, &err);
    if (result == 0)
        result = params_flag(&selectors.params, "diff", &diff, &err);
    before = diff ? &now : NULL;
    if (result == 0)
        result = make(request, &selectors, &plan, before, &err);
    if (result != 0)
        http_reply_failure(reply, &err);
    else
        answer(reply, &plan, before, text, selectors.count != 0);
    store_plan_destroy(&plan);
    store_plan_destroy(&now);
    selectors_destroy(&selectors);
}
