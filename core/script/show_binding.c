/* show_binding.c - see show_binding.h. */
#include "script/show_binding.h"

#include <time.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/base.h"
#include "base/utf8.h"
#include "promql/function_table.h"
#include "script/columns_binding.h"

static int native_is_column(lua_State *L)
{
    lua_pushboolean(L, columns_is_one(L, 1));
    return 1;
}

static int native_is_utf8(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    lua_pushboolean(L, utf8_valid(text, len));
    return 1;
}

/* time_text(seconds): "2026-11-28 18:00:00" in UTC */
static int native_time_text(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);
    char text[64];
    time_t at;
    struct tm tm;

    if (!(seconds > -6e10 && seconds < 2.5e11)) {
        lua_pushfstring(L, "%f", seconds);
        return 1;
    }
    at = (time_t)seconds;
    gmtime_r(&at, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    lua_pushstring(L, text);
    return 1;
}

static int native_function_names(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < function_table_count(); i++) {
        lua_pushstring(L, function_table_at(i)->name);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

void show_open_raises(lua_State *L)
{
    static const luaL_Reg functions[] = {{"is_column", native_is_column},
                                         {"is_utf8", native_is_utf8},
                                         {"time_text", native_time_text},
                                         {"function_names", native_function_names}};

    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
}
