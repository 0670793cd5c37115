/* config.c - see config.h. Checking and printing are Lua (lua/tidemark/config.lua); here is where
 * each key is stored. */
#include "script/config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "script/config_records.h"
#include "script/sandbox.h"

#define MEMORY_LIMIT ((size_t)64 << 20)
#define TIME_LIMIT_NS ((int64_t)2 * 1000 * 1000 * 1000)
#define MAX_FILE_BYTES ((size_t)1 << 20)

enum binding_kind { TEXT, RECORDS, WHOLE, MILLISECONDS, REAL };

struct binding {
    const char *key;
    enum binding_kind kind;
    size_t offset;
    const struct config_records *records; /* RECORDS: of these, */
    size_t count_offset;                  /* and where their number is */
};

#define BIND(key, kind, member)                                                                    \
    {                                                                                              \
        (key), (kind), offsetof(struct config, member), NULL, 0                                    \
    }
#define BIND_RECORDS(key, records, member)                                                         \
    {                                                                                              \
        (key), RECORDS, offsetof(struct config, member), (records),                                \
            offsetof(struct config, member##_count)                                                \
    }

/* In the schema's order, which bind_raises checks. */
static const struct binding bindings[] = {
    BIND_RECORDS("listen", &config_listeners, listen),
    BIND("data", TEXT, data),
    BIND("scripts", TEXT, scripts),
    BIND("log.level", WHOLE, log_level),
    BIND("log.format", WHOLE, log_format),
    BIND("log.requests", WHOLE, log_requests),
    BIND("log.slow_request", MILLISECONDS, log_slow_request_ms),
    BIND("log.requests_per_second", WHOLE, log_requests_per_second),
    BIND("storage.retention", MILLISECONDS, storage.retention_ms),
    BIND("storage.chunk_encoding", WHOLE, storage.chunk_encoding),
    BIND("storage.out_of_order", MILLISECONDS, storage.out_of_order_ms),
    BIND("storage.duplicates", WHOLE, storage.duplicates),
    BIND("storage.head_chunk_timeout", MILLISECONDS, storage.head_chunk_timeout_ms),
    BIND("storage.checkpoint_interval", MILLISECONDS, storage.checkpoint_interval_ms),
    BIND("storage.checkpoint_dirty_series_limit", WHOLE, storage.checkpoint_dirty_series_limit),
    BIND("storage.series_sync", WHOLE, storage.series_sync),
    BIND("storage.min_shrink_ratio", REAL, storage.min_shrink_ratio),
    BIND("storage.memory_target", WHOLE, storage.memory_target_bytes),
    BIND("storage.min_free_space", WHOLE, storage.min_free_bytes),
    BIND("storage.clock_slack", MILLISECONDS, storage.clock_slack_ms),
    BIND("storage.disk_low", WHOLE, storage.disk_low_bytes),
    BIND("retention.hold_share", REAL, retention.hold_share),
    BIND("retention.hold_least", WHOLE, retention.hold_least_bytes),
    BIND("retention.undelete_hold", MILLISECONDS, retention.undelete_hold_ms),
    BIND("trash.ttl", MILLISECONDS, trash.ttl_ms),
    BIND("wal.sync", WHOLE, wal.sync),
    BIND("wal.interval", MILLISECONDS, wal.interval_ms),
    BIND("wal.replay_target", MILLISECONDS, wal.replay_target_ms),
    BIND("wal.max_size", WHOLE, wal.max_size_bytes),
    BIND("query.timeout", MILLISECONDS, query.timeout_ms),
    BIND("query.max_samples", WHOLE, query.max_samples),
    BIND("query.memory", WHOLE, query.memory_bytes),
    BIND("query.max_points", WHOLE, query.max_points),
    BIND("query.max_series", WHOLE, query.max_series),
    BIND("query.max_length", WHOLE, query.max_length_bytes),
    BIND("query.concurrency", WHOLE, query.concurrency),
    BIND("query.lookback", MILLISECONDS, query.lookback_ms),
    BIND("query.experimental", WHOLE, query.experimental),
    BIND("query.log_slower_than", MILLISECONDS, query.log_slower_than_ms),
    BIND("limits.future", MILLISECONDS, limits.future_ms),
    BIND("limits.labels_per_series", WHOLE, limits.labels_per_series),
    BIND("limits.label_name_length", WHOLE, limits.label_name_bytes),
    BIND("limits.label_value_length", WHOLE, limits.label_value_bytes),
    BIND("limits.series", WHOLE, limits.series),
    BIND("limits.total_series", WHOLE, limits.total_series),
    BIND("limits.script_time", MILLISECONDS, limits.script_time_ms),
    BIND("limits.script_memory", WHOLE, limits.script_memory_bytes),
    BIND("limits.script_timer_time", MILLISECONDS, limits.script_timer_time_ms),
    BIND("limits.script_errors", WHOLE, limits.script_errors),
    BIND("push.graphite_listen", TEXT, push.graphite_listen),
    BIND("push.group_series", WHOLE, push.group_series),
    BIND("tenants.label", TEXT, tenants.label),
    BIND("alerts.webhooks", TEXT, alerts.webhooks),
    BIND("alerts.timeout", MILLISECONDS, alerts.timeout_ms),
    BIND("alerts.resend", MILLISECONDS, alerts.resend_ms),
    BIND("alerts.url", TEXT, alerts.url),
    BIND("console.socket", TEXT, console.socket),
    BIND("console.read_only_socket", TEXT, console.read_only_socket),
    BIND("console.connections", WHOLE, console.connections),
    BIND("console.time", MILLISECONDS, console.time_ms),
    BIND("http.workers", WHOLE, http.workers),
    BIND("http.connections", WHOLE, http.connections),
    BIND("http.max_header", WHOLE, http.header_bytes),
    BIND("http.max_body", WHOLE, http.body_bytes),
    BIND("http.max_decompressed", WHOLE, http.decompressed_bytes),
    BIND("http.max_bodies", WHOLE, http.all_bodies_bytes),
    BIND("http.header_timeout", MILLISECONDS, http.header_timeout_ms),
    BIND("http.body_timeout", MILLISECONDS, http.body_timeout_ms),
    BIND("http.idle_timeout", MILLISECONDS, http.idle_timeout_ms),
    BIND("http.drain_timeout", MILLISECONDS, http.drain_timeout_ms),
    BIND_RECORDS("http.users", &config_users, http.users),
    BIND_RECORDS("http.cors_origins", &config_origins, http.cors_origins),
    BIND("http.connections_per_client", WHOLE, http.connections_per_client),
    BIND("http.requests_per_client", WHOLE, http.requests_per_client),
};

#define KEYS TIDE_COUNT(bindings)

/* What one visit to Lua is about. */
struct visit {
    struct config *config;
    const struct config *now; /* config_list */
    const char *path;         /* config_load */
    const char *source;
    size_t source_len;
    const char *flag; /* config_set */
    const char *key;
    const char *text;
    struct buf *out; /* config_print; otherwise the problems, if any */
};

static void *member(const struct config *config, const struct binding *binding)
{
    return (char *)config + binding->offset;
}

/* --- from Lua to C ------------------------------------------------------------------------------
 */

static void set_text(char **text, const char *value, size_t len)
{
    mem_free(*text);
    *text = mem_dup(value, len);
}

static size_t *count_of(const struct config *config, const struct binding *binding)
{
    return (size_t *)((char *)config + binding->count_offset);
}

static void clear_records(const struct config *config, const struct binding *binding)
{
    config_records_clear(binding->records, member(config, binding), count_of(config, binding));
}

/* Stores the checked value on top of the stack. */
static void store_raises(lua_State *L, struct config *config, const struct binding *binding)
{
    void *to = member(config, binding);
    double number = lua_tonumber(L, -1);
    size_t len;
    const char *text;

    switch (binding->kind) {
    case TEXT:
        text = luaL_checklstring(L, -1, &len);
        set_text(to, text, len);
        break;
    case RECORDS:
        config_records_add_raises(L, binding->records, to, count_of(config, binding));
        break;
    case MILLISECONDS:
        luaL_checktype(L, -1, LUA_TNUMBER);
        *(int64_t *)to = isinf(number) ? CONFIG_FOREVER_MS : (int64_t)number;
        break;
    case WHOLE:
        luaL_checktype(L, -1, LUA_TNUMBER);
        *(int64_t *)to = (int64_t)number;
        break;
    case REAL:
        luaL_checktype(L, -1, LUA_TNUMBER);
        *(double *)to = number;
        break;
    }
}

/* That schema and bindings list the same keys in the same order: else the build is broken. */
static void check_bindings_raises(lua_State *L, int module)
{
    lua_getfield(L, module, "keys");
    if (lua_objlen(L, -1) != KEYS)
        luaL_error(L, "schema.lua and config.c have different numbers of keys");
    for (size_t i = 0; i < KEYS; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        lua_getfield(L, -1, "name");
        if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), bindings[i].key) != 0)
            luaL_error(L, "key %d of schema.lua is not \"%s\" as in config.c", (int)i + 1,
                       bindings[i].key);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

