/* block_order.h - the entries of the label cache, in the order in which their blocks came.
 *
 * A sender names its series in the same order in every push. So entries made by one push lie side
 * by side, in runs of 64, each run naming the one that followed it; who was found at one place
 * looks for the next block at the next place, without an index, a lock or a cache miss. Runs are
 * never freed before the end: what runs empty is filled again.
 *
 * Places are taken and given under leaf_lock. An entry's content belongs to the shard of its key
 * (block_cache.h): it is written under that shard's lock, and read without one by
 * block_order_match, which the run's version protects. Thread-safe. */
#ifndef TIDE_STORE_BLOCK_ORDER_H
#define TIDE_STORE_BLOCK_ORDER_H

#include "base/base.h"

struct block_key {
    uint64_t low;
    uint64_t high; /* never 0: that marks a free entry */
};

/* What a block stands for. */
struct block_value {
    uint32_t id;         /* of the series, or BLOCK_REFUSED + reason */
    uint32_t generation; /* of the id, or the policy's version */
};

/* Where one pushing thread is; block_cursor_init. One owner. */
struct block_cursor {
    uint32_t at;      /* of the block before: found or put; BLOCK_NOWHERE */
    uint32_t filling; /* number of the run that new entries go to; BLOCK_NOWHERE */
};

#ifndef TIDE_CDEF

#include "base/thread.h"

#define BLOCK_REFUSED 0xffffff00u

/* All members are atomic. */
struct block_entry {
    struct block_key key;
    uint64_t value;     /* id, and the generation in the upper half */
    uint32_t touched_s; /* monotonic seconds at the last hit */
    uint32_t chance;    /* 1: hit since the hand passed */
};

#define BLOCK_RUN 64u
/* No place. Others are the run's number times BLOCK_RUN and the entry's in it. */
#define BLOCK_NOWHERE UINT32_MAX

struct block_run {
    uint32_t version;   /* atomic: rises with each entry that is removed */
    uint32_t successor; /* atomic: number of the run that came behind it; BLOCK_NOWHERE */
    uint32_t number;    /* immutable */
    bool listed;        /* among the empty ones; guarded by leaf_lock, as what follows */
    uint64_t free;      /* one bit an entry */
    struct block_run *next_empty;
    struct block_entry entries[BLOCK_RUN] __attribute__((aligned(32)));
} __attribute__((aligned(64)));

struct block_order {
    struct lock leaf_lock;   /* guards the members below it */
    struct block_run **runs; /* fixed directory; a run is published by its pointer, and stays */
    uint32_t max_runs;       /* immutable */
    uint32_t run_count;      /* read without the lock by block_order_runs */
    struct block_run *empty;
    uint32_t hand; /* of the second chance: a place */
};

static inline void block_cursor_init(struct block_cursor *cursor)
{
    *cursor = (struct block_cursor){BLOCK_NOWHERE, BLOCK_NOWHERE};
}

void block_order_init(struct block_order *order, size_t max_bytes);
void block_order_destroy(struct block_order *order);

static inline struct block_run *block_order_run(const struct block_order *order, uint32_t place)
{
    return __atomic_load_n(&order->runs[place / BLOCK_RUN], __ATOMIC_ACQUIRE);
}

/** How many runs there are; all of them are published. */
static inline uint32_t block_order_runs(const struct block_order *order)
{
    return __atomic_load_n(&order->run_count, __ATOMIC_ACQUIRE);
}

/** The entry at a place that was taken. */
static inline struct block_entry *block_order_at(const struct block_order *order, uint32_t place)
{
    return &block_order_run(order, place)->entries[place % BLOCK_RUN];
}

/** The place behind another one in the order of arrival, or BLOCK_NOWHERE. */
static inline uint32_t block_order_behind(const struct block_order *order, uint32_t place)
{
    uint32_t run;

    if (place % BLOCK_RUN != BLOCK_RUN - 1)
        return place + 1;
    run = __atomic_load_n(&block_order_run(order, place)->successor, __ATOMIC_ACQUIRE);
    return run == BLOCK_NOWHERE ? BLOCK_NOWHERE : run * BLOCK_RUN;
}

/** Is the entry at a place that once was taken the key's? Then sets *value and touches it. */
bool block_order_match(const struct block_order *order, uint32_t place, struct block_key key,
                       uint32_t now_s, struct block_value *value);

/** A free place behind those that the cursor filled before; BLOCK_NOWHERE: the bound is met. */
uint32_t block_order_take(struct block_order *order, struct block_cursor *cursor);
/** Gives it back, its entry erased. */
void block_order_give(struct block_order *order, uint32_t place);
/**
 * By second chance, the bound being met: lets the cursor fill a run with a free place, or names an
 * entry to remove.
 *
 * @return its place with *key (a hint: it may be another's by now), or BLOCK_NOWHERE
 */
uint32_t block_order_victim(struct block_order *order, struct block_cursor *cursor,
                            struct block_key *key);

/* --- entries, under the lock of the key's shard --- */

struct block_key block_entry_key(const struct block_entry *entry);
struct block_value block_entry_value(const struct block_entry *entry);
void block_entry_touch(struct block_entry *entry, uint32_t now_s);
/** Fills the entry of a place just taken. */
void block_entry_fill(struct block_entry *entry, struct block_key key, uint32_t now_s,
                      struct block_value value);
void block_entry_set_value(struct block_entry *entry, struct block_value value);
/** Erases the entry at a place, which is to be given back next. */
void block_order_erase(struct block_order *order, uint32_t place);

#endif
#endif
