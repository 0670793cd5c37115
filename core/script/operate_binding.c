/* operate_binding.c - see operate_binding.h; lua/tidemark/operate.lua makes tide.server of it. */
#include "script/operate_binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/logger.h"
#include "promql/running.h"
#include "script/act.h"
#include "script/rulebook.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "store/clock_guard.h"
#include "store/pass_guard.h"
#include "store/store.h"

/* How soon a cancel ends a sleep. */
#define SLEEP_SLICE_NS 20000000

struct actor *operator_raises(lua_State *L)
{
    struct binding *binding = sandbox_owner(L);

    if (binding->actor == NULL || !binding->actor->operates)
        luaL_error(L, "tide.server: only in the console");
    return binding->actor;
}

/* --- queries -----------------------------------------------------------------------------------
 */

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void push_query(lua_State *L, const struct running_info *info)
{
    char id[24];

    lua_createtable(L, 0, 12);
    snprintf(id, sizeof(id), "%" PRIu64, info->id);
    lua_pushstring(L, id);
    lua_setfield(L, -2, "id");
    lua_pushlstring(L, info->text, info->len);
    lua_setfield(L, -2, "query");
    lua_pushstring(L, info->client);
    lua_setfield(L, -2, "client");
    lua_pushstring(L, info->user);
    lua_setfield(L, -2, "user");
    set_number(L, "from", (double)info->start_ms / 1000);
    set_number(L, "to", (double)info->end_ms / 1000);
    set_number(L, "step", (double)info->step_ms / 1000);
    set_number(L, "age", (double)info->age_ns / 1e9);
    set_number(L, "samples", (double)info->samples);
    set_number(L, "series", (double)info->series);
    set_number(L, "memory_bytes", (double)info->memory_bytes);
    lua_pushboolean(L, info->killed);
    lua_setfield(L, -2, "killed");
}

