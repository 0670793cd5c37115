/* downsample_rules.c - see downsample_rules.h.
 *
 * The rules of one series are tiers: each has an opinion on what is older than its `after`, the
 * first in file order that has one decides. A broken rule has one, too: there all stays as it is.
 */
#include "script/downsample_rules.h"

#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>

#include "script/functions.h"
#include "script/rulebook_impl.h"

/* One call of a rule's function: which of its two jobs, and what came of it. */
struct downsample_call {
    struct script_state *state;
    const struct rule *rule;
    const int64_t *times_ms; /* NULL: asked whether the series is meant */
    const double *values;
    size_t len;
    int64_t end_ms;
    bool answered; /* it is meant; there is a value */
    double value;
};

static void call_run(lua_State *L, void *ctx)
{
    struct downsample_call *call = ctx;

    script_state_push_raises(L, call->state, call->rule);
    if (call->times_ms == NULL) {
        lua_pushliteral(L, "match");
        lua_rawgeti(L, LUA_REGISTRYINDEX, call->state->binding.series_ref);
        lua_call(L, 2, 1);
        call->answered = lua_toboolean(L, -1);
        return;
    }
    lua_pushliteral(L, "using");
    functions_push_window_raises(L, call->state, call->times_ms, call->values, call->len);
    lua_pushnumber(L, (double)call->end_ms / 1000);
    lua_call(L, 4, 1);
    if (lua_isnil(L, -1))
        return;
    if (lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "answered a %s, neither a number nor nil", luaL_typename(L, -1));
    call->value = lua_tonumber(L, -1);
    call->answered = true;
}

static enum downsample_method method_of(const struct rule *rule)
{
    static const char *const names[] = {"last", "counter", "avg",   "min",
                                        "max",  "sum",     "count", "function"};

    for (size_t i = 0; i < TIDE_COUNT(names); i++) {
        if (strcmp(rule->text, names[i]) == 0)
            return (enum downsample_method)i;
    }
    return DOWNSAMPLE_FUNCTION;
}

bool downsamples(void *ctx)
{
    struct ruleset *set = rulebook_take_rules(ctx);
    bool any = set->hook_count[RULE_DOWNSAMPLE] != 0;

    ruleset_unref(set);
    return any;
}

/* 1: the rule means the series; 0: not; -1: it is broken. */
static int means(struct script_state *state, const struct rule *rule,
                 const struct series_view *series)
{
    struct downsample_call call = {.state = state, .rule = rule};
    struct error err;

    if (!rule_matches(rule, series))
        return 0;
    if (rule->has_function && !script_state_can_answer(state, rule))
        return -1;
    if (!rule->asks_match)
        return 1;
    if (script_state_call(state, rule, call_run, &call, &err) != 0)
        return -1;
    return call.answered ? 1 : 0;
}

void downsample_of(void *ctx, const struct series_view *series, struct downsample_verdict *verdict)
{
    struct script_state *state = script_state_of(ctx);
    const struct ruleset *set = state->set;
    int64_t youngest_ms = INT64_MAX;

    verdict->count = 0;
    verdict->rules = ruleset_retention(set);
    decision_begin(state, series, NULL);
    for (size_t i = 0; i < set->hook_count[RULE_DOWNSAMPLE]; i++) {
        const struct rule *rule = set->by_hook[RULE_DOWNSAMPLE][i];
        struct downsample_tier *tier = &verdict->tiers[verdict->count];
        int answer;

        if (rule->after_ms >= youngest_ms) /* one before it has decided for all that it means */
            continue;
        answer = means(state, rule, series);
        if (answer == 0)
            continue;
        if (answer < 0 || verdict->count == DOWNSAMPLE_TIERS)
            break;
        *tier = (struct downsample_tier){
            .after_ms = rule->after_ms, .every_ms = rule->every_ms, .method = method_of(rule)};
        snprintf(tier->rule, sizeof(tier->rule), "%s", rule->title);
        youngest_ms = rule->after_ms;
        verdict->count++;
    }
    decision_end(state);
}

static const struct rule *find_rule(const struct ruleset *set, const char *title)
{
    for (size_t i = 0; i < set->hook_count[RULE_DOWNSAMPLE]; i++) {
        const struct rule *rule = set->by_hook[RULE_DOWNSAMPLE][i];

        if (strcmp(rule->title, title) == 0 && rule->has_function)
            return rule;
    }
    return NULL;
}

int downsample_window(void *ctx, const char *title, const int64_t *times_ms, const double *values,
                      size_t len, int64_t end_ms, double *value, struct error *err)
{
    struct script_state *state = script_state_of(ctx);
    struct downsample_call call = {.state = state,
                                   .rule = find_rule(state->set, title),
                                   .times_ms = times_ms,
                                   .values = values,
                                   .len = len,
                                   .end_ms = end_ms};
    int failed;

    if (call.rule == NULL)
        return error_set(err, ERR_EXECUTION, "rule \"%s\" went with a reload", title);
    if (!script_state_can_answer(state, call.rule))
        return error_set(err, ERR_EXECUTION, "rule \"%s\" is suspended", title);
    state->binding.decision = (struct decision){0};
    failed = script_state_call(state, call.rule, call_run, &call, err);
    state->binding.era++;
    if (failed) {
        err->code = ERR_EXECUTION;
        return -1;
    }
    *value = call.value;
    return call.answered ? 1 : 0;
}
