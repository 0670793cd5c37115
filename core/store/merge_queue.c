/* merge_queue.c - which series wait for a merge (engine.h). */
#include "base/mem.h"
#include "store/engine.h"

void merge_queue_init(struct merge_queue *queue)
{
    *queue = (struct merge_queue){0};
    lock_init(&queue->leaf_lock);
}

void merge_queue_destroy(struct merge_queue *queue)
{
    lock_destroy(&queue->leaf_lock);
    mem_free(queue->waiting);
    mem_free(queue->next);
}

static void put_next(struct merge_queue *queue, uint32_t id)
{
    if (queue->next_count == queue->next_cap) {
        queue->next_cap = queue->next_cap != 0 ? queue->next_cap * 2 : 64;
        queue->next = mem_realloc(queue->next, queue->next_cap * sizeof(*queue->next));
    }
    queue->next[queue->next_count++] = id;
}

static void put_waiting(struct merge_queue *queue, uint32_t id, uint32_t due_s)
{
    if (queue->first > queue->cap / 2 && queue->first + queue->count == queue->cap) {
        memmove(queue->waiting, queue->waiting + queue->first,
                queue->count * sizeof(*queue->waiting));
        queue->first = 0;
    }
    if (queue->first + queue->count == queue->cap) {
        queue->cap = queue->cap != 0 ? queue->cap * 2 : 64;
        queue->waiting = mem_realloc(queue->waiting, queue->cap * sizeof(*queue->waiting));
    }
    queue->waiting[queue->first + queue->count++] = (struct merge_ticket){id, due_s};
}

void merge_queue_put(struct merge_queue *queue, uint32_t id, uint32_t due_s,
                     enum merge_urgency urgency)
{
    lock_acquire(&queue->leaf_lock);
    if (urgency == MERGE_NEXT)
        put_next(queue, id);
    else
        put_waiting(queue, id, due_s);
    lock_release(&queue->leaf_lock);
}

uint64_t merge_queue_promise(struct merge_queue *queue)
{
    uint64_t number;

    lock_acquire(&queue->leaf_lock);
    number = ++queue->promised;
    lock_release(&queue->leaf_lock);
    return number;
}

uint64_t merge_queue_promised(struct merge_queue *queue)
{
    uint64_t number;

    lock_acquire(&queue->leaf_lock);
    number = queue->promised;
    lock_release(&queue->leaf_lock);
    return number;
}

bool merge_queue_holds_next(struct merge_queue *queue)
{
    bool holds;

    lock_acquire(&queue->leaf_lock);
    holds = queue->next_count != 0;
    lock_release(&queue->leaf_lock);
    return holds;
}

void merge_queue_keep(struct merge_queue *queue, uint64_t number)
{
    __atomic_store_n(&queue->kept, number, __ATOMIC_RELEASE);
}

bool merge_queue_has_kept(const struct merge_queue *queue, uint64_t number)
{
    return __atomic_load_n(&queue->kept, __ATOMIC_ACQUIRE) >= number;
}

size_t merge_queue_take(struct merge_queue *queue, uint32_t now_s, bool all, uint32_t *ids,
                        size_t max)
{
    size_t taken = 0;

    lock_acquire(&queue->leaf_lock);
    taken = TIDE_MIN(queue->next_count, max);
    if (taken != 0) {
        memcpy(ids, queue->next, taken * sizeof(*ids));
        queue->next_count -= taken;
        memmove(queue->next, queue->next + taken, queue->next_count * sizeof(*ids));
    }
    while (taken < max && queue->count != 0 &&
           (all || queue->waiting[queue->first].due_s <= now_s)) {
        ids[taken++] = queue->waiting[queue->first++].id;
        queue->count--;
    }
    if (queue->count == 0)
        queue->first = 0;
    lock_release(&queue->leaf_lock);
    return taken;
}
