/* eval_order.c - see eval_order.h. */
#include "promql/eval_order.h"

#include <stdlib.h>

#include "base/mem.h"

/* Below this a plain sort is as good. */
#define FEW 32

/* The distinct values of one label, numbered as they come. */
struct column {
    struct label *values;
    uint32_t *slots; /* number + 1 */
    size_t count;
    size_t cap; /* of values; there are twice as many slots */
};

struct keyed {
    uint64_t key;
    uint32_t index;
};

static int compare_values(const struct label *a, const struct label *b)
{
    int order = memcmp(a->value, b->value, TIDE_MIN(a->value_len, b->value_len));

    return order != 0 ? order : (a->value_len > b->value_len) - (a->value_len < b->value_len);
}

static uint64_t hash_value(const struct label *label)
{
    uint64_t hash = 0xcbf29ce484222325u ^ label->value_len;

    for (uint32_t i = 0; i < label->value_len; i++)
        hash = (hash ^ (uint8_t)label->value[i]) * 0x100000001b3u;
    return hash ^ (hash >> 29);
}

static void column_grow(struct column *column)
{
    size_t cap = column->cap != 0 ? column->cap * 2 : 64;

    column->values = mem_realloc(column->values, cap * sizeof(*column->values));
    mem_free(column->slots);
    column->slots = mem_zalloc(cap * 2, sizeof(*column->slots));
    column->cap = cap;
    for (size_t i = 0; i < column->count; i++) {
        size_t slot = hash_value(&column->values[i]) & (cap * 2 - 1);

        while (column->slots[slot] != 0)
            slot = (slot + 1) & (cap * 2 - 1);
        column->slots[slot] = (uint32_t)i + 1;
    }
}

static uint32_t column_number(struct column *column, const struct label *label)
{
    size_t slot;

    if (column->count == column->cap)
        column_grow(column);
    slot = hash_value(label) & (column->cap * 2 - 1);
    while (column->slots[slot] != 0) {
        uint32_t number = column->slots[slot] - 1;

        if (compare_values(&column->values[number], label) == 0)
            return number;
        slot = (slot + 1) & (column->cap * 2 - 1);
    }
    column->values[column->count] = *label;
    column->slots[slot] = (uint32_t)column->count + 1;
    return (uint32_t)column->count++;
}

static int compare_numbered(const void *a, const void *b, void *context)
{
    const struct label *values = context;

    return compare_values(&values[*(const uint32_t *)a], &values[*(const uint32_t *)b]);
}

static int compare_keys(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

static int compare_sets(const void *a, const void *b, void *context)
{
    const struct labels *const *sets = context;

    return labels_compare(sets[*(const uint32_t *)a], sets[*(const uint32_t *)b]);
}

static bool same_names(const struct labels *a, const struct labels *b)
{
    if (labels_count(a) != labels_count(b))
        return false;
    for (size_t i = 0; i < labels_count(a); i++) {
        struct label x = labels_at(a, i), y = labels_at(b, i);

        if (x.name_len != y.name_len || memcmp(x.name, y.name, x.name_len) != 0)
            return false;
    }
    return true;
}

/* Extends each key by the rank of the value at position `at`. False when 64 bits do not hold it. */
static bool extend_keys(const struct labels *const *sets, size_t count, size_t at,
                        uint32_t *numbers, struct keyed *keys, uint64_t *space)
{
    struct column column = {0};
    uint32_t *sorted, *ranks;
    bool fits;

    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(sets[i], at);

        if (i > 0 && compare_values(&column.values[numbers[i - 1]], &label) == 0)
            numbers[i] = numbers[i - 1];
        else
            numbers[i] = column_number(&column, &label);
    }
    fits = !__builtin_mul_overflow(*space, column.count, space);
    if (fits && column.count > 1) {
        sorted = mem_alloc(column.count * sizeof(*sorted));
        ranks = mem_alloc(column.count * sizeof(*ranks));
        for (size_t i = 0; i < column.count; i++)
            sorted[i] = (uint32_t)i;
        qsort_r(sorted, column.count, sizeof(*sorted), compare_numbered, column.values);
        for (size_t i = 0; i < column.count; i++)
            ranks[sorted[i]] = (uint32_t)i;
        for (size_t i = 0; i < count; i++)
            keys[i].key = keys[i].key * column.count + ranks[numbers[i]];
        mem_free(sorted);
        mem_free(ranks);
    }
    mem_free(column.values);
    mem_free(column.slots);
    return fits;
}

static bool order_by_ranks(const struct labels *const *sets, size_t count, uint32_t *order)
{
    struct keyed *keys;
    uint32_t *numbers;
    uint64_t space = 1;
    bool done = true;

    for (size_t i = 1; i < count; i++) {
        if (!same_names(sets[0], sets[i]))
            return false;
    }
    keys = mem_alloc(count * sizeof(*keys));
    numbers = mem_alloc(count * sizeof(*numbers));
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct keyed){.key = 0, .index = (uint32_t)i};
    for (size_t at = 0; at < labels_count(sets[0]) && done; at++)
        done = extend_keys(sets, count, at, numbers, keys, &space);
    if (done) {
        qsort(keys, count, sizeof(*keys), compare_keys);
        for (size_t i = 0; i < count; i++)
            order[i] = keys[i].index;
    }
    mem_free(keys);
    mem_free(numbers);
    return done;
}

void eval_order(const struct labels *const *sets, size_t count, uint32_t *order)
{
    if (count >= FEW && order_by_ranks(sets, count, order))
        return;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, count, sizeof(*order), compare_sets, (void *)(uintptr_t)sets);
}