/* Values and origins as two tables on top of the stack. */
static void store_all_raises(lua_State *L, struct config *config)
{
    int origins = lua_gettop(L);
    int values = origins - 1;

    config->origins = mem_zalloc(KEYS, sizeof(*config->origins));
    for (size_t i = 0; i < KEYS; i++) {
        size_t len;
        const char *origin;

        lua_getfield(L, values, bindings[i].key);
        store_raises(L, config, &bindings[i]);
        lua_getfield(L, origins, bindings[i].key);
        origin = luaL_checklstring(L, -1, &len);
        set_text(&config->origins[i], origin, len);
        lua_pop(L, 2);
    }
}

/* --- config_load --------------------------------------------------------------------------------
 */

static void load_run(lua_State *L, void *ctx)
{
    struct visit *visit = ctx;
    int module;

    sandbox_require_raises(L, "tidemark.config");
    module = lua_gettop(L);
    check_bindings_raises(L, module);
    if (visit->path == NULL) {
        lua_getfield(L, module, "defaults");
        lua_call(L, 0, 2);
        store_all_raises(L, visit->config);
        return;
    }
    lua_getfield(L, module, "check");
    lua_pushfstring(L, "@%s", visit->path);
    sandbox_load_raises(L, visit->source, visit->source_len, lua_tostring(L, -1), 0);
    lua_call(L, 0, 1);
    lua_remove(L, -2);
    lua_pushlstring(L, visit->source, visit->source_len);
    lua_pushstring(L, visit->path);
    lua_call(L, 3, 2);
    if (lua_isnil(L, -2)) {
        size_t len;
        const char *problems = lua_tolstring(L, -1, &len);

        buf_append(visit->out, problems, len);
        return;
    }
    store_all_raises(L, visit->config);
}

