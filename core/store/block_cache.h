/* block_cache.h - raw label block -> series, so that a known series costs no parsing.
 *
 * The key is a 128-bit hash of format, salt and block under a random secret of this process, so
 * that nobody can make two blocks meet; the block itself is not kept. An entry names a series by
 * id and the generation of that id: what was archived or purged misses by itself. Refusals by
 * label rules and by policy are kept likewise, with the policy's version. Entries have 32 bytes
 * and lie in the order in which their blocks came (block_order.h), where a sender that repeats
 * itself finds them; an index in shards with a lock each finds all others. They go by second
 * chance when the bound is met. Thread-safe; lock order: a shard's, then that of the order, both
 * leaves for all others. */
#ifndef TIDE_STORE_BLOCK_CACHE_H
#define TIDE_STORE_BLOCK_CACHE_H

#include "base/base.h"
#include "store/block_order.h"

struct block_cache;

#ifndef TIDE_CDEF

#define BLOCK_CACHE_SHARDS 256
#define BLOCK_CACHE_SECRET_BYTES 192

/* A part of the index: places of entries, by key. */
struct block_shard {
    struct lock leaf_lock; /* guards all of it, and the entries of its keys */
    uint64_t *index;       /* 0: free; a place and 1, and in the upper half a part of the key */
    uint32_t slots;
    uint32_t used;
};

struct block_cache {
    struct block_shard shards[BLOCK_CACHE_SHARDS];
    uint8_t secret[BLOCK_CACHE_SECRET_BYTES]; /* immutable after init */
    struct block_order order;
    uint64_t bytes; /* atomic */
};

/** The key of a block whose meaning ends when `number` is another one. */
static inline struct block_key block_key_while(struct block_key key, uint32_t number)
{
    key.low ^= ((uint64_t)number + 1) * 0x9e3779b97f4a7c15u;
    key.high ^= ((uint64_t)number + 1) * 0xc2b2ae3d27d4eb4eu;
    key.high |= 1;
    return key;
}
#endif

/** `max_bytes`: bound for all shards together (at least 1 MiB is taken). */
void block_cache_init(struct block_cache *cache, size_t max_bytes);
void block_cache_destroy(struct block_cache *cache);

/** What format and salt add to all keys of a batch. */
struct block_key block_cache_salt(const struct block_cache *cache, uint32_t format,
                                  const uint8_t *salt, size_t salt_len);
struct block_key block_cache_key(const struct block_cache *cache, struct block_key salt,
                                 const uint8_t *block, size_t len);
/** Is the block the one that followed last time? Sets *value and moves the cursor. */
bool block_cache_next(const struct block_cache *cache, struct block_cursor *cursor,
                      struct block_key key, uint32_t now_s, struct block_value *value);
/** Fetch what find will read: the index, and, once that is there, the entry. Hints. */
void block_cache_prefetch(const struct block_cache *cache, struct block_key key);
void block_cache_prefetch_entry(const struct block_cache *cache, struct block_key key);
/** Looks in the index; moves the cursor to what it finds. */
bool block_cache_find(struct block_cache *cache, struct block_cursor *cursor, struct block_key key,
                      uint32_t now_s, struct block_value *value);
/** Adds an entry behind those that the cursor added before, or changes what it stands for. */
void block_cache_put(struct block_cache *cache, struct block_cursor *cursor, struct block_key key,
                     uint32_t now_s, struct block_value value);
/** Removes what was not touched for `age_s`; returns how many. One part of BLOCK_CACHE_SHARDS, in
 * turn, a call. */
size_t block_cache_expire(struct block_cache *cache, uint32_t part, uint32_t now_s, uint32_t age_s);
uint64_t block_cache_bytes(const struct block_cache *cache);

#endif
