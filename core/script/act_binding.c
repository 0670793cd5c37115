/* act_binding.c - the acts of act.h as functions of `native`, on which lua/tidemark/acts.lua builds
 * tide.query, tide.push and tide.store. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/clock.h"
#include "promql/parse.h"
#include "script/act.h"
#include "script/binding.h"
#include "script/columns_binding.h"
#include "script/sandbox.h"
#include "store/delete.h"
#include "store/store.h"

#define LIBRARY "@lua/tidemark/"
#define MAX_PUSHED_LABELS 256
#define MAX_TEXT_BYTES ((size_t)64 << 10)
#define MAX_LISTED 100000

int act_blame_raises(lua_State *L, const char *format, ...)
{
    lua_Debug at;
    va_list args;
    int level = 1;

    while (lua_getstack(L, level, &at) && lua_getinfo(L, "S", &at) &&
           (at.what[0] == 'C' || strncmp(at.source, LIBRARY, strlen(LIBRARY)) == 0))
        level++;
    luaL_where(L, level);
    va_start(args, format);
    lua_pushvfstring(L, format, args);
    va_end(args);
    lua_concat(L, 2);
    return lua_error(L);
}

/* The actor of what is running; raises where only decisions are made. */
static struct actor *actor_raises(lua_State *L, const char *what)
{
    struct binding *binding = sandbox_owner(L);

    if (binding->actor == NULL)
        act_blame_raises(L, "%s: only in timers, events, commands and the console", what);
    else if (binding->actor->host.store == NULL)
        act_blame_raises(L, "%s: the store is not open", what);
    return binding->actor;
}

void act_allow_raises(lua_State *L, const struct actor *actor, const char *what)
{
    if (!actor->only_looks)
        return;
    lua_pushfstring(L, "%s acts, and this console only looks (console.read_only_socket)", what);
    lua_error(L); /* without a place: it is ours */
}

static int raise(lua_State *L, const struct error *err)
{
    return act_blame_raises(L, "%s", err->text);
}

/* Seconds at stack index `at` as milliseconds; `otherwise` for nil. */
static int64_t time_raises(lua_State *L, int at, int64_t otherwise)
{
    double seconds;

    if (lua_isnoneornil(L, at))
        return otherwise;
    seconds = luaL_checknumber(L, at);
    if (!(fabs(seconds) < 9e15))
        act_blame_raises(L, "not a time: seconds since 1970, please");
    return (int64_t)floor(seconds * 1000 + 0.5);
}

/* What is left of the time of the function that runs: what it asks in C ends with it. */
static int64_t left_ms(lua_State *L)
{
    int64_t deadline_ns = sandbox_deadline_ns(sandbox_of(L));

    if (deadline_ns == 0)
        return INT64_MAX;
    return TIDE_MAX((deadline_ns - clock_mono_ns(clock_system())) / 1000000, (int64_t)1);
}

/* --- results as Lua ----------------------------------------------------------------------------
 */

void act_push_labels_raises(lua_State *L, const struct labels *labels)
{
    size_t count = labels_count(labels);

    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(labels, i);

        lua_pushlstring(L, label.name, label.name_len);
        lua_pushlstring(L, label.value, label.value_len);
        lua_rawset(L, -3);
    }
}

static void set_time(lua_State *L, const char *name, int64_t time_ms)
{
    if (time_ms == TIDE_EARLIEST_MS || time_ms == TIDE_LATEST_MS)
        return;
    lua_pushnumber(L, (double)time_ms / 1000);
    lua_setfield(L, -2, name);
}

static void set_fingerprint(lua_State *L, uint64_t fp)
{
    char digits[17];

    snprintf(digits, sizeof(digits), "%016" PRIx64, fp);
    lua_pushstring(L, digits);
    lua_setfield(L, -2, "fp");
}

