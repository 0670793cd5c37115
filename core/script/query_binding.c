/* query_binding.c - the `q` of query rules (binding.h): reads a read_request, and narrows it. */
#include <math.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "promql/ast.h"
#include "script/binding.h"
#include "script/sandbox.h"
#include "script/shape.h"

#define MAX_RESTRICTIONS 100
#define MAX_RESTRICTION_BYTES ((size_t)4 << 10) /* of a name or a value */

static struct read_request *read_raises(lua_State *L)
{
    struct binding *binding = sandbox_owner(L);

    if (binding->decision.read == NULL)
        luaL_error(L, "a query can be read only inside the rule that got it");
    return binding->decision.read;
}

/* Of what may be narrowed: in query rules. */
static struct read_request *narrowing_raises(lua_State *L)
{
    const struct binding *binding = sandbox_owner(L);

    if (binding->decision.hiding != NULL)
        luaL_error(L, "a result rule cannot narrow the query any more");
    return read_raises(L);
}

/* --- reading -------------------------------------------------------------------------------------
 */

/* Pushes what the field is; false when there is no such field. */
typedef bool (*field_reader)(lua_State *L, const struct read_request *read, const char *field);

static void push_text(lua_State *L, const char *text)
{
    if (text == NULL || text[0] == '\0')
        lua_pushnil(L);
    else
        lua_pushstring(L, text);
}

static bool read_origin(lua_State *L, const struct read_request *read, const char *field)
{
    const struct {
        const char *name;
        const char *value;
    } fields[] = {{"user", read->user},     {"tenant", read->tenant},
                  {"remote", read->remote}, {"dashboard", read->dashboard},
                  {"panel", read->panel},   {"kind", read_kind_name(read->kind)}};

    for (size_t i = 0; i < TIDE_COUNT(fields); i++) {
        if (strcmp(field, fields[i].name) == 0) {
            push_text(L, fields[i].value);
            return true;
        }
    }
    return false;
}

static bool read_bounds(lua_State *L, const struct read_request *read, const char *field)
{
    const struct {
        const char *name;
        double value;
    } fields[] = {
        {"from", (double)read->start_ms / 1000},
        {"to", (double)read->end_ms / 1000},
        {"range", ((double)read->end_ms - (double)read->start_ms) / 1000},
        {"step", (double)read->step_ms / 1000},
        {"timeout", (double)read->timeout_ms / 1000},
        {"max_samples", (double)read->max_samples},
        {"max_series", (double)read->max_series},
        {"max_points", (double)read->max_points},
    };

    for (size_t i = 0; i < TIDE_COUNT(fields); i++) {
        if (strcmp(field, fields[i].name) == 0) {
            lua_pushnumber(L, fields[i].value);
            return true;
        }
    }
    return false;
}

/* What the tree says; zeros for reads without one. */
static bool read_facts(lua_State *L, const struct read_request *read, const char *field)
{
    struct query_facts facts = {0};

    if (strcmp(field, "text") == 0) {
        if (read->tree == NULL)
            lua_pushnil(L);
        else
            lua_pushlstring(L, read->tree->text.bytes, read->tree->text.len);
        return true;
    }
    if (read->tree != NULL)
        query_tree_facts(read->tree, &facts);
    const struct {
        const char *name;
        double value;
    } fields[] = {
        {"selectors", (double)facts.selectors},
        {"subqueries", (double)facts.subqueries},
        {"calls", (double)facts.calls},
        {"longest_range", (double)facts.longest_range_ns / 1e9},
        {"longest_offset", (double)facts.longest_offset_ns / 1e9},
    };

    for (size_t i = 0; i < TIDE_COUNT(fields); i++) {
        if (strcmp(field, fields[i].name) == 0) {
            lua_pushnumber(L, fields[i].value);
            return true;
        }
    }
    return false;
}

static bool read_selects(lua_State *L, const struct read_request *read, const char *field)
{
    if (strcmp(field, "selects") != 0)
        return false;
    if (read->count_series == NULL)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (double)read->count_series(read->count_ctx));
    return true;
}

/* Upvalue 1: the table of methods. */
static int query_get(lua_State *L)
{
    static const field_reader readers[] = {read_origin, read_bounds, read_facts, read_selects};
    struct read_request *read = read_raises(L);
    const char *field = luaL_checkstring(L, 2);

    for (size_t i = 0; i < TIDE_COUNT(readers); i++) {
        if (readers[i](L, read, field))
            return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_isnil(L, -1))
        return luaL_error(L, "a query has no '%s'", field);
    return 1;
}

/* --- narrowing -----------------------------------------------------------------------------------
 */

/* Milliseconds of the duration at stack index `at`: a text or seconds. */
static double duration_ms_raises(lua_State *L, int at, const char *field)
{
    double ms;

    sandbox_require_raises(L, "tidemark.tide");
    lua_getfield(L, -1, "milliseconds");
    lua_pushvalue(L, at);
    lua_call(L, 1, 1);
    if (!lua_isnumber(L, -1) || isinf(lua_tonumber(L, -1)))
        luaL_error(L, "%s: not a duration (try \"10s\")", field);
    ms = lua_tonumber(L, -1);
    lua_pop(L, 2);
    return ms;
}

