/* session.c - see session.h. What answers look like and what completes is lua/tidemark/session.lua.
 */
#include "script/session.h"

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "script/act.h"
#include "script/operate_binding.h"
#include "script/rulebook.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "script/show_binding.h"
#include "wire/result_json.h"

#define DEFAULT_TIME_MS 60000
#define DEFAULT_MEMORY ((size_t)64 << 20)
#define DEFAULT_OUTPUT ((size_t)1 << 20)
#define COMPLETE_TIME_NS ((int64_t)2 * 1000 * 1000 * 1000)
#define LOAD_TIME_NS ((int64_t)2 * 1000 * 1000 * 1000)
#define MAX_TEXT_BYTES ((size_t)1 << 20)
#define CHUNK_NAME "=console"

struct session {
    struct session_options options; /* texts owned */
    struct script_state state;      /* not a thread's: this session's */
    struct actor actor;
    int cancelled; /* atomic */
    bool opened;   /* the state has the session's own names */

    /* Of the call under way. */
    const char *text;
    size_t len;
    struct session_reply *reply;
    struct buf printed;
    struct buf *completion;
};

/* --- the scripts in force ----------------------------------------------------------------------
 */

struct session_load {
    struct session *session;
    struct ruleset *set;
    const struct script_file *current;
};

/* The list of { name, help, function } that session.lua takes; the functions of all rules are on
 * top of the stack. */
static void give_commands_raises(lua_State *L, const struct ruleset *set)
{
    int functions = lua_gettop(L), count = 0;

    sandbox_require_raises(L, "tidemark.session");
    lua_getfield(L, -1, "take_commands");
    lua_newtable(L);
    for (size_t i = 0; i < set->hook_count[RULE_COMMAND]; i++) {
        const struct rule *rule = set->by_hook[RULE_COMMAND][i];

        lua_createtable(L, 3, 0);
        lua_pushstring(L, rule->title);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, rule->text);
        lua_rawseti(L, -2, 2);
        lua_rawgeti(L, functions, (int)ruleset_index(set, rule) + 1);
        lua_rawseti(L, -2, 3);
        lua_rawseti(L, -2, ++count);
    }
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

static void load_run(lua_State *L, void *ctx)
{
    struct session_load *load = ctx;
    struct session *session = load->session;

    if (!session->opened) {
        binding_open_raises(L, &session->state.binding);
        sandbox_native_raises(L);
        show_open_raises(L);
        operate_open_raises(L);
        look_open_raises(L);
        lua_pop(L, 1);
        sandbox_require_raises(L, "tidemark.session");
        lua_pushnumber(L, (double)session->options.output_bytes);
        lua_setfield(L, -2, "limit");
        lua_pop(L, 1);
        session->opened = true;
    }
    sandbox_require_raises(L, "tidemark.tide");
    lua_getfield(L, -1, "reset");
    lua_call(L, 0, 0);
    lua_pop(L, 1);
    ruleset_load_raises(L, load->set, &load->current);
    lua_replace(L, 1);
    lua_settop(L, 1);
    give_commands_raises(L, load->set);
}

/* The session's state gets the rules in force, if it has others. */
static int renew(struct session *session, struct error *err)
{
    struct script_state *state = &session->state;
    struct rulebook *book = session->options.book;
    struct session_load load = {.session = session};

    if (state->set != NULL && state->set->version == rulebook_version(book))
        return 0;
    load.set = rulebook_take_rules(book);
    state->binding.rules = load.set;
    state->binding.shared = NULL;
    if (sandbox_run(state->sandbox, load_run, &load, LOAD_TIME_NS, err) != 0) {
        state->binding.rules = state->set;
        ruleset_unref(load.set);
        return -1;
    }
    state->binding.shared = book->shared;
    ruleset_unref(state->set);
    state->set = load.set;
    return 0;
}

/* --- life --------------------------------------------------------------------------------------
 */

static char *copy_text(const char *text)
{
    return text != NULL ? mem_dup(text, strlen(text)) : NULL;
}

static void print(void *ctx, const char *text, size_t len)
{
    struct session *session = ctx;

    if (session->options.print != NULL) {
        session->options.print(session->options.print_ctx, text, len);
        return;
    }
    if (session->printed.len < session->options.output_bytes)
        buf_append(&session->printed, text,
                   TIDE_MIN(len, session->options.output_bytes - session->printed.len));
}

