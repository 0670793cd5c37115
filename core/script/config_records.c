#include "script/config_records.h"

#include <lauxlib.h>

#include "base/mem.h"

enum field_kind { FIELD_TEXT, FIELD_WHOLE };

struct config_field {
    const char *name;
    enum field_kind kind;
    size_t offset;
};

#define TEXT(type, name)                                                                           \
    {                                                                                              \
#name, FIELD_TEXT, offsetof(struct type, name)                                             \
    }
#define WHOLE(type, name)                                                                          \
    {                                                                                              \
#name, FIELD_WHOLE, offsetof(struct type, name)                                            \
    }

static const struct config_field listener_fields[] = {
    TEXT(config_listener, address),
    TEXT(config_listener, certificate),
    TEXT(config_listener, key),
    TEXT(config_listener, client_ca),
    WHOLE(config_listener, client_certificate),
    WHOLE(config_listener, auth),
    WHOLE(config_listener, roles),
};

static const struct config_field user_fields[] = {
    TEXT(config_user, user),          TEXT(config_user, tenant), TEXT(config_user, password),
    TEXT(config_user, password_file), TEXT(config_user, token),  TEXT(config_user, token_file),
    WHOLE(config_user, roles),
};

static const struct config_field origin_fields[] = {TEXT(config_origin, text)};

const struct config_records config_listeners = {sizeof(struct config_listener), listener_fields,
                                                TIDE_COUNT(listener_fields)};
const struct config_records config_users = {sizeof(struct config_user), user_fields,
                                            TIDE_COUNT(user_fields)};
const struct config_records config_origins = {sizeof(struct config_origin), origin_fields,
                                              TIDE_COUNT(origin_fields)};

static void *field_of(const void *record, const struct config_field *field)
{
    return (char *)record + field->offset;
}

/* Fills a zeroed record from the table on top of the stack. */
static void fill_raises(lua_State *L, const struct config_records *kind, void *record)
{
    for (size_t i = 0; i < kind->field_count; i++) {
        const struct config_field *field = &kind->fields[i];
        void *to = field_of(record, field);

        lua_getfield(L, -1, field->name);
        if (field->kind == FIELD_TEXT) {
            size_t len;
            const char *text = luaL_checklstring(L, -1, &len);

            *(char **)to = mem_dup(text, len);
        } else {
            luaL_checktype(L, -1, LUA_TNUMBER);
            *(int64_t *)to = (int64_t)lua_tonumber(L, -1);
        }
        lua_pop(L, 1);
    }
}

void config_records_add_raises(lua_State *L, const struct config_records *kind, void **list,
                               size_t *count)
{
    size_t added;

    luaL_checktype(L, -1, LUA_TTABLE);
    added = lua_objlen(L, -1);
    *list = mem_realloc(*list, (*count + added) * kind->size);
    for (size_t i = 1; i <= added; i++) {
        void *record = (char *)*list + *count * kind->size;

        lua_rawgeti(L, -1, (int)i);
        memset(record, 0, kind->size);
        (*count)++;
        fill_raises(L, kind, record);
        lua_pop(L, 1);
    }
}

void config_records_push(lua_State *L, const struct config_records *kind, const void *list,
                         size_t count)
{
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        const void *record = (const char *)list + i * kind->size;

        lua_newtable(L);
        for (size_t f = 0; f < kind->field_count; f++) {
            const struct config_field *field = &kind->fields[f];
            const void *from = field_of(record, field);

            if (field->kind == FIELD_TEXT)
                lua_pushstring(L, *(char *const *)from);
            else
                lua_pushnumber(L, (double)*(const int64_t *)from);
            lua_setfield(L, -2, field->name);
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static bool is_same_record(const struct config_records *kind, const void *a, const void *b)
{
    for (size_t i = 0; i < kind->field_count; i++) {
        const void *one = field_of(a, &kind->fields[i]), *other = field_of(b, &kind->fields[i]);

        if (kind->fields[i].kind == FIELD_TEXT
                ? strcmp(*(char *const *)one, *(char *const *)other) != 0
                : *(const int64_t *)one != *(const int64_t *)other)
            return false;
    }
    return true;
}

bool config_records_equal(const struct config_records *kind, const void *a, size_t a_count,
                          const void *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        if (!is_same_record(kind, (const char *)a + i * kind->size,
                            (const char *)b + i * kind->size))
            return false;
    }
    return true;
}

void config_records_clear(const struct config_records *kind, void **list, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        for (size_t f = 0; f < kind->field_count; f++) {
            if (kind->fields[f].kind == FIELD_TEXT)
                mem_free(*(char **)field_of((char *)*list + i * kind->size, &kind->fields[f]));
        }
    }
    mem_free(*list);
    *list = NULL;
    *count = 0;
}
