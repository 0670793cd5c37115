/* mapper.h - metrics whose raw fingerprint is taken, and the numbers they got (format section 6).
 *
 * 64 shards by raw fingerprint. A new series is made with its raw fingerprint's shard locked
 * (before any stripe), so that two metrics of one raw fingerprint cannot pass each other. */
#ifndef TIDE_STORE_MAPPER_H
#define TIDE_STORE_MAPPER_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/buf.h"
#include "base/error.h"
#include "base/thread.h"

#define MAPPER_SHARDS 64

struct mapping {
    uint64_t raw;
    uint64_t fp;
    uint8_t *unique; /* owned: fingerprint_unique_string */
    size_t unique_len;
};

struct mapper_shard {
    struct lock mapper_lock; /* guards all of it */
    struct mapping *items;   /* collisions are rare: in the order they came */
    size_t count;
    size_t cap;
} __attribute__((aligned(64)));

struct mapper {
    struct mapper_shard shards[MAPPER_SHARDS];
    uint64_t highest; /* atomic; the largest number given */
    uint64_t changes; /* atomic; since the last save */
};

void mapper_init(struct mapper *mapper);
void mapper_destroy(struct mapper *mapper);
struct mapper_shard *mapper_shard(struct mapper *mapper, uint64_t raw);
/** The number of a mapped metric; false when it has none. */
bool mapper_find_locked(const struct mapper_shard *shard, uint64_t raw, const uint8_t *unique,
                        size_t unique_len, uint64_t *fp);
/**
 * Gives the metric a new number.
 *
 * @return 0, or -1 with err: LIMIT (all 2^20 are used)
 */
TIDE_NODISCARD int mapper_add_locked(struct mapper *mapper, struct mapper_shard *shard,
                                     uint64_t raw, const uint8_t *unique, size_t unique_len,
                                     uint64_t *fp, struct error *err);
/** Enters a mapping read from disk or found in recovery; what is there already stays. */
void mapper_restore(struct mapper *mapper, uint64_t raw, const uint8_t *unique, size_t unique_len,
                    uint64_t fp);
/** Number of mappings. */
uint64_t mapper_count(struct mapper *mapper);
/** Calls visit for each one, a shard locked. */
void mapper_walk(struct mapper *mapper, void (*visit)(void *ctx, const struct mapping *mapping),
                 void *ctx);

#endif
#endif
