/* trial_binding.c - what lua/tidemark/trial.lua asks of C: the clock, pushes with the store's
 * verdict, passes of maintenance, reads as rules leave them, and what scripts told. */
#include <math.h>

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

#include "base/mem.h"
#include "promql/parse.h"
#include "script/run_rule.h"
#include "script/sandbox.h"
#include "script/scheduler.h"
#include "script/trial_impl.h"
#include "store/append.h"

#define MAX_PUSHED_LABELS 256
#define MAX_TESTS 10000
#define MAX_PROBLEM_BYTES ((size_t)64 << 10)

static struct trial *trial_of(lua_State *L)
{
    char *binding = sandbox_owner(L);

    return (struct trial *)(void *)(binding - offsetof(struct trial, state.binding));
}

/* Of a test that runs (trial.lua sees to that). */
static struct trial *running_raises(lua_State *L)
{
    struct trial *trial = trial_of(L);

    if (trial->state.binding.actor == NULL)
        act_blame_raises(L, "no test runs");
    return trial;
}

static int raise(lua_State *L, const struct error *err)
{
    return act_blame_raises(L, "%s", err->text);
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_pairs(lua_State *L, const char *name, const struct rule_pair *pairs, size_t count)
{
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++)
        set_text(L, pairs[i].name, pairs[i].value);
    lua_setfield(L, -2, name);
}

/* --- registering -------------------------------------------------------------------------------
 */

/* trial_add(title, line): the file has this test */
static int trial_add(lua_State *L)
{
    struct trial_list *list = trial_of(L)->list;
    size_t len;
    const char *title = luaL_checklstring(L, 1, &len);
    int line = (int)luaL_checkinteger(L, 2);

    if (list == NULL)
        return 0;
    if (list->count == MAX_TESTS)
        return act_blame_raises(L, "more than %d tests", MAX_TESTS);
    list->items = mem_realloc(list->items, (list->count + 1) * sizeof(*list->items));
    list->items[list->count++] = (struct trial_entry){mem_dup(title, len), line};
    return 0;
}

/* trial_only(names): of the folder only these scripts, a line feed behind each name */
static int trial_only(lua_State *L)
{
    struct trial_list *list = trial_of(L)->list;
    size_t len;
    const char *names = luaL_checklstring(L, 1, &len);

    if (list == NULL)
        return 0;
    list->only.len = 0;
    buf_append(&list->only, names, len + 1);
    return 0;
}

/* trial_retention(milliseconds): of series that no rule decides for */
static int trial_retention(lua_State *L)
{
    struct trial_list *list = trial_of(L)->list;
    double keep_ms = luaL_checknumber(L, 1);

    if (list != NULL)
        list->retention_ms = keep_ms < 9e18 ? (int64_t)TIDE_MAX(keep_ms, 1) : RETENTION_FOREVER;
    return 0;
}

/* trial_problem(text): the test has failed */
static int trial_problem(lua_State *L)
{
    struct buf *problem = &running_raises(L)->result->problem;
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    if (problem->len != 0)
        buf_putc(problem, '\n');
    if (problem->len < MAX_PROBLEM_BYTES)
        buf_append(problem, text, TIDE_MIN(len, MAX_PROBLEM_BYTES - problem->len));
    return 0;
}

/* --- time --------------------------------------------------------------------------------------
 */

/* trial_move(milliseconds): so much later */
static int trial_move(lua_State *L)
{
    struct trial *trial = running_raises(L);
    double by_ms = luaL_checknumber(L, 1);

    if (!(by_ms >= 0 && by_ms < 1e13))
        return act_blame_raises(L, "time does not go there");
    clock_advance(&trial->clock, (int64_t)by_ms);
    return 0;
}

/* trial_run_due(): timers that are due, and what waits for events */
static int trial_run_due(lua_State *L)
{
    struct trial *trial = running_raises(L);

    lua_pushnumber(L, (double)scheduler_run_due(trial->scheduler));
    return 1;
}

/* trial_next_due(): milliseconds since 1970; infinite when there are no timers */
static int trial_next_due(lua_State *L)
{
    int64_t next_ms = scheduler_next_due_ms(running_raises(L)->scheduler);

    lua_pushnumber(L, next_ms == INT64_MAX ? HUGE_VAL : (double)next_ms);
    return 1;
}

/* trial_pass(): what maintenance does in a pass, from heads that are complete by their age to files
 * without what is too old */
static int trial_pass(lua_State *L)
{
    struct store *store = running_raises(L)->store;
    struct error err;

    if (store_maintain(store, &err) != 0 || store_persist(store, &err) != 0 ||
        store_merge(store, &err) != 0 || store_maintain(store, &err) != 0)
        return raise(L, &err);
    return 0;
}

/* --- pushing -----------------------------------------------------------------------------------
 */

/* trial_push({ name, value, name, value ... }, value, time): whether it was stored; else the reason
 * and why */
