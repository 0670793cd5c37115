/* series_map.c - see series_map.h. */
#include "store/series_map.h"

#include <stdlib.h>

#include "base/mem.h"

#define SEGMENT_IDS 4096u
#define SEGMENTS ((size_t)1 << 20)
#define FIRST_SLOTS 4u
#define SLOT_BYTES (sizeof(struct series *) + sizeof(uint16_t))

void series_map_init(struct series_map *map, struct epoch *epoch)
{
    *map = (struct series_map){.epoch = epoch};
    map->stripes = aligned_alloc(64, SERIES_STRIPES * sizeof(struct stripe));
    TIDE_ASSERT(map->stripes != NULL);
    memset(map->stripes, 0, SERIES_STRIPES * sizeof(struct stripe));
    for (size_t i = 0; i < SERIES_STRIPES; i++)
        lock_init(&map->stripes[i].stripe_lock);
    map->segments = mem_zalloc(SEGMENTS, sizeof(*map->segments));
    lock_init(&map->ids_lock);
}

void series_map_destroy(struct series_map *map)
{
    for (size_t i = 0; map->stripes != NULL && i < SERIES_STRIPES; i++) {
        mem_free(map->stripes[i].slots);
        lock_destroy(&map->stripes[i].stripe_lock);
    }
    mem_free(map->stripes);
    for (size_t i = 0; i < SEGMENTS && map->segments[i] != NULL; i++)
        mem_free(map->segments[i]);
    mem_free(map->segments);
    retired_destroy(&map->retired);
    lock_destroy(&map->ids_lock);
    *map = (struct series_map){0};
}

uint32_t series_map_stripe_of(uint64_t fp)
{
    return (uint32_t)(fp ^ fp >> 32 ^ fp >> 16) % SERIES_STRIPES;
}

struct stripe *series_map_stripe(struct series_map *map, uint64_t fp)
{
    return &map->stripes[series_map_stripe_of(fp)];
}

/* A slot's tag is the low half of this hash: most slots that hold another series, and most homes
 * when a table grows, are told by it, without a look at the series far away. Another mix than the
 * stripe's, so that the slots of one stripe spread. */
static uint32_t hash_of(uint64_t fp)
{
    return (uint32_t)(fp * 0x9e3779b97f4a7c15u >> 32);
}

static uint32_t home_of(const struct stripe *stripe, uint32_t slot)
{
    uint32_t mask = stripe->mask;

    return (mask <= UINT16_MAX ? stripe->tags[slot] : hash_of(stripe->slots[slot]->fp)) & mask;
}

static uint32_t find_slot(const struct stripe *stripe, uint64_t fp)
{
    uint32_t hash = hash_of(fp);
    uint32_t at = hash & stripe->mask;

    while (stripe->slots[at] != NULL &&
           (stripe->tags[at] != (uint16_t)hash || stripe->slots[at]->fp != fp))
        at = (at + 1) & stripe->mask;
    return at;
}

struct series *series_map_find_locked(const struct stripe *stripe, uint64_t fp)
{
    return stripe->slots != NULL ? stripe->slots[find_slot(stripe, fp)] : NULL;
}

static void move_slot(const struct stripe *from, uint32_t at, struct stripe *to, uint32_t slot)
{
    to->slots[slot] = from->slots[at];
    to->tags[slot] = from->tags[at];
}

static void grow(struct stripe *stripe)
{
    struct stripe old = *stripe;
    uint32_t old_slots = old.slots != NULL ? old.mask + 1 : 0;
    uint32_t slots = old.slots != NULL ? old_slots * 2 : FIRST_SLOTS;

    stripe->slots = mem_zalloc(slots, SLOT_BYTES);
    stripe->tags = (uint16_t *)(void *)(stripe->slots + slots);
    stripe->mask = slots - 1;
    for (uint32_t i = 0; i < old_slots; i++) {
        uint32_t at;

        if (old.slots[i] == NULL)
            continue;
        at = (stripe->mask <= UINT16_MAX ? old.tags[i] : hash_of(old.slots[i]->fp)) & stripe->mask;
        while (stripe->slots[at] != NULL)
            at = (at + 1) & stripe->mask;
        move_slot(&old, i, stripe, at);
    }
    mem_free(old.slots);
}

