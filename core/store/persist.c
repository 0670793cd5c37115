/* persist.c - completed chunks on their way to the series files. */
#include "base/mem.h"
#include "store/engine.h"

void persist_queue_put(struct persist_queue *queue, uint32_t id, uint32_t now_s)
{
    lock_acquire(&queue->leaf_lock);
    if (queue->count == queue->cap) {
        queue->cap = queue->cap != 0 ? queue->cap * 2 : 256;
        queue->ids = mem_realloc(queue->ids, queue->cap * sizeof(*queue->ids));
    }
    if (queue->count == 0)
        queue->oldest_s = now_s;
    queue->ids[queue->count++] = id;
    lock_release(&queue->leaf_lock);
}
