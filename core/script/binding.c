/* binding.c - see binding.h. */
#include "script/binding.h"

#include <math.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/logger.h"
#include "base/utf8.h"
#include "disk/series_file.h"
#include "model/matcher.h"
#include "promql/function_table.h"
#include "script/act.h"
#include "script/columns_binding.h"
#include "script/ruleset.h"
#include "script/sandbox.h"
#include "script/shared.h"
#include "script/tally.h"

#define MAX_LABEL_BYTES ((size_t)64 << 10)
/* What scripts can make C hold or do between two hooks. */
#define MAX_SCRATCH_BYTES ((size_t)1 << 20) /* labels set in one decision */
#define MAX_PATTERN_BYTES ((size_t)1 << 10)
#define MAX_TEMPLATE_BYTES ((size_t)256)
#define MAX_SUBJECT_BYTES ((size_t)64 << 10)
#define MAX_LOG_BYTES 500

static struct binding *binding_of(lua_State *L)
{
    return sandbox_owner(L);
}

static struct decision *decision_raises(lua_State *L)
{
    struct decision *decision = &binding_of(L)->decision;

    if (decision->series == NULL)
        luaL_error(L, "a series can be read only inside the rule that got it");
    return decision;
}

/* --- labels --------------------------------------------------------------------------------------
 */

static bool find_label(const struct decision *decision, const char *name, size_t len,
                       struct label *label)
{
    if (decision->builder == NULL)
        return decision->series->labels != NULL &&
               labels_find(decision->series->labels, name, len, label);
    for (size_t i = 0; i < decision->builder->count; i++) {
        const struct label *at = &decision->builder->list[i];

        if (at->name_len == len && at->value_len != 0 && memcmp(at->name, name, len) == 0) {
            *label = *at;
            return true;
        }
    }
    return false;
}

static int labels_get(lua_State *L)
{
    struct decision *decision = decision_raises(L);
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);
    struct label label;

    if (find_label(decision, name, len, &label))
        lua_pushlstring(L, label.value, label.value_len);
    else
        lua_pushnil(L);
    return 1;
}

static bool may_hide(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->label_count; i++) {
        if (strcmp(rule->labels[i].name, name) == 0)
            return true;
    }
    return false;
}

static int labels_set(lua_State *L)
{
    struct decision *decision = decision_raises(L);
    struct arena *scratch = &binding_of(L)->scratch;
    size_t name_len;
    const char *name;
    size_t len = 0;
    const char *value = "";

    if (decision->builder == NULL)
        luaL_error(L, "labels can be set in admit and result only");
    if (lua_type(L, 2) != LUA_TSTRING)
        luaL_error(L, "a label's name is a text");
    name = lua_tolstring(L, 2, &name_len);
    if (decision->hiding != NULL && !may_hide(decision->hiding, name))
        luaL_error(L, "label %s: not in the rule's list `hide`", name);
    if (!lua_isnil(L, 3)) {
        if (lua_type(L, 3) != LUA_TSTRING)
            luaL_error(L, "label %s: a value is a text, not a %s", name, luaL_typename(L, 3));
        value = lua_tolstring(L, 3, &len);
    }
    if (name_len == 0 || name_len > MAX_LABEL_BYTES || len > MAX_LABEL_BYTES)
        luaL_error(L, "a label's name and value have at most %d bytes", (int)MAX_LABEL_BYTES);
    if (!utf8_valid(name, name_len) || !utf8_valid(value, len))
        luaL_error(L, "label %s: not UTF-8", name);
    if (memchr(name, 0, name_len) != NULL)
        luaL_error(L, "label %s: a zero byte in the name", name);
    if (scratch->used_bytes + name_len + len > MAX_SCRATCH_BYTES)
        luaL_error(L, "labels were set too often");
    labels_builder_set(decision->builder, arena_dup(scratch, name, name_len), name_len,
                       arena_dup(scratch, value, len), len);
    decision->changed = true;
    return 0;
}

/* label_at(labels, i): name and value of the i-th that is there; nothing past the end. */
static int native_label_at(lua_State *L)
{
    struct decision *decision = decision_raises(L);
    lua_Integer nth = luaL_checkinteger(L, 2);
    struct label label = {0};

    luaL_checktype(L, 1, LUA_TUSERDATA);
    if (nth < 1)
        return 0;
    if (decision->builder == NULL) {
        if (decision->series->labels == NULL ||
            (size_t)nth > labels_count(decision->series->labels))
            return 0;
        label = labels_at(decision->series->labels, (size_t)nth - 1);
    } else {
        for (size_t i = 0; i < decision->builder->count && nth > 0; i++) {
            label = decision->builder->list[i];
            if (label.value_len != 0)
                nth--;
        }
        if (nth > 0)
            return 0;
    }
    lua_pushlstring(L, label.name, label.name_len);
    lua_pushlstring(L, label.value, label.value_len);
    return 2;
}

/* --- series --------------------------------------------------------------------------------------
 */

