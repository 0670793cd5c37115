/* decide.c - the store's questions, put to the operator's rules (rulebook.h, store/policy.h).
 *
 * The order of rules, what matches and what a failure means is decided here; a rule's function runs
 * by itself, in one sandbox_run, and its answer is read in there. */
#include <math.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/declared.h"
#include "script/downsample_rules.h"
#include "script/pressure_rules.h"
#include "script/rulebook.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "script/trace.h"

/* An answer that looked at time or growth, but does not say how long it holds. */
#define MOVING_VALID_MS ((int64_t)3600 * 1000)
/* The shortest time for which an answer is believed; else a rule could be asked without end. */
#define MIN_VALID_MS ((int64_t)1000)
#define MAX_DURATIONS 1000
#define DROP_REASON_BYTES 101

/* One call of one rule. */
struct call {
    struct script_state *state;
    const struct rule *rule;
    const struct damage *damage; /* quarantine */

    bool answered; /* not nil */
    int64_t keep_ms;
    int64_t valid_ms; /* 0: the rule did not say */
    enum damage_verdict verdict;
    bool drop;
    char reason[DROP_REASON_BYTES];
};

/* --- calling -------------------------------------------------------------------------------------
 */

/* Milliseconds of the duration at stack index `at` (absolute). Texts are remembered. */
static int64_t duration_raises(lua_State *L, struct script_state *state, int at)
{
    double ms;

    lua_rawgeti(L, LUA_REGISTRYINDEX, state->durations_ref);
    if (lua_type(L, at) == LUA_TSTRING) {
        lua_pushvalue(L, at);
        lua_rawget(L, -2);
        if (!lua_isnil(L, -1)) {
            ms = lua_tonumber(L, -1);
            lua_pop(L, 2);
            return isinf(ms) ? RETENTION_FOREVER : (int64_t)ms;
        }
        lua_pop(L, 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->milliseconds_ref);
    lua_pushvalue(L, at);
    lua_call(L, 1, 1);
    if (!lua_isnumber(L, -1)) {
        if (lua_type(L, at) == LUA_TSTRING)
            luaL_error(L, "answered \"%s\", which is not a duration (try \"15d\")",
                       lua_tostring(L, at));
        luaL_error(L, "answered a %s, not a duration (try \"15d\")", luaL_typename(L, at));
    }
    ms = lua_tonumber(L, -1);
    if (lua_type(L, at) == LUA_TSTRING && state->duration_count < MAX_DURATIONS) {
        state->duration_count++;
        lua_pushvalue(L, at);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
    return isinf(ms) || ms >= 9e18 ? RETENTION_FOREVER : (int64_t)ms;
}

static void read_retention(lua_State *L, struct call *call, int first)
{
    if (lua_isnil(L, first))
        return;
    call->keep_ms = duration_raises(L, call->state, first);
    if (call->keep_ms <= 0)
        luaL_error(L, "answered %s: nothing would be kept", lua_tostring(L, first));
    if (!lua_isnil(L, first + 1)) {
        call->valid_ms = duration_raises(L, call->state, first + 1);
        if (call->valid_ms <= 0)
            luaL_error(L, "answered a time of validity that is not over 0");
    }
    call->answered = true;
}

static void read_admit(lua_State *L, struct call *call, int first)
{
    bool dropped = false;

    if (lua_isnil(L, first))
        return;
    if (lua_getmetatable(L, first) != 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, call->state->drop_ref);
        dropped = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (!dropped)
        luaL_error(L, "answered a %s, neither nil nor tide.drop(reason)", luaL_typename(L, first));
    lua_pushliteral(L, "reason");
    lua_rawget(L, first);
    snprintf(call->reason, sizeof(call->reason), "%s", luaL_checkstring(L, -1));
    call->drop = true;
    call->answered = true;
}

static void read_quarantine(lua_State *L, struct call *call, int first)
{
    static const char *const verdicts[] = {"quarantine", "salvage", "delete", NULL};
    const char *text = lua_type(L, first) == LUA_TSTRING ? lua_tostring(L, first) : NULL;

    if (lua_isnil(L, first))
        return;
    for (int i = 0; text != NULL && verdicts[i] != NULL; i++) {
        if (strcmp(text, verdicts[i]) == 0) {
            call->verdict = (enum damage_verdict)i;
            call->answered = true;
            return;
        }
    }
    luaL_error(L, "answered %s, not \"quarantine\", \"salvage\" or \"delete\"",
               text != NULL ? text : luaL_typename(L, first));
}

static void push_damage(lua_State *L, const struct damage *damage)
{
    lua_createtable(L, 0, 5);
    lua_pushstring(L, damage->file);
    lua_setfield(L, -2, "file");
    lua_pushstring(L, damage->text);
    lua_setfield(L, -2, "text");
    lua_pushnumber(L, (double)damage->offset);
    lua_setfield(L, -2, "offset");
    lua_pushnumber(L, (double)damage->chunks_sound);
    lua_setfield(L, -2, "chunks_sound");
    lua_pushnumber(L, (double)damage->chunks_bad);
    lua_setfield(L, -2, "chunks_bad");
}

static void call_run(lua_State *L, void *ctx)
{
    static void (*const readers[RULE_HOOKS])(lua_State * L, struct call * call, int first) = {
        read_retention, read_admit, read_quarantine};
    struct call *call = ctx;
    struct script_state *state = call->state;

    script_state_push_raises(L, state, call->rule);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->binding.series_ref);
    if (call->damage != NULL)
        push_damage(L, call->damage);
    lua_call(L, call->damage != NULL ? 2 : 1, 2);
    readers[call->rule->hook](L, call, 1);
}

static int call_rule(struct call *call, struct error *err)
{
    return script_state_call(call->state, call->rule, call_run, call, err);
}

void decision_begin(struct script_state *state, const struct series_view *series,
                    struct labels_builder *builder)
{
    arena_reset(&state->binding.scratch);
    state->binding.decision = (struct decision){.series = series, .builder = builder};
}

void decision_end(struct script_state *state)
{
    state->binding.decision.series = NULL;
    state->binding.decision.builder = NULL;
}

bool rule_matches(const struct rule *rule, const struct series_view *series)
{
    return rule->matcher_count == 0 ||
           (series->labels != NULL &&
            matchers_accept(rule->matchers, rule->matcher_count, series->labels));
}

/* --- retention -----------------------------------------------------------------------------------
 */

static int64_t valid_until(const struct script_state *state, int64_t valid_ms)
{
    int64_t now_ms;

    if (valid_ms == RETENTION_FOREVER)
        return TIDE_LATEST_MS;
    now_ms = clock_wall_ms(state->book->clock);
    return now_ms + TIDE_MIN(TIDE_MAX(valid_ms, MIN_VALID_MS), TIDE_LATEST_MS - now_ms);
}

static struct retention_verdict retention_of(void *ctx, const struct series_view *series)
{
    struct script_state *state = script_state_of(ctx);
    const struct ruleset *set = state->set;
    struct call call = {.state = state, .keep_ms = RETENTION_DEFAULT};
    int64_t valid_ms = RETENTION_FOREVER;
    const char *decided = NULL;
    struct error err;

    decision_begin(state, series, NULL);
    for (size_t i = 0; i < set->hook_count[RULE_RETENTION] && !call.answered; i++) {
        const struct rule *rule = set->by_hook[RULE_RETENTION][i];

        if (!rule_matches(rule, series))
            continue;
        if (rule->keep_ms != 0) {
            call.keep_ms = rule->keep_ms;
            decided = rule->title;
            break;
        }
        call.rule = rule;
        call.valid_ms = 0;
        if (!script_state_can_answer(state, rule) || call_rule(&call, &err) == -1) {
            /* It may have meant to keep more than the configuration does. */
            call.keep_ms = RETENTION_FOREVER;
            valid_ms = script_state_can_answer(state, rule) ? MOVING_VALID_MS : RETENTION_FOREVER;
            break;
        }
        decided = rule->title;
        if (call.valid_ms == 0)
            call.valid_ms = state->binding.decision.moving ? MOVING_VALID_MS : RETENTION_FOREVER;
        valid_ms = TIDE_MIN(valid_ms, call.valid_ms);
    }
    decision_end(state);
    return (struct retention_verdict){
        .by_use = state->binding.decision.by_use,
        .keep_ms = call.keep_ms,
        .valid_until_ms = valid_until(state, valid_ms),
        .rule = decided,
        .rules = ruleset_retention(set),
    };
}

/* --- admit ---------------------------------------------------------------------------------------
 */

static bool builder_is_empty(const struct labels_builder *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->list[i].value_len != 0)
            return false;
    }
    return true;
}

