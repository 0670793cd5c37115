/* shared.c - see shared.h. */
#include "script/shared.h"

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "base/text_map.h"
#include "base/thread.h"
#include "script/act.h"
#include "script/binding.h"
#include "script/sandbox.h"

/* Besides its bytes. */
#define ENTRY_BYTES ((size_t)100)

struct shared_entry {
    enum shared_type type;
    double number;
    char *text;
    size_t text_len;
};

struct shared {
    struct lock leaf_lock; /* guards the rest */
    struct text_map map;   /* to struct shared_entry */
    size_t bytes;
};

struct shared *shared_new(void)
{
    struct shared *shared = mem_zalloc(1, sizeof(*shared));

    lock_init(&shared->leaf_lock);
    return shared;
}

static void free_entry(struct shared_entry *entry)
{
    if (entry != NULL)
        mem_free(entry->text);
    mem_free(entry);
}

void shared_free(struct shared *shared)
{
    if (shared == NULL)
        return;
    for (size_t i = 0; i < shared->map.cap; i++) {
        if (shared->map.slots[i].key != NULL)
            free_entry(shared->map.slots[i].value);
    }
    text_map_destroy(&shared->map);
    lock_destroy(&shared->leaf_lock);
    mem_free(shared);
}

enum shared_type shared_get(struct shared *shared, const char *name, size_t len, double *number,
                            struct buf *text)
{
    enum shared_type type = SHARED_NOTHING;
    const struct shared_entry *entry;

    lock_acquire(&shared->leaf_lock);
    entry = text_map_get(&shared->map, name, len);
    if (entry != NULL) {
        type = entry->type;
        *number = entry->number;
        if (type == SHARED_TEXT)
            buf_append(text, entry->text, entry->text_len);
    }
    lock_release(&shared->leaf_lock);
    return type;
}

/* The entry of a name, made if it is not there, if there is room for so many more bytes. */
static struct shared_entry *entry_locked(struct shared *shared, const char *name, size_t len,
                                         size_t more, struct error *err)
{
    struct shared_entry *entry = text_map_get(&shared->map, name, len);

    if (entry == NULL)
        more += len + ENTRY_BYTES;
    if (shared->bytes + more > SHARED_MAX_BYTES) {
        error_set(err, ERR_LIMIT, "all scripts share over %zu MiB", SHARED_MAX_BYTES >> 20);
        return NULL;
    }
    if (entry == NULL) {
        entry = mem_zalloc(1, sizeof(*entry));
        text_map_put(&shared->map, name, len, entry);
        shared->bytes += len + ENTRY_BYTES;
    }
    return entry;
}

/* Takes the text over. */
static int set(struct shared *shared, const char *name, size_t len, struct shared_entry to,
               bool only_new, struct error *err)
{
    struct shared_entry *entry;
    int result = 1;

    lock_acquire(&shared->leaf_lock);
    if (only_new && text_map_get(&shared->map, name, len) != NULL) {
        result = 0;
    } else {
        entry = entry_locked(shared, name, len, to.text_len, err);
        if (entry == NULL) {
            result = -1;
        } else {
            shared->bytes = shared->bytes - entry->text_len + to.text_len;
            mem_free(entry->text);
            *entry = to;
            to.text = NULL;
        }
    }
    lock_release(&shared->leaf_lock);
    mem_free(to.text);
    return result;
}

int shared_set_number(struct shared *shared, const char *name, size_t len, double number,
                      bool only_new, struct error *err)
{
    return set(shared, name, len, (struct shared_entry){.type = SHARED_NUMBER, .number = number},
               only_new, err);
}

int shared_set_text(struct shared *shared, const char *name, size_t len, const char *text,
                    size_t text_len, bool only_new, struct error *err)
{
    return set(shared, name, len,
               (struct shared_entry){
                   .type = SHARED_TEXT, .text = mem_dup(text, text_len), .text_len = text_len},
               only_new, err);
}

int shared_add(struct shared *shared, const char *name, size_t len, double by, double *now,
               struct error *err)
{
    struct shared_entry *entry;
    int result = -1;

    lock_acquire(&shared->leaf_lock);
    entry = entry_locked(shared, name, len, 0, err);
    if (entry != NULL && entry->type == SHARED_TEXT) {
        error_set(err, ERR_INVALID, "%.*s is a text", (int)len, name);
    } else if (entry != NULL) {
        entry->type = SHARED_NUMBER;
        entry->number += by;
        *now = entry->number;
        result = 0;
    }
    lock_release(&shared->leaf_lock);
    return result;
}

bool shared_delete(struct shared *shared, const char *name, size_t len)
{
    struct shared_entry *entry;

    lock_acquire(&shared->leaf_lock);
    entry = text_map_remove(&shared->map, name, len);
    if (entry != NULL)
        shared->bytes -= len + ENTRY_BYTES + entry->text_len;
    lock_release(&shared->leaf_lock);
    free_entry(entry);
    return entry != NULL;
}

