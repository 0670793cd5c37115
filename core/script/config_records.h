/* config_records.h - settings that are lists of records, between Lua and the config: listeners,
 * users, origins. The checked form is that of lua/tidemark/records.lua: flat tables. */
#ifndef TIDE_SCRIPT_CONFIG_RECORDS_H
#define TIDE_SCRIPT_CONFIG_RECORDS_H

#include <lua.h>

#include "script/config.h"

/* What a record's struct looks like. */
struct config_records {
    size_t size;
    const struct config_field *fields;
    size_t field_count;
};

extern const struct config_records config_listeners;
extern const struct config_records config_users;
extern const struct config_records config_origins;

/** Appends the records of the list on top of the stack to *list. Raises: owned by *list then. */
void config_records_add_raises(lua_State *L, const struct config_records *kind, void **list,
                               size_t *count);
/** Pushes them as a list of tables. */
void config_records_push(lua_State *L, const struct config_records *kind, const void *list,
                         size_t count);
bool config_records_equal(const struct config_records *kind, const void *a, size_t a_count,
                          const void *b, size_t b_count);
void config_records_clear(const struct config_records *kind, void **list, size_t *count);

#endif
