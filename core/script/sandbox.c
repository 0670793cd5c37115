/* sandbox.c - see sandbox.h. */
#include "script/sandbox.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <malloc.h>

#include "base/clock.h"
#include "base/embedded.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"

#define HOOK_STEP 200
#define MAX_REFUSALS 3

#define WATCHDOG_SLACK_NS ((int64_t)50 * 1000 * 1000)
#define WATCHDOG_TICK_NS ((int64_t)50 * 1000 * 1000)
#define WATCHDOG_IDLE_TICKS 20
#define WATCHDOG_ABORT_NS ((int64_t)60 * 1000 * 1000 * 1000)

/* Members without another remark belong to the sandbox's thread (its signal handler included). */
struct sandbox {
    lua_State *L;
    size_t used_bytes;
    size_t memory_limit;
    int refusals; /* of memory, in this run */
    int pcall_depth;
    volatile sig_atomic_t dead; /* enum sandbox_stop: the run is to end */
    enum sandbox_stop last_stop;
    void (*run)(lua_State *L, void *ctx);
    void *ctx;
    void *owner;
    struct sandbox *outer; /* which this thread was running when this one began; NULL: none */
    bool active;           /* within sandbox_run */
    const int *cancelled;  /* atomic, of sandbox_set_cancel; may be NULL */
    int run_ref;           /* registry: the C function that sandbox_run calls */

    int64_t start_ns;    /* monotonic: when the last run began */
    int64_t deadline_ns; /* atomic, read by the watchdog; 0: not running, or without deadline */

    /* Guarded by watchdog->lock. */
    struct watchdog *watchdog;
    struct sandbox *next;
    pthread_t thread;  /* the one that runs it, or ran it last */
    bool thread_known; /* atomic */
};

struct watchdog {
    struct lock lock; /* guards `sandboxes`, `stopping`, `asleep` (which is also read without) */
    struct cond wake;
    struct thread thread;
    struct sandbox *sandboxes;
    bool stopping;
    bool asleep;
};

/* What the signal handler ends: the sandbox that this thread is running, innermost first. */
static __thread struct sandbox *volatile running;

/* Raised after a kill: an address needs no allocation. */
static const char killed;

/* --- stopping ----------------------------------------------------------------------------------
 */

static void hook(lua_State *L, lua_Debug *debug);

static void kill_run(struct sandbox *sandbox, enum sandbox_stop why)
{
    if (sandbox->dead == SANDBOX_RAN)
        sandbox->dead = (sig_atomic_t)why;
    lua_sethook(sandbox->L, hook, LUA_MASKCOUNT, 1);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool past_deadline(const struct sandbox *sandbox, int64_t slack_ns)
{
    int64_t deadline_ns = __atomic_load_n(&sandbox->deadline_ns, __ATOMIC_RELAXED);

    return deadline_ns != 0 && now_ns() - deadline_ns > slack_ns;
}

static void raise_killed(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&killed);
    lua_error(L);
}

static void hook(lua_State *L, lua_Debug *debug)
{
    struct sandbox *sandbox = sandbox_of(L);

    (void)debug;
    if (sandbox->dead == SANDBOX_RAN && past_deadline(sandbox, 0))
        kill_run(sandbox, SANDBOX_TIME);
    if (sandbox->dead == SANDBOX_RAN && sandbox->cancelled != NULL &&
        __atomic_load_n(sandbox->cancelled, __ATOMIC_RELAXED) != 0)
        kill_run(sandbox, SANDBOX_CANCELLED);
    if (sandbox->dead != SANDBOX_RAN)
        raise_killed(L);
}

struct sandbox *sandbox_of(lua_State *L)
{
    void *sandbox;

    lua_getallocf(L, &sandbox);
    return sandbox;
}

void sandbox_set_owner(struct sandbox *sandbox, void *owner)
{
    sandbox->owner = owner;
}

void sandbox_set_cancel(struct sandbox *sandbox, const int *cancelled)
{
    sandbox->cancelled = cancelled;
}