void shared_names(struct shared *shared, const char *prefix, size_t len, size_t limit,
                  struct buf *out)
{
    lock_acquire(&shared->leaf_lock);
    for (size_t i = 0; i < shared->map.cap && limit > 0; i++) {
        const struct text_map_entry *slot = &shared->map.slots[i];

        if (slot->key == NULL || slot->len < len || memcmp(slot->key, prefix, len) != 0)
            continue;
        buf_append(out, slot->key, slot->len);
        buf_putc(out, '\n');
        limit--;
    }
    lock_release(&shared->leaf_lock);
}

/* --- as functions of native --------------------------------------------------------------------
 */

static struct shared *shared_raises(lua_State *L)
{
    const struct binding *binding = sandbox_owner(L);

    if (binding->shared == NULL)
        luaL_error(L, "tide.shared: not while scripts are loaded or checked");
    return binding->shared;
}

/* The same, to be changed. */
static struct shared *changing_raises(lua_State *L)
{
    const struct binding *binding = sandbox_owner(L);

    if (binding->actor != NULL)
        act_allow_raises(L, binding->actor, "tide.shared");
    return shared_raises(L);
}

static const char *name_raises(lua_State *L, size_t *len)
{
    const char *name;

    if (lua_type(L, 1) != LUA_TSTRING)
        luaL_error(L, "tide.shared: a name is a text");
    name = lua_tolstring(L, 1, len);
    if (*len == 0 || *len > SHARED_MAX_NAME || memchr(name, '\n', *len) != NULL)
        luaL_error(L, "tide.shared: a name has 1 to %d bytes, in one line", SHARED_MAX_NAME);
    return name;
}

static int native_get(lua_State *L)
{
    struct binding *binding = sandbox_owner(L);
    struct shared *shared = shared_raises(L);
    size_t len;
    const char *name = name_raises(L, &len);
    double number = 0;

    binding->text.len = 0;
    switch (shared_get(shared, name, len, &number, &binding->text)) {
    case SHARED_NOTHING:
        return 0;
    case SHARED_NUMBER:
        lua_pushnumber(L, number);
        return 1;
    case SHARED_TEXT:
        lua_pushlstring(L, (char *)binding->text.data, binding->text.len);
        return 1;
    }
    return 0;
}

/* shared_set(name, value or nil, only_new): whether it was set */
static int native_set(lua_State *L)
{
    struct shared *shared = changing_raises(L);
    size_t len, text_len;
    const char *name = name_raises(L, &len), *text;
    struct error err;
    int result;

    switch (lua_type(L, 2)) {
    case LUA_TNIL:
        result = shared_delete(shared, name, len);
        break;
    case LUA_TNUMBER:
        result =
            shared_set_number(shared, name, len, lua_tonumber(L, 2), lua_toboolean(L, 3), &err);
        break;
    case LUA_TSTRING:
        text = lua_tolstring(L, 2, &text_len);
        if (text_len > SHARED_MAX_TEXT)
            return luaL_error(L, "tide.shared: a text of over %d bytes", (int)SHARED_MAX_TEXT);
        result = shared_set_text(shared, name, len, text, text_len, lua_toboolean(L, 3), &err);
        break;
    default:
        return luaL_error(L, "tide.shared: a number, a text or nil, not a %s", luaL_typename(L, 2));
    }
    if (result == -1)
        return luaL_error(L, "tide.shared: %s", err.text);
    lua_pushboolean(L, result);
    return 1;
}

static int native_add(lua_State *L)
{
    struct shared *shared = changing_raises(L);
    size_t len;
    const char *name = name_raises(L, &len);
    double now;
    struct error err;

    if (shared_add(shared, name, len, luaL_checknumber(L, 2), &now, &err) != 0)
        return luaL_error(L, "tide.shared: %s", err.text);
    lua_pushnumber(L, now);
    return 1;
}

static int native_names(lua_State *L)
{
    struct binding *binding = sandbox_owner(L);
    struct shared *shared = shared_raises(L);
    size_t len;
    const char *prefix = luaL_optlstring(L, 1, "", &len), *at, *end;
    int i = 0;

    binding->text.len = 0;
    shared_names(shared, prefix, len, 10000, &binding->text);
    lua_newtable(L);
    at = (const char *)binding->text.data;
    for (const char *last = at + binding->text.len; at != last; at = end + 1) {
        end = memchr(at, '\n', (size_t)(last - at));
        lua_pushlstring(L, at, (size_t)(end - at));
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

void shared_open_raises(lua_State *L)
{
    static const luaL_Reg functions[] = {{"shared_get", native_get},
                                         {"shared_set", native_set},
                                         {"shared_add", native_add},
                                         {"shared_names", native_names}};

    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
}