static int trial_push(lua_State *L)
{
    struct trial *trial = running_raises(L);
    struct label labels[MAX_PUSHED_LABELS];
    size_t count;
    struct append_result result;
    double time = luaL_checknumber(L, 3);
    struct error err;

    luaL_checktype(L, 1, LUA_TTABLE);
    count = lua_objlen(L, 1) / 2;
    if (count > MAX_PUSHED_LABELS)
        return act_blame_raises(L, "more than %d labels", MAX_PUSHED_LABELS);
    for (size_t i = 0; i < count; i++) {
        size_t name_len, value_len;

        lua_rawgeti(L, 1, (int)(2 * i) + 1);
        lua_rawgeti(L, 1, (int)(2 * i) + 2);
        labels[i].name = luaL_checklstring(L, -2, &name_len);
        labels[i].value = luaL_checklstring(L, -1, &value_len);
        labels[i].name_len = (uint32_t)name_len;
        labels[i].value_len = (uint32_t)value_len;
        lua_pop(L, 2); /* the table holds them */
    }
    if (!(fabs(time) < 9e12))
        return act_blame_raises(L, "not a time: seconds since 1970, please");
    if (actor_push(&trial->actor, labels, count, (int64_t)floor(time * 1000 + 0.5),
                   luaL_checknumber(L, 2), &err) != 0 ||
        actor_append(&trial->actor, &result, &err) != 0) {
        actor_forget(&trial->actor);
        return raise(L, &err);
    }
    lua_pushboolean(L, result.accepted > 0);
    if (result.example_count == 0)
        return 1;
    lua_pushstring(L, refusal_name(result.examples[0].reason));
    lua_pushstring(L, result.examples[0].text);
    return 3;
}

/* trial_commit(): what tide.push gathered is stored */
static int trial_commit(lua_State *L)
{
    struct error err;

    if (actor_commit(&running_raises(L)->actor, &err) != 0)
        return raise(L, &err);
    return 0;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static void take_text(lua_State *L, int at, struct buf *text, const char **out)
{
    size_t len;
    const char *given = luaL_optlstring(L, at, NULL, &len);

    *out = NULL;
    if (given == NULL)
        return;
    text->len = 0;
    buf_append(text, given, len + 1);
    *out = (const char *)text->data;
}

/* trial_reader(user, tenant): who asks the next query */
static int trial_reader(lua_State *L)
{
    struct trial *trial = running_raises(L);

    take_text(L, 1, &trial->user, &trial->actor.user);
    take_text(L, 2, &trial->tenant, &trial->actor.tenant);
    return 0;
}

/* trial_status(): of the query that a rule refused last; 0: none did */
static int trial_status(lua_State *L)
{
    lua_pushinteger(L, running_raises(L)->actor.read.status);
    return 1;
}

static enum read_kind kind_raises(lua_State *L, const char *name)
{
    for (int kind = 0; kind < READ_KINDS; kind++) {
        if (strcmp(read_kind_name((enum read_kind)kind), name) == 0)
            return (enum read_kind)kind;
    }
    act_blame_raises(L, "no kind of read: '%s'", name);
    return READ_KINDS;
}

/* Field `name` of the table at 1; NULL: it is not there. The table holds it. */
static const char *text_field(lua_State *L, const char *name)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return text;
}

static int64_t ms_field(lua_State *L, const char *name, int64_t otherwise)
{
    double seconds;

    lua_getfield(L, 1, name);
    seconds = luaL_optnumber(L, -1, (double)otherwise / 1000);
    lua_pop(L, 1);
    if (!(fabs(seconds) < 9e12))
        act_blame_raises(L, "%s: not a time", name);
    return (int64_t)floor(seconds * 1000 + 0.5);
}

static void push_read(lua_State *L, const struct read_request *read)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"from", (double)read->start_ms / 1000},    {"to", (double)read->end_ms / 1000},
        {"step", (double)read->step_ms / 1000},     {"timeout", (double)read->timeout_ms / 1000},
        {"max_samples", (double)read->max_samples}, {"max_series", (double)read->max_series},
    };

    lua_createtable(L, 0, TIDE_COUNT(numbers) + 1);
    for (size_t i = 0; i < TIDE_COUNT(numbers); i++)
        set_number(L, numbers[i].name, numbers[i].value);
    lua_createtable(L, (int)read->restriction_count, 0);
    for (size_t i = 0; i < read->restriction_count; i++) {
        const struct matcher *matcher = &read->restrictions[i];

        lua_pushfstring(L, "%s%s\"%s\"", matcher->name, matcher_operator(matcher->type),
                        matcher->value);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "restrictions");
}

/* trial_shape({ kind, query, user, tenant, remote, dashboard, panel, from, to, step }): the read as
 * rules leave it; or nil, status, text */
