/* mapper.c - see mapper.h. */
#include "store/mapper.h"

#include "base/mem.h"
#include "model/fingerprint.h"

void mapper_init(struct mapper *mapper)
{
    *mapper = (struct mapper){0};
    for (size_t i = 0; i < MAPPER_SHARDS; i++)
        lock_init(&mapper->shards[i].mapper_lock);
}

void mapper_destroy(struct mapper *mapper)
{
    for (size_t i = 0; i < MAPPER_SHARDS; i++) {
        struct mapper_shard *shard = &mapper->shards[i];

        for (size_t k = 0; k < shard->count; k++)
            mem_free(shard->items[k].unique);
        mem_free(shard->items);
        lock_destroy(&shard->mapper_lock);
    }
    *mapper = (struct mapper){0};
}

struct mapper_shard *mapper_shard(struct mapper *mapper, uint64_t raw)
{
    return &mapper->shards[(raw ^ raw >> 32) % MAPPER_SHARDS];
}

bool mapper_find_locked(const struct mapper_shard *shard, uint64_t raw, const uint8_t *unique,
                        size_t unique_len, uint64_t *fp)
{
    for (size_t i = 0; i < shard->count; i++) {
        const struct mapping *item = &shard->items[i];

        if (item->raw == raw && item->unique_len == unique_len &&
            memcmp(item->unique, unique, unique_len) == 0) {
            *fp = item->fp;
            return true;
        }
    }
    return false;
}

static void put_locked(struct mapper_shard *shard, uint64_t raw, const uint8_t *unique,
                       size_t unique_len, uint64_t fp)
{
    if (shard->count == shard->cap) {
        shard->cap = shard->cap != 0 ? shard->cap * 2 : 4;
        shard->items = mem_realloc(shard->items, shard->cap * sizeof(*shard->items));
    }
    shard->items[shard->count++] =
        (struct mapping){raw, fp, (uint8_t *)mem_dup(unique, unique_len), unique_len};
}

int mapper_add_locked(struct mapper *mapper, struct mapper_shard *shard, uint64_t raw,
                      const uint8_t *unique, size_t unique_len, uint64_t *fp, struct error *err)
{
    uint64_t number = __atomic_add_fetch(&mapper->highest, 1, __ATOMIC_RELAXED);

    if (number > FINGERPRINT_MAX_MAPPED) {
        __atomic_sub_fetch(&mapper->highest, 1, __ATOMIC_RELAXED);
        return error_set(err, ERR_LIMIT,
                         "all %" PRIu64 " numbers for colliding fingerprints are used",
                         FINGERPRINT_MAX_MAPPED);
    }
    put_locked(shard, raw, unique, unique_len, number);
    __atomic_add_fetch(&mapper->changes, 1, __ATOMIC_RELAXED);
    *fp = number;
    return 0;
}

void mapper_restore(struct mapper *mapper, uint64_t raw, const uint8_t *unique, size_t unique_len,
                    uint64_t fp)
{
    struct mapper_shard *shard = mapper_shard(mapper, raw);
    uint64_t known, highest = __atomic_load_n(&mapper->highest, __ATOMIC_RELAXED);

    lock_acquire(&shard->mapper_lock);
    if (!mapper_find_locked(shard, raw, unique, unique_len, &known))
        put_locked(shard, raw, unique, unique_len, fp);
    lock_release(&shard->mapper_lock);
    while (fp > highest && !__atomic_compare_exchange_n(&mapper->highest, &highest, fp, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

uint64_t mapper_count(struct mapper *mapper)
{
    uint64_t count = 0;

    for (size_t i = 0; i < MAPPER_SHARDS; i++) {
        lock_acquire(&mapper->shards[i].mapper_lock);
        count += mapper->shards[i].count;
        lock_release(&mapper->shards[i].mapper_lock);
    }
    return count;
}

void mapper_walk(struct mapper *mapper, void (*visit)(void *ctx, const struct mapping *mapping),
                 void *ctx)
{
    for (size_t i = 0; i < MAPPER_SHARDS; i++) {
        struct mapper_shard *shard = &mapper->shards[i];

        lock_acquire(&shard->mapper_lock);
        for (size_t k = 0; k < shard->count; k++)
            visit(ctx, &shard->items[k]);
        lock_release(&shard->mapper_lock);
    }
}
