/* series_map.h - every series of the store by fingerprint and by dense id.
 *
 * 4,096 stripes, chosen by fingerprint, each a small hash table with its mutex: no growth stops
 * more than one of 4,096 series, and everything that changes in a series happens under its stripe.
 * Ids are dense and used again (epoch.h); the generation of an id tells its owners apart.
 *
 * Lock order: never two stripes; inside a stripe only leaves (README.md). */
#ifndef TIDE_STORE_SERIES_MAP_H
#define TIDE_STORE_SERIES_MAP_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/thread.h"
#include "store/epoch.h"
#include "store/series.h"

#define SERIES_STRIPES 4096

struct stripe {
    struct lock stripe_lock; /* guards the table and every series in it */
    struct series **slots;   /* linear probing by fingerprint */
    uint16_t *tags;          /* of slots, in the same block: part of the hash (series_map.c) */
    uint32_t mask;
    uint32_t used;
} __attribute__((aligned(64)));

/* Who an id stands for. Written under the stripe of its series, read by hint without it. */
struct id_entry {
    struct series *series; /* NULL: nobody */
    uint32_t generation;   /* rises when the id changes hands, and when a series is archived */
    uint32_t stripe;
};

struct series_map {
    struct stripe *stripes;
    struct id_entry **segments; /* fixed directory; a segment never moves */
    struct lock ids_lock;       /* a leaf; guards the rest */
    struct retired_queue retired;
    uint32_t next_id;
    struct epoch *epoch; /* borrowed */
};

void series_map_init(struct series_map *map, struct epoch *epoch);
/** The series themselves must be gone or belong to a pool that goes. */
void series_map_destroy(struct series_map *map);

uint32_t series_map_stripe_of(uint64_t fp);
struct stripe *series_map_stripe(struct series_map *map, uint64_t fp);

/** The series, or NULL. */
struct series *series_map_find_locked(const struct stripe *stripe, uint64_t fp);
/** Adds one that is not there; its id is entered. */
void series_map_insert_locked(struct series_map *map, struct stripe *stripe, struct series *series);
/** Takes it out; its id means nobody from now on (series_map_retire_id gives it back). */
void series_map_remove_locked(struct series_map *map, struct stripe *stripe, struct series *series);
/** The same series lives at another address now: archived or un-archived. */
void series_map_replace_locked(struct series_map *map, struct stripe *stripe, struct series *from,
                               struct series *to);

/** An id of nobody. */
uint32_t series_map_new_id(struct series_map *map);
/** After the id has left all sets. */
void series_map_retire_id(struct series_map *map, uint32_t id);
/** All ids ever given are below this. */
uint32_t series_map_id_bound(struct series_map *map);

static inline struct id_entry *series_map_id(const struct series_map *map, uint32_t id)
{
    return &map->segments[id >> 12][id & 4095];
}

/**
 * Locks the stripe of an id's present owner.
 *
 * @return the series, its stripe locked; or NULL (nobody), nothing locked
 */
struct series *series_map_lock_id(struct series_map *map, uint32_t id, struct stripe **stripe);

uint64_t series_map_bytes(struct series_map *map);

#endif
#endif