static int trial_shape(lua_State *L)
{
    struct trial *trial = running_raises(L);
    struct actor *actor = &trial->actor;
    const char *kind = text_field(L, "kind"), *query = text_field(L, "query");
    int64_t now_ms = clock_wall_ms(&trial->clock);
    struct read_request *read = &actor->read;
    struct error err;

    actor_clear(actor);
    *read = (struct read_request){
        .kind = kind_raises(L, kind != NULL ? kind : "query"),
        .user = text_field(L, "user"),
        .tenant = text_field(L, "tenant"),
        .remote = text_field(L, "remote"),
        .dashboard = text_field(L, "dashboard"),
        .panel = text_field(L, "panel"),
        .start_ms = ms_field(L, "from", now_ms),
        .end_ms = ms_field(L, "to", now_ms),
        .step_ms = ms_field(L, "step", 0),
        .timeout_ms = actor->host.query_timeout_ms,
        .max_samples = (int64_t)actor->host.query_max_samples,
        .max_series = (int64_t)actor->host.query_max_series,
        .max_points = INT64_MAX,
    };
    if (query != NULL) {
        struct promql_options options = {0};

        rule_functions_begin(&actor->functions, actor->book);
        options.functions = actor->functions.set;
        actor->tree = promql_parse(query, strlen(query), &options, NULL, &err);
        if (actor->tree == NULL)
            return raise(L, &err);
        read->tree = actor->tree;
    }
    if (rulebook_shape(actor->book, read, &err) != 0) {
        lua_pushnil(L);
        lua_pushinteger(L, read->status);
        lua_pushstring(L, err.text);
        return 3;
    }
    push_read(L, read);
    actor_clear(actor);
    return 1;
}

/* --- what scripts told -------------------------------------------------------------------------
 */

/* trial_logged(): a list of { level, text, time } */
static int trial_logged(lua_State *L)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    const struct trial *trial = running_raises(L);

    lua_createtable(L, (int)trial->line_count, 0);
    for (size_t i = 0; i < trial->line_count; i++) {
        const struct trial_line *line = &trial->lines[i];

        lua_createtable(L, 0, 3);
        set_text(L, "level", levels[line->level]);
        set_text(L, "text", line->text);
        set_number(L, "time", (double)line->time_ms / 1000);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* trial_told(): a list of { status, labels, annotations, value, time } */
static int trial_told(lua_State *L)
{
    const struct trial *trial = running_raises(L);

    lua_createtable(L, (int)trial->alert_count, 0);
    for (size_t i = 0; i < trial->alert_count; i++) {
        const struct trial_alert *alert = &trial->alerts[i];

        lua_createtable(L, 0, 5);
        set_text(L, "status", alert->firing ? "firing" : "resolved");
        act_push_labels_raises(L, alert->labels);
        lua_setfield(L, -2, "labels");
        set_pairs(L, "annotations", alert->notes, alert->note_count);
        set_number(L, "value", alert->value);
        set_number(L, "time", (double)alert->time_ms / 1000);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* trial_events(): a list of what tide.on's functions get */
static int trial_events(lua_State *L)
{
    const struct trial *trial = running_raises(L);

    lua_createtable(L, (int)trial->event_count, 0);
    for (size_t i = 0; i < trial->event_count; i++) {
        rule_push_event_raises(L, &trial->events[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* trial_alerts(): a list of { rule, state, labels, annotations, value, since } */
static int trial_alerts(lua_State *L)
{
    const struct trial *trial = running_raises(L);
    const struct ruleset *set = trial->state.set;
    int count = 0;

    lua_newtable(L);
    for (size_t i = 0; i < set->hook_count[RULE_ALERT]; i++) {
        const struct rule *rule = set->by_hook[RULE_ALERT][i];
        const struct alert *alert;

        for (size_t k = 0; (alert = alerts_at(trial->book->alerts, rule, k)) != NULL; k++) {
            if (alert->state == ALERT_INACTIVE)
                continue;
            lua_createtable(L, 0, 6);
            set_text(L, "rule", rule->title);
            set_text(L, "state", alert_state_name(alert->state));
            act_push_labels_raises(L, alert->labels);
            lua_setfield(L, -2, "labels");
            set_pairs(L, "annotations", alert->notes, alert->note_count);
            set_number(L, "value", alert->value);
            set_number(L, "since", (double)alert->active_ms / 1000);
            lua_rawseti(L, -2, ++count);
        }
    }
    return 1;
}

void trial_open_raises(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"trial_add", trial_add},
        {"trial_only", trial_only},
        {"trial_retention", trial_retention},
        {"trial_problem", trial_problem},
        {"trial_move", trial_move},
        {"trial_run_due", trial_run_due},
        {"trial_next_due", trial_next_due},
        {"trial_pass", trial_pass},
        {"trial_push", trial_push},
        {"trial_commit", trial_commit},
        {"trial_reader", trial_reader},
        {"trial_status", trial_status},
        {"trial_shape", trial_shape},
        {"trial_logged", trial_logged},
        {"trial_told", trial_told},
        {"trial_events", trial_events},
        {"trial_alerts", trial_alerts},
    };

    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
}