bool sandbox_is_active(const struct sandbox *sandbox)
{
    return sandbox->active;
}

int64_t sandbox_deadline_ns(const struct sandbox *sandbox)
{
    return sandbox->deadline_ns;
}

static void watchdog_notice(struct sandbox *sandbox);

int64_t sandbox_pause(struct sandbox *sandbox)
{
    int64_t left_ns = sandbox->deadline_ns != 0 ? TIDE_MAX(sandbox->deadline_ns - now_ns(), 1) : 0;

    __atomic_store_n(&sandbox->deadline_ns, 0, __ATOMIC_RELEASE);
    return left_ns;
}

void sandbox_resume(struct sandbox *sandbox, int64_t paused)
{
    __atomic_store_n(&sandbox->deadline_ns, paused != 0 ? now_ns() + paused : 0, __ATOMIC_RELEASE);
    if (sandbox->watchdog != NULL)
        watchdog_notice(sandbox);
}

void *sandbox_owner(lua_State *L)
{
    return sandbox_of(L)->owner;
}

/* lua_Alloc: counts, and refuses growth past the limit. The sizes are the allocator's: LuaJIT gives
 * a closure back with a smaller size than it asked for if it ran out of memory between the two. */
static void *allocate(void *ctx, void *memory, size_t old_size, size_t size)
{
    struct sandbox *sandbox = ctx;
    void *result;

    old_size = memory != NULL ? malloc_usable_size(memory) : 0;
    if (size == 0) {
        free(memory);
        sandbox->used_bytes -= old_size;
        return NULL;
    }
    if (size > old_size && sandbox->used_bytes + (size - old_size) > sandbox->memory_limit) {
        sandbox->refusals++;
        if (sandbox->L != NULL && (sandbox->refusals >= MAX_REFUSALS || sandbox->dead))
            kill_run(sandbox, SANDBOX_MEMORY);
        return NULL;
    }
    result = realloc(memory, size);
    if (result != NULL)
        sandbox->used_bytes = sandbox->used_bytes - old_size + malloc_usable_size(result);
    return result;
}

/* --- what replaces Lua's own pcall and xpcall ---------------------------------------------------
 */

/* pcall of the function and arguments on the stack; ends in an error instead when the run is over.
 */
static int protected_call(lua_State *L, int args)
{
    struct sandbox *sandbox = sandbox_of(L);
    int status;

    if (sandbox->pcall_depth >= SANDBOX_MAX_PCALLS)
        return luaL_error(L, "pcall: more than %d within each other", SANDBOX_MAX_PCALLS);
    sandbox->pcall_depth++;
    status = lua_pcall(L, args, LUA_MULTRET, 0);
    sandbox->pcall_depth--;
    if (status == LUA_ERRMEM)
        kill_run(sandbox, SANDBOX_MEMORY);
    if (sandbox->dead != SANDBOX_RAN)
        raise_killed(L);
    return status;
}

