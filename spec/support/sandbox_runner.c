/* sandbox_runner.c - runs Lua programs from standard input in sandboxes and says how each ended.
 *
 * Input, repeated: a line with the name, a line with the number of bytes, the bytes.
 * Output, a line each: name, how it ended (ran, raised, time, memory), CPU milliseconds, whether
 * the state was usable afterwards, bytes held beyond those at the start, the result or the error.
 * Arguments: time limit in ms, memory limit in KiB, 1 or 0 for a watchdog. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <inttypes.h>
#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "base/thread.h"
#include "script/sandbox.h"

struct runner {
    struct watchdog *watchdog;
    int64_t time_ns;
    size_t memory_limit;
};

struct program {
    char name[200];
    char *source;
    size_t len;
    char result[200];
};

static void run_program(lua_State *L, void *ctx)
{
    struct program *program = ctx;

    sandbox_load_raises(L, program->source, program->len, "=attack", 0);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER)
        snprintf(program->result, sizeof(program->result), "%s", lua_tostring(L, -1));
    else
        snprintf(program->result, sizeof(program->result), "%s", luaL_typename(L, -1));
}

/* Some of everything that operator code uses, after the attack, in the same state. */
static const char usable[] =
    "local t = {} for i = 1, 1000 do t[i] = 1000 - i end table.sort(t) assert(t[1] == 0)\n"
    "assert(('x'):rep(3) == 'xxx' and string.format('%d %s', 5, 'a') == '5 a')\n"
    "assert(select(2, pcall(error, 'e')) == 'e')\n"
    "assert(select(2, xpcall(function() error('f', 0) end, function(e) return e .. '!' end)) == "
    "'f!')\n"
    "return 'usable'";

static int64_t thread_cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *run_one(void *arg)
{
    struct runner *runner = ((void **)arg)[0];
    struct program *program = ((void **)arg)[1];
    static const char *const names[] = {"ran", "raised", "time", "memory"};
    struct program after = {.source = (char *)usable, .len = sizeof(usable) - 1};
    struct error err;
    struct sandbox *sandbox = sandbox_new(runner->memory_limit, runner->watchdog, &err);
    size_t before;
    int64_t start_ms;

    if (sandbox == NULL) {
        printf("%s\tno sandbox\t0\tno\t0\t%s\n", program->name, err.text);
        return NULL;
    }
    /* The first run loads what later ones share. */
    if (sandbox_run(sandbox, run_program, &after, runner->time_ns, &err) == -1)
        printf("%s\tbroken\t0\tno\t0\t%s\n", program->name, err.text);
    sandbox_collect(sandbox);
    before = sandbox_used_bytes(sandbox);
    start_ms = thread_cpu_ms();
    if (sandbox_run(sandbox, run_program, program, runner->time_ns, &err) == -1)
        snprintf(program->result, sizeof(program->result), "%.150s", err.text);
    int64_t cpu_ms = thread_cpu_ms() - start_ms;
    enum sandbox_stop stop = sandbox_last_stop(sandbox);
    int again = sandbox_run(sandbox, run_program, &after, runner->time_ns, &err);
    sandbox_collect(sandbox);
    size_t used = sandbox_used_bytes(sandbox);
    printf("%s\t%s\t%" PRId64 "\t%s\t%zu\t%s\n", program->name, names[stop], cpu_ms,
           again == 0 && strcmp(after.result, "usable") == 0 ? "usable" : err.text,
           used > before ? used - before : 0, program->result);
    sandbox_free(sandbox);
    return NULL;
}

int main(int argc, char **argv)
{
    struct runner runner = {0};
    struct error err;
    struct program program = {0};

    if (argc != 4)
        return 2;
    runner.time_ns = (int64_t)strtol(argv[1], NULL, 10) * 1000000;
    runner.memory_limit = (size_t)strtol(argv[2], NULL, 10) * 1024;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argv[3][0] == '1' && (runner.watchdog = watchdog_new(&err)) == NULL)
        return 3;
    while (scanf(" %199[^\n]\n%zu", program.name, &program.len) == 2) {
        void *arg[2] = {&runner, &program};
        struct thread thread;

        program.source = mem_alloc(program.len + 1);
        if (getchar() != '\n' || fread(program.source, 1, program.len, stdin) != program.len)
            return 4;
        program.result[0] = '\0';
        fprintf(stderr, "%s\n", program.name);
        if (thread_start(&thread, "attack", SANDBOX_STACK_BYTES, run_one, arg, &err) == -1)
            return 5;
        thread_join(&thread);
        mem_free(program.source);
    }
    watchdog_free(runner.watchdog);
    return 0;
}