struct session *session_open(const struct session_options *options, struct error *err)
{
    struct session *session = mem_zalloc(1, sizeof(*session));
    struct rulebook *book = options->book;
    struct script_state *state = &session->state;
    size_t memory = options->memory_bytes != 0 ? options->memory_bytes : DEFAULT_MEMORY;

    session->options = *options;
    session->options.user = copy_text(options->user != NULL ? options->user : "console");
    session->options.tenant = copy_text(options->tenant);
    if (options->time_ms == 0)
        session->options.time_ms = DEFAULT_TIME_MS;
    if (options->output_bytes == 0)
        session->options.output_bytes = DEFAULT_OUTPUT;
    session->actor = (struct actor){.book = book,
                                    .user = session->options.user,
                                    .tenant = session->options.tenant,
                                    .cancelled = &session->cancelled,
                                    .print = print,
                                    .print_ctx = session,
                                    .operates = true,
                                    .only_looks = options->only_looks};
    state->book = book;
    state->binding =
        (struct binding){.clock = book->clock, .regexes = book->regexes, .tallies = book->tallies};
    state->sandbox = sandbox_new(memory, book->watchdog, err);
    if (state->sandbox == NULL) {
        session_close(session);
        return NULL;
    }
    sandbox_set_owner(state->sandbox, &state->binding);
    sandbox_set_cancel(state->sandbox, &session->cancelled);
    if (renew(session, err) != 0) {
        session_close(session);
        return NULL;
    }
    return session;
}

void session_close(struct session *session)
{
    if (session == NULL)
        return;
    sandbox_free(session->state.sandbox);
    ruleset_unref(session->state.set);
    arena_destroy(&session->state.binding.scratch);
    buf_destroy(&session->state.binding.text);
    actor_destroy(&session->actor);
    buf_destroy(&session->printed);
    mem_free((char *)session->options.user);
    mem_free((char *)session->options.tenant);
    mem_free(session);
}

void session_reply_destroy(struct session_reply *reply)
{
    buf_destroy(&reply->text);
    buf_destroy(&reply->json);
}

void session_cancel(struct session *session)
{
    __atomic_store_n(&session->cancelled, 1, __ATOMIC_RELAXED);
}

void session_uncancel(struct session *session)
{
    __atomic_store_n(&session->cancelled, 0, __ATOMIC_RELAXED);
}

/* --- evaluating --------------------------------------------------------------------------------
 */

/* Whether the compiler's complaint, on top of the stack, is that the text ends; a quoted string
 * must end in its line. */