/* What a rule did to the labels can be taken back. */
struct snapshot {
    struct label *list;
    size_t count;
    bool changed;
};

static struct snapshot snapshot_take(struct script_state *state,
                                     const struct labels_builder *labels)
{
    struct snapshot snapshot = {.count = labels->count, .changed = state->binding.decision.changed};

    snapshot.list =
        arena_alloc(&state->binding.scratch, (labels->count + 1) * sizeof(*snapshot.list));
    if (labels->count > 0)
        memcpy(snapshot.list, labels->list, labels->count * sizeof(*snapshot.list));
    return snapshot;
}

static void snapshot_restore(const struct snapshot *snapshot, struct script_state *state,
                             struct labels_builder *labels)
{
    if (snapshot->count > 0)
        memcpy(labels->list, snapshot->list, snapshot->count * sizeof(*snapshot->list));
    labels->count = snapshot->count;
    state->binding.decision.changed = snapshot->changed;
}

static enum admit_verdict admit(void *ctx, struct labels_builder *labels, char *why,
                                size_t why_size)
{
    struct script_state *state = script_state_of(ctx);
    const struct ruleset *set = state->set;
    const struct series_view series = {0};
    enum admit_verdict verdict = ADMIT_AS_IS;
    struct error err;

    if (set->hook_count[RULE_ADMIT] == 0)
        return ADMIT_AS_IS;
    decision_begin(state, &series, labels);
    for (size_t i = 0; i < set->hook_count[RULE_ADMIT]; i++) {
        struct call call = {.state = state, .rule = set->by_hook[RULE_ADMIT][i]};
        struct snapshot snapshot;

        if (!script_state_can_answer(state, call.rule) ||
            !matchers_accept_list(call.rule->matchers, call.rule->matcher_count, labels->list,
                                  labels->count))
            continue;
        snapshot = snapshot_take(state, labels);
        if (call_rule(&call, &err) == -1) {
            snapshot_restore(&snapshot, state, labels);
        } else if (call.drop) {
            snprintf(why, why_size, "dropped by the rule \"%s\": %s", call.rule->title,
                     call.reason);
            verdict = ADMIT_DROP;
            break;
        } else if (builder_is_empty(labels)) {
            snapshot_restore(&snapshot, state, labels);
            error_set(&err, ERR_INVALID, "took all labels away");
            rule_stats_bad(call.rule, set->version, state->book->max_errors, 0, &err);
        }
    }
    if (verdict == ADMIT_AS_IS && state->binding.decision.changed)
        verdict = ADMIT_CHANGED;
    decision_end(state);
    return verdict;
}