static int read_file(const char *path, struct buf *source, struct error *err)
{
    FILE *file = fopen(path, "rbe");
    size_t got;

    if (file == NULL)
        return error_set_errno(err, "cannot read the configuration %s", path);
    do {
        got = fread(buf_reserve(source, 4096), 1, 4096, file);
        source->len += got;
    } while (got == 4096 && source->len <= MAX_FILE_BYTES);
    if (ferror(file)) {
        error_set_errno(err, "cannot read the configuration %s", path);
        fclose(file);
        return -1;
    }
    fclose(file);
    if (source->len > MAX_FILE_BYTES)
        return error_set(err, ERR_INVALID, "%s: larger than 1 MiB", path);
    return 0;
}

/* A sandbox for one visit. @return 0, or -1 with err */
static int visit_lua(void (*run)(lua_State *L, void *ctx), struct visit *visit, struct error *err)
{
    struct sandbox *sandbox = sandbox_new(MEMORY_LIMIT, NULL, err);
    int result;

    if (sandbox == NULL)
        return -1;
    result = sandbox_run(sandbox, run, visit, TIME_LIMIT_NS, err);
    if (result == -1 && visit->path != NULL && sandbox_last_stop(sandbox) != SANDBOX_RAISED)
        error_note(err, "%s", visit->path);
    sandbox_free(sandbox);
    return result;
}

int config_load(const char *path, struct config *config, struct error *err)
{
    struct buf source = {0};
    struct buf problems = {0};
    struct visit visit = {.config = config, .path = path, .out = &problems};
    int result;

    *config = (struct config){0};
    if (path != NULL && read_file(path, &source, err) == -1) {
        buf_destroy(&source);
        return -1;
    }
    visit.source = (const char *)source.data;
    visit.source_len = source.len;
    result = visit_lua(load_run, &visit, err);
    if (result == 0 && problems.len != 0)
        result = error_set(err, ERR_INVALID, "%.*s", (int)problems.len, (char *)problems.data);
    buf_destroy(&source);
    buf_destroy(&problems);
    if (result == -1)
        config_destroy(config);
    return result;
}

/* --- config_set ---------------------------------------------------------------------------------
 */

static bool is_flag(const char *origin)
{
    return strncmp(origin, "--", 2) == 0;
}

static void set_run(lua_State *L, void *ctx)
{
    struct visit *visit = ctx;

    sandbox_require_raises(L, "tidemark.config");
    lua_getfield(L, -1, "set");
    lua_pushstring(L, visit->flag);
    lua_pushstring(L, visit->key);
    lua_pushstring(L, visit->text);
    lua_call(L, 3, 2);
    if (lua_isnil(L, -2)) {
        buf_puts(visit->out, lua_tostring(L, -1));
        return;
    }
    lua_pop(L, 1);
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(bindings[i].key, visit->key) != 0)
            continue;
        if (bindings[i].kind == RECORDS && !is_flag(visit->config->origins[i]))
            clear_records(visit->config, &bindings[i]);
        store_raises(L, visit->config, &bindings[i]);
        set_text(&visit->config->origins[i], visit->flag, strlen(visit->flag));
    }
}

