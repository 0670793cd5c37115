/* luahost.c - luajit's command line in small, to be built with a sanitizer's runtime in it.
 *
 * The thread sanitizer cannot be preloaded into Debian's luajit. Usage: luahost SCRIPT [ARG ...] */
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    int status;

    if (argc < 2 || L == NULL) {
        fprintf(stderr, "usage: luahost SCRIPT [ARG ...]\n");
        return 2;
    }
    luaL_openlibs(L);
    lua_createtable(L, argc, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
    status = luaL_loadfile(L, argv[1]);
    for (int i = 2; status == 0 && i < argc; i++)
        lua_pushstring(L, argv[i]);
    if (status == 0)
        status = lua_pcall(L, argc - 2, 0, 0);
    if (status != 0)
        fprintf(stderr, "luahost: %s\n", lua_tostring(L, -1));
    lua_close(L);
    return status != 0;
}
