/* shape.c - see shape.h. */
#include "script/shape.h"

#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "script/rulebook.h"
#include "script/rulebook_impl.h"

#define STATUS_BROKEN 503
#define REFUSAL_BYTES 201

struct shaping {
    struct script_state *state;
    const struct rule *rule;
    int status; /* of tide.refuse; 0: go on */
    char text[REFUSAL_BYTES];
};

const char *read_kind_name(enum read_kind kind)
{
    static const char *const names[READ_KINDS] = {
        "query",    "query_range", "series",      "labels", "label_values",
        "federate", "export",      "remote_read", "status",
    };

    return names[kind];
}

static void read_answer_raises(lua_State *L, struct shaping *shaping)
{
    bool refused = false;

    if (lua_isnil(L, 1))
        return;
    if (lua_getmetatable(L, 1) != 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, shaping->state->refuse_ref);
        refused = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (!refused)
        luaL_error(L, "answered a %s, neither nil nor tide.refuse(status, text)",
                   luaL_typename(L, 1));
    lua_pushliteral(L, "text");
    lua_rawget(L, 1);
    snprintf(shaping->text, sizeof(shaping->text), "%s", luaL_checkstring(L, -1));
    lua_pushliteral(L, "status");
    lua_rawget(L, 1);
    shaping->status = (int)luaL_checkinteger(L, -1);
}

static void shape_run(lua_State *L, void *ctx)
{
    struct shaping *shaping = ctx;

    script_state_push_raises(L, shaping->state, shaping->rule);
    lua_rawgeti(L, LUA_REGISTRYINDEX, shaping->state->binding.query_ref);
    lua_call(L, 1, 1);
    read_answer_raises(L, shaping);
}

static int broken(struct read_request *request, const struct rule *rule, struct error *err)
{
    request->status = STATUS_BROKEN;
    return error_set(err, ERR_BUSY, "the query rule \"%s\" is broken, so nothing can be read",
                     rule->title);
}

int rulebook_shape(struct rulebook *book, struct read_request *request, struct error *err)
{
    struct script_state *state = script_state_of(book);
    const struct ruleset *set = state->set;
    int64_t start_ms = request->start_ms, end_ms = request->end_ms;
    int result = 0;

    arena_reset(&state->binding.scratch);
    state->binding.decision = (struct decision){.read = request};
    for (size_t i = 0; i < set->hook_count[RULE_QUERY] && result == 0; i++) {
        struct shaping shaping = {.state = state, .rule = set->by_hook[RULE_QUERY][i]};

        if (!script_state_can_answer(state, shaping.rule) ||
            script_state_call(state, shaping.rule, shape_run, &shaping, err) == -1) {
            result = broken(request, shaping.rule, err);
        } else if (shaping.status != 0) {
            request->status = shaping.status;
            result =
                error_set(err, ERR_DENIED, "%s (rule \"%s\")", shaping.text, shaping.rule->title);
        }
    }
    state->binding.decision.read = NULL;
    request->times_cut = request->start_ms != start_ms || request->end_ms != end_ms;
    return result;
}

void read_request_destroy(struct read_request *request)
{
    for (size_t i = 0; i < request->restriction_count; i++)
        matcher_destroy(&request->restrictions[i]);
    mem_free(request->restrictions);
    request->restrictions = NULL;
    request->restriction_count = 0;
}
