/* pressure_rules.c - see pressure_rules.h. */
#include "script/pressure_rules.h"

#include <math.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "script/rulebook_impl.h"

/* One call of a rule. */
struct pressure_call {
    struct script_state *state;
    const struct rule *rule;
    struct pressure_candidate *list;
    size_t count;
    uint32_t *order;
    size_t ordered;
    int64_t *keeps_ms; /* by index of the list; 0: as it was */
    bool answered;
};

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* Seconds; nothing for what is unknown. */
static void set_time(lua_State *L, const char *name, int64_t time_ms)
{
    if (time_ms != 0 && time_ms != TIDE_EARLIEST_MS && time_ms != TIDE_LATEST_MS)
        set_number(L, name, (double)time_ms / 1000);
}

static void push_candidate(lua_State *L, const struct pressure_candidate *candidate)
{
    const struct series_view *view = &candidate->view;
    struct series_use use = series_view_use(view);

    lua_createtable(L, 0, 9);
    lua_createtable(L, 0, (int)labels_count(view->labels));
    for (size_t i = 0; i < labels_count(view->labels); i++) {
        struct label label = labels_at(view->labels, i);

        lua_pushlstring(L, label.name, label.name_len);
        lua_pushlstring(L, label.value, label.value_len);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "labels");
    set_number(L, "bytes", (double)view->bytes);
    set_number(L, "chunks", (double)view->chunks);
    set_time(L, "first", view->first_ms);
    set_time(L, "last", view->last_ms);
    set_time(L, "created", use.created_ms);
    set_time(L, "last_read", use.last_read_ms);
    if (use.reads != USE_READS_UNKNOWN)
        set_number(L, "reads", (double)use.reads);
}

/* The library's part of the rule answers with two lists: indexes, and what each keeps. */
static void read_answer(lua_State *L, struct pressure_call *call, int indexes)
{
    size_t len = lua_objlen(L, indexes);

    for (size_t i = 0; i < len && i < call->count; i++) {
        size_t index;
        double keep_ms;

        lua_rawgeti(L, indexes, (int)i + 1);
        lua_rawgeti(L, indexes + 1, (int)i + 1);
        index = (size_t)lua_tonumber(L, -2) - 1;
        keep_ms = lua_tonumber(L, -1);
        lua_pop(L, 2);
        if (index >= call->count)
            continue;
        call->order[call->ordered++] = (uint32_t)index;
        if (keep_ms > 0)
            call->keeps_ms[index] =
                isinf(keep_ms) || keep_ms >= 9e18 ? RETENTION_FOREVER : (int64_t)keep_ms;
    }
    call->answered = true;
}

static void call_run(lua_State *L, void *ctx)
{
    struct pressure_call *call = ctx;
    int base = lua_gettop(L);

    call->ordered = 0;
    script_state_push_raises(L, call->state, call->rule);
    lua_createtable(L, (int)call->count, 0);
    for (size_t i = 0; i < call->count; i++) {
        push_candidate(L, &call->list[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_call(L, 1, 2);
    if (!lua_isnil(L, base + 1))
        read_answer(L, call, base + 1);
}

bool pressure_rules_are_there(void *ctx)
{
    struct ruleset *set = rulebook_take_rules(ctx);
    bool any = set->hook_count[RULE_DISK_PRESSURE] != 0;

    ruleset_unref(set);
    return any;
}

int pressure_rank(void *ctx, struct pressure_candidate *list, size_t count, uint32_t *order,
                  size_t *ordered, char title[POLICY_RULE_BYTES])
{
    struct script_state *state = script_state_of(ctx);
    const struct ruleset *set = state->set;
    struct pressure_call call = {.state = state, .list = list, .count = count, .order = order};
    int result = 0;
    struct error err;

    call.keeps_ms = mem_zalloc(count + 1, sizeof(*call.keeps_ms));
    for (size_t i = 0; i < set->hook_count[RULE_DISK_PRESSURE] && result == 0; i++) {
        call.rule = set->by_hook[RULE_DISK_PRESSURE][i];
        state->binding.decision = (struct decision){0};
        if (!script_state_can_answer(state, call.rule) ||
            script_state_call(state, call.rule, call_run, &call, &err) != 0)
            result = -1;
        else if (call.answered)
            result = 1;
    }
    *ordered = result == 1 ? call.ordered : 0;
    for (size_t i = 0; i < count && result == 1; i++) {
        if (call.keeps_ms[i] != 0)
            list[i].keep_ms = call.keeps_ms[i];
    }
    if (result == 1)
        snprintf(title, POLICY_RULE_BYTES, "%s", call.rule->title);
    mem_free(call.keeps_ms);
    return result;
}

void pressure_tell(void *ctx, uint64_t free_bytes, uint64_t bound_bytes)
{
    struct rulebook *book = ctx;

    events_put(book->events, &(struct script_event){.kind = EVENT_DISK_LOW,
                                                    .time_ms = clock_wall_ms(book->clock),
                                                    .number = (double)free_bytes,
                                                    .bound = (double)bound_bytes});
}