/* Seconds since 1970; nil for the ends of time. */
static int push_time(lua_State *L, struct decision *decision, int64_t time_ms)
{
    decision->moving = true;
    if (time_ms == TIDE_EARLIEST_MS || time_ms == TIDE_LATEST_MS)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (double)time_ms / 1000);
    return 1;
}

/* Seconds since 1970; nil for 0. */
static void push_since(lua_State *L, int64_t time_ms)
{
    if (time_ms == 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (double)time_ms / 1000);
}

/* created, last_read, reads; false: another field. */
static bool push_use(lua_State *L, struct decision *decision, const char *field)
{
    struct series_use use;

    if (strcmp(field, "created") != 0 && strcmp(field, "last_read") != 0 &&
        strcmp(field, "reads") != 0)
        return false;
    decision->moving = true;
    decision->by_use |= field[0] != 'c';
    use = series_view_use(decision->series);
    if (field[0] != 'r')
        push_since(L, field[0] == 'c' ? use.created_ms : use.last_read_ms);
    else if (use.reads == USE_READS_UNKNOWN)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (double)use.reads);
    return true;
}

/* Upvalue 1: the labels userdata. */
static int series_get(lua_State *L)
{
    struct decision *decision = decision_raises(L);
    const struct series_view *series = decision->series;
    const char *field = luaL_checkstring(L, 2);

    if (strcmp(field, "labels") == 0) {
        lua_pushvalue(L, lua_upvalueindex(1));
        return 1;
    }
    if (decision->builder != NULL)
        return luaL_error(L, "a new series has labels and no '%s'", field);
    if (strcmp(field, "first") == 0)
        return push_time(L, decision, series->first_ms);
    if (strcmp(field, "last") == 0)
        return push_time(L, decision, series->last_ms);
    if (strcmp(field, "chunks") == 0 || strcmp(field, "bytes") == 0) {
        uint64_t in_file =
            series->count_file != NULL ? series->count_file(series->count_ctx, series->fp) : 0;

        decision->moving = true;
        lua_pushnumber(L, field[0] == 'c'
                              ? (double)(series->chunks + in_file)
                              : (double)(series->bytes + in_file * SERIES_RECORD_BYTES));
        return 1;
    }
    if (strcmp(field, "archived") == 0) {
        decision->moving = true;
        lua_pushboolean(L, series->archived);
        return 1;
    }
    if (push_use(L, decision, field))
        return 1;
    return luaL_error(
        L,
        "a series has no '%s' (labels, first, last, chunks, bytes, archived, created, "
        "last_read, reads)",
        field);
}

static int refuse_set(lua_State *L)
{
    return luaL_error(L, "a series can be changed through its labels only");
}

/* --- native --------------------------------------------------------------------------------------
 */

/* where(level): script and line of the caller. */
static int native_where(lua_State *L)
{
    lua_Debug debug;

    if (lua_getstack(L, (int)luaL_checkinteger(L, 1), &debug) == 0)
        return luaL_error(L, "no caller");
    lua_getinfo(L, "Sl", &debug);
    lua_pushstring(L, debug.short_src);
    lua_pushinteger(L, debug.currentline);
    return 2;
}

/* check_matcher(name, type, value): nil, or what is wrong with it. */
static int native_check_matcher(lua_State *L)
{
    size_t name_len;
    size_t value_len;
    const char *name = luaL_checklstring(L, 1, &name_len);
    lua_Integer type = luaL_checkinteger(L, 2);
    const char *value = luaL_checklstring(L, 3, &value_len);
    struct matcher matcher;
    struct error err;

    if (matcher_init(&matcher, (enum matcher_type)type, name, name_len, value, value_len,
                     binding_of(L)->regexes, &err) == -1) {
        lua_pushstring(L, err.text);
        return 1;
    }
    matcher_destroy(&matcher);
    lua_pushnil(L);
    return 1;
}

static int native_now(lua_State *L)
{
    struct binding *binding = binding_of(L);

    binding->decision.moving = true;
    lua_pushnumber(L, (double)clock_wall_ms(binding->clock) / 1000);
    return 1;
}

/* The expression of argument 2; the caller gives it back before anything may raise. */
static struct regex *regex_raises(lua_State *L)
{
    size_t len;
    const char *pattern = luaL_checklstring(L, 2, &len);
    struct error err;
    struct regex *regex;

    if (len > MAX_PATTERN_BYTES)
        luaL_error(L, "the expression has over %d bytes", (int)MAX_PATTERN_BYTES);
    regex = regex_compile(binding_of(L)->regexes, pattern, len, &err);
    if (regex == NULL)
        luaL_error(L, "%s", err.text);
    return regex;
}

/* The text of argument 1, that an expression is to match. */
static const char *subject_raises(lua_State *L, size_t *len)
{
    const char *text = luaL_checklstring(L, 1, len);

    if (*len > MAX_SUBJECT_BYTES)
        luaL_error(L, "the text has over %d bytes", (int)MAX_SUBJECT_BYTES);
    return text;
}