static void push_series(lua_State *L, const struct value *value, const struct value_series *series)
{
    lua_createtable(L, 0, 3);
    act_push_labels_raises(L, series->labels);
    lua_setfield(L, -2, "labels");
    if (value->type == VALUE_VECTOR) {
        lua_pushnumber(L, series->value);
        lua_setfield(L, -2, "value");
        set_time(L, "time", value->time_ms);
    } else {
        columns_push_times_raises(L, series->samples.times_ms, series->samples.len);
        lua_setfield(L, -2, "times");
        columns_push_values_raises(L, series->samples.values, series->samples.len);
        lua_setfield(L, -2, "values");
    }
}

static void push_value(lua_State *L, const struct value *value)
{
    switch (value->type) {
    case VALUE_SCALAR:
        lua_pushnumber(L, value->scalar);
        return;
    case VALUE_STRING:
        lua_pushlstring(L, value->text, value->text_len);
        return;
    default:
        lua_createtable(L, (int)TIDE_MIN(value->count, (size_t)MAX_LISTED), 0);
        for (size_t i = 0; i < value->count; i++) {
            push_series(L, value, &value->series[i]);
            lua_rawseti(L, -2, (int)i + 1);
        }
    }
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* query(text, time, from, to, step, timeout, as_user): a number, a text or a list */
static int act_query(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.query");
    struct binding *binding = sandbox_owner(L);
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int64_t now_ms = actor->time_ms != 0 ? actor->time_ms : clock_wall_ms(binding->clock);
    int64_t start_ms = time_raises(L, 2, now_ms), end_ms = start_ms, step_ms = 0;
    int64_t timeout_ms = time_raises(L, 6, actor->host.query_timeout_ms);
    struct error err;

    if (len > MAX_TEXT_BYTES)
        return act_blame_raises(L, "tide.query: longer than %d bytes", (int)MAX_TEXT_BYTES);
    if (!lua_isnoneornil(L, 5)) {
        start_ms = time_raises(L, 3, now_ms);
        end_ms = time_raises(L, 4, now_ms);
        step_ms = time_raises(L, 5, 0);
        if (step_ms <= 0 || end_ms < start_ms || (end_ms - start_ms) / step_ms > 11000)
            return act_blame_raises(
                L, "tide.query: from, to and step are not those of 1 to 11000 steps");
    }
    timeout_ms = TIDE_MIN(timeout_ms, left_ms(L));
    if (actor_query(actor, text, len, start_ms, end_ms, step_ms, timeout_ms, lua_toboolean(L, 7),
                    &err) != 0)
        return raise(L, &err);
    push_value(L, &actor->value);
    actor_clear(actor);
    return 1;
}

/* The selector of argument `at`, in actor->tree; without one all series. */
static struct select_request selector_raises(lua_State *L, struct actor *actor, int at)
{
    struct select_request set = {
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = TIDE_LATEST_MS,
        .max_series = actor->host.query_max_series,
        .cancelled = actor->cancelled,
        .deadline_ns = sandbox_deadline_ns(sandbox_of(L)),
        .metadata_only = true,
    };
    size_t len;
    const char *text;
    struct error err;

    actor_clear(actor);
    if (lua_isnoneornil(L, at))
        return set;
    text = luaL_checklstring(L, at, &len);
    if (len > MAX_TEXT_BYTES)
        act_blame_raises(L, "the selector is longer than %d bytes", (int)MAX_TEXT_BYTES);
    actor->tree = promql_parse(text, len, NULL, NULL, &err);
    if (actor->tree == NULL) {
        raise(L, &err);
        return set;
    }
    if (actor->tree->root->kind != EXPR_SELECTOR)
        act_blame_raises(L, "not a series selector: %s", text);
    set.matchers = actor->tree->root->selector.matchers;
    set.matcher_count = actor->tree->root->selector.matcher_count;
    return set;
}

/* created, last_read, reads: as far as they are known */
static void set_use(lua_State *L, struct store *store, uint64_t fp)
{
    struct series_use use;

    store_use_get(store, fp, &use);
    if (use.created_ms != 0)
        set_time(L, "created", use.created_ms);
    if (use.last_read_ms != 0)
        set_time(L, "last_read", use.last_read_ms);
    if (use.reads != USE_READS_UNKNOWN) {
        lua_pushnumber(L, (double)use.reads);
        lua_setfield(L, -2, "reads");
    }
}

/* series(selector, from, to, limit): a list of { labels, fp, first, last, created, last_read, reads
 * }, and how many there are */
static int act_series(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.series");
    struct select_request set = selector_raises(L, actor, 1);
    double limit = luaL_optnumber(L, 4, 1000);
    size_t count;
    struct error err;

    set.from_ms = time_raises(L, 2, set.from_ms);
    set.to_ms = time_raises(L, 3, set.to_ms);
    actor->querier = store_querier(actor->host.store);
    if (actor->querier->select(actor->querier->ctx, &set, &actor->selection, &err) != 0) {
        actor->selection = NULL;
        return raise(L, &err);
    }
    count = actor->selection->count;
    if (limit >= 0 && limit < (double)count)
        count = (size_t)limit;
    count = TIDE_MIN(count, (size_t)MAX_LISTED);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        const struct selected_series *series = &actor->selection->series[i];

        lua_createtable(L, 0, 7);
        act_push_labels_raises(L, series->labels);
        lua_setfield(L, -2, "labels");
        set_fingerprint(L, series->fp);
        set_time(L, "first", series->first_ms);
        set_time(L, "last", series->last_ms);
        set_use(L, actor->host.store, series->fp);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushnumber(L, (double)actor->selection->count);
    actor_clear(actor);
    return 2;
}

/* label_texts(name or nil, selector, limit): values of a label, or the names of all */
static int act_label_texts(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.store");
    struct select_request set = selector_raises(L, actor, 2);
    const struct querier *querier = store_querier(actor->host.store);
    struct label_request request = {
        .sets = &set,
        .set_count = lua_isnoneornil(L, 2) ? 0 : 1,
        .from_ms = set.from_ms,
        .to_ms = set.to_ms,
        .limit = (size_t)TIDE_MIN(TIDE_MAX(luaL_optnumber(L, 3, 10000), 1), (double)MAX_LISTED),
    };
    int failed;
    struct error err;

    if (lua_isnoneornil(L, 1)) {
        failed = querier->label_names(querier->ctx, &request, &actor->texts, &err);
    } else {
        size_t len;

        request.name = luaL_checklstring(L, 1, &len);
        request.name_len = len;
        failed = querier->label_values(querier->ctx, &request, &actor->texts, &err);
    }
    if (failed != 0) {
        actor->texts = (struct text_list){0};
        return raise(L, &err);
    }
    lua_createtable(L, (int)actor->texts.count, 0);
    for (size_t i = 0; i < TIDE_MIN(actor->texts.count, request.limit); i++) {
        lua_pushlstring(L, actor->texts.items[i].value, actor->texts.items[i].value_len);
        lua_rawseti(L, -2, (int)i + 1);
    }
    actor_clear(actor);
    return 1;
}

/* stats(): numbers of the store */
static int act_stats(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.store");
    struct store_stats stats;

    store_stats_get(actor->host.store, &stats);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"series", stats.series_in_memory},      {"archived", stats.series_archived},
        {"label_names", stats.label_names},      {"label_pairs", stats.label_pairs},
        {"chunks", stats.chunks_in_memory},      {"open_heads", stats.open_heads},
        {"to_persist", stats.chunks_to_persist}, {"samples", stats.samples_appended},
        {"memory_bytes", stats.memory_bytes},    {"series_bytes", stats.series_bytes},
        {"chunk_bytes", stats.chunk_bytes},      {"label_bytes", stats.label_bytes},
        {"cache_bytes", stats.cache_bytes},
    };

    lua_createtable(L, 0, TIDE_COUNT(numbers) + 4);
    for (size_t i = 0; i < TIDE_COUNT(numbers); i++) {
        lua_pushnumber(L, (double)numbers[i].value);
        lua_setfield(L, -2, numbers[i].name);
    }
    set_time(L, "first", stats.min_time_ms);
    set_time(L, "last", stats.max_time_ms);
    lua_pushboolean(L, stats.read_only);
    lua_setfield(L, -2, "read_only");
    lua_pushboolean(L, stats.started_dirty);
    lua_setfield(L, -2, "started_dirty");
    return 1;
}

