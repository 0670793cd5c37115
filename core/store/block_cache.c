/* block_cache.c - see block_cache.h. Linear probing; a shard grows by a quarter, so that few slots
 * stand empty, until the bound is met. */
#include "store/block_cache.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

#define FIRST_SLOTS 64u

void block_cache_init(struct block_cache *cache, size_t max_bytes)
{
    size_t slots =
        TIDE_MAX(max_bytes, (size_t)1 << 20) / BLOCK_CACHE_SHARDS / sizeof(struct block_entry);

    *cache = (struct block_cache){.max_slots = (uint32_t)TIDE_MIN(slots, (size_t)1 << 30)};
    if (getrandom(cache->secret, sizeof(cache->secret), 0) != (ssize_t)sizeof(cache->secret))
        TIDE_ASSERT(false);
    for (size_t i = 0; i < BLOCK_CACHE_SHARDS; i++)
        lock_init(&cache->shards[i].leaf_lock);
}

void block_cache_destroy(struct block_cache *cache)
{
    for (size_t i = 0; i < BLOCK_CACHE_SHARDS; i++) {
        mem_free(cache->shards[i].entries);
        lock_destroy(&cache->shards[i].leaf_lock);
    }
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

static uint32_t home_of(const struct block_shard *shard, struct block_key key)
{
    return home_in(shard->slots, key);
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

/* Reads the shard's address and size without its lock: a stale one fetches a useless line. */
__attribute__((no_sanitize("thread"))) void block_cache_prefetch(const struct block_cache *cache,
                                                                 struct block_key key)
{
    const struct block_shard *shard = shard_of(cache, key);
    const struct block_entry *entries = __atomic_load_n(&shard->entries, __ATOMIC_RELAXED);
    uint32_t slots = __atomic_load_n(&shard->slots, __ATOMIC_RELAXED);

    if (entries != NULL)
        __builtin_prefetch(&entries[home_in(slots, key)]);
}

static bool same_key(struct block_key a, struct block_key b)
{
    return a.low == b.low && a.high == b.high;
}

/* The key's slot, or the free one where it would go. Some slot is always free. */
static uint32_t find_slot(const struct block_shard *shard, struct block_key key)
{
    uint32_t at = home_of(shard, key);

    while (shard->entries[at].key.high != 0 && !same_key(shard->entries[at].key, key))
        at = next_of(shard, at);
    return at;
}

bool block_cache_find(struct block_cache *cache, struct block_key key, uint32_t now_s,
                      struct block_value *value)
{
    struct block_shard *shard = shard_of(cache, key);
    bool found = false;

    lock_acquire(&shard->leaf_lock);
    if (shard->entries != NULL) {
        struct block_entry *entry = &shard->entries[find_slot(shard, key)];

        found = entry->key.high != 0;
        if (found) {
            *value = entry->value;
            entry->touched_s = now_s;
            entry->chance = 1;
        }
    }
    lock_release(&shard->leaf_lock);
    return found;
}

static void resize(struct block_cache *cache, struct block_shard *shard, uint32_t slots)
{
    struct block_entry *old = shard->entries;
    uint32_t old_slots = shard->slots;
    struct block_entry *entries = mem_zalloc(slots, sizeof(*entries));

    __atomic_store_n(&shard->entries, entries, __ATOMIC_RELAXED);
    __atomic_store_n(&shard->slots, slots, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < old_slots; i++) {
        if (old[i].key.high != 0)
            entries[find_slot(shard, old[i].key)] = old[i];
    }
    mem_free(old);
    __atomic_add_fetch(&cache->bytes, (uint64_t)(slots - old_slots) * sizeof(*entries),
                       __ATOMIC_RELAXED);
}

/* Frees a slot and moves up what was pushed behind it. */
static void remove_at(struct block_shard *shard, uint32_t hole)
{
    for (uint32_t i = next_of(shard, hole); shard->entries[i].key.high != 0;
         i = next_of(shard, i)) {
        uint32_t home = home_of(shard, shard->entries[i].key);

        if (behind(shard, i, home) >= behind(shard, i, hole)) {
            shard->entries[hole] = shard->entries[i];
            hole = i;
        }
    }
    shard->entries[hole] = (struct block_entry){0};
    shard->used--;
}

/* Second chance: the hand spares what was hit since it last passed, once. */
static void evict_one(struct block_shard *shard)
{
    for (;;) {
        struct block_entry *entry = &shard->entries[shard->hand];

        if (entry->key.high != 0 && entry->chance == 0) {
            remove_at(shard, shard->hand);
            return;
        }
        entry->chance = 0;
        shard->hand = next_of(shard, shard->hand);
    }
}

void block_cache_put(struct block_cache *cache, struct block_key key, uint32_t now_s,
                     struct block_value value)
{
    struct block_shard *shard = shard_of(cache, key);
    uint32_t at;

    lock_acquire(&shard->leaf_lock);
    if (shard->entries == NULL)
        resize(cache, shard, FIRST_SLOTS);
    at = find_slot(shard, key);
    if (shard->entries[at].key.high == 0) {
        /* At most 4/5 full. */
        if ((uint64_t)(shard->used + 1) * 5 > (uint64_t)shard->slots * 4) {
            if (shard->slots < cache->max_slots)
                resize(cache, shard, TIDE_MIN(shard->slots + shard->slots / 4, cache->max_slots));
            else
                evict_one(shard);
            at = find_slot(shard, key);
        }
        shard->used++;
    }
    shard->entries[at] = (struct block_entry){key, value, now_s, 0};
    lock_release(&shard->leaf_lock);
}

size_t block_cache_expire(struct block_cache *cache, uint32_t shard_index, uint32_t now_s,
                          uint32_t age_s)
{
    struct block_shard *shard = &cache->shards[shard_index % BLOCK_CACHE_SHARDS];
    size_t removed = 0;

    lock_acquire(&shard->leaf_lock);
    for (uint32_t i = 0; i < shard->slots;) {
        const struct block_entry *entry = &shard->entries[i];

        if (entry->key.high != 0 && now_s - entry->touched_s > age_s) {
            remove_at(shard, i); /* another one may stand here now: look again */
            removed++;
        } else {
            i++;
        }
    }
    lock_release(&shard->leaf_lock);
    return removed;
}

uint64_t block_cache_bytes(const struct block_cache *cache)
{
    return __atomic_load_n(&cache->bytes, __ATOMIC_RELAXED);
}
