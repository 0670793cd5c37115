/* epoch.c - see epoch.h. */
#include "store/epoch.h"

#include "base/mem.h"

void epoch_init(struct epoch *epoch)
{
    *epoch = (struct epoch){.now = 2};
    lock_init(&epoch->leaf_lock);
}

void epoch_destroy(struct epoch *epoch)
{
    lock_destroy(&epoch->leaf_lock);
}

unsigned epoch_enter(struct epoch *epoch)
{
    unsigned ticket;

    lock_acquire(&epoch->leaf_lock);
    ticket = (unsigned)epoch->now & 1;
    epoch->readers[ticket]++;
    lock_release(&epoch->leaf_lock);
    return ticket;
}

void epoch_leave(struct epoch *epoch, unsigned ticket)
{
    lock_acquire(&epoch->leaf_lock);
    epoch->readers[ticket]--;
    lock_release(&epoch->leaf_lock);
}

/* Begins a new epoch if all readers of the one before have left. */
static uint64_t advance(struct epoch *epoch)
{
    uint64_t now;

    lock_acquire(&epoch->leaf_lock);
    if (epoch->readers[(epoch->now + 1) & 1] == 0)
        epoch->now++;
    now = epoch->now;
    lock_release(&epoch->leaf_lock);
    return now;
}

static uint64_t current(struct epoch *epoch)
{
    uint64_t now;

    lock_acquire(&epoch->leaf_lock);
    now = epoch->now;
    lock_release(&epoch->leaf_lock);
    return now;
}

static void grow(struct retired_queue *queue)
{
    size_t cap = queue->cap != 0 ? queue->cap * 2 : 16;
    struct retired_id *items = mem_alloc(cap * sizeof(*items));

    for (size_t i = 0; i < queue->count; i++)
        items[i] = queue->items[(queue->head + i) & (queue->cap - 1)];
    mem_free(queue->items);
    queue->items = items;
    queue->head = 0;
    queue->cap = cap;
}

void retired_push(struct retired_queue *queue, struct epoch *epoch, uint32_t id)
{
    if (queue->count == queue->cap)
        grow(queue);
    queue->items[(queue->head + queue->count++) & (queue->cap - 1)] =
        (struct retired_id){id, current(epoch)};
}

bool retired_pop(struct retired_queue *queue, struct epoch *epoch, uint32_t *id)
{
    const struct retired_id *oldest;

    if (queue->count == 0)
        return false;
    oldest = &queue->items[queue->head];
    if (current(epoch) < oldest->epoch + 2 && advance(epoch) < oldest->epoch + 2 &&
        advance(epoch) < oldest->epoch + 2)
        return false;
    *id = oldest->id;
    queue->head = (queue->head + 1) & (queue->cap - 1);
    queue->count--;
    return true;
}

void retired_destroy(struct retired_queue *queue)
{
    mem_free(queue->items);
    *queue = (struct retired_queue){0};
}
