/* intake_binding.c - what declared rules say of a label set, and how full quotas are: for consoles
 * (operate_binding.h; lua/tidemark/operate.lua makes tide.server's functions of it). */
#include <lauxlib.h>
#include <lua.h>

#include "script/act.h"
#include "script/operate_binding.h"
#include "store/intake.h"

#define MAX_LABELS 1000
#define MAX_QUOTAS 10000

/* The labels of argument 1, a list of { name, value } of texts; borrowed from it. */
static struct labels *labels_raises(lua_State *L, struct actor *actor)
{
    size_t count = lua_objlen(L, 1);
    struct label *list;
    struct error err;

    if (count > MAX_LABELS)
        luaL_error(L, "more than %d labels", MAX_LABELS);
    list = lua_newuserdata(L, (count + 1) * sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        size_t name_len, value_len;

        lua_rawgeti(L, 1, (int)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        list[i].name = luaL_checklstring(L, -2, &name_len);
        list[i].value = luaL_checklstring(L, -1, &value_len);
        list[i].name_len = (uint32_t)name_len;
        list[i].value_len = (uint32_t)value_len;
        lua_pop(L, 3); /* the argument holds them */
    }
    actor->looked_at = labels_new(list, count, &err);
    if (actor->looked_at == NULL)
        luaL_error(L, "%s", err.text);
    return actor->looked_at;
}

/* explain_intake(labels): a list of { hook, rule, matches, outcome, text } */
static int explain_intake(lua_State *L)
{
    static const char *const outcomes[] = {"no match", "applies", "room", "full"};
    struct actor *actor = operator_raises(L);
    struct intake_explanation *explanation = &actor->explanation;

    if (actor->host.store == NULL)
        return luaL_error(L, "the store is not open");
    luaL_checktype(L, 1, LUA_TTABLE);
    actor_clear(actor);
    store_explain_intake(actor->host.store, labels_raises(L, actor), explanation);
    lua_createtable(L, (int)explanation->count, 0);
    for (size_t i = 0; i < explanation->count; i++) {
        const struct intake_line *line = &explanation->lines[i];

        lua_createtable(L, 0, 4);
        lua_pushstring(L, line->hook);
        lua_setfield(L, -2, "hook");
        lua_pushstring(L, line->title);
        lua_setfield(L, -2, "rule");
        lua_pushstring(L, outcomes[line->outcome]);
        lua_setfield(L, -2, "outcome");
        lua_pushstring(L, line->text);
        lua_setfield(L, -2, "text");
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* quotas(limit): a list of { rule, labels, series, series_bound, rate, rate_bound } */
static int quotas(lua_State *L)
{
    struct actor *actor = operator_raises(L);
    size_t limit = (size_t)TIDE_MIN(TIDE_MAX(luaL_checknumber(L, 1), 1), (double)MAX_QUOTAS);
    struct quota_list *list = &actor->quotas;

    if (actor->host.store == NULL)
        return luaL_error(L, "the store is not open");
    actor_clear(actor);
    store_quotas_get(actor->host.store, limit, list);
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        const struct quota_view *quota = &list->quotas[i];

        lua_createtable(L, 0, 6);
        lua_pushstring(L, quota->title);
        lua_setfield(L, -2, "rule");
        act_push_labels_raises(L, quota->labels);
        lua_setfield(L, -2, "labels");
        set_number(L, "series", (double)quota->series);
        if (quota->series_bound != 0)
            set_number(L, "series_bound", (double)quota->series_bound);
        if (quota->rate_bound > 0) {
            set_number(L, "rate", quota->rate);
            set_number(L, "rate_bound", quota->rate_bound);
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

void intake_open_raises(lua_State *L)
{
    lua_pushcfunction(L, explain_intake);
    lua_setfield(L, -2, "explain_intake");
    lua_pushcfunction(L, quotas);
    lua_setfield(L, -2, "quotas");
}