static int safe_pcall(lua_State *L)
{
    int status;

    luaL_checkany(L, 1);
    status = protected_call(L, lua_gettop(L) - 1);
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* The handler gets the error after the stack was unwound: inside, no hook could stop it. */
static int safe_xpcall(lua_State *L)
{
    luaL_checkany(L, 2);
    lua_pushvalue(L, 2);
    lua_insert(L, 1);
    lua_remove(L, 3); /* handler, function, arguments */
    if (protected_call(L, lua_gettop(L) - 2) == 0) {
        lua_pushboolean(L, 1);
        lua_replace(L, 1);
        return lua_gettop(L);
    }
    lua_pushboolean(L, 0);
    lua_insert(L, 1);
    protected_call(L, 1);
    return lua_gettop(L);
}

/* find(s, what, init): plain, and in linear time however long both are. */
static int safe_find(lua_State *L)
{
    size_t len, what_len;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *what = luaL_checklstring(L, 2, &what_len);
    lua_Integer init = luaL_optinteger(L, 3, 1);
    const char *found;

    if (init < 0)
        init = (lua_Integer)len + init + 1;
    if (init < 1)
        init = 1;
    if ((size_t)init > len + 1)
        found = NULL;
    else
        found = memmem(text + init - 1, len - (size_t)init + 1, what, what_len);
    if (found == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, found - text + 1);
    lua_pushinteger(L, found - text + (lua_Integer)what_len);
    return 2;
}

/* --- trusted library ----------------------------------------------------------------------------
 */

#define REGISTRY_TRUSTED "tidemark.trusted" /* environment of embedded files */
#define REGISTRY_LOADED "tidemark.loaded"   /* what they returned, by name */

static void load_module_raises(lua_State *L, const char *module)
{
    char path[128];
    char chunk_name[136];
    const struct embedded_file *file;
    int written = snprintf(path, sizeof(path), "lua/%s.lua", module);

    if (written < 0 || (size_t)written >= sizeof(path))
        luaL_error(L, "module name too long");
    for (char *at = path; at < path + written - 4; at++) {
        if (*at == '.')
            *at = '/';
    }
    file = embedded_find(path);
    if (file == NULL)
        luaL_error(L, "no module '%s'", module);
    snprintf(chunk_name, sizeof(chunk_name), "@%s", path);
    if (luaL_loadbufferx(L, (const char *)file->bytes, file->size, chunk_name, "t") != 0)
        lua_error(L);
    lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_TRUSTED);
    lua_setfenv(L, -2);
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
}

void sandbox_require_raises(lua_State *L, const char *module)
{
    lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_LOADED);
    lua_getfield(L, -1, module);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        load_module_raises(L, module);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, module);
    }
    lua_remove(L, -2);
}

static int trusted_require(lua_State *L)
{
    sandbox_require_raises(L, luaL_checkstring(L, 1));
    return 1;
}

static void copy_table(lua_State *L, int from)
{
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, from) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -4);
    }
}

/* Embedded files see copies of Lua's own tables: env.lua changes the real string table, which
 * operator code reaches through any string. */
static void make_trusted_environment(lua_State *L)
{
    static const char *const libraries[] = {"string", "table", "math", "bit"};
    static const luaL_Reg native[] = {
        {"pcall", safe_pcall}, {"xpcall", safe_xpcall}, {"find", safe_find}};

    copy_table(L, LUA_GLOBALSINDEX);
    for (size_t i = 0; i < TIDE_COUNT(libraries); i++) {
        lua_getfield(L, LUA_GLOBALSINDEX, libraries[i]);
        copy_table(L, lua_gettop(L));
        lua_setfield(L, -3, libraries[i]);
        lua_pop(L, 1);
    }
    lua_pushcfunction(L, trusted_require);
    lua_setfield(L, -2, "require");
    lua_newtable(L);
    for (size_t i = 0; i < TIDE_COUNT(native); i++) {
        lua_pushcfunction(L, native[i].func);
        lua_setfield(L, -2, native[i].name);
    }
    lua_setfield(L, -2, "native");
    lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_TRUSTED);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_LOADED);
}

void sandbox_native_raises(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_TRUSTED);
    lua_getfield(L, -1, "native");
    lua_remove(L, -2);
}

void sandbox_load_raises(lua_State *L, const char *source, size_t len, const char *chunk_name,
                         int names)
{
    if (names != 0)
        lua_pushvalue(L, names);
    else
        lua_pushnil(L);
    if (len > 0 && source[0] == LUA_SIGNATURE[0])
        luaL_error(L, "%s: bytecode, not the text of a script", chunk_name + 1);
    if (luaL_loadbufferx(L, source, len, chunk_name, "t") != 0)
        lua_error(L);
    sandbox_require_raises(L, "tidemark.env");
    lua_getfield(L, -1, "fresh");
    lua_pushvalue(L, -4);
    lua_call(L, 1, 1);
    lua_setfenv(L, -3);
    lua_pop(L, 1);
    lua_remove(L, -2);
}

