/* block_cache.h - raw label block -> series, so that a known series costs no parsing.
 *
 * The key is a 128-bit hash of format, salt and block under a random secret of this process, so
 * that nobody can make two blocks meet; the block itself is not kept. An entry names a series by
 * id and the generation of that id: what was archived or purged misses by itself. Refusals by
 * label rules and by policy are kept likewise, with the policy's version. Entries have 32 bytes,
 * live in shards with a lock each, and go by second chance when the bound is met.
 * Thread-safe; a shard's lock is a leaf. */
#ifndef TIDE_STORE_BLOCK_CACHE_H
#define TIDE_STORE_BLOCK_CACHE_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/thread.h"

#define BLOCK_CACHE_SHARDS 256
#define BLOCK_CACHE_SECRET_BYTES 192

struct block_key {
    uint64_t low;
    uint64_t high; /* never 0: that marks a free entry */
};

/* What a block stands for. */
struct block_value {
    uint32_t id;         /* of the series, or BLOCK_REFUSED + reason */
    uint32_t generation; /* of the id, or the policy's version */
};

#define BLOCK_REFUSED 0xffffff00u

struct block_entry {
    struct block_key key;
    struct block_value value;
    uint32_t touched_s; /* monotonic seconds at the last hit; a free slot's is 0 */
    uint32_t chance;    /* 1: hit since the hand passed */
};

struct block_shard {
    struct lock leaf_lock; /* guards all of it */
    struct block_entry *entries;
    uint32_t slots;
    uint32_t used;
    uint32_t hand;
};

struct block_cache {
    struct block_shard shards[BLOCK_CACHE_SHARDS];
    uint8_t secret[BLOCK_CACHE_SECRET_BYTES]; /* immutable after init */
    uint32_t max_slots;                       /* a shard's */
    uint64_t bytes;                           /* atomic */
};

/** `max_bytes`: bound for all shards together (at least 1 MiB is taken). */
void block_cache_init(struct block_cache *cache, size_t max_bytes);
void block_cache_destroy(struct block_cache *cache);

/** What format and salt add to all keys of a batch. */
struct block_key block_cache_salt(const struct block_cache *cache, uint32_t format,
                                  const uint8_t *salt, size_t salt_len);
struct block_key block_cache_key(const struct block_cache *cache, struct block_key salt,
                                 const uint8_t *block, size_t len);
/** The key of a block whose meaning ends when `number` is another one. */
static inline struct block_key block_key_while(struct block_key key, uint32_t number)
{
    key.low ^= ((uint64_t)number + 1) * 0x9e3779b97f4a7c15u;
    key.high ^= ((uint64_t)number + 1) * 0xc2b2ae3d27d4eb4eu;
    key.high |= 1;
    return key;
}
/** Fetches the line that find will read. */
void block_cache_prefetch(const struct block_cache *cache, struct block_key key);
bool block_cache_find(struct block_cache *cache, struct block_key key, uint32_t now_s,
                      struct block_value *value);
void block_cache_put(struct block_cache *cache, struct block_key key, uint32_t now_s,
                     struct block_value value);
/** Removes what was not touched for `age_s`; returns how many. One shard, in turn, a call. */
size_t block_cache_expire(struct block_cache *cache, uint32_t shard, uint32_t now_s,
                          uint32_t age_s);
uint64_t block_cache_bytes(const struct block_cache *cache);

#endif
#endif
