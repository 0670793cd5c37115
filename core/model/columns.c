/* columns.c - see columns.h. */
#include "model/columns.h"

#include "base/mem.h"

void columns_reserve(struct columns *columns, size_t extra)
{
    size_t need = columns->len + extra;
    size_t cap = columns->cap != 0 ? columns->cap : 64;

    if (need <= columns->cap)
        return;
    while (cap < need)
        cap *= 2;
    columns->times_ms = mem_realloc(columns->times_ms, cap * sizeof(*columns->times_ms));
    columns->values = mem_realloc(columns->values, cap * sizeof(*columns->values));
    columns->cap = cap;
}

void columns_append(struct columns *columns, int64_t time_ms, double value)
{
    if (columns->len == columns->cap)
        columns_reserve(columns, 1);
    columns->times_ms[columns->len] = time_ms;
    columns->values[columns->len++] = value;
}

void columns_destroy(struct columns *columns)
{
    mem_free(columns->times_ms);
    mem_free(columns->values);
    *columns = (struct columns){0};
}

size_t columns_lower_bound(const struct columns *columns, int64_t time_ms)
{
    size_t low = 0, high = columns->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (columns->times_ms[middle] < time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
