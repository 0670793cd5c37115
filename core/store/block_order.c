/* block_order.c - see block_order.h.
 *
 * A reader without a lock is right by the run's version: an entry means one key until it is erased,
 * and the version rises before that. Who reads anything that was written after, by an acquiring
 * load of a releasing store, sees the version changed too. */
#include "store/block_order.h"

#include <stdlib.h>

#include "base/mem.h"

void block_order_init(struct block_order *order, size_t max_bytes)
{
    size_t runs = TIDE_MIN(TIDE_MAX(max_bytes / sizeof(struct block_run), (size_t)1),
                           (size_t)(UINT32_MAX / BLOCK_RUN - 1));

    *order = (struct block_order){.max_runs = (uint32_t)runs};
    order->runs = mem_zalloc(runs, sizeof(struct block_run *));
    lock_init(&order->leaf_lock);
}

void block_order_destroy(struct block_order *order)
{
    for (uint32_t i = 0; i < order->run_count; i++)
        free(order->runs[i]);
    mem_free(order->runs);
    lock_destroy(&order->leaf_lock);
    *order = (struct block_order){0};
}

/* --- entries ------------------------------------------------------------------------------------
 */

struct block_key block_entry_key(const struct block_entry *entry)
{
    return (struct block_key){__atomic_load_n(&entry->key.low, __ATOMIC_ACQUIRE),
                              __atomic_load_n(&entry->key.high, __ATOMIC_ACQUIRE)};
}

static struct block_value unpack(uint64_t value)
{
    return (struct block_value){(uint32_t)value, (uint32_t)(value >> 32)};
}

struct block_value block_entry_value(const struct block_entry *entry)
{
    return unpack(__atomic_load_n(&entry->value, __ATOMIC_ACQUIRE));
}

void block_entry_set_value(struct block_entry *entry, struct block_value value)
{
    __atomic_store_n(&entry->value, (uint64_t)value.generation << 32 | value.id, __ATOMIC_RELEASE);
}

/* Stores only what is news: the line stays clean for most of a second. */
void block_entry_touch(struct block_entry *entry, uint32_t now_s)
{
    if (__atomic_load_n(&entry->touched_s, __ATOMIC_RELAXED) != now_s)
        __atomic_store_n(&entry->touched_s, now_s, __ATOMIC_RELAXED);
    if (__atomic_load_n(&entry->chance, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&entry->chance, 1, __ATOMIC_RELAXED);
}

void block_entry_fill(struct block_entry *entry, struct block_key key, uint32_t now_s,
                      struct block_value value)
{
    __atomic_store_n(&entry->touched_s, now_s, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->chance, 0, __ATOMIC_RELAXED);
    block_entry_set_value(entry, value);
    __atomic_store_n(&entry->key.low, key.low, __ATOMIC_RELEASE);
    __atomic_store_n(&entry->key.high, key.high, __ATOMIC_RELEASE);
}

void block_order_erase(struct block_order *order, uint32_t place)
{
    struct block_run *run = block_order_run(order, place);

    __atomic_add_fetch(&run->version, 1, __ATOMIC_ACQ_REL);
    __atomic_store_n(&run->entries[place % BLOCK_RUN].key.high, 0, __ATOMIC_RELEASE);
}

bool block_order_match(const struct block_order *order, uint32_t place, struct block_key key,
                       uint32_t now_s, struct block_value *value)
{
    struct block_run *run = block_order_run(order, place);
    struct block_entry *entry = &run->entries[place % BLOCK_RUN];
    uint32_t version = __atomic_load_n(&run->version, __ATOMIC_ACQUIRE);
    struct block_key found = block_entry_key(entry);

    if (found.low != key.low || found.high != key.high)
        return false;
    *value = block_entry_value(entry);
    if (__atomic_load_n(&run->version, __ATOMIC_RELAXED) != version)
        return false;
    block_entry_touch(entry, now_s);
    return true;
}

/* --- places -------------------------------------------------------------------------------------
 */

static uint32_t new_run_locked(struct block_order *order)
{
    struct block_run *run = aligned_alloc(64, sizeof(*run));

    TIDE_ASSERT(run != NULL);
    memset(run, 0, sizeof(*run));
    run->number = order->run_count;
    run->successor = BLOCK_NOWHERE;
    run->free = UINT64_MAX;
    __atomic_store_n(&order->runs[run->number], run, __ATOMIC_RELEASE);
    __atomic_store_n(&order->run_count, run->number + 1, __ATOMIC_RELEASE);
    return run->number;
}

/* A run with free places, or BLOCK_NOWHERE. */
static uint32_t next_run_locked(struct block_order *order)
{
    while (order->empty != NULL) {
        struct block_run *run = order->empty;

        order->empty = run->next_empty;
        run->listed = false;
        if (run->free != 0) /* else another cursor was filling it all the time */
            return run->number;
    }
    return order->run_count < order->max_runs ? new_run_locked(order) : BLOCK_NOWHERE;
}

uint32_t block_order_take(struct block_order *order, struct block_cursor *cursor)
{
    uint32_t place = BLOCK_NOWHERE, number;
    struct block_run *run = NULL;

    lock_acquire(&order->leaf_lock);
    number = cursor->filling;
    if (number != BLOCK_NOWHERE)
        run = order->runs[number];
    if (run == NULL || run->free == 0) {
        number = next_run_locked(order);
        if (run != NULL && number != BLOCK_NOWHERE)
            __atomic_store_n(&run->successor, number, __ATOMIC_RELEASE);
        cursor->filling = number;
        run = number != BLOCK_NOWHERE ? order->runs[number] : NULL;
    }
    if (run != NULL) {
        uint32_t at = (uint32_t)__builtin_ctzll(run->free);

        run->free &= run->free - 1;
        place = number * BLOCK_RUN + at;
    }
    lock_release(&order->leaf_lock);
    return place;
}

void block_order_give(struct block_order *order, uint32_t place)
{
    struct block_run *run = block_order_run(order, place);

    lock_acquire(&order->leaf_lock);
    run->free |= (uint64_t)1 << place % BLOCK_RUN;
    if (run->free == UINT64_MAX && !run->listed) {
        run->listed = true;
        run->next_empty = order->empty;
        order->empty = run;
    }
    lock_release(&order->leaf_lock);
}

uint32_t block_order_victim(struct block_order *order, struct block_cursor *cursor,
                            struct block_key *key)
{
    uint32_t place;

    lock_acquire(&order->leaf_lock);
    for (;;) {
        struct block_run *run;
        struct block_entry *entry;

        place = order->hand;
        run = order->runs[place / BLOCK_RUN];
        entry = &run->entries[place % BLOCK_RUN];
        order->hand = (place + 1) % (order->run_count * BLOCK_RUN);
        cursor->filling = place / BLOCK_RUN;
        if ((run->free >> place % BLOCK_RUN & 1) != 0) {
            place = BLOCK_NOWHERE;
            break;
        }
        if (__atomic_exchange_n(&entry->chance, 0, __ATOMIC_RELAXED) == 0) {
            *key = block_entry_key(entry);
            break;
        }
    }
    lock_release(&order->leaf_lock);
    return place;
}
