/* functions.c - see functions.h. */
#include "script/functions.h"

#include <lauxlib.h>
#include <lua.h>

#include "script/columns_binding.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"

/* One call of one function. */
struct function_call {
    struct script_state *state;
    const struct rule *rule;
    const struct function_row *row;
    const int64_t *times_ms;
    const double *values;
    size_t len;
    const double *scalars;
    size_t scalar_count;
    bool answered;
    double result;
};

void functions_push_window_raises(lua_State *L, struct script_state *state, const int64_t *times_ms,
                                  const double *values, size_t len)
{
    struct lua_column *times, *column;

    if (state->times_ref == 0) {
        columns_push_borrowed_raises(L);
        state->times_ref = luaL_ref(L, LUA_REGISTRYINDEX);
        columns_push_borrowed_raises(L);
        state->values_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->times_ref);
    times = lua_touserdata(L, -1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->values_ref);
    column = lua_touserdata(L, -1);
    *times = (struct lua_column){.times_ms = times_ms, .len = len, .era = state->binding.era};
    *column = (struct lua_column){.values = values, .len = len, .era = state->binding.era};
}

static void call_run(lua_State *L, void *ctx)
{
    struct function_call *call = ctx;
    int args = (int)call->scalar_count;

    script_state_push_raises(L, call->state, call->rule);
    if (call->row->args[0] == EXPR_TYPE_RANGE) {
        functions_push_window_raises(L, call->state, call->times_ms, call->values, call->len);
        args += 2;
    } else {
        lua_pushnumber(L, call->values[0]);
        args += 1;
    }
    for (size_t i = 0; i < call->scalar_count; i++)
        lua_pushnumber(L, call->scalars[i]);
    lua_call(L, args, 1);
    if (lua_isnil(L, -1))
        return;
    if (lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "answered a %s, neither a number nor nil", luaL_typename(L, -1));
    call->result = lua_tonumber(L, -1);
    call->answered = true;
}

/* The function of this name and shape in the rules that the thread's state has: those of the query,
 * or newer ones. */
static const struct rule *find_rule(const struct script_state *state,
                                    const struct function_row *wanted)
{
    const struct ruleset *set = state->set;

    for (size_t i = 0; i < set->hook_count[RULE_FUNC]; i++) {
        const struct function_row *row = &set->functions.rows[i];

        if (strcmp(row->name, wanted->name) == 0 &&
            memcmp(row->args, wanted->args, sizeof(row->args)) == 0)
            return set->by_hook[RULE_FUNC][i];
    }
    return NULL;
}

static int call_function(void *ctx, const struct function_row *row, const int64_t *times_ms,
                         const double *values, size_t len, const double *scalars,
                         size_t scalar_count, double *result, struct error *err)
{
    struct script_state *state = script_state_of(ctx);
    struct function_call call = {.state = state,
                                 .rule = find_rule(state, row),
                                 .row = row,
                                 .times_ms = times_ms,
                                 .values = values,
                                 .len = len,
                                 .scalars = scalars,
                                 .scalar_count = scalar_count};
    int failed;

    if (call.rule == NULL)
        return error_set(err, ERR_BUSY, "function \"%s\" went with a reload", row->name);
    if (!script_state_can_answer(state, call.rule))
        return error_set(err, ERR_EXECUTION, "function \"%s\" is suspended: it failed too often",
                         row->name);
    state->binding.decision = (struct decision){0};
    failed = script_state_call(state, call.rule, call_run, &call, err);
    state->binding.era++;
    if (failed) {
        err->code = ERR_EXECUTION;
        return -1;
    }
    *result = call.result;
    return call.answered ? 1 : 0;
}

void rule_functions_begin(struct rule_functions *functions, struct rulebook *book)
{
    *functions = (struct rule_functions){.book = book};
    if (book == NULL)
        return;
    functions->rules = rulebook_take_rules(book);
    if (functions->rules->functions.count > 0)
        functions->set = &functions->rules->functions;
    functions->added = (struct added_functions){.ctx = book, .call = call_function};
}

void rule_functions_end(struct rule_functions *functions)
{
    ruleset_unref(functions->rules);
    functions->rules = NULL;
}
