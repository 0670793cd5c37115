/* text_map.h - a hash map from bytes to pointers: open addressing, keys copied, values the
 * caller's.
 *
 * A zeroed struct is an empty map. One owner, not thread-safe. Growth never fails (mem_alloc's
 * rule), so callers bound what outsiders may add. */
#ifndef TIDE_BASE_TEXT_MAP_H
#define TIDE_BASE_TEXT_MAP_H

#include "base/base.h"

struct text_map_entry {
    char *key; /* owned by the map, terminated; NULL: free */
    size_t len;
    uint64_t hash;
    void *value;
};

struct text_map {
    struct text_map_entry *slots; /* a power of two; walk them, skipping those without a key */
    size_t cap;
    size_t count;
};

/** The value of a key; NULL when it is absent. */
void *text_map_get(const struct text_map *map, const void *key, size_t len);
/** Sets a key's value (never NULL). @return the value it had before, or NULL */
void *text_map_put(struct text_map *map, const void *key, size_t len, void *value);
/** Takes a key out. @return its value, or NULL when it was absent */
void *text_map_remove(struct text_map *map, const void *key, size_t len);
/** Frees keys and slots, not the values; the map is empty then. */
void text_map_destroy(struct text_map *map);

#endif
