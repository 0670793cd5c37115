/* look_binding.c - the engine as a console sees it: chunks, quarantine, trash, plans, the clock,
 * the configuration, what rules say (operate_binding.h; lua/tidemark/operate.lua makes tide.server
 * of it). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/embedded.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "promql/parse.h"
#include "script/act.h"
#include "script/look.h"
#include "script/operate_binding.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "store/clock_guard.h"
#include "store/trash.h"

#define MAX_ROWS 100000

void look_clear(struct look *look)
{
    chunk_list_destroy(&look->chunks);
    quarantine_list_destroy(&look->quarantine);
    mem_free(look->trash);
    look->trash = NULL;
    look->trash_count = 0;
    store_plan_destroy(&look->plan);
    trace_destroy(&look->trace);
}

/* The actor, with nothing looked at yet, and a store. */
static struct actor *looker_raises(lua_State *L)
{
    struct actor *actor = operator_raises(L);

    if (actor->host.store == NULL)
        luaL_error(L, "the store is not open");
    actor_clear(actor);
    return actor;
}

/* --- fields
 * ----------------------------------------------------------------------------------------- */

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

/* NULL: no field. */
static void set_text(lua_State *L, const char *name, const char *text)
{
    if (text == NULL)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, int64_t time_ms)
{
    if (time_ms != TIDE_EARLIEST_MS && time_ms != TIDE_LATEST_MS)
        set_number(L, name, (double)time_ms / 1000);
}

static void set_fingerprint(lua_State *L, uint64_t fp)
{
    char digits[17];

    snprintf(digits, sizeof(digits), "%016" PRIx64, fp);
    set_text(L, "fp", digits);
}

static void set_labels(lua_State *L, const struct labels *labels)
{
    if (labels == NULL)
        return;
    act_push_labels_raises(L, labels);
    lua_setfield(L, -2, "labels");
}

/* --- chunks
 * ----------------------------------------------------------------------------------------- */

static uint64_t fingerprint_raises(lua_State *L, int at)
{
    const char *text = luaL_checkstring(L, at);
    char *end;
    uint64_t fp = strtoull(text, &end, 16);

    if (text[0] == '\0' || *end != '\0' || strlen(text) > 16)
        luaL_error(L, "\"%s\" is no fingerprint: 1 to 16 hex digits, please", text);
    return fp;
}

static int64_t time_raises(lua_State *L, int at, int64_t otherwise)
{
    double seconds = luaL_optnumber(L, at, NAN);

    if (isnan(seconds))
        return otherwise;
    if (!(fabs(seconds) < 9e15))
        luaL_error(L, "not a time: seconds since 1970, please");
    return (int64_t)floor(seconds * 1000 + 0.5);
}

static void push_chunk(lua_State *L, const struct chunk_row *row)
{
    lua_createtable(L, 0, 8);
    set_number(L, "first", (double)row->first_ms / 1000);
    set_number(L, "last", (double)row->last_ms / 1000);
    set_text(L, "encoding", chunk_encoding_name(row->encoding));
    set_number(L, "samples", row->samples);
    set_number(L, "bytes", row->bytes);
    set_text(L, "place", chunk_place_name((enum chunk_place)row->place));
    if (row->offset >= 0)
        set_number(L, "offset", (double)row->offset);
    set_text(L, "problem", row->problem);
}

