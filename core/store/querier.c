/* querier.c - see querier.h. */
#include "store/querier.h"

#include "base/mem.h"

void text_list_destroy(struct text_list *list)
{
    mem_free(list->items);
    arena_destroy(&list->arena);
    *list = (struct text_list){0};
}