static bool ends_too_early(lua_State *L)
{
    static const char end[] = "'<eof>'", string[] = "unfinished string";
    size_t len;
    const char *problem = lua_tolstring(L, -1, &len);

    return len >= sizeof(end) - 1 && strstr(problem, string) == NULL &&
           memcmp(problem + len - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
}

/* Pushes the function of the text: as an expression, else as statements. False: more is wanted. */
static bool compile_raises(lua_State *L, struct session *session)
{
    static const char prefix[] = "return ";
    struct buf *text = &session->state.binding.text;
    bool incomplete;

    text->len = 0;
    buf_puts(text, prefix);
    buf_append(text, session->text, session->len);
    if (luaL_loadbufferx(L, (char *)text->data, text->len, CHUNK_NAME, "t") == 0)
        return true;
    incomplete = ends_too_early(L);
    lua_pop(L, 1);
    if (luaL_loadbufferx(L, session->text, session->len, CHUNK_NAME, "t") == 0)
        return true;
    if (incomplete || ends_too_early(L))
        return false;
    lua_error(L);
    return false;
}

static void eval_run(lua_State *L, void *ctx)
{
    struct session *session = ctx;
    size_t len;
    const char *text;

    if (session->len > 0 && session->text[0] == LUA_SIGNATURE[0])
        luaL_error(L, "bytecode, not the text of a chunk");
    sandbox_require_raises(L, "tidemark.session");
    lua_getfield(L, -1, "show");
    lua_getfield(L, -2, "environment");
    lua_call(L, 0, 1);
    if (!compile_raises(L, session)) {
        session->reply->outcome = SESSION_INCOMPLETE;
        return;
    }
    lua_pushvalue(L, 3);
    lua_setfenv(L, -2);
    lua_remove(L, 3);
    lua_call(L, 0, LUA_MULTRET);
    lua_call(L, lua_gettop(L) - 2, 2);
    text = lua_tolstring(L, -2, &len);
    buf_append(&session->reply->text, text, len);
    text = lua_tolstring(L, -1, &len);
    buf_append(&session->reply->json, text, len);
}

/* Runs with all that a console may do. */
static int run_as_actor(struct session *session, void (*run)(lua_State *L, void *ctx),
                        int64_t time_ns, struct error *err)
{
    struct script_state *state = &session->state;
    struct rulebook *book = session->options.book;
    int result;

    lock_acquire(&book->lock);
    session->actor.host = book->host;
    lock_release(&book->lock);
    arena_reset(&state->binding.scratch);
    state->binding.decision = (struct decision){0};
    state->binding.actor = &session->actor;
    result = sandbox_run(state->sandbox, run, session, time_ns, err);
    state->binding.actor = NULL;
    state->binding.era++;
    actor_clear(&session->actor);
    return result;
}

/* What was printed goes in front of the text, and into the JSON. */
static void finish(struct session *session, struct session_reply *reply, const struct error *err)
{
    struct buf json = {0}, text = {0};

    if (err != NULL) {
        reply->outcome = err->code == ERR_CANCELLED ? SESSION_CANCELLED : SESSION_FAILED;
        reply->text.len = reply->json.len = 0;
        buf_printf(&reply->text, "%s\n", err->text);
    }
    buf_puts(&json, err != NULL ? "{\"error\":" : "{\"values\":");
    if (err != NULL)
        json_put_string(&json, err->text, strlen(err->text));
    else if (reply->json.len > 0)
        buf_append(&json, reply->json.data, reply->json.len);
    else
        buf_puts(&json, "[]");
    if (session->printed.len > 0) {
        buf_puts(&json, ",\"output\":");
        json_put_string(&json, (char *)session->printed.data, session->printed.len);
        buf_append(&text, session->printed.data, session->printed.len);
        buf_append(&text, reply->text.data, reply->text.len);
        buf_destroy(&reply->text);
        reply->text = text;
    }
    buf_puts(&json, "}");
    buf_destroy(&reply->json);
    reply->json = json;
    session->printed.len = 0;
}

void session_eval(struct session *session, const char *text, size_t len,
                  struct session_reply *reply)
{
    struct error err;
    int failed = 0;

    reply->outcome = SESSION_DONE;
    reply->text.len = reply->json.len = 0;
    session->text = text;
    session->len = len;
    session->reply = reply;
    session->printed.len = 0;
    if (len > MAX_TEXT_BYTES)
        failed = error_set(&err, ERR_LIMIT, "longer than %zu bytes", MAX_TEXT_BYTES);
    if (!failed)
        failed = renew(session, &err);
    if (!failed)
        failed = run_as_actor(session, eval_run, session->options.time_ms * 1000000, &err);
    if (failed)
        actor_forget(&session->actor);
    else
        failed = actor_commit(&session->actor, &err);
    session->reply = NULL;
    if (failed && __atomic_load_n(&session->cancelled, __ATOMIC_RELAXED) != 0)
        failed = error_set(&err, ERR_CANCELLED, "was cancelled");
    session_uncancel(session);
    finish(session, reply, failed ? &err : NULL);
}

/* --- completing --------------------------------------------------------------------------------
 */

static void complete_run(lua_State *L, void *ctx)
{
    struct session *session = ctx;
    size_t len;
    const char *text;

    sandbox_require_raises(L, "tidemark.session");
    lua_getfield(L, -1, "complete");
    lua_pushlstring(L, session->text, session->len);
    lua_call(L, 1, 1);
    text = lua_tolstring(L, -1, &len);
    buf_append(session->completion, text, len);
}

void session_complete(struct session *session, const char *text, size_t len, size_t cursor,
                      struct buf *out)
{
    size_t before = out->len;
    struct error err;

    session->text = text;
    session->len = TIDE_MIN(TIDE_MIN(cursor, len), MAX_TEXT_BYTES);
    session->completion = out;
    if (renew(session, &err) != 0 ||
        run_as_actor(session, complete_run, COMPLETE_TIME_NS, &err) != 0) {
        out->len = before;
        buf_printf(out, "{\"from\":%zu,\"items\":[]}", session->len);
    }
    actor_forget(&session->actor);
}
