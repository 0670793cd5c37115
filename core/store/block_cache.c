/* block_cache.c - see block_cache.h. The index: linear probing; a shard grows by a quarter, so that
 * few slots stand empty. */
#include "store/block_cache.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

#define FIRST_SLOTS 64u
/* Of the bound; the rest is for the index. */
#define ENTRIES_PERCENT 70
/* Blocks of the last time that this time's may have left out. */
#define MAX_GAP 3

void block_cache_init(struct block_cache *cache, size_t max_bytes)
{
    *cache = (struct block_cache){0};
    if (getrandom(cache->secret, sizeof(cache->secret), 0) != (ssize_t)sizeof(cache->secret))
        TIDE_ASSERT(false);
    for (size_t i = 0; i < BLOCK_CACHE_SHARDS; i++)
        lock_init(&cache->shards[i].leaf_lock);
    block_order_init(&cache->order, TIDE_MAX(max_bytes, (size_t)1 << 20) / 100 * ENTRIES_PERCENT);
}

void block_cache_destroy(struct block_cache *cache)
{
    for (size_t i = 0; i < BLOCK_CACHE_SHARDS; i++) {
        mem_free(cache->shards[i].index);
        lock_destroy(&cache->shards[i].leaf_lock);
    }
    block_order_destroy(&cache->order);
    *cache = (struct block_cache){0};
}

static struct block_key hash(const struct block_cache *cache, const uint8_t *bytes, size_t len)
{
    XXH128_hash_t hashed =
        XXH3_128bits_withSecret(bytes, len, cache->secret, sizeof(cache->secret));

    return (struct block_key){hashed.low64, hashed.high64};
}

struct block_key block_cache_salt(const struct block_cache *cache, uint32_t format,
                                  const uint8_t *salt, size_t salt_len)
{
    struct block_key key = hash(cache, salt, salt != NULL ? salt_len : 0);
    uint64_t mixed[3] = {key.low, key.high, format};

    return hash(cache, (const uint8_t *)mixed, sizeof(mixed));
}

struct block_key block_cache_key(const struct block_cache *cache, struct block_key salt,
                                 const uint8_t *block, size_t len)
{
    struct block_key key = hash(cache, block, len);

    key.low ^= salt.low;
    key.high ^= salt.high;
    key.high |= 1;
    return key;
}

static struct block_shard *shard_of(const struct block_cache *cache, struct block_key key)
{
    return (struct block_shard *)(uintptr_t)&cache->shards[key.low % BLOCK_CACHE_SHARDS];
}

/* The upper half of a key as a part of the table; the lower half has chosen the shard. */
static uint32_t home_in(uint32_t slots, struct block_key key)
{
    return (uint32_t)((key.low >> 32) * slots >> 32);
}

static uint32_t next_of(const struct block_shard *shard, uint32_t at)
{
    return at + 1 < shard->slots ? at + 1 : 0;
}

/* How far `at` lies behind `from`, going round. */
static uint32_t behind(const struct block_shard *shard, uint32_t at, uint32_t from)
{
    return at >= from ? at - from : at + shard->slots - from;
}

/* --- slots of the index -------------------------------------------------------------------------
 */

static uint64_t slot_of(struct block_key key, uint32_t place)
{
    return key.high >> 32 << 32 | (uint64_t)(place + 1);
}

static uint32_t place_in(uint64_t slot)
{
    return (uint32_t)slot - 1;
}

static bool may_be(uint64_t slot, struct block_key key)
{
    return slot >> 32 == key.high >> 32;
}

static bool same_key(struct block_key a, struct block_key b)
{
    return a.low == b.low && a.high == b.high;
}

static bool is_key_at(const struct block_cache *cache, uint64_t slot, struct block_key key)
{
    return may_be(slot, key) &&
           same_key(block_entry_key(block_order_at(&cache->order, place_in(slot))), key);
}