static void push_chunk_list(lua_State *L, const struct chunk_list *list)
{
    lua_createtable(L, 0, 8);
    set_fingerprint(L, list->fp);
    set_labels(L, list->labels);
    set_flag(L, "archived", list->archived);
    set_flag(L, "more", list->more);
    set_number(L, "file_bytes", (double)list->file_bytes);
    set_number(L, "rest_bytes", list->rest_bytes);
    set_number(L, "late", list->late);
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        push_chunk(L, &list->rows[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "chunks");
}

/* chunks(fp, quarantined, from, to, limit): a table */
static int look_chunks(lua_State *L)
{
    struct actor *actor = looker_raises(L);
    uint64_t fp = fingerprint_raises(L, 1);
    const struct chunk_request request = {
        .from_ms = time_raises(L, 3, TIDE_EARLIEST_MS),
        .to_ms = time_raises(L, 4, TIDE_LATEST_MS),
        .limit = (size_t)TIDE_MIN(TIDE_MAX(luaL_optnumber(L, 5, 1000), 1), (double)MAX_ROWS),
        .cancelled = actor->cancelled,
    };
    struct chunk_list *list = &actor->look.chunks;
    int64_t paused = sandbox_pause(sandbox_of(L));
    struct error err;
    int failed = lua_toboolean(L, 2)
                     ? store_quarantine_look(actor->host.store, fp, &request, list, &err)
                     : store_chunk_list(actor->host.store, fp, &request, list, &err);

    sandbox_resume(sandbox_of(L), paused);
    if (failed != 0)
        return luaL_error(L, "%s", err.text);
    push_chunk_list(L, list);
    actor_clear(actor);
    return 1;
}

/* quarantined(limit): a list, and how many there are */
static int look_quarantined(lua_State *L)
{
    struct actor *actor = looker_raises(L);
    struct quarantine_list *list = &actor->look.quarantine;
    size_t limit = (size_t)TIDE_MIN(TIDE_MAX(luaL_optnumber(L, 1, 1000), 1), (double)MAX_ROWS);
    struct error err;

    if (store_quarantine_list(actor->host.store, limit, list, &err) != 0)
        return luaL_error(L, "%s", err.text);
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        const struct quarantined *one = &list->items[i];

        lua_createtable(L, 0, 7);
        set_text(L, "name", one->name);
        if (one->is_series)
            set_fingerprint(L, one->fp);
        set_number(L, "bytes", (double)one->size_bytes);
        set_number(L, "changed", (double)one->changed_ms / 1000);
        set_flag(L, "missing", one->is_missing);
        set_text(L, "metric", one->metric);
        set_text(L, "reason", one->reason);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushnumber(L, (double)list->total);
    actor_clear(actor);
    return 2;
}

/* --- trash, plans, the clock
 * ------------------------------------------------------------------------- */

/* trash(): a list, the oldest first */
static int look_trash(lua_State *L)
{
    struct actor *actor = looker_raises(L);
    struct look *look = &actor->look;
    struct error err;

    if (store_trash_list(actor->host.store, &look->trash, &look->trash_count, &err) != 0)
        return luaL_error(L, "%s", err.text);
    lua_createtable(L, (int)look->trash_count, 0);
    for (size_t i = 0; i < look->trash_count; i++) {
        const struct removal *one = &look->trash[i];

        lua_createtable(L, 0, 12);
        set_text(L, "id", one->id);
        set_text(L, "by", one->by);
        set_number(L, "time", (double)one->time_ms / 1000);
        set_time(L, "from", one->from_ms);
        set_time(L, "to", one->to_ms);
        set_number(L, "series", (double)one->series);
        set_number(L, "chunks", (double)one->chunks);
        set_number(L, "samples", (double)one->samples);
        set_number(L, "bytes", (double)one->bytes);
        set_time(L, "expires", store_trash_expires(actor->host.store, one));
        set_flag(L, "interrupted", one->interrupted);
        lua_rawseti(L, -2, (int)i + 1);
    }
    actor_clear(actor);
    return 1;
}

static void push_planned_rule(lua_State *L, const struct plan_rule *rule)
{
    static const char *const kinds[] = {"rule", "configuration", "broken"};
    const struct removal *removed = &rule->removed;

    lua_createtable(L, 0, 10);
    set_text(L, "rule", rule->title);
    set_text(L, "kind", kinds[rule->kind]);
    set_number(L, "decides", (double)rule->decides);
    set_number(L, "series", (double)removed->series);
    set_number(L, "gone", (double)removed->series_gone);
    set_number(L, "chunks", (double)removed->chunks);
    set_number(L, "samples", (double)removed->samples);
    set_number(L, "bytes", (double)removed->bytes);
    if (removed->first_ms <= removed->last_ms) {
        set_time(L, "oldest", removed->first_ms);
        set_time(L, "newest", removed->last_ms);
    }
}

static void push_explained(lua_State *L, const struct plan_explained *one)
{
    lua_createtable(L, 0, 5);
    set_labels(L, one->labels);
    set_text(L, "rule", one->title);
    if (one->keep_ms != RETENTION_FOREVER)
        set_number(L, "keep", (double)one->keep_ms / 1000);
    set_time(L, "since", one->from_ms);
    set_number(L, "chunks", (double)one->removed.chunks);
}

static void push_plan(lua_State *L, const struct store_plan *plan)
{
    lua_createtable(L, 0, 6);
    set_time(L, "time", plan->time_ms);
    set_flag(L, "held", plan->held);
    set_flag(L, "waits", plan->waits);
    set_flag(L, "first", plan->first);
    set_number(L, "series", (double)plan->series);
    set_number(L, "damaged", (double)plan->damaged);
    lua_createtable(L, (int)plan->rule_count, 0);
    for (size_t i = 0; i < plan->rule_count; i++) {
        push_planned_rule(L, &plan->rules[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "rules");
    lua_createtable(L, (int)plan->explained_count, 0);
    for (size_t i = 0; i < plan->explained_count; i++) {
        push_explained(L, &plan->explained[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "explained");
}

/* The selector at stack index `at`, parsed into actor->tree. */
static const struct expr *selector_raises(lua_State *L, struct actor *actor, int at)
{
    size_t len;
    const char *text = luaL_checklstring(L, at, &len);
    struct error err;

    actor->tree = promql_parse(text, len, NULL, NULL, &err);
    if (actor->tree == NULL)
        luaL_error(L, "%s", err.text);
    else if (actor->tree->root->kind != EXPR_SELECTOR)
        luaL_error(L, "not a series selector: %s", text);
    return actor->tree->root;
}

/* plan(selector or nil): what the next pass of retention would drop */
static int look_plan(lua_State *L)
{
    struct actor *actor = looker_raises(L);
    struct plan_request request = {.cancelled = actor->cancelled};
    int64_t paused;
    struct error err;
    int failed;

    if (!lua_isnoneornil(L, 1)) {
        const struct expr *selector = selector_raises(L, actor, 1);

        request.matchers = selector->selector.matchers;
        request.matcher_count = selector->selector.matcher_count;
    }
    paused = sandbox_pause(sandbox_of(L));
    failed = store_plan(actor->host.store, &request, &actor->look.plan, &err);
    sandbox_resume(sandbox_of(L), paused);
    if (failed != 0)
        return luaL_error(L, "%s", err.text);
    push_plan(L, &actor->look.plan);
    actor_clear(actor);
    return 1;
}

static void push_clock(lua_State *L, struct store *store)
{
    struct store_clock clock;

    store_clock_get(store, &clock);
    lua_createtable(L, 0, 6);
    set_text(L, "clock", clock_doubt_name(clock.doubt));
    set_flag(L, "held", clock.doubt != CLOCK_TRUSTED);
    set_time(L, "wall", clock.wall_ms);
    if (clock.since_ms != 0)
        set_time(L, "since", clock.since_ms);
    set_time(L, "newest", clock.newest_ms);
    set_time(L, "confirmed", clock.confirmed_ms);
}

static int look_clock(lua_State *L)
{
    push_clock(L, looker_raises(L)->host.store);
    return 1;
}

/* confirm_clock(): the clock is right as it is */
static int look_confirm_clock(lua_State *L)
{
    struct actor *actor = looker_raises(L);
    struct error err;

    act_allow_raises(L, actor, "confirm");
    if (store_clock_confirm(actor->host.store, actor->user, &err) != 0)
        return luaL_error(L, "confirm: %s", err.text);
    push_clock(L, actor->host.store);
    return 1;
}

/* --- configuration, documents
 * ------------------------------------------------------------------------ */

/* config(): lines of key, value and origin, with tabs between */
static int look_config(lua_State *L)
{
    struct actor *actor = operator_raises(L);

    actor_clear(actor);
    if (actor->host.tell_config == NULL)
        return luaL_error(L, "config: not in this server");
    actor->host.tell_config(actor->host.reload_ctx, &actor->text);
    lua_pushlstring(L, (const char *)actor->text.data, actor->text.len);
    actor_clear(actor);
    return 1;
}

/* document(path): the text of a file in the binary; nil */
static int look_document(lua_State *L)
{
    const struct embedded_file *file = embedded_find(luaL_checkstring(L, 1));

    if (file == NULL)
        return 0;
    lua_pushlstring(L, (const char *)file->bytes, file->size);
    return 1;
}

/* --- rules
 * ------------------------------------------------------------------------------------------ */

/* The labels of {a="b"}: equalities only. Owned. */
static struct labels *labels_raises(lua_State *L, const struct expr *selector)
{
    struct label list[64];
    size_t count = selector->selector.matcher_count;
    struct labels *labels;
    struct error err;

    if (count > TIDE_COUNT(list))
        luaL_error(L, "trace: more than %d labels", (int)TIDE_COUNT(list));
    for (size_t i = 0; i < count; i++) {
        const struct matcher *matcher = &selector->selector.matchers[i];

        if (matcher->type != MATCH_EQUAL)
            luaL_error(L, "trace: labels of one series, please: {name=\"value\", ...}");
        list[i] = (struct label){.name = matcher->name,
                                 .value = matcher->value,
                                 .name_len = (uint32_t)matcher->name_len,
                                 .value_len = (uint32_t)matcher->value_len};
    }
    labels = labels_new(list, count, &err);
    if (labels == NULL)
        luaL_error(L, "trace: %s", err.text);
    return labels;
}

/* What the store knows of the series with exactly these labels; whether it has it. */
static bool find_series(struct actor *actor, const struct labels *labels, struct series_view *view)
{
    const struct expr *selector = actor->tree->root;
    const struct select_request set = {.matchers = selector->selector.matchers,
                                       .matcher_count = selector->selector.matcher_count,
                                       .from_ms = TIDE_EARLIEST_MS,
                                       .to_ms = TIDE_LATEST_MS,
                                       .max_series = actor->host.query_max_series,
                                       .cancelled = actor->cancelled,
                                       .metadata_only = true};
    struct error problem;
    bool found = false;

    actor->querier = store_querier(actor->host.store);
    if (actor->querier->select(actor->querier->ctx, &set, &actor->selection, &problem) != 0) {
        actor->selection = NULL;
        return false;
    }
    for (size_t i = 0; i < actor->selection->count && !found; i++) {
        const struct selected_series *one = &actor->selection->series[i];

        found = labels_equal(one->labels, labels);
        if (found) {
            view->fp = one->fp;
            view->first_ms = one->first_ms;
            view->last_ms = one->last_ms;
        }
    }
    return found;
}

/* How much of it there is, as rules see it. */
static void measure_series(struct actor *actor, struct series_view *view)
{
    const struct chunk_request request = {.from_ms = TIDE_EARLIEST_MS,
                                          .to_ms = TIDE_LATEST_MS,
                                          .limit = MAX_ROWS,
                                          .cancelled = actor->cancelled};
    struct chunk_list *list = &actor->look.chunks;
    struct error problem;

    if (store_chunk_list(actor->host.store, view->fp, &request, list, &problem) != 0)
        return;
    view->chunks = list->count;
    view->bytes = list->file_bytes;
    view->archived = list->archived;
}

static void push_trace(lua_State *L, const struct trace *trace)
{
    lua_createtable(L, (int)trace->count, 0);
    for (size_t i = 0; i < trace->count; i++) {
        const struct trace_step *step = &trace->steps[i];
        char place[300];

        snprintf(place, sizeof(place), "%s:%d", step->rule->script, step->rule->line);
        lua_createtable(L, 0, 6);
        set_text(L, "hook", rule_hook_name(step->rule->hook));
        set_text(L, "title", step->rule->title);
        set_text(L, "place", place);
        set_flag(L, "asked", step->asked);
        set_flag(L, "failed", step->failed);
        set_text(L, "verdict", (const char *)trace->texts.data + step->text);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* trace(selector, user, tenant): a list of steps; the labels afterwards; is it stored? */
static int look_trace(lua_State *L)
{
    struct actor *actor = looker_raises(L);
    const struct expr *selector = selector_raises(L, actor, 1);
    int64_t now_ms = clock_wall_ms(actor->book->clock);
    struct series_view view = {.first_ms = now_ms, .last_ms = now_ms}; /* of a new series */
    const struct trace_request request = {.series = &view,
                                          .user = luaL_optstring(L, 2, NULL),
                                          .tenant = luaL_optstring(L, 3, NULL),
                                          .now_ms = now_ms,
                                          .store = actor->host.store};
    struct labels *labels = labels_raises(L, selector);
    int64_t paused = sandbox_pause(sandbox_of(L));
    bool stored;

    view.labels = labels;
    stored = find_series(actor, labels, &view);
    if (stored)
        measure_series(actor, &view);
    rulebook_trace(actor->book, &request, &actor->look.trace);
    labels_unref(labels);
    sandbox_resume(sandbox_of(L), paused);
    push_trace(L, &actor->look.trace);
    act_push_labels_raises(L, actor->look.trace.labels);
    lua_pushboolean(L, stored);
    actor_clear(actor);
    return 3;
}

void look_open_raises(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"chunks", look_chunks}, {"quarantined", look_quarantined},
        {"trash", look_trash},   {"plan", look_plan},
        {"clock", look_clock},   {"confirm_clock", look_confirm_clock},
        {"config", look_config}, {"document", look_document},
        {"trace", look_trace},
    };

    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
}
