/* value.c - see value.h. */
#include "model/value.h"

#include "base/mem.h"

void value_destroy(struct value *value)
{
    for (size_t i = 0; i < value->count; i++) {
        labels_unref(value->series[i].labels);
        columns_destroy(&value->series[i].samples);
    }
    mem_free(value->series);
    mem_free(value->text);
    *value = (struct value){0};
}

struct value_series *value_add_series(struct value *value, const struct labels *labels)
{
    if (value->count == value->cap) {
        value->cap = value->cap != 0 ? value->cap * 2 : 16;
        value->series = mem_realloc(value->series, value->cap * sizeof(*value->series));
    }
    value->series[value->count] = (struct value_series){.labels = labels};
    return &value->series[value->count++];
}
