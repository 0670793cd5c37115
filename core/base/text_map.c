#include "base/text_map.h"

#include <xxhash.h>

#include "base/mem.h"

#define LEAST_SLOTS 16

/* The slot of the key, or the free one where it would go. The map has a free slot. */
static struct text_map_entry *find(const struct text_map *map, const void *key, size_t len,
                                   uint64_t hash)
{
    size_t mask = map->cap - 1, i = hash & mask;

    for (;; i = (i + 1) & mask) {
        struct text_map_entry *slot = &map->slots[i];

        if (slot->key == NULL ||
            (slot->hash == hash && slot->len == len && memcmp(slot->key, key, len) == 0))
            return slot;
    }
}

static void grow(struct text_map *map)
{
    struct text_map_entry *old = map->slots;
    size_t old_cap = map->cap;

    map->cap = TIDE_MAX(old_cap * 2, (size_t)LEAST_SLOTS);
    map->slots = mem_zalloc(map->cap, sizeof(*map->slots));
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].key != NULL)
            *find(map, old[i].key, old[i].len, old[i].hash) = old[i];
    }
    mem_free(old);
}

void *text_map_get(const struct text_map *map, const void *key, size_t len)
{
    if (map->count == 0)
        return NULL;
    return find(map, key, len, XXH3_64bits(key, len))->value;
}

void *text_map_put(struct text_map *map, const void *key, size_t len, void *value)
{
    uint64_t hash = XXH3_64bits(key, len);
    struct text_map_entry *slot;
    void *before;

    TIDE_ASSERT(value != NULL);
    if (map->cap == 0 || map->count + 1 > map->cap / 4 * 3)
        grow(map);
    slot = find(map, key, len, hash);
    before = slot->value;
    if (slot->key == NULL) {
        *slot = (struct text_map_entry){mem_dup(key, len), len, hash, NULL};
        map->count++;
    }
    slot->value = value;
    return before;
}

void *text_map_remove(struct text_map *map, const void *key, size_t len)
{
    struct text_map_entry *slot;
    size_t mask = map->cap - 1, hole, i;
    void *value;

    if (map->count == 0)
        return NULL;
    slot = find(map, key, len, XXH3_64bits(key, len));
    if (slot->key == NULL)
        return NULL;
    value = slot->value;
    mem_free(slot->key);
    map->count--;
    /* Those behind it move up, as long as that keeps them at or behind where their hash says. */
    hole = i = (size_t)(slot - map->slots);
    for (;;) {
        i = (i + 1) & mask;
        if (map->slots[i].key == NULL)
            break;
        if (((i - (map->slots[i].hash & mask)) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct text_map_entry){0};
    return value;
}

void text_map_destroy(struct text_map *map)
{
    for (size_t i = 0; i < map->cap; i++)
        mem_free(map->slots[i].key);
    mem_free(map->slots);
    *map = (struct text_map){0};
}