/* --- life ---------------------------------------------------------------------------------------
 */

static int run_in_lua(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);

    sandbox->run(L, sandbox->ctx);
    return 0;
}

static int open_state(lua_State *L)
{
    static const luaL_Reg libraries[] = {{"", luaopen_base},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_MATHLIBNAME, luaopen_math},
                                         {LUA_BITLIBNAME, luaopen_bit}};

    for (size_t i = 0; i < TIDE_COUNT(libraries); i++) {
        lua_pushcfunction(L, libraries[i].func);
        lua_pushstring(L, libraries[i].name);
        lua_call(L, 1, 0);
    }
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    make_trusted_environment(L);
    sandbox_require_raises(L, "tidemark.env");
    lua_pushcfunction(L, run_in_lua);
    sandbox_of(L)->run_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* The text of the error on top of the stack; never calls into the value. */
static int report(struct sandbox *sandbox, struct error *err)
{
    const char *text =
        lua_type(sandbox->L, -1) == LUA_TSTRING ? lua_tostring(sandbox->L, -1) : NULL;

    if (sandbox->last_stop == SANDBOX_TIME)
        return error_set(err, ERR_TIMEOUT, "ran longer than its time limit");
    if (sandbox->last_stop == SANDBOX_CANCELLED)
        return error_set(err, ERR_CANCELLED, "was cancelled");
    if (sandbox->last_stop == SANDBOX_MEMORY)
        return error_set(err, ERR_LIMIT, "used more than its %zu KiB of memory",
                         sandbox->memory_limit / 1024);
    if (text == NULL)
        return error_set(err, ERR_INVALID, "raised an error that is no text but a %s",
                         luaL_typename(sandbox->L, -1));
    return error_set(err, ERR_INVALID, "%s", text);
}

static void watchdog_add(struct watchdog *watchdog, struct sandbox *sandbox);
static void watchdog_remove(struct watchdog *watchdog, struct sandbox *sandbox);
static int adopt_thread(struct sandbox *sandbox, struct error *err);

/* From its start on, but never later than what runs around it. */
static int64_t deadline_of(const struct sandbox *sandbox, int64_t time_ns)
{
    int64_t deadline_ns = time_ns > 0 ? sandbox->start_ns + time_ns : 0;
    int64_t outer_ns = sandbox->outer != NULL ? sandbox->outer->deadline_ns : 0;

    if (outer_ns != 0 && (deadline_ns == 0 || outer_ns < deadline_ns))
        return outer_ns;
    return deadline_ns;
}

struct sandbox *sandbox_new(size_t memory_limit, struct watchdog *watchdog, struct error *err)
{
    struct sandbox *sandbox = mem_zalloc(1, sizeof(*sandbox));

    sandbox->memory_limit = memory_limit;
    sandbox->L = lua_newstate(allocate, sandbox);
    if (sandbox->L == NULL) {
        error_set(err, ERR_NOMEM, "no memory for a Lua state");
        mem_free(sandbox);
        return NULL;
    }
    if (lua_cpcall(sandbox->L, open_state, NULL) != 0) {
        report(sandbox, err);
        lua_close(sandbox->L);
        mem_free(sandbox);
        return NULL;
    }
    lua_gc(sandbox->L, LUA_GCCOLLECT, 0);
    lua_gc(sandbox->L, LUA_GCSETPAUSE, 130); /* the limit counts garbage, too */
    if (watchdog != NULL)
        watchdog_add(watchdog, sandbox);
    return sandbox;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (sandbox == NULL)
        return;
    if (sandbox->watchdog != NULL)
        watchdog_remove(sandbox->watchdog, sandbox);
    lua_close(sandbox->L);
    TIDE_ASSERT(sandbox->used_bytes == 0);
    mem_free(sandbox);
}