/* --- quarantine ----------------------------------------------------------------------------------
 */

static enum damage_verdict quarantine(void *ctx, const struct series_view *series,
                                      const struct damage *damage)
{
    static const struct series_view unknown = {.first_ms = TIDE_EARLIEST_MS,
                                               .last_ms = TIDE_EARLIEST_MS};
    struct script_state *state = script_state_of(ctx);
    const struct ruleset *set = state->set;
    struct call call = {.state = state, .damage = damage, .verdict = DAMAGE_QUARANTINE};
    struct error err;

    if (series == NULL)
        series = &unknown;
    decision_begin(state, series, NULL);
    for (size_t i = 0; i < set->hook_count[RULE_QUARANTINE] && !call.answered; i++) {
        call.rule = set->by_hook[RULE_QUARANTINE][i];
        if (!rule_matches(call.rule, series))
            continue;
        if (!script_state_can_answer(state, call.rule) || call_rule(&call, &err) == -1) {
            call.verdict = DAMAGE_QUARANTINE;
            break;
        }
    }
    decision_end(state);
    return call.verdict;
}

/* -------------------------------------------------------------------------------------------------
 */

static enum event_kind event_of(enum store_event_kind kind)
{
    static const enum event_kind kinds[] = {EVENT_SERIES_NEW, EVENT_SERIES_GONE, EVENT_DAMAGE,
                                            EVENT_LIMIT_SOFT};

    return kinds[kind];
}

static bool event_wanted(void *ctx, enum store_event_kind kind)
{
    return events_wanted(((struct rulebook *)ctx)->events, event_of(kind));
}

static void event(void *ctx, enum store_event_kind kind, const struct labels *labels,
                  const char *text)
{
    struct rulebook *book = ctx;
    struct script_event put = {
        .kind = event_of(kind), .time_ms = clock_wall_ms(book->clock), .labels = labels};

    snprintf(put.text, sizeof(put.text), "%.*s", (int)sizeof(put.text) - 1,
             text != NULL ? text : "");
    events_put(book->events, &put);
}

static void limit_soft(void *ctx, const struct labels *labels, const char *title, double number,
                       double bound)
{
    struct rulebook *book = ctx;
    struct script_event put = {.kind = EVENT_LIMIT_SOFT,
                               .time_ms = clock_wall_ms(book->clock),
                               .labels = labels,
                               .number = number,
                               .bound = bound};

    snprintf(put.text, sizeof(put.text), "%s", title);
    events_put(book->events, &put);
}

static uint64_t retention_rules(void *ctx)
{
    struct ruleset *set = rulebook_take_rules(ctx);
    uint64_t name = ruleset_retention(set);

    ruleset_unref(set);
    return name;
}

static uint64_t version(void *ctx)
{
    return rulebook_version(ctx);
}

void decide_fill(struct policy *policy, struct rulebook *book)
{
    *policy = (struct policy){.ctx = book,
                              .retention_of = retention_of,
                              .explain_retention = rulebook_explain_retention,
                              .downsamples = downsamples,
                              .downsample_of = downsample_of,
                              .downsample_window = downsample_window,
                              .makes_room = pressure_rules_are_there,
                              .rank = pressure_rank,
                              .disk_low = pressure_tell,
                              .admit = admit,
                              .quarantine = quarantine,
                              .event = event,
                              .event_wanted = event_wanted,
                              .limit_soft = limit_soft,
                              .intake = declared_lend,
                              .retention_rules = retention_rules,
                              .version = version};
}