/* --- writing -----------------------------------------------------------------------------------
 */

/* The labels { name, value, name, value ... } at index 1, which holds the texts. */
static size_t labels_raises(lua_State *L, const char *what, struct label *labels)
{
    size_t count;

    luaL_checktype(L, 1, LUA_TTABLE);
    count = lua_objlen(L, 1) / 2;
    if (count == 0 || count > MAX_PUSHED_LABELS)
        act_blame_raises(L, "%s: 1 to %d labels", what, MAX_PUSHED_LABELS);
    for (size_t i = 0; i < count; i++) {
        size_t name_len, value_len;

        lua_rawgeti(L, 1, (int)(2 * i) + 1);
        labels[i].name = luaL_checklstring(L, -1, &name_len);
        lua_rawgeti(L, 1, (int)(2 * i) + 2);
        labels[i].value = luaL_checklstring(L, -1, &value_len);
        if (name_len > MAX_TEXT_BYTES || value_len > MAX_TEXT_BYTES)
            act_blame_raises(L, "%s: a label of over %d bytes", what, (int)MAX_TEXT_BYTES);
        labels[i].name_len = (uint32_t)name_len;
        labels[i].value_len = (uint32_t)value_len;
        lua_pop(L, 2);
    }
    return count;
}

/* push({ name, value, name, value ... }, value, time) */
static int act_push(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.push");
    struct label labels[MAX_PUSHED_LABELS];
    size_t count;
    struct error err;

    act_allow_raises(L, actor, "tide.push");
    count = labels_raises(L, "tide.push", labels);
    if (actor_push(actor, labels, count, time_raises(L, 3, 0), luaL_checknumber(L, 2), &err) != 0)
        return act_blame_raises(L, "tide.push: %s", err.text);
    return 0;
}