int sandbox_run(struct sandbox *sandbox, void (*run)(lua_State *L, void *ctx), void *ctx,
                int64_t time_ns, struct error *err)
{
    lua_State *L = sandbox->L;
    int status;
    int result = 0;

    TIDE_ASSERT(!sandbox->active);
    sandbox->start_ns = now_ns();
    if ((!sandbox->thread_known || !pthread_equal(sandbox->thread, pthread_self())) &&
        adopt_thread(sandbox, err) == -1) {
        sandbox->last_stop = SANDBOX_RAISED;
        return -1;
    }
    sandbox->run = run;
    sandbox->ctx = ctx;
    sandbox->dead = SANDBOX_RAN;
    sandbox->refusals = 0;
    sandbox->pcall_depth = 0;
    sandbox->active = true;
    sandbox->outer = running;
    __atomic_store_n(&sandbox->deadline_ns, deadline_of(sandbox, time_ns), __ATOMIC_RELEASE);
    running = sandbox;
    if (sandbox->watchdog != NULL)
        watchdog_notice(sandbox);
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_STEP);
    lua_rawgeti(L, LUA_REGISTRYINDEX, sandbox->run_ref);
    status = lua_pcall(L, 0, 0, 0);
    __atomic_store_n(&sandbox->deadline_ns, 0, __ATOMIC_RELEASE);
    running = sandbox->outer;
    sandbox->outer = NULL;
    sandbox->active = false;

    sandbox->last_stop = (enum sandbox_stop)sandbox->dead;
    if (status == LUA_ERRMEM && sandbox->last_stop == SANDBOX_RAN)
        sandbox->last_stop = SANDBOX_MEMORY;
    if (status != 0 && sandbox->last_stop == SANDBOX_RAN)
        sandbox->last_stop = SANDBOX_RAISED;
    if (sandbox->last_stop != SANDBOX_RAN) {
        result = report(sandbox, err);
        sandbox->dead = SANDBOX_RAN;
        lua_sethook(L, NULL, 0, 0);
        lua_settop(L, 0);
        if (sandbox->last_stop != SANDBOX_RAISED)
            sandbox_collect(sandbox);
    }
    return result;
}

int64_t sandbox_start_ns(const struct sandbox *sandbox)
{
    return sandbox->start_ns;
}

enum sandbox_stop sandbox_last_stop(const struct sandbox *sandbox)
{
    return sandbox->last_stop;
}

void sandbox_collect(struct sandbox *sandbox)
{
    size_t before;

    /* Stacks and buffers shrink by half a cycle. */
    for (int i = 0; i < 16; i++) {
        before = sandbox->used_bytes;
        lua_gc(sandbox->L, LUA_GCCOLLECT, 0);
        if (sandbox->used_bytes + 1024 > before)
            break;
    }
}

size_t sandbox_used_bytes(const struct sandbox *sandbox)
{
    return sandbox->used_bytes;
}

/* --- watchdog -----------------------------------------------------------------------------------
 */

static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    for (struct sandbox *sandbox = running; sandbox != NULL; sandbox = sandbox->outer) {
        if (past_deadline(sandbox, 0))
            kill_run(sandbox, SANDBOX_TIME);
    }
    errno = saved;
}

static void watchdog_add(struct watchdog *watchdog, struct sandbox *sandbox)
{
    lock_acquire(&watchdog->lock);
    sandbox->watchdog = watchdog;
    sandbox->next = watchdog->sandboxes;
    watchdog->sandboxes = sandbox;
    lock_release(&watchdog->lock);
}

static void watchdog_remove(struct watchdog *watchdog, struct sandbox *sandbox)
{
    lock_acquire(&watchdog->lock);
    for (struct sandbox **at = &watchdog->sandboxes; *at != NULL; at = &(*at)->next) {
        if (*at == sandbox) {
            *at = sandbox->next;
            break;
        }
    }
    sandbox->watchdog = NULL;
    lock_release(&watchdog->lock);
}

/* The first run on a thread (or on another one than before): it takes signals from now on, and its
 * stack must do. */