int config_set(struct config *config, const char *flag, const char *key, const char *text,
               struct error *err)
{
    struct buf problem = {0};
    struct visit visit = {
        .config = config, .flag = flag, .key = key, .text = text, .out = &problem};
    int result = visit_lua(set_run, &visit, err);

    if (result == 0 && problem.len != 0)
        result = error_set(err, ERR_INVALID, "%.*s", (int)problem.len, (char *)problem.data);
    buf_destroy(&problem);
    return result;
}

/* --- config_print -------------------------------------------------------------------------------
 */

static void push_value(lua_State *L, const struct config *config, const struct binding *binding)
{
    const void *from = member(config, binding);
    int64_t whole;

    switch (binding->kind) {
    case TEXT:
        lua_pushstring(L, *(char *const *)from);
        break;
    case RECORDS:
        config_records_push(L, binding->records, *(void *const *)from, *count_of(config, binding));
        break;
    case MILLISECONDS:
    case WHOLE:
        whole = *(const int64_t *)from;
        lua_pushnumber(L, whole == CONFIG_FOREVER_MS ? HUGE_VAL : (double)whole);
        break;
    case REAL:
        lua_pushnumber(L, *(const double *)from);
        break;
    }
}

/* Values and origins, as two tables. */
static void push_config(lua_State *L, const struct config *config)
{
    lua_newtable(L);
    lua_newtable(L);
    for (size_t i = 0; i < KEYS; i++) {
        push_value(L, config, &bindings[i]);
        lua_setfield(L, -3, bindings[i].key);
        lua_pushstring(L, config->origins[i]);
        lua_setfield(L, -2, bindings[i].key);
    }
}

static void print_run(lua_State *L, void *ctx)
{
    struct visit *visit = ctx;
    size_t len;
    const char *text;

    sandbox_require_raises(L, "tidemark.config");
    lua_getfield(L, -1, visit->now != NULL ? "list" : "print");
    push_config(L, visit->config);
    if (visit->now != NULL)
        push_config(L, visit->now);
    lua_call(L, visit->now != NULL ? 4 : 2, 1);
    text = luaL_checklstring(L, -1, &len);
    buf_append(visit->out, text, len);
}

void config_print(const struct config *config, struct buf *out)
{
    struct visit visit = {.config = (struct config *)config, .out = out};
    struct error err;

    /* Trusted Lua on checked values: only a broken build or a lack of memory gets here. */
    if (visit_lua(print_run, &visit, &err) == -1)
        buf_printf(out, "-- cannot print: %s\n", err.text);
}

void config_list(const struct config *config, const struct config *now, struct buf *out)
{
    struct visit visit = {.config = (struct config *)config, .now = now, .out = out};
    size_t before = out->len;
    struct error err;

    if (visit_lua(print_run, &visit, &err) == -1)
        out->len = before;
}

/* --- config_differences -------------------------------------------------------------------------
 */

static bool is_same(const struct config *a, const struct config *b, const struct binding *binding)
{
    const void *one = member(a, binding), *other = member(b, binding);

    switch (binding->kind) {
    case TEXT:
        return strcmp(*(char *const *)one, *(char *const *)other) == 0;
    case RECORDS:
        return config_records_equal(binding->records, *(void *const *)one, *count_of(a, binding),
                                    *(void *const *)other, *count_of(b, binding));
    case MILLISECONDS:
    case WHOLE:
        return *(const int64_t *)one == *(const int64_t *)other;
    case REAL:
        return *(const double *)one == *(const double *)other;
    }
    return true;
}

static bool is_listed(const char *const *list, const char *name)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, name) == 0)
            return true;
    }
    return false;
}

void config_differences(const struct config *a, const struct config *b, const char *const *except,
                        struct buf *names)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (is_listed(except, bindings[i].key) || is_same(a, b, &bindings[i]))
            continue;
        if (names->len != 0)
            buf_putc(names, ' ');
        buf_puts(names, bindings[i].key);
    }
}

void config_destroy(struct config *config)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (bindings[i].kind == RECORDS)
            clear_records(config, &bindings[i]);
        if (bindings[i].kind == TEXT)
            mem_free(*(char **)member(config, &bindings[i]));
        if (config->origins != NULL)
            mem_free(config->origins[i]);
    }
    mem_free(config->origins);
    *config = (struct config){0};
}