static void set_owner(struct series_map *map, struct series *series, uint32_t id)
{
    struct id_entry *entry = series_map_id(map, id);

    /* Release: who sees this owner sees the stripe that was stored before. */
    __atomic_store_n(&entry->series, series, __ATOMIC_RELEASE);
    __atomic_store_n(&entry->generation, entry->generation + 1, __ATOMIC_RELAXED);
}

void series_map_insert_locked(struct series_map *map, struct stripe *stripe, struct series *series)
{
    uint32_t at;

    if (stripe->slots == NULL || (stripe->used + 1) * 4 > (stripe->mask + 1) * 3)
        grow(stripe);
    at = find_slot(stripe, series->fp);
    stripe->slots[at] = series;
    stripe->tags[at] = (uint16_t)hash_of(series->fp);
    stripe->used++;
    __atomic_store_n(&series_map_id(map, series->id)->stripe, (uint32_t)(stripe - map->stripes),
                     __ATOMIC_RELAXED);
    set_owner(map, series, series->id);
}

void series_map_remove_locked(struct series_map *map, struct stripe *stripe, struct series *series)
{
    uint32_t hole = find_slot(stripe, series->fp);

    TIDE_ASSERT(stripe->slots[hole] == series);
    for (uint32_t i = (hole + 1) & stripe->mask; stripe->slots[i] != NULL;
         i = (i + 1) & stripe->mask) {
        uint32_t home = home_of(stripe, i);

        if (((i - home) & stripe->mask) >= ((i - hole) & stripe->mask)) {
            move_slot(stripe, i, stripe, hole);
            hole = i;
        }
    }
    stripe->slots[hole] = NULL;
    stripe->used--;
    set_owner(map, NULL, series->id);
}

void series_map_replace_locked(struct series_map *map, struct stripe *stripe, struct series *from,
                               struct series *to)
{
    uint32_t at = find_slot(stripe, from->fp);

    TIDE_ASSERT(stripe->slots[at] == from && from->id == to->id);
    stripe->slots[at] = to;
    set_owner(map, to, to->id);
}

uint32_t series_map_new_id(struct series_map *map)
{
    uint32_t id;

    lock_acquire(&map->ids_lock);
    if (!retired_pop(&map->retired, map->epoch, &id)) {
        id = map->next_id++;
        TIDE_ASSERT(id < UINT32_MAX - 1024);
        if (id % SEGMENT_IDS == 0)
            map->segments[id / SEGMENT_IDS] = mem_zalloc(SEGMENT_IDS, sizeof(struct id_entry));
    }
    lock_release(&map->ids_lock);
    return id;
}

void series_map_retire_id(struct series_map *map, uint32_t id)
{
    lock_acquire(&map->ids_lock);
    retired_push(&map->retired, map->epoch, id);
    lock_release(&map->ids_lock);
}

uint32_t series_map_id_bound(struct series_map *map)
{
    uint32_t bound;

    lock_acquire(&map->ids_lock);
    bound = map->next_id;
    lock_release(&map->ids_lock);
    return bound;
}

struct series *series_map_lock_id(struct series_map *map, uint32_t id,
                                  struct stripe **stripe) TIDE_NO_LOCK_CHECK
{
    const struct id_entry *entry = series_map_id(map, id);

    for (;;) {
        uint32_t index = __atomic_load_n(&entry->stripe, __ATOMIC_RELAXED);
        struct series *series;

        *stripe = &map->stripes[index];
        lock_acquire(&(*stripe)->stripe_lock);
        series = __atomic_load_n(&entry->series, __ATOMIC_ACQUIRE);
        /* The id may belong to a series of another stripe by now. */
        if (__atomic_load_n(&entry->stripe, __ATOMIC_RELAXED) == index) {
            if (series != NULL)
                return series;
            lock_release(&(*stripe)->stripe_lock);
            return NULL;
        }
        lock_release(&(*stripe)->stripe_lock);
    }
}

uint64_t series_map_bytes(struct series_map *map)
{
    uint64_t bytes = SERIES_STRIPES * sizeof(struct stripe);

    for (size_t i = 0; i < SERIES_STRIPES; i++) {
        struct stripe *stripe = &map->stripes[i];

        lock_acquire(&stripe->stripe_lock);
        if (stripe->slots != NULL)
            bytes += ((uint64_t)stripe->mask + 1) * SLOT_BYTES;
        lock_release(&stripe->stripe_lock);
    }
    return bytes + ((uint64_t)series_map_id_bound(map) + SEGMENT_IDS - 1) / SEGMENT_IDS *
                       SEGMENT_IDS * sizeof(struct id_entry);
}