static int adopt_thread(struct sandbox *sandbox, struct error *err)
{
    pthread_attr_t attributes;
    size_t stack_bytes = 0;
    sigset_t signals;

    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstacksize(&attributes, &stack_bytes);
        pthread_attr_destroy(&attributes);
    }
    if (stack_bytes < SANDBOX_MIN_STACK_BYTES)
        return error_set(err, ERR_UNSUPPORTED, "a stack of %zu KiB is too small for scripts",
                         stack_bytes / 1024);
    if (sandbox->watchdog != NULL) {
        sigemptyset(&signals);
        sigaddset(&signals, SIGUSR2);
        pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
        lock_acquire(&sandbox->watchdog->lock);
        sandbox->thread = pthread_self();
        sandbox->thread_known = true;
        lock_release(&sandbox->watchdog->lock);
    } else {
        sandbox->thread = pthread_self();
        sandbox->thread_known = true;
    }
    return 0;
}

/* A run begins: wakes the watchdog if it sleeps for good. */
static void watchdog_notice(struct sandbox *sandbox)
{
    struct watchdog *watchdog = sandbox->watchdog;

    /* Sequentially consistent with the deadline's store: either we see `asleep`, or it sees us. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&watchdog->asleep, __ATOMIC_RELAXED)) {
        lock_acquire(&watchdog->lock);
        cond_signal(&watchdog->wake);
        lock_release(&watchdog->lock);
    }
}

/* Signals those that are late. @return whether any sandbox runs */
static bool check_sandboxes(struct watchdog *watchdog) TIDE_REQUIRES(watchdog->lock)
{
    bool any = false;

    for (struct sandbox *at = watchdog->sandboxes; at != NULL; at = at->next) {
        if (__atomic_load_n(&at->deadline_ns, __ATOMIC_ACQUIRE) == 0 || !at->thread_known)
            continue;
        any = true;
        if (past_deadline(at, WATCHDOG_SLACK_NS))
            pthread_kill(at->thread, SIGUSR2);
        if (past_deadline(at, WATCHDOG_ABORT_NS)) {
            log_error("a script is stuck in C and cannot be stopped; the process ends", NULL);
            abort();
        }
    }
    return any;
}

static void *watch(void *arg)
{
    struct watchdog *watchdog = arg;
    int idle_ticks = 0;

    lock_acquire(&watchdog->lock);
    while (!watchdog->stopping) {
        idle_ticks = check_sandboxes(watchdog) ? 0 : idle_ticks + 1;
        if (idle_ticks < WATCHDOG_IDLE_TICKS) {
            cond_wait_for(&watchdog->wake, &watchdog->lock, WATCHDOG_TICK_NS);
            continue;
        }
        __atomic_store_n(&watchdog->asleep, true, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!check_sandboxes(watchdog))
            cond_wait(&watchdog->wake, &watchdog->lock);
        __atomic_store_n(&watchdog->asleep, false, __ATOMIC_RELAXED);
        idle_ticks = 0;
    }
    lock_release(&watchdog->lock);
    return NULL;
}

struct watchdog *watchdog_new(struct error *err)
{
    struct watchdog *watchdog = mem_zalloc(1, sizeof(*watchdog));
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    if (sigaction(SIGUSR2, &action, NULL) == -1) {
        error_set_errno(err, "cannot take SIGUSR2");
        mem_free(watchdog);
        return NULL;
    }
    lock_init(&watchdog->lock);
    cond_init(&watchdog->wake);
    if (thread_start(&watchdog->thread, "watchdog", 0, watch, watchdog, err) == -1) {
        watchdog_free(watchdog);
        return NULL;
    }
    return watchdog;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    lock_acquire(&watchdog->lock);
    watchdog->stopping = true;
    cond_signal(&watchdog->wake);
    lock_release(&watchdog->lock);
    thread_join(&watchdog->thread);
    TIDE_ASSERT(watchdog->sandboxes == NULL);
    cond_destroy(&watchdog->wake);
    lock_destroy(&watchdog->lock);
    mem_free(watchdog);
}
