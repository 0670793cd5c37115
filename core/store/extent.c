/* extent.c - see extent.h. */
#include "store/extent.h"

#include "store/slab.h"

#define UNITS (SLAB_BYTES / EXTENT_UNIT)
#define WORDS (UNITS / 64)

/* At the begin of its slab; its own units count as used. */
struct extent_slab {
    struct extent_slab *next;
    struct extent_slab *previous;
    uint32_t group;
    uint16_t used_units;
    uint16_t room;  /* no free run is longer, if not EXTENT_MAX_UNITS; the list it is in; 0: none */
    uint16_t rover; /* where the search for room begins */
    uint64_t used[WORDS]; /* one bit a unit */
};

#define HEADER_UNITS ((sizeof(struct extent_slab) + EXTENT_UNIT - 1) / EXTENT_UNIT)

static size_t units_of(size_t bytes)
{
    return (bytes + EXTENT_UNIT - 1) / EXTENT_UNIT;
}

/* --- the bits of a slab -------------------------------------------------------------------------
 */

static void mark(struct extent_slab *slab, size_t at, size_t count, bool used)
{
    while (count != 0) {
        size_t bit = at % 64, here = TIDE_MIN(count, 64 - bit);
        uint64_t mask = (here == 64 ? UINT64_MAX : ((uint64_t)1 << here) - 1) << bit;

        if (used)
            slab->used[at / 64] |= mask;
        else
            slab->used[at / 64] &= ~mask;
        at += here;
        count -= here;
    }
}

/* The 64 bits from `at` on; behind the slab's end all count as used. */
static uint64_t bits_from(const struct extent_slab *slab, size_t at)
{
    size_t word = at / 64, shift = at % 64;
    uint64_t next = word + 1 < WORDS ? slab->used[word + 1] : UINT64_MAX;

    if (at >= UNITS)
        return UINT64_MAX;
    return shift == 0 ? slab->used[word] : slab->used[word] >> shift | next << (64 - shift);
}

/* Length of the free run that begins at `at`, at most `limit` (under 64). */
static size_t free_from(const struct extent_slab *slab, size_t at, size_t limit)
{
    uint64_t used = bits_from(slab, at);

    return used != 0 ? TIDE_MIN((size_t)__builtin_ctzll(used), limit) : limit;
}

/* Length of the free run that ends before `at` (not 0), at most `limit` (under 64). The header's
 * units end it. */
static size_t free_before(const struct extent_slab *slab, size_t at, size_t limit)
{
    size_t from = at > 64 ? at - 64 : 0;
    uint64_t used = bits_from(slab, from) << (64 - (at - from));

    return used != 0 ? TIDE_MIN((size_t)__builtin_clzll(used), limit) : limit;
}

/* The first run of `units` (at most 64) free ones from `at` on, or UNITS. A word at a time: with
 * each step the bits that are left begin free runs of up to twice the length. */
static size_t find_run(const struct extent_slab *slab, size_t at, size_t units)
{
    uint64_t mask = UINT64_MAX << at % 64;

    for (size_t word = at / 64; word < WORDS; word++, mask = UINT64_MAX) {
        uint64_t begins = ~slab->used[word] & mask;
        uint64_t next = word + 1 < WORDS ? ~slab->used[word + 1] : 0;

        for (size_t length = 1, step; length < units && begins != 0; length += step) {
            step = TIDE_MIN(length, units - length);
            begins &= begins >> step | next << (64 - step);
            next &= next >> step;
        }
        if (begins != 0)
            return word * 64 + (size_t)__builtin_ctzll(begins);
    }
    return UNITS;
}

/* --- the lists of a group -----------------------------------------------------------------------
 */

static void unlist(struct extent_group *group, struct extent_slab *slab)
{
    if (slab->room == 0)
        return;
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        group->with_room[slab->room] = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
}

static void list(struct extent_group *group, struct extent_slab *slab, size_t room)
{
    struct extent_slab **head;

    slab->room = (uint16_t)TIDE_MIN(room, (size_t)EXTENT_MAX_UNITS);
    if (slab->room == 0)
        return;
    head = &group->with_room[slab->room];
    slab->previous = NULL;
    slab->next = *head;
    if (*head != NULL)
        (*head)->previous = slab;
    *head = slab;
}

static struct extent_slab *new_slab(struct slab_pool *pool, uint32_t group_index)
{
    struct extent_slab *slab = slab_pool_take(pool);

