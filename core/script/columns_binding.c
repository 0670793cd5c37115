/* columns_binding.c - see columns_binding.h. */
#include "script/columns_binding.h"

#include <math.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "script/binding.h"
#include "script/sandbox.h"

#define METATABLE "tidemark.column"
/* Sorting is in C, where no hook runs. */
#define MAX_SORTED ((size_t)1 << 20)

static struct lua_column *column_raises(lua_State *L, int at)
{
    struct lua_column *column = luaL_checkudata(L, at, METATABLE);
    const struct binding *binding = sandbox_owner(L);

    if (column->era != 0 && column->era != binding->era)
        luaL_error(L, "a column can be read only inside the function that got it");
    return column;
}

static double value_at(const struct lua_column *column, size_t i)
{
    return column->values != NULL ? column->values[i] : (double)column->times_ms[i] / 1000;
}

static int column_len(lua_State *L)
{
    lua_pushnumber(L, (double)column_raises(L, 1)->len);
    return 1;
}

/* Upvalue 1: the methods. c[i] from 1; nil past the ends. */
static int column_get(lua_State *L)
{
    const struct lua_column *column = column_raises(L, 1);

    if (lua_type(L, 2) == LUA_TNUMBER) {
        double i = lua_tonumber(L, 2);

        if (i >= 1 && i <= (double)column->len)
            lua_pushnumber(L, value_at(column, (size_t)i - 1));
        else
            lua_pushnil(L);
        return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_isnil(L, -1))
        return luaL_error(L, "a column has no '%s'",
                          lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
    return 1;
}

static int column_set(lua_State *L)
{
    return luaL_error(L, "a column is read-only; map makes a new one");
}

/* --- over all of it ----------------------------------------------------------------------------
 */

static int column_sum(lua_State *L)
{
    const struct lua_column *column = column_raises(L, 1);
    double sum = 0;

    for (size_t i = 0; i < column->len; i++)
        sum += value_at(column, i);
    lua_pushnumber(L, sum);
    return 1;
}

static int push_mean(lua_State *L, const struct lua_column *column, bool deviation)
{
    double mean = 0, squares = 0;

    if (column->len == 0)
        return 0;
    for (size_t i = 0; i < column->len; i++) { /* Welford */
        double value = value_at(column, i), delta = value - mean;

        mean += delta / (double)(i + 1);
        squares += delta * (value - mean);
    }
    lua_pushnumber(L, deviation ? sqrt(squares / (double)column->len) : mean);
    return 1;
}

static int column_mean(lua_State *L)
{
    return push_mean(L, column_raises(L, 1), false);
}

static int column_stddev(lua_State *L)
{
    return push_mean(L, column_raises(L, 1), true);
}

static int push_extreme(lua_State *L, const struct lua_column *column, double sign)
{
    double best = NAN;

    for (size_t i = 0; i < column->len; i++) {
        double value = value_at(column, i);

        if (best != best || value * sign > best * sign)
            best = value;
    }
    if (column->len == 0)
        return 0;
    lua_pushnumber(L, best);
    return 1;
}

static int column_max(lua_State *L)
{
    return push_extreme(L, column_raises(L, 1), 1);
}

static int column_min(lua_State *L)
{
    return push_extreme(L, column_raises(L, 1), -1);
}

static int column_last(lua_State *L)
{
    const struct lua_column *column = column_raises(L, 1);

    if (column->len == 0)
        return 0;
    lua_pushnumber(L, value_at(column, column->len - 1));
    return 1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (x != x || y != y) /* NaN first, as quantile_over_time has it */
        return (y != y) - (x != x);
    return (x > y) - (x < y);
}

/* c:quantile(q), as PromQL's: between the two nearest; nil of an empty column. */
static int column_quantile(lua_State *L)
{
    const struct lua_column *column = column_raises(L, 1);
    double q = luaL_checknumber(L, 2), rank;
    double *sorted;
    size_t low, high;

    if (column->len == 0)
        return 0;
    if (column->len > MAX_SORTED)
        return luaL_error(L, "quantile: more than %d values", (int)MAX_SORTED);
    if (!(q >= 0 && q <= 1)) {
        lua_pushnumber(L, q != q ? q : q < 0 ? -INFINITY : INFINITY);
        return 1;
    }
    sorted = lua_newuserdata(L, column->len * sizeof(*sorted));
    for (size_t i = 0; i < column->len; i++)
        sorted[i] = value_at(column, i);
    qsort(sorted, column->len, sizeof(*sorted), compare);
    rank = q * (double)(column->len - 1);
    low = (size_t)floor(rank);
    high = TIDE_MIN(low + 1, column->len - 1);
    lua_pushnumber(L, sorted[low] * ((double)low + 1 - rank) + sorted[high] * (rank - (double)low));
    return 1;
}

/* c:map(f) or c:map(other, f): a new column of f(value) or f(value, other's value). */
static int column_map(lua_State *L)
{
    const struct lua_column *column = column_raises(L, 1);
    const struct lua_column *other = lua_isfunction(L, 2) ? NULL : column_raises(L, 2);
    int function = other == NULL ? 2 : 3;
    size_t len = other == NULL ? column->len : TIDE_MIN(column->len, other->len);
    struct lua_column *out;
    double *values;

    luaL_checktype(L, function, LUA_TFUNCTION);
    out = lua_newuserdata(L, sizeof(*out) + len * sizeof(*values));
    values = (double *)(out + 1);
    *out = (struct lua_column){.values = values, .len = len};
    for (size_t i = 0; i < len; i++)
        values[i] = 0;
    luaL_getmetatable(L, METATABLE);
    lua_setmetatable(L, -2);
    for (size_t i = 0; i < len; i++) {
        lua_pushvalue(L, function);
        lua_pushnumber(L, value_at(column, i));
        if (other != NULL)
            lua_pushnumber(L, value_at(other, i));
        lua_call(L, other != NULL ? 2 : 1, 1);
        if (lua_type(L, -1) != LUA_TNUMBER)
            return luaL_error(L, "map: the function returned a %s, not a number",
                              luaL_typename(L, -1));
        values[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return 1;
}

bool columns_is_one(lua_State *L, int at)
{
    bool is;

    if (lua_type(L, at) != LUA_TUSERDATA || !lua_getmetatable(L, at))
        return false;
    luaL_getmetatable(L, METATABLE);
    is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

size_t columns_len_raises(lua_State *L, int at)
{
    return column_raises(L, at)->len;
}

double columns_at_raises(lua_State *L, int at, size_t i)
{
    return value_at(column_raises(L, at), i);
}

/* --- making ------------------------------------------------------------------------------------
 */

static struct lua_column *push_column(lua_State *L, size_t extra_bytes)
{
    struct lua_column *column = lua_newuserdata(L, sizeof(*column) + extra_bytes);

    *column = (struct lua_column){0};
    luaL_getmetatable(L, METATABLE);
    lua_setmetatable(L, -2);
    return column;
}

void columns_push_values_raises(lua_State *L, const double *values, size_t len)
{
    struct lua_column *column = push_column(L, len * sizeof(*values));

    if (len > 0)
        memcpy(column + 1, values, len * sizeof(*values));
    column->values = (double *)(column + 1);
    column->len = len;
}

void columns_push_times_raises(lua_State *L, const int64_t *times_ms, size_t len)
{
    struct lua_column *column = push_column(L, len * sizeof(*times_ms));

    if (len > 0)
        memcpy(column + 1, times_ms, len * sizeof(*times_ms));
    column->times_ms = (int64_t *)(column + 1);
    column->len = len;
}

struct lua_column *columns_push_borrowed_raises(lua_State *L)
{
    return push_column(L, 0);
}

void columns_open_raises(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"sum", column_sum},           {"mean", column_mean}, {"stddev", column_stddev},
        {"min", column_min},           {"max", column_max},   {"last", column_last},
        {"quantile", column_quantile}, {"map", column_map},
    };

    luaL_newmetatable(L, METATABLE);
    lua_newtable(L);
    for (size_t i = 0; i < TIDE_COUNT(methods); i++) {
        lua_pushcfunction(L, methods[i].func);
        lua_setfield(L, -2, methods[i].name);
    }
    lua_pushcclosure(L, column_get, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, column_set);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, column_len);
    lua_setfield(L, -2, "__len");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
