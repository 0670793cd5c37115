/* mask.c - see mask.h. */
#include "script/mask.h"

#include <lauxlib.h>
#include <lua.h>

#include "script/rulebook.h"
#include "script/rulebook_impl.h"
#include "script/shape.h"

struct masking {
    struct script_state *state;
    const struct rule *rule;
};

bool rulebook_masks(struct rulebook *book)
{
    return book != NULL && script_state_of(book)->set->hook_count[RULE_RESULT] > 0;
}

bool rulebook_hides(struct rulebook *book, const char *name, size_t len)
{
    const struct ruleset *set = script_state_of(book)->set;

    for (size_t i = 0; i < set->hook_count[RULE_RESULT]; i++) {
        const struct rule *rule = set->by_hook[RULE_RESULT][i];

        for (size_t k = 0; k < rule->label_count; k++) {
            if (strlen(rule->labels[k].name) == len && memcmp(rule->labels[k].name, name, len) == 0)
                return true;
        }
    }
    return false;
}

static void mask_run(lua_State *L, void *ctx)
{
    struct masking *masking = ctx;

    script_state_push_raises(L, masking->state, masking->rule);
    lua_rawgeti(L, LUA_REGISTRYINDEX, masking->state->binding.query_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, masking->state->binding.series_ref);
    lua_call(L, 2, 1);
    if (!lua_isnil(L, -1))
        luaL_error(L, "answered a %s: set labels of the series, and answer nothing",
                   luaL_typename(L, -1));
}

int rulebook_mask(struct rulebook *book, struct read_request *read, const struct labels *labels,
                  struct labels **masked, struct error *err)
{
    struct script_state *state = script_state_of(book);
    const struct ruleset *set = state->set;
    const struct series_view view = {.labels = labels};
    struct labels_builder builder;
    struct decision *decision = &state->binding.decision;
    int result = 0;

    labels_builder_init(&builder);
    labels_builder_reset(&builder, labels);
    arena_reset(&state->binding.scratch);
    *decision = (struct decision){.series = &view, .builder = &builder, .read = read};
    for (size_t i = 0; i < set->hook_count[RULE_RESULT] && result == 0; i++) {
        struct masking masking = {state, set->by_hook[RULE_RESULT][i]};

        if (!matchers_accept(masking.rule->matchers, masking.rule->matcher_count, labels))
            continue;
        decision->hiding = masking.rule;
        if (!script_state_can_answer(state, masking.rule) ||
            script_state_call(state, masking.rule, mask_run, &masking, err) != 0)
            result =
                error_set(err, ERR_BUSY, "the result rule \"%s\" is broken, so nothing can be read",
                          masking.rule->title);
    }
    *masked = result == 0 && decision->changed ? labels_builder_build(&builder) : NULL;
    *decision = (struct decision){0};
    labels_builder_destroy(&builder);
    return result;
}