    memset(slab, 0, sizeof(*slab));
    slab->group = group_index;
    slab->used_units = HEADER_UNITS;
    mark(slab, 0, HEADER_UNITS, true);
    list(&pool->extents[group_index], slab, EXTENT_MAX_UNITS);
    return slab;
}

/* A run of `units` free ones, or UNITS. The search begins where the longest room came to be last,
 * or behind what was found there. */
static size_t find_room(struct extent_slab *slab, size_t units)
{
    size_t at = find_run(slab, slab->rover, units);

    if (at == UNITS && slab->rover != 0)
        at = find_run(slab, 0, units);
    slab->rover = (uint16_t)(at != UNITS ? at + units : 0);
    return at;
}

/* Tight slabs first, so that loose ones run empty. */
static void *take(struct slab_pool *pool, uint32_t group_index, size_t units)
{
    struct extent_group *group = &pool->extents[group_index];

    for (size_t room = units; room <= EXTENT_MAX_UNITS; room++) {
        struct extent_slab *slab = group->with_room[room], *next;

        for (; slab != NULL; slab = next) {
            size_t at = find_room(slab, units);

            next = slab->next;
            if (at < UNITS) {
                mark(slab, at, units, true);
                slab->used_units = (uint16_t)(slab->used_units + units);
                return (uint8_t *)slab + at * EXTENT_UNIT;
            }
            unlist(group, slab);
            list(group, slab, units - 1);
        }
    }
    new_slab(pool, group_index);
    return take(pool, group_index, units);
}

/* Returns the slab if it is empty now and to be given back. */
static struct extent_slab *give(struct extent_group *group, struct extent_slab *slab, size_t at,
                                size_t units)
{
    size_t before, room;

    mark(slab, at, units, false);
    slab->used_units = (uint16_t)(slab->used_units - units);
    before = free_before(slab, at, EXTENT_MAX_UNITS);
    room = before + units + free_from(slab, at + units, EXTENT_MAX_UNITS);
    if (room >= slab->room)
        slab->rover = (uint16_t)(at - before);
    if (room > slab->room) {
        unlist(group, slab);
        list(group, slab, room);
    }
    /* The last one stays, so that one head coming and going maps nothing. */
    if (slab->used_units != HEADER_UNITS || (slab->previous == NULL && slab->next == NULL))
        return NULL;
    unlist(group, slab);
    return slab;
}

/* --- the door -----------------------------------------------------------------------------------
 */

static struct extent_slab *slab_of(const void *extent)
{
    return (struct extent_slab *)((uintptr_t)extent & ~(uintptr_t)(SLAB_BYTES - 1));
}

static size_t place_of(const void *extent)
{
    return ((uintptr_t)extent & (SLAB_BYTES - 1)) / EXTENT_UNIT;
}

/* Where it is: cut, or grown over free neighbours behind it. */
static bool resize_in_place(struct extent_group *group, void *extent, size_t had, size_t want)
{
    struct extent_slab *slab = slab_of(extent);
    size_t end = place_of(extent) + had;

    if (want < had) {
        give(group, slab, place_of(extent) + want, had - want); /* never empty: `want` is left */
        return true;
    }
    if (want - had > free_from(slab, end, want - had))
        return false;
    mark(slab, end, want - had, true);
    slab->used_units = (uint16_t)(slab->used_units + want - had);
    return true;
}

void *extent_resize(struct slab_pool *pool, uint32_t group_index, void *old, size_t old_bytes,
                    size_t new_bytes)
{
    struct extent_group *group = &pool->extents[group_index % SLAB_GROUPS];
    size_t had = units_of(old_bytes), want = units_of(new_bytes);
    struct extent_slab *empty = NULL;
    void *bytes = NULL;

    TIDE_ASSERT(new_bytes <= EXTENT_MAX_BYTES && (old != NULL) == (old_bytes != 0));
    lock_acquire(&group->leaf_lock);
    if (had != 0 && want != 0 && resize_in_place(group, old, had, want)) {
        lock_release(&group->leaf_lock);
        return old;
    }
    if (want != 0)
        bytes = take(pool, group_index % SLAB_GROUPS, want);
    if (had != 0 && want != 0)
        memcpy(bytes, old, TIDE_MIN(old_bytes, new_bytes));
    if (had != 0) {
        TIDE_ASSERT(slab_of(old)->group == group_index % SLAB_GROUPS);
        empty = give(group, slab_of(old), place_of(old), had);
    }
    lock_release(&group->leaf_lock);
    if (empty != NULL)
        slab_pool_give(pool, empty);
    return bytes;
}
