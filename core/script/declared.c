/* declared.c - see declared.h. The tables that are read here are lua/tidemark/intake.lua's:
 * complete and checked. */
#include "script/declared.h"

#include <math.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "script/rule_stats.h"
#include "script/rulebook_impl.h"

/* --- out of tables -----------------------------------------------------------------------------
 */

/* Whether the table on top has a number there. */
static bool take_number(lua_State *L, const char *name, double *number)
{
    bool found;

    lua_getfield(L, -1, name);
    found = lua_isnumber(L, -1) != 0;
    if (found)
        *number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return found;
}

static bool take_boolean(lua_State *L, const char *name)
{
    bool is;

    lua_getfield(L, -1, name);
    is = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return is;
}

/* Field `name`: a list of texts. `list` is reachable from outside before anything may raise. */
static void take_names_raises(lua_State *L, const char *name, const char *const **list,
                              size_t *count)
{
    size_t there;
    char **names;

    lua_getfield(L, -1, name);
    there = lua_objlen(L, -1);
    names = mem_zalloc(there + 1, sizeof(*names));
    *list = (const char *const *)names;
    for (size_t i = 0; i < there; i++) {
        size_t len;
        const char *text;

        lua_rawgeti(L, -1, (int)i + 1);
        text = luaL_checklstring(L, -1, &len);
        names[i] = mem_dup(text, len);
        *count = i + 1;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* `digits` behind the point; the unit is a power of ten from 1 on, so that it is exact. */
static void set_rounding(struct transform_rule *rule, double digits)
{
    rule->rounds = true;
    rule->coarse = digits < 0;
    rule->unit = 1;
    for (int i = 0; i < (int)fabs(digits); i++)
        rule->unit *= 10;
}

static void take_transform(lua_State *L, struct transform_rule *rule)
{
    double digits = 0, interval_ms = 0;

    rule->drops_nan = take_boolean(L, "drop_nan");
    rule->scale = 1;
    rule->scales = take_number(L, "scale", &rule->scale);
    rule->scales = take_number(L, "offset", &rule->offset) || rule->scales;
    rule->min = -HUGE_VAL;
    rule->max = HUGE_VAL;
    rule->clamps = take_number(L, "min", &rule->min);
    rule->clamps = take_number(L, "max", &rule->max) || rule->clamps;
    if (take_number(L, "round", &digits))
        set_rounding(rule, digits);
    take_number(L, "interval_ms", &interval_ms);
    rule->interval_ms = (int64_t)interval_ms;
}

static void take_limit_raises(lua_State *L, struct limit_rule *rule)
{
    double number = 0;

    take_names_raises(L, "by", &rule->by, &rule->by_count);
    take_names_raises(L, "strip", &rule->strip, &rule->strip_count);
    rule->has_series = take_number(L, "series", &number);
    rule->series = (uint64_t)number;
    take_number(L, "rate", &rule->samples_per_second);
    take_number(L, "burst", &rule->burst_seconds);
    take_number(L, "soft", &rule->soft);
    number = 0;
    take_number(L, "over", &number);
    rule->over = (enum limit_over)number;
    number = 1;
    take_number(L, "one_in", &number);
    rule->one_in = (uint32_t)number;
}

void declared_take_raises(lua_State *L, struct rule *rule)
{
    if (rule->hook == RULE_TRANSFORM) {
        rule->transform = mem_zalloc(1, sizeof(*rule->transform));
        lua_getfield(L, -1, "transform");
        luaL_checktype(L, -1, LUA_TTABLE);
        take_transform(L, rule->transform);
        lua_pop(L, 1);
    }
    if (rule->hook == RULE_LIMIT) {
        rule->limit = mem_zalloc(1, sizeof(*rule->limit));
        lua_getfield(L, -1, "limit");
        luaL_checktype(L, -1, LUA_TTABLE);
        take_limit_raises(L, rule->limit);
        lua_pop(L, 1);
    }
}

/* --- for the store -----------------------------------------------------------------------------
 */

void declared_gather(struct ruleset *set)
{
    size_t transforms = set->hook_count[RULE_TRANSFORM], limits = set->hook_count[RULE_LIMIT];

    set->transforms = mem_zalloc(transforms + 1, sizeof(*set->transforms));
    set->limits = mem_zalloc(limits + 1, sizeof(*set->limits));
    for (size_t i = 0; i < transforms; i++) {
        const struct rule *rule = set->by_hook[RULE_TRANSFORM][i];

        set->transforms[i] = *rule->transform;
        set->transforms[i].title = rule->title;
        set->transforms[i].matchers = rule->matchers;
        set->transforms[i].matcher_count = rule->matcher_count;
    }
    for (size_t i = 0; i < limits; i++) {
        const struct rule *rule = set->by_hook[RULE_LIMIT][i];

        set->limits[i] = *rule->limit;
        set->limits[i].title = rule->title;
        set->limits[i].matchers = rule->matchers;
        set->limits[i].matcher_count = rule->matcher_count;
    }
}

void declared_count_in_stats(struct ruleset *set)
{
    for (size_t i = 0; i < set->hook_count[RULE_TRANSFORM]; i++)
        set->transforms[i].counts = &set->by_hook[RULE_TRANSFORM][i]->stats->intake;
    for (size_t i = 0; i < set->hook_count[RULE_LIMIT]; i++)
        set->limits[i].counts = &set->by_hook[RULE_LIMIT][i]->stats->intake;
}

static void free_names(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mem_free((char *)(uintptr_t)names[i]);
    mem_free((void *)(uintptr_t)names);
}

void declared_free(struct rule *rule)
{
    mem_free(rule->transform);
    if (rule->limit == NULL)
        return;
    free_names(rule->limit->by, rule->limit->by_count);
    free_names(rule->limit->strip, rule->limit->strip_count);
    mem_free(rule->limit);
}

static void give_back(void *owner)
{
    ruleset_unref(owner);
}

void declared_lend(void *ctx, struct intake_rules *rules)
{
    struct ruleset *set = rulebook_take_rules(ctx);

    *rules = (struct intake_rules){.transforms = set->transforms,
                                   .transform_count = set->hook_count[RULE_TRANSFORM],
                                   .limits = set->limits,
                                   .limit_count = set->hook_count[RULE_LIMIT],
                                   .owner = set,
                                   .release = give_back};
}