/* How many numbers a column or a list at `at` has. */
static size_t numbers_raises(lua_State *L, int at)
{
    if (columns_is_one(L, at))
        return columns_len_raises(L, at);
    luaL_checktype(L, at, LUA_TTABLE);
    return lua_objlen(L, at);
}

/* The i-th of them (from 0). */
static double number_at_raises(lua_State *L, int at, size_t i)
{
    double number;

    if (columns_is_one(L, at))
        return columns_at_raises(L, at, i);
    lua_rawgeti(L, at, (int)i + 1);
    if (lua_type(L, -1) != LUA_TNUMBER)
        act_blame_raises(L, "tide.import: times and values are columns or lists of numbers");
    number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* import({ name, value, name, value ... }, times, values) */
static int act_import(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.import");
    struct binding *binding = sandbox_owner(L);
    struct label labels[MAX_PUSHED_LABELS];
    size_t count, len;
    int64_t *times_ms;
    double *values;
    struct error err;

    act_allow_raises(L, actor, "tide.import");
    count = labels_raises(L, "tide.import", labels);
    len = numbers_raises(L, 2);
    if (len != numbers_raises(L, 3))
        return act_blame_raises(L, "tide.import: as many values as times, please");
    if (len > MAX_LISTED)
        return act_blame_raises(L, "tide.import: over %d samples at once", MAX_LISTED);
    arena_reset(&binding->scratch);
    times_ms = arena_alloc(&binding->scratch, (len + 1) * sizeof(*times_ms));
    values = arena_alloc(&binding->scratch, (len + 1) * sizeof(*values));
    for (size_t i = 0; i < len; i++) {
        double seconds = number_at_raises(L, 2, i);

        if (!(fabs(seconds) < 9e15))
            return act_blame_raises(L, "tide.import: not a time: seconds since 1970, please");
        times_ms[i] = (int64_t)floor(seconds * 1000 + 0.5);
        values[i] = number_at_raises(L, 3, i);
    }
    if (actor_import(actor, labels, count, times_ms, values, len, &err) != 0)
        return act_blame_raises(L, "tide.import: %s", err.text);
    arena_reset(&binding->scratch);
    lua_pushnumber(L, (double)len);
    return 1;
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void push_removal(lua_State *L, const struct removal *removal)
{
    lua_createtable(L, 0, 8);
    if (removal->id[0] != '\0') {
        lua_pushstring(L, removal->id);
        lua_setfield(L, -2, "trash");
    }
    set_number(L, "series", (double)removal->series);
    set_number(L, "series_gone", (double)removal->series_gone);
    set_number(L, "chunks", (double)removal->chunks);
    set_number(L, "samples", (double)removal->samples);
    set_number(L, "bytes", (double)removal->bytes);
    if (removal->first_ms <= removal->last_ms) {
        set_time(L, "first", removal->first_ms);
        set_time(L, "last", removal->last_ms);
    }
}

/* delete(selector, from, to, dry): what went, or would go */
static int act_delete(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.delete");
    struct select_request set = selector_raises(L, actor, 1);
    const struct delete_request request = {
        .sets = &set,
        .set_count = 1,
        .from_ms = time_raises(L, 2, TIDE_EARLIEST_MS),
        .to_ms = time_raises(L, 3, TIDE_LATEST_MS),
        .by = actor->user,
        .dry_run = lua_toboolean(L, 4),
        .cancelled = actor->cancelled,
    };
    struct removal removed = {0};
    int64_t paused;
    int failed;
    struct error err;

    if (!request.dry_run)
        act_allow_raises(L, actor, "tide.delete");
    paused =
        sandbox_pause(sandbox_of(L)); /* what it reads may be large; half a delete helps nobody */
    failed = store_delete(actor->host.store, &request, &removed, &err);
    sandbox_resume(sandbox_of(L), paused);
    actor_clear(actor);
    if (failed != 0)
        return act_blame_raises(L, "tide.delete: %s", err.text);
    push_removal(L, &removed);
    return 1;
}

/* undelete(trash): what came back */
static int act_undelete(lua_State *L)
{
    struct actor *actor = actor_raises(L, "tide.undelete");
    const char *id = luaL_checkstring(L, 1);
    struct removal restored = {0};
    int64_t paused;
    int failed;
    struct error err;

    act_allow_raises(L, actor, "tide.undelete");
    paused = sandbox_pause(sandbox_of(L));
    failed = store_undelete(actor->host.store, id, actor->user, &restored, &err);
    sandbox_resume(sandbox_of(L), paused);
    if (failed != 0)
        return act_blame_raises(L, "tide.undelete: %s", err.text);
    push_removal(L, &restored);
    return 1;
}

/* fingerprint(text): 16 digits, for ids of plans */
static int act_fingerprint(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char digits[17];

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    snprintf(digits, sizeof(digits), "%016" PRIx64, hash);
    lua_pushstring(L, digits);
    return 1;
}

/* print(text) */
static int act_print(lua_State *L)
{
    struct binding *binding = sandbox_owner(L);
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    if (binding->actor == NULL || binding->actor->print == NULL)
        return act_blame_raises(L, "print: only in the console; elsewhere there is tide.log");
    binding->actor->print(binding->actor->print_ctx, text, len);
    return 0;
}

void act_open_raises(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"query", act_query},
        {"series", act_series},
        {"label_texts", act_label_texts},
        {"stats", act_stats},
        {"push", act_push},
        {"import", act_import},
        {"print", act_print},
        {"delete", act_delete},
        {"undelete", act_undelete},
        {"fingerprint", act_fingerprint},
    };

    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
}
