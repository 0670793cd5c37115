/* eval_block.c - see eval_block.h. */
#include "promql/eval_block.h"

#include <stdlib.h>

#include "base/mem.h"
#include "promql/eval_math.h"

void block_init(struct block *block, size_t steps)
{
    *block = (struct block){.steps = steps};
}

void block_destroy(struct block *block)
{
    for (size_t i = 0; i < block->count; i++)
        labels_unref(block->rows[i].labels);
    mem_free(block->rows);
    arena_destroy(&block->arena);
    *block = (struct block){0};
}

double *block_room(struct block *block)
{
    return arena_alloc(&block->arena, block->steps * sizeof(double));
}

struct row *block_add(struct block *block, const struct labels *labels, double *values,
                      bool drop_name)
{
    if (block->count == block->cap) {
        block->cap = block->cap != 0 ? block->cap * 2 : 16;
        block->rows = mem_realloc(block->rows, block->cap * sizeof(*block->rows));
    }
    block->rows[block->count] = (struct row){labels, values, drop_name};
    return &block->rows[block->count++];
}

void row_clear(double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++)
        values[k] = eval_hole();
}

bool row_is_empty(const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        if (!eval_is_hole(&values[k]))
            return false;
    }
    return true;
}

size_t row_count(const double *values, size_t steps)
{
    size_t count = 0;

    for (size_t k = 0; k < steps; k++)
        count += !eval_is_hole(&values[k]);
    return count;
}