/* The key's slot, or the free one where it would go. Some slot is always free. */
static uint32_t find_slot(const struct block_cache *cache, const struct block_shard *shard,
                          struct block_key key)
{
    uint32_t at = home_in(shard->slots, key);

    while (shard->index[at] != 0 && !is_key_at(cache, shard->index[at], key))
        at = next_of(shard, at);
    return at;
}

/* Reads the shard's address and size without its lock: a stale one fetches a useless line. */
__attribute__((no_sanitize("thread"))) void block_cache_prefetch(const struct block_cache *cache,
                                                                 struct block_key key)
{
    const struct block_shard *shard = shard_of(cache, key);
    const uint64_t *index = __atomic_load_n(&shard->index, __ATOMIC_RELAXED);
    uint32_t slots = __atomic_load_n(&shard->slots, __ATOMIC_RELAXED);

    if (index != NULL)
        __builtin_prefetch(&index[home_in(slots, key)]);
}

void block_cache_prefetch_entry(const struct block_cache *cache, struct block_key key)
{
    struct block_shard *shard = shard_of(cache, key);

    lock_acquire(&shard->leaf_lock);
    if (shard->index != NULL) {
        uint32_t at = home_in(shard->slots, key);

        while (shard->index[at] != 0 && !may_be(shard->index[at], key))
            at = next_of(shard, at);
        if (shard->index[at] != 0)
            __builtin_prefetch(block_order_at(&cache->order, place_in(shard->index[at])), 1);
    }
    lock_release(&shard->leaf_lock);
}

bool block_cache_next(const struct block_cache *cache, struct block_cursor *cursor,
                      struct block_key key, uint32_t now_s, struct block_value *value)
{
    uint32_t place = cursor->at;

    for (int gap = 0; gap < MAX_GAP && place != BLOCK_NOWHERE; gap++) {
        place = block_order_behind(&cache->order, place);
        if (place != BLOCK_NOWHERE && block_order_match(&cache->order, place, key, now_s, value)) {
            cursor->at = place;
            return true;
        }
    }
    return false;
}

bool block_cache_find(struct block_cache *cache, struct block_cursor *cursor, struct block_key key,
                      uint32_t now_s, struct block_value *value)
{
    struct block_shard *shard = shard_of(cache, key);
    bool found = false;

    lock_acquire(&shard->leaf_lock);
    if (shard->index != NULL) {
        uint64_t slot = shard->index[find_slot(cache, shard, key)];

        found = slot != 0;
        if (found) {
            struct block_entry *entry = block_order_at(&cache->order, place_in(slot));

            *value = block_entry_value(entry);
            block_entry_touch(entry, now_s);
            cursor->at = place_in(slot);
        }
    }
    lock_release(&shard->leaf_lock);
    return found;
}

static void resize(struct block_cache *cache, struct block_shard *shard, uint32_t slots)
{
    uint64_t *old = shard->index, *index = mem_zalloc(slots, sizeof(*index));
    uint32_t old_slots = shard->slots;

    __atomic_store_n(&shard->index, index, __ATOMIC_RELAXED);
    __atomic_store_n(&shard->slots, slots, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < old_slots; i++) {
        uint32_t at;

        if (old[i] == 0)
            continue;
        at = home_in(slots, block_entry_key(block_order_at(&cache->order, place_in(old[i]))));
        while (index[at] != 0)
            at = next_of(shard, at);
        index[at] = old[i];
    }
    mem_free(old);
    __atomic_add_fetch(&cache->bytes, (uint64_t)(slots - old_slots) * sizeof(*index),
                       __ATOMIC_RELAXED);
}