/* queries(slow): those that run, or that were slow */
static int operate_queries(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    struct running_list *list = &actor->queries;

    running_list_destroy(list);
    *list = (struct running_list){0};
    if (lua_toboolean(L, 1))
        running_queries_slow(actor->host.running, list);
    else
        running_queries_list(actor->host.running, list);
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        push_query(L, &list->items[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* kill(id) */
static int operate_kill(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    const char *id = luaL_checkstring(L, 1);
    char *end;
    uint64_t number = strtoull(id, &end, 10);
    struct error err;

    act_allow_raises(L, actor, "kill");
    if (*id == '\0' || *end != '\0')
        return luaL_error(L, "kill: the id of a query, please");
    if (running_queries_kill(actor->host.running, number, actor->user, &err) != 0)
        return luaL_error(L, "kill: %s", err.text);
    return 0;
}

/* --- rules -------------------------------------------------------------------------------------
 */

static void push_rule(lua_State *L, const struct rule *rule, uint64_t version)
{
    struct rule_stats_view view = rule_stats_view(rule, version);
    struct rule_done done[RULE_DONE_MAX];
    size_t count;

    lua_createtable(L, 0, 9);
    lua_pushstring(L, rule_hook_name(rule->hook));
    lua_setfield(L, -2, "hook");
    lua_pushstring(L, rule->title);
    lua_setfield(L, -2, "title");
    lua_pushstring(L, rule->script);
    lua_setfield(L, -2, "script");
    set_number(L, "line", rule->line);
    set_number(L, "calls", (double)view.calls);
    set_number(L, "errors", (double)view.errors);
    set_number(L, "seconds", (double)view.nanoseconds / 1e9);
    lua_pushboolean(L, view.suspended);
    lua_setfield(L, -2, "suspended");
    count = rule_stats_done(rule, done);
    for (size_t i = 0; i < count; i++)
        set_number(L, done[i].what, (double)done[i].count);
    if (view.last_error[0] != '\0') {
        lua_pushstring(L, view.last_error);
        lua_setfield(L, -2, "last_error");
    }
}

/* rules(): a list of tables */
static int operate_rules(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    struct binding *binding = sandbox_owner(L);
    const struct ruleset *set = binding->rules; /* the session's, which are those in force */

    (void)actor;
    lua_createtable(L, (int)set->rule_count, 0);
    for (size_t i = 0; i < set->rule_count; i++) {
        push_rule(L, &set->rules[i], set->version);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* reload(): nil, or raises with the place of the mistake */
static int operate_reload(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    struct error err;

    act_allow_raises(L, actor, "reload");
    if (actor->host.reload == NULL)
        return luaL_error(L, "reload: not in this server");
    if (actor->host.reload(actor->host.reload_ctx, &err) != 0)
        return luaL_error(L, "%s", err.text);
    return 0;
}

/* --- the engine --------------------------------------------------------------------------------
 */

static int run_store(lua_State *L, const char *what,
                     int (*work)(struct store *store, struct error *err))
{
    struct actor *actor = operator_raises(L);
    struct error err;
    int64_t paused;
    int failed;

    act_allow_raises(L, actor, what);
    if (actor->host.store == NULL)
        return luaL_error(L, "the store is not open");
    paused = sandbox_pause(sandbox_of(L));
    failed = work(actor->host.store, &err);
    sandbox_resume(sandbox_of(L), paused);
    if (failed != 0)
        return luaL_error(L, "%s", err.text);
    return 0;
}

static int operate_maintain(lua_State *L)
{
    return run_store(L, "maintain", store_maintain);
}

static int operate_persist(lua_State *L)
{
    return run_store(L, "persist", store_persist);
}

static int operate_checkpoint(lua_State *L)
{
    return run_store(L, "checkpoint", store_checkpoint);
}

/* --- holds -------------------------------------------------------------------------------------
 */

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void push_clock_hold(lua_State *L, const struct store_clock *clock)
{
    lua_createtable(L, 0, 4);
    set_text(L, "id", CLOCK_HOLD_ID);
    set_text(L, "kind", "clock");
    set_text(L, "why", clock_doubt_name(clock->doubt));
    set_number(L, "since", (double)clock->since_ms / 1000);
}

static void push_pass_hold(lua_State *L, const struct store_hold *hold)
{
    lua_createtable(L, 0, 9);
    set_text(L, "id", hold->id);
    set_text(L, "kind", "retention");
    set_number(L, "since", (double)hold->since_ms / 1000);
    set_number(L, "series", (double)hold->series);
    set_number(L, "chunks", (double)hold->chunks);
    set_number(L, "bytes", (double)hold->bytes);
    set_number(L, "all_chunks", (double)hold->all_chunks);
    if (hold->first_ms <= hold->last_ms) {
        set_number(L, "first", (double)hold->first_ms / 1000);
        set_number(L, "last", (double)hold->last_ms / 1000);
    }
}

/* holds(): a list of tables */
static int operate_holds(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    struct store_clock clock;
    struct store_hold hold;
    int count = 0;

    if (actor->host.store == NULL)
        return luaL_error(L, "the store is not open");
    store_clock_get(actor->host.store, &clock);
    store_hold_get(actor->host.store, &hold);
    lua_createtable(L, 2, 0);
    if (clock.doubt != CLOCK_TRUSTED) {
        push_clock_hold(L, &clock);
        lua_rawseti(L, -2, ++count);
    }
    if (hold.id[0] != '\0') {
        push_pass_hold(L, &hold);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* confirm(id) */
static int operate_confirm(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    const char *id = luaL_checkstring(L, 1);
    struct error err;
    int result;

    act_allow_raises(L, actor, "confirm");
    if (actor->host.store == NULL)
        return luaL_error(L, "the store is not open");
    result = strcmp(id, CLOCK_HOLD_ID) == 0
                 ? store_clock_confirm(actor->host.store, actor->user, &err)
                 : store_hold_confirm(actor->host.store, id, actor->user, &err);
    if (result != 0)
        return luaL_error(L, "confirm: %s", err.text);
    return 0;
}

/* top(what, limit): a list of { text, count } */
static int operate_top(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    int what = (int)luaL_checkinteger(L, 1);
    size_t limit = (size_t)TIDE_MIN(TIDE_MAX(luaL_checknumber(L, 2), 1), 10000.0);
    struct text_count_list *list = &actor->counts;

    if (actor->host.store == NULL || what < STORE_TOP_METRIC_NAMES || what > STORE_TOP_LABEL_PAIRS)
        return luaL_error(L, "the store is not open");
    text_count_list_destroy(list);
    *list = (struct text_count_list){0};
    store_top_get(actor->host.store, (enum store_top)what, limit, list);
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        lua_createtable(L, 0, 2);
        lua_pushlstring(L, list->items[i].text, list->items[i].len);
        lua_setfield(L, -2, "text");
        set_number(L, "count", (double)list->items[i].count);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* log_level(level or nil): the level in force, as a number of 0 to 3 */
static int operate_log_level(lua_State *L)
{
    struct actor *actor = operator_raises(L);

    if (!lua_isnoneornil(L, 1)) {
        act_allow_raises(L, actor, "log_level");
        logger_set_level((enum log_level)luaL_checkinteger(L, 1));
    }
    lua_pushinteger(L, (lua_Integer)logger_level());
    return 1;
}

/* sleep(seconds): until then, or until the evaluation is cancelled */
static int operate_sleep(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    struct timespec slice = {.tv_nsec = SLEEP_SLICE_NS};
    double seconds = luaL_checknumber(L, 1);

    for (double slept = 0; slept < seconds; slept += SLEEP_SLICE_NS / 1e9) {
        if (__atomic_load_n(actor->cancelled, __ATOMIC_RELAXED) != 0)
            return luaL_error(L, "cancelled");
        nanosleep(&slice, NULL);
    }
    return 0;
}

void operate_open_raises(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"queries", operate_queries},       {"kill", operate_kill},
        {"rules", operate_rules},           {"reload", operate_reload},
        {"maintain", operate_maintain},     {"persist", operate_persist},
        {"checkpoint", operate_checkpoint}, {"top", operate_top},
        {"log_level", operate_log_level},   {"sleep", operate_sleep},
        {"holds", operate_holds},           {"confirm", operate_confirm},
    };

    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
    intake_open_raises(L);
}
