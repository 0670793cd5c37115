/* damage.c - see damage.h. */
#include "store/damage.h"

#include <stdio.h>

#include "base/mem.h"

void damage_list_init(struct damage_list *list)
{
    *list = (struct damage_list){0};
    lock_init(&list->leaf_lock);
}

void damage_list_destroy(struct damage_list *list)
{
    mem_free(list->items);
    lock_destroy(&list->leaf_lock);
}

static bool listed(const struct damage_list *list, uint64_t fp)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].fp == fp)
            return true;
    }
    return false;
}

bool damage_list_put(struct damage_list *list, uint64_t fp, const char *text)
{
    bool done = true;

    lock_acquire(&list->leaf_lock);
    if (!listed(list, fp)) {
        done = list->count < DAMAGE_MAX;
        if (done) {
            struct damage_item *item;

            if (list->items == NULL)
                list->items = mem_alloc(DAMAGE_MAX * sizeof(*list->items));
            item = &list->items[list->count++];
            item->fp = fp;
            snprintf(item->text, sizeof(item->text), "%s", text);
        }
    }
    lock_release(&list->leaf_lock);
    if (!done)
        __atomic_add_fetch(&list->dropped, 1, __ATOMIC_RELAXED);
    return done;
}

bool damage_list_take(struct damage_list *list, struct damage_item *item)
{
    bool found;

    lock_acquire(&list->leaf_lock);
    found = list->count != 0;
    if (found)
        *item = list->items[--list->count];
    lock_release(&list->leaf_lock);
    return found;
}