/* Frees a slot and moves up what was pushed behind it. */
static void remove_slot(const struct block_cache *cache, struct block_shard *shard, uint32_t hole)
{
    for (uint32_t i = next_of(shard, hole); shard->index[i] != 0; i = next_of(shard, i)) {
        struct block_key key =
            block_entry_key(block_order_at(&cache->order, place_in(shard->index[i])));

        if (behind(shard, i, home_in(shard->slots, key)) >= behind(shard, i, hole)) {
            shard->index[hole] = shard->index[i];
            hole = i;
        }
    }
    shard->index[hole] = 0;
    shard->used--;
}

/* Is the key's entry still at this place? Then it goes. */
static bool remove_entry(struct block_cache *cache, struct block_key key, uint32_t place)
{
    struct block_shard *shard = shard_of(cache, key);
    bool found = false;

    lock_acquire(&shard->leaf_lock);
    if (shard->index != NULL) {
        uint32_t at = find_slot(cache, shard, key);

        found = shard->index[at] == slot_of(key, place);
        if (found) {
            remove_slot(cache, shard, at);
            block_order_erase(&cache->order, place);
            block_order_give(&cache->order, place);
        }
    }
    lock_release(&shard->leaf_lock);
    return found;
}

/* Under the shard's lock. False: the bound is met, something has to go first. */
static bool put_locked(struct block_cache *cache, struct block_shard *shard,
                       struct block_cursor *cursor, struct block_key key, uint32_t now_s,
                       struct block_value value)
{
    uint32_t at, place;

    if ((uint64_t)(shard->used + 1) * 5 > (uint64_t)shard->slots * 4) /* at most 4/5 full */
        resize(cache, shard, TIDE_MAX(FIRST_SLOTS, shard->slots + shard->slots / 4));
    at = find_slot(cache, shard, key);
    if (shard->index[at] != 0) {
        place = place_in(shard->index[at]);
        block_entry_set_value(block_order_at(&cache->order, place), value);
    } else {
        place = block_order_take(&cache->order, cursor);
        if (place == BLOCK_NOWHERE)
            return false;
        block_entry_fill(block_order_at(&cache->order, place), key, now_s, value);
        shard->index[at] = slot_of(key, place);
        shard->used++;
    }
    cursor->at = place;
    return true;
}

void block_cache_put(struct block_cache *cache, struct block_cursor *cursor, struct block_key key,
                     uint32_t now_s, struct block_value value)
{
    struct block_shard *shard = shard_of(cache, key);
    bool put;

    for (;;) {
        struct block_key other;
        uint32_t place;

        lock_acquire(&shard->leaf_lock);
        put = put_locked(cache, shard, cursor, key, now_s, value);
        lock_release(&shard->leaf_lock);
        if (put)
            return;
        place = block_order_victim(&cache->order, cursor, &other);
        if (place != BLOCK_NOWHERE)
            remove_entry(cache, other, place);
    }
}

size_t block_cache_expire(struct block_cache *cache, uint32_t part, uint32_t now_s, uint32_t age_s)
{
    struct block_order *order = &cache->order;
    uint64_t places = (uint64_t)block_order_runs(order) * BLOCK_RUN;
    uint64_t from = places * (part % BLOCK_CACHE_SHARDS) / BLOCK_CACHE_SHARDS;
    uint64_t to = places * (part % BLOCK_CACHE_SHARDS + 1) / BLOCK_CACHE_SHARDS;
    size_t removed = 0;

    for (uint64_t place = from; place < to; place++) {
        const struct block_entry *entry = block_order_at(order, (uint32_t)place);
        uint32_t touched_s = __atomic_load_n(&entry->touched_s, __ATOMIC_RELAXED);
        struct block_key key = block_entry_key(entry);

        if (key.high != 0 && now_s > touched_s && now_s - touched_s > age_s)
            removed += remove_entry(cache, key, (uint32_t)place);
    }
    return removed;
}

uint64_t block_cache_bytes(const struct block_cache *cache)
{
    return __atomic_load_n(&cache->bytes, __ATOMIC_RELAXED) +
           (uint64_t)block_order_runs(&cache->order) * sizeof(struct block_run);
}
