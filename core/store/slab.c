/* slab.c - see slab.h. */
#include "store/slab.h"

#include <sys/mman.h>

#include "base/mem.h"

#define REGION_SLABS ((size_t)64)
#define HEADER_BYTES ((size_t)64)

struct slab {
    struct slab *next;
    struct slab *previous;
    void *free_list; /* objects given back: each begins with a pointer to the next */
    uint32_t group;
    uint16_t class;
    uint16_t used;  /* objects handed out */
    uint16_t fresh; /* objects never handed out begin with this one */
    uint16_t capacity;
    bool listed; /* in its group's list of slabs with room */
};

/* 192 is a series, 1056 a complete chunk. */
static const uint16_t class_bytes[SLAB_CLASSES] = {16,  32,  48,  64,  96,  128, 160,  176,
                                                   192, 256, 320, 384, 512, 768, 1024, 1056};

static size_t class_of(size_t size)
{
    size_t class = 0;

    while (class < SLAB_CLASSES && class_bytes[class] < size)
        class ++;
    return class;
}

size_t slab_rounded(size_t size)
{
    size_t class = class_of(size);

    return class < SLAB_CLASSES ? class_bytes[class] : size;
}

void slab_pool_init(struct slab_pool *pool)
{
    *pool = (struct slab_pool){0};
    for (size_t i = 0; i < SLAB_GROUPS; i++) {
        lock_init(&pool->groups[i].leaf_lock);
        lock_init(&pool->extents[i].leaf_lock);
    }
    lock_init(&pool->free_lock);
}

void slab_pool_destroy(struct slab_pool *pool)
{
    for (size_t i = 0; i < pool->region_count; i++)
        munmap(pool->regions[i], (REGION_SLABS + 1) * SLAB_BYTES);
    mem_free(pool->regions);
    for (size_t i = 0; i < SLAB_GROUPS; i++) {
        lock_destroy(&pool->groups[i].leaf_lock);
        lock_destroy(&pool->extents[i].leaf_lock);
    }
    lock_destroy(&pool->free_lock);
    *pool = (struct slab_pool){0};
}

static void map_region(struct slab_pool *pool)
{
    size_t bytes = (REGION_SLABS + 1) * SLAB_BYTES; /* one more, to align */
    void *region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (region == MAP_FAILED)
        region = mem_alloc(SIZE_MAX / 2); /* ends the process with the usual message */
    if (pool->region_count == pool->region_cap) {
        pool->region_cap = pool->region_cap != 0 ? pool->region_cap * 2 : 16;
        pool->regions = mem_realloc(pool->regions, pool->region_cap * sizeof(*pool->regions));
    }
    pool->regions[pool->region_count++] = region;
    pool->fresh = (uint8_t *)(((uintptr_t)region + SLAB_BYTES - 1) & ~(uintptr_t)(SLAB_BYTES - 1));
    pool->fresh_slabs = REGION_SLABS;
}

void *slab_pool_take(struct slab_pool *pool)
{
    struct slab *slab;

    lock_acquire(&pool->free_lock);
    slab = pool->free_list;
    if (slab != NULL) {
        pool->free_list = slab->next;
    } else {
        if (pool->fresh_slabs == 0)
            map_region(pool);
        slab = (struct slab *)(void *)pool->fresh;
        pool->fresh += SLAB_BYTES;
        pool->fresh_slabs--;
    }
    lock_release(&pool->free_lock);
    __atomic_add_fetch(&pool->slab_count, 1, __ATOMIC_RELAXED);
    return slab;
}

void slab_pool_give(struct slab_pool *pool, void *returned)
{
    struct slab *slab = returned;

    madvise((uint8_t *)slab + 4096, SLAB_BYTES - 4096, MADV_DONTNEED);
    lock_acquire(&pool->free_lock);
    slab->next = pool->free_list;
    pool->free_list = slab;
    lock_release(&pool->free_lock);
    __atomic_sub_fetch(&pool->slab_count, 1, __ATOMIC_RELAXED);
}

static struct slab *take_slab(struct slab_pool *pool, uint32_t group, size_t class)
{
    struct slab *slab = slab_pool_take(pool);

    *slab = (struct slab){
        .group = group,
        .class = (uint16_t) class,
        .capacity = (uint16_t)((SLAB_BYTES - HEADER_BYTES) / class_bytes[class]),
    };
    return slab;
}

static void list_add(struct slab_group *group, struct slab *slab)
{
    struct slab **head = &group->partial[slab->class];

    slab->previous = NULL;
    slab->next = *head;
    if (*head != NULL)
        (*head)->previous = slab;
    *head = slab;
    slab->listed = true;
}

static void list_remove(struct slab_group *group, struct slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        group->partial[slab->class] = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
    slab->listed = false;
}

void *slab_alloc(struct slab_pool *pool, uint32_t group_index, size_t size)
{
    struct slab_group *group = &pool->groups[group_index % SLAB_GROUPS];
    size_t class = class_of(size);
    struct slab *slab;
    void *object;

    if (class == SLAB_CLASSES) {
        __atomic_add_fetch(&pool->large_bytes, size, __ATOMIC_RELAXED);
        return mem_alloc(size);
    }
    lock_acquire(&group->leaf_lock);
    slab = group->partial[class];
    if (slab == NULL) {
        slab = take_slab(pool, group_index % SLAB_GROUPS, class);
        list_add(group, slab);
    }
    if (slab->free_list != NULL) {
        object = slab->free_list;
        memcpy(&slab->free_list, object, sizeof(void *));
    } else {
        object = (uint8_t *)slab + HEADER_BYTES + (size_t)slab->fresh++ * class_bytes[class];
    }
    if (++slab->used == slab->capacity)
        list_remove(group, slab);
    lock_release(&group->leaf_lock);
    return object;
}

void slab_free(struct slab_pool *pool, void *object, size_t size)
{
    struct slab *slab;
    struct slab_group *group;
    bool empty;

    if (object == NULL)
        return;
    if (class_of(size) == SLAB_CLASSES) {
        __atomic_sub_fetch(&pool->large_bytes, size, __ATOMIC_RELAXED);
        mem_free(object);
        return;
    }
    slab = (struct slab *)((uintptr_t)object & ~(uintptr_t)(SLAB_BYTES - 1));
    TIDE_ASSERT(slab->class == class_of(size));
    group = &pool->groups[slab->group];
    lock_acquire(&group->leaf_lock);
    memcpy(object, &slab->free_list, sizeof(void *));
    slab->free_list = object;
    slab->used--;
    if (!slab->listed)
        list_add(group, slab);
    /* The first of the list stays, so that one object going back and forth maps nothing. */
    empty = slab->used == 0 && slab->previous != NULL;
    if (empty)
        list_remove(group, slab);
    lock_release(&group->leaf_lock);
    if (empty)
        slab_pool_give(pool, slab);
}

uint64_t slab_pool_bytes(const struct slab_pool *pool)
{
    return __atomic_load_n(&pool->slab_count, __ATOMIC_RELAXED) * SLAB_BYTES +
           __atomic_load_n(&pool->large_bytes, __ATOMIC_RELAXED);
}
