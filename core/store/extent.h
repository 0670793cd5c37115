/* extent.h - memory of open heads: bytes that grow.
 *
 * Heads of one kind grow in step, so with size classes each step would leave the slabs of the size
 * before full of holes. Here a slab of 64 KiB holds extents of any size in units of 32 bytes, one
 * bit a unit; neighbours that are free are one room, and an extent grows in place where what
 * follows it is free. Slabs come from the pool and are counted there; its addresses stay mapped.
 * Thread-safe; the group's lock is a leaf, the pool's free_lock is taken inside it. */
#ifndef TIDE_STORE_EXTENT_H
#define TIDE_STORE_EXTENT_H

#include "base/base.h"

struct slab_pool;

#ifndef TIDE_CDEF

#include "base/thread.h"

#define EXTENT_UNIT 32u
#define EXTENT_MAX_BYTES 1024u
#define EXTENT_MAX_UNITS (EXTENT_MAX_BYTES / EXTENT_UNIT)

struct extent_slab;

struct extent_group {
    struct lock leaf_lock; /* guards all of it */
    /* Slabs by the longest room that they may have, in units; longer ones are in the last list,
     * full ones in none. */
    struct extent_slab *with_room[EXTENT_MAX_UNITS + 1];
};

#endif

/**
 * Grows, shrinks, makes (old NULL) or frees (new_bytes 0) an extent; what fits of the content
 * stays.
 *
 * @param group      as it was made with; taken modulo SLAB_GROUPS
 * @param old_bytes  as it was asked for; 0 with old NULL
 * @param new_bytes  at most EXTENT_MAX_BYTES
 * @return its bytes, which may have moved; NULL only for new_bytes 0
 */
void *extent_resize(struct slab_pool *pool, uint32_t group, void *old, size_t old_bytes,
                    size_t new_bytes);

#endif
