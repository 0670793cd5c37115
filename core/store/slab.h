/* slab.h - memory for millions of small objects, counted exactly.
 *
 * Size classes in slabs of 64 KiB; a slab holds one class of one group. Groups (chosen by the
 * series' stripe) keep threads apart. A slab that runs empty gives its pages back to the system,
 * but its addresses stay mapped until the pool is destroyed: a prefetch by a stale pointer is
 * harmless. Thread-safe; the group's lock is a leaf. */
#ifndef TIDE_STORE_SLAB_H
#define TIDE_STORE_SLAB_H

#include "base/base.h"

struct slab_pool;

#ifndef TIDE_CDEF

#include "base/thread.h"
#include "store/extent.h"

#define SLAB_BYTES ((size_t)64 * 1024)
#define SLAB_GROUPS 4
#define SLAB_CLASSES 16

struct slab;

struct slab_group {
    struct lock leaf_lock;              /* guards all of it */
    struct slab *partial[SLAB_CLASSES]; /* slabs with room; the first is filled */
};

struct slab_pool {
    struct slab_group groups[SLAB_GROUPS];
    struct extent_group extents[SLAB_GROUPS];
    struct lock free_lock;  /* guards the members up to the counters; taken inside a group's lock */
    struct slab *free_list; /* empty slabs of no class */
    void **regions;         /* as mapped */
    size_t region_count;
    size_t region_cap;
    uint8_t *fresh; /* untouched rest of the newest region */
    size_t fresh_slabs;
    uint64_t slab_count;  /* atomic; in use */
    uint64_t large_bytes; /* atomic; objects over the largest class */
};

/** Not cleared, 16-byte aligned; never NULL. `group` is taken modulo SLAB_GROUPS. */
void *slab_alloc(struct slab_pool *pool, uint32_t group, size_t size);
/** `size` as it was asked for. Takes NULL. */
void slab_free(struct slab_pool *pool, void *object, size_t size);
/** What slab_alloc really takes for `size`: grow within it without a new object. */
size_t slab_rounded(size_t size);
/** A whole slab, aligned to SLAB_BYTES, its content unknown; for extent.c. */
void *slab_pool_take(struct slab_pool *pool);
/** Gives it back; its pages behind the first go to the system. */
void slab_pool_give(struct slab_pool *pool, void *slab);
#endif

void slab_pool_init(struct slab_pool *pool);
/** Unmaps everything, objects or not (large ones must have been freed). */
void slab_pool_destroy(struct slab_pool *pool);
/** All memory of the pool. */
uint64_t slab_pool_bytes(const struct slab_pool *pool);

#endif