static double number_raises(lua_State *L, int at, const char *field)
{
    double number = lua_tonumber(L, at);

    if (lua_type(L, at) != LUA_TNUMBER || number != number)
        luaL_error(L, "%s: not a number", field);
    return number;
}

/* The whole number nearest to a double that may be far out. */
static int64_t whole(double value)
{
    if (value >= 9.2e18)
        return INT64_MAX;
    if (value <= -9.2e18)
        return INT64_MIN;
    return (int64_t)value;
}

static void lower(int64_t *bound, double value)
{
    *bound = TIDE_MIN(*bound, whole(value));
}

static void raise(int64_t *bound, double value)
{
    *bound = TIDE_MAX(*bound, whole(value));
}

static int query_set(lua_State *L)
{
    struct read_request *read = narrowing_raises(L);
    const char *field = luaL_checkstring(L, 2);

    if (strcmp(field, "from") == 0) {
        raise(&read->start_ms, ceil(number_raises(L, 3, field) * 1000));
    } else if (strcmp(field, "to") == 0) {
        lower(&read->end_ms, floor(number_raises(L, 3, field) * 1000));
    } else if (strcmp(field, "step") == 0) {
        double ms = duration_ms_raises(L, 3, field);

        if (read->step_ms != 0) /* an instant has none */
            raise(&read->step_ms, ms);
    } else if (strcmp(field, "timeout") == 0) {
        lower(&read->timeout_ms, duration_ms_raises(L, 3, field));
    } else if (strcmp(field, "max_samples") == 0) {
        lower(&read->max_samples, number_raises(L, 3, field));
    } else if (strcmp(field, "max_series") == 0) {
        lower(&read->max_series, number_raises(L, 3, field));
    } else if (strcmp(field, "max_points") == 0) {
        lower(&read->max_points, number_raises(L, 3, field));
    } else {
        return luaL_error(L, "a query's '%s' cannot be set", field);
    }
    return 0;
}

/* Adds the matcher of the { name, type, value } on top of the stack to the request. */
static void add_restriction_raises(lua_State *L, struct read_request *read)
{
    struct binding *binding = sandbox_owner(L);
    size_t name_len;
    size_t value_len;
    const char *name;
    const char *value;
    int type;
    struct error err;

    if (read->restriction_count == MAX_RESTRICTIONS)
        luaL_error(L, "restrict: more than %d", MAX_RESTRICTIONS);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    lua_rawgeti(L, -3, 3);
    name = luaL_checklstring(L, -3, &name_len);
    type = (int)luaL_checkinteger(L, -2);
    value = luaL_checklstring(L, -1, &value_len);
    if (name_len > MAX_RESTRICTION_BYTES || value_len > MAX_RESTRICTION_BYTES)
        luaL_error(L, "restrict: over %d bytes", (int)MAX_RESTRICTION_BYTES);
    read->restrictions = mem_realloc(read->restrictions,
                                     (read->restriction_count + 1) * sizeof(*read->restrictions));
    if (matcher_init(&read->restrictions[read->restriction_count], (enum matcher_type)type, name,
                     name_len, value, value_len, binding->regexes, &err) == -1)
        luaL_error(L, "restrict: %s", err.text);
    read->restriction_count++;
    lua_pop(L, 3);
}

/* q:restrict{ tenant = "x" } or q:restrict '{tenant=~"x|y"}' */
static int query_restrict(lua_State *L)
{
    struct read_request *read = narrowing_raises(L);
    size_t count;

    luaL_checktype(L, 1, LUA_TUSERDATA);
    sandbox_require_raises(L, "tidemark.tide");
    lua_getfield(L, -1, "restrictions");
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    count = lua_objlen(L, -1);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, (int)i);
        add_restriction_raises(L, read);
        lua_pop(L, 1);
    }
    return 0;
}

/* q:clamp_ranges "7d": of selectors and subqueries; returns how many were longer */
static int query_clamp_ranges(lua_State *L)
{
    struct read_request *read = narrowing_raises(L);
    double ms = duration_ms_raises(L, 2, "clamp_ranges");

    if (ms <= 0)
        luaL_error(L, "clamp_ranges: not over 0");
    lua_pushinteger(L, read->tree == NULL
                           ? 0
                           : (lua_Integer)query_tree_clamp_ranges(read->tree, whole(ms * 1e6)));
    return 1;
}

/* q:clamp_steps "1m": of subqueries; returns how many were shorter */
static int query_clamp_steps(lua_State *L)
{
    struct read_request *read = narrowing_raises(L);
    double ms = duration_ms_raises(L, 2, "clamp_steps");

    if (ms <= 0)
        luaL_error(L, "clamp_steps: not over 0");
    lua_pushinteger(L, read->tree == NULL
                           ? 0
                           : (lua_Integer)query_tree_clamp_steps(read->tree, whole(ms * 1e6)));
    return 1;
}

void binding_push_query_raises(lua_State *L)
{
    static const luaL_Reg methods[] = {{"restrict", query_restrict},
                                       {"clamp_ranges", query_clamp_ranges},
                                       {"clamp_steps", query_clamp_steps}};

    lua_newuserdata(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    for (size_t i = 0; i < TIDE_COUNT(methods); i++) {
        lua_pushcfunction(L, methods[i].func);
        lua_setfield(L, -2, methods[i].name);
    }
    lua_pushcclosure(L, query_get, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, query_set);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}