/* matches(text, expression) */
static int native_matches(lua_State *L)
{
    size_t len;
    const char *text = subject_raises(L, &len);
    struct regex *regex = regex_raises(L);
    bool matches = regex_matches(regex, text, len);

    regex_unref(regex);
    lua_pushboolean(L, matches);
    return 1;
}

/* replace(text, expression, template): the filled template, or nil */
static int native_replace(lua_State *L)
{
    size_t len;
    size_t template_len;
    size_t out_len = 0;
    const char *text = subject_raises(L, &len);
    const char *template_text = luaL_checklstring(L, 3, &template_len);
    struct arena *scratch = &binding_of(L)->scratch;
    struct arena_mark mark = arena_mark(scratch);
    struct regex *regex;
    char *out = NULL;
    const char *copy;

    if (template_len > MAX_TEMPLATE_BYTES)
        luaL_error(L, "the template has over %d bytes", (int)MAX_TEMPLATE_BYTES);
    regex = regex_raises(L);
    if (!regex_expand(regex, text, len, template_text, template_len, &out, &out_len)) {
        regex_unref(regex);
        lua_pushnil(L);
        return 1;
    }
    regex_unref(regex);
    copy = arena_dup(scratch, out, out_len); /* pushing may raise */
    mem_free(out);
    lua_pushlstring(L, copy, out_len);
    arena_release(scratch, mark);
    return 1;
}

/* log(level, message) */
static int native_log(lua_State *L)
{
    enum log_level level = (enum log_level)luaL_checkinteger(L, 1);
    size_t len;
    const char *message = luaL_checklstring(L, 2, &len);
    static struct log_limit limit;
    uint64_t dropped;
    const struct script_sink *sink = binding_of(L)->sink;
    struct buf quoted = {0};

    if (sink != NULL)
        sink->log(sink->ctx, (int)level, message, TIDE_MIN(len, (size_t)MAX_LOG_BYTES));
    if (sink != NULL || level > logger_level() || !log_limit_pass(&limit, 1, &dropped))
        return 0;
    labels_quote(&quoted, message, TIDE_MIN(len, (size_t)MAX_LOG_BYTES));
    logger_write(level, "script", "message=%.*s left_out=%" PRIu64, (int)quoted.len,
                 (char *)quoted.data, dropped);
    buf_destroy(&quoted);
    return 0;
}

/* tally(name, help, labels): the counter, nil without any to count in */
static int native_tally(lua_State *L)
{
    struct tallies *tallies = binding_of(L)->tallies;
    const char *name = luaL_checkstring(L, 1);
    const char *help = luaL_checkstring(L, 2);
    const char *labels = luaL_checkstring(L, 3);
    struct tally *tally;

    if (tallies == NULL)
        return 0;
    tally = tallies_get(tallies, name, help, labels);
    if (tally == NULL)
        return luaL_error(L, "all scripts together have over %d counters", TALLY_MAX);
    lua_pushlightuserdata(L, tally);
    return 1;
}

/* tally_add(tally, by) */
static int native_tally_add(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
    tally_add(lua_touserdata(L, 1), (uint64_t)luaL_checknumber(L, 2));
    return 0;
}

/* is_function(name): whether PromQL has it by itself */
static int native_is_function(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);

    lua_pushboolean(L, function_table_find(name, len, NULL) != NULL);
    return 1;
}

/* library(name): the function of lib/NAME.lua, or nil */
static int native_library(lua_State *L)
{
    const struct script_file *file = ruleset_library(binding_of(L)->rules, luaL_checkstring(L, 1));

    if (file == NULL) {
        lua_pushnil(L);
        return 1;
    }
    ruleset_load_file_raises(L, "tidemark.tide", file);
    return 1;
}

/* --- opening -------------------------------------------------------------------------------------
 */

/* Pushes a userdata; `upvalue`: stack index of what `get` finds as its upvalue, 0 for none. */
static void new_userdata(lua_State *L, lua_CFunction get, lua_CFunction set, int upvalue)
{
    lua_newuserdata(L, 1);
    lua_newtable(L);
    if (upvalue != 0)
        lua_pushvalue(L, upvalue);
    lua_pushcclosure(L, get, upvalue != 0 ? 1 : 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, set);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void binding_open_raises(lua_State *L, struct binding *binding)
{
    static const luaL_Reg functions[] = {
        {"where", native_where},
        {"check_matcher", native_check_matcher},
        {"now", native_now},
        {"matches", native_matches},
        {"replace", native_replace},
        {"label_at", native_label_at},
        {"log", native_log},
        {"library", native_library},
        {"tally", native_tally},
        {"tally_add", native_tally_add},
        {"is_function", native_is_function},
    };

    sandbox_native_raises(L);
    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
    act_open_raises(L);
    shared_open_raises(L);
    lua_pop(L, 1);
    columns_open_raises(L);
    binding->era = 1;
    new_userdata(L, labels_get, labels_set, 0);
    new_userdata(L, series_get, refuse_set, lua_gettop(L));
    binding->series_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    binding_push_query_raises(L);
    binding->query_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
