/* check.c - rulebook_check (rulebook.h): a folder of scripts and what is wrong with it. */
#include <lauxlib.h>
#include <lua.h>

#include "base/clock.h"
#include "base/regex.h"
#include "script/binding.h"
#include "script/rulebook.h"
#include "script/ruleset.h"
#include "script/sandbox.h"

#define TIME_NS ((int64_t)10 * 1000 * 1000 * 1000)
#define MEMORY ((size_t)256 << 20)

struct check {
    struct binding binding;
    struct ruleset *set;
    const struct script_file *current; /* that is being loaded */
    int64_t lookback_ms;
    struct buf *out;
    int problems;
};

static void add_problem(struct check *check, const char *text, size_t len)
{
    buf_append(check->out, text, len);
    buf_puts(check->out, "\n");
    check->problems++;
}

/* The list of texts on top of the stack. */
static void add_problems_raises(lua_State *L, struct check *check)
{
    size_t count = lua_objlen(L, -1);

    for (size_t i = 1; i <= count; i++) {
        size_t len;
        const char *text;

        lua_rawgeti(L, -1, (int)i);
        text = luaL_checklstring(L, -1, &len);
        add_problem(check, text, len);
        lua_pop(L, 1);
    }
}

/* Syntax and names. @return whether it is a Lua chunk */
static bool check_file_raises(lua_State *L, struct check *check, const struct script_file *file)
{
    const char *source = (const char *)file->source.data;
    size_t len = file->source.len;

    if (luaL_loadbufferx(L, source, len, file->chunk_name, "t") != 0) {
        const char *text = lua_tolstring(L, -1, &len);

        add_problem(check, text, len);
        lua_pop(L, 1);
        return false;
    }
    lua_pop(L, 1);
    sandbox_require_raises(L, "tidemark.check");
    lua_getfield(L, -1, "names");
    lua_pushlstring(L, source, len);
    lua_pushstring(L, file->chunk_name + 1);
    lua_call(L, 2, 1);
    add_problems_raises(L, check);
    lua_pop(L, 2);
    return true;
}

static void check_run(lua_State *L, void *ctx)
{
    struct check *check = ctx;
    struct ruleset *set = check->set;
    bool loads = true;
    int problems;

    binding_open_raises(L, &check->binding);
    for (size_t i = 0; i < set->library_count; i++)
        loads = check_file_raises(L, check, &set->libraries[i]) && loads;
    for (size_t i = 0; i < set->file_count; i++)
        loads = check_file_raises(L, check, &set->files[i]) && loads;
    if (!loads || check->problems != 0)
        return;
    ruleset_load_raises(L, set, &check->current);
    sandbox_require_raises(L, "tidemark.check");
    lua_getfield(L, -1, "rules");
    lua_call(L, 0, 1);
    add_problems_raises(L, check);
    problems = check->problems;
    lua_getfield(L, -2, "warnings");
    lua_pushnumber(L, (double)check->lookback_ms);
    lua_call(L, 1, 1);
    add_problems_raises(L, check);
    check->problems = problems; /* warnings are none */
}

int rulebook_check(const char *folder, int64_t lookback_ms, struct buf *out, struct error *err)
{
    struct check check = {
        .set = ruleset_read(folder, NULL, err), .out = out, .lookback_ms = lookback_ms};
    struct sandbox *sandbox;

    if (check.set == NULL)
        return -1;
    sandbox = sandbox_new(MEMORY, NULL, err);
    if (sandbox == NULL) {
        ruleset_unref(check.set);
        return -1;
    }
    check.binding.clock = clock_system();
    check.binding.rules = check.set;
    check.binding.regexes = regex_cache_new(64);
    sandbox_set_owner(sandbox, &check.binding);
    if (sandbox_run(sandbox, check_run, &check, TIME_NS, err) == -1) {
        if (check.current != NULL && sandbox_last_stop(sandbox) != SANDBOX_RAISED)
            error_note(err, "%s", check.current->chunk_name + 1);
        add_problem(&check, err->text, strlen(err->text));
    }
    sandbox_free(sandbox);
    arena_destroy(&check.binding.scratch);
    regex_cache_free(check.binding.regexes);
    ruleset_unref(check.set);
    return check.problems;
}
