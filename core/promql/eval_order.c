/* eval_order.c - see eval_order.h. */
#include "promql/eval_order.h"

#include <stdlib.h>

#include "base/mem.h"
#include "promql/eval.h"

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

static int compare_keys(const void *a, const void *b, void *context)
{
    const struct keyed *x = a, *y = b;

    (void)context;
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

/* --- a sort with a clock
 * -------------------------------------------------------------------------- */

/* Sorted at once; merged from there on. */
#define RUN ((size_t)4096)

/* Merges two sorted neighbours of `from` into `to`. */
static void merge(const char *from, size_t left, size_t right, size_t size, char *to,
                  int (*compare)(const void *, const void *, void *), void *ctx)
{
    const char *a = from, *b = from + left * size, *a_end = b, *b_end = b + right * size;

    for (; a < a_end && b < b_end; to += size) {
        bool takes_b = compare(a, b, ctx) > 0;

        memcpy(to, takes_b ? b : a, size);
        if (takes_b)
            b += size;
        else
            a += size;
    }
    memcpy(to, a, (size_t)(a_end - a));
    memcpy(to + (a_end - a), b, (size_t)(b_end - b));
}

/* All pairs of neighbours that are `width` long each. */
static int merge_all(struct eval *ev, const char *from, char *to, size_t count, size_t size,
                     size_t width, int (*compare)(const void *, const void *, void *), void *ctx,
                     struct error *err)
{
    for (size_t i = 0; i < count; i += 2 * width) {
        size_t left = TIDE_MIN(width, count - i), right = TIDE_MIN(width, count - i - left);

        if (eval_tick(ev, (left + right) * 8, err) != 0)
            return -1;
        merge(from + i * size, left, right, size, to + i * size, compare, ctx);
    }
    return 0;
}

int eval_sort(struct eval *ev, void *items, size_t count, size_t size,
              int (*compare)(const void *, const void *, void *), void *ctx, struct error *err)
{
    char *from = items, *to, *spare;
    int result = 0;

    for (size_t i = 0; i < count; i += RUN) {
        size_t run = TIDE_MIN(RUN, count - i);

        if (eval_tick(ev, run * 32, err) != 0)
            return -1;
        qsort_r(from + i * size, run, size, compare, ctx);
    }
    if (count <= RUN)
        return 0;
    spare = mem_alloc(count * size);
    to = spare;
    for (size_t width = RUN; width < count && result == 0; width *= 2) {
        char *merged = to;

        result = merge_all(ev, from, to, count, size, width, compare, ctx, err);
        to = from;
        from = merged;
    }
    if (result == 0 && from == spare)
        memcpy(items, spare, count * size);
    mem_free(spare);
    return result;
}

/* --- label sets
 * ----------------------------------------------------------------------------------- */

/* The rank of each value of a column. Owned. */
static uint32_t *rank_values(struct eval *ev, const struct column *column, struct error *err)
{
    uint32_t *sorted = mem_alloc(column->count * sizeof(*sorted));
    uint32_t *ranks = NULL;

    for (size_t i = 0; i < column->count; i++)
        sorted[i] = (uint32_t)i;
    if (eval_sort(ev, sorted, column->count, sizeof(*sorted), compare_numbered, column->values,
                  err) == 0) {
        ranks = mem_alloc(column->count * sizeof(*ranks));
        for (size_t i = 0; i < column->count; i++)
            ranks[sorted[i]] = (uint32_t)i;
    }
    mem_free(sorted);
    return ranks;
}

/* Numbers the values at position `at`. */
static int number_column(struct eval *ev, const struct labels *const *sets, size_t count, size_t at,
                         struct column *column, uint32_t *numbers, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(sets[i], at);

        if (i > 0 && compare_values(&column->values[numbers[i - 1]], &label) == 0)
            numbers[i] = numbers[i - 1];
        else
            numbers[i] = column_number(column, &label);
        if (eval_tick(ev, EVAL_LABELS_WORK / 5, err) != 0)
            return -1;
    }
    return 0;
}

/* Extends each key by the rank of the value at position `at`.
 *
 * @return 1, 0 when 64 bits do not hold it, or -1 with err */
static int extend_keys(struct eval *ev, const struct labels *const *sets, size_t count, size_t at,
                       uint32_t *numbers, struct keyed *keys, uint64_t *space, struct error *err)
{
    struct column column = {0};
    uint32_t *ranks;
    int result = number_column(ev, sets, count, at, &column, numbers, err) == 0 ? 1 : -1;

    if (result == 1 && __builtin_mul_overflow(*space, column.count, space))
        result = 0;
    if (result == 1 && column.count > 1) {
        ranks = rank_values(ev, &column, err);
        for (size_t i = 0; i < count && ranks != NULL; i++)
            keys[i].key = keys[i].key * column.count + ranks[numbers[i]];
        result = ranks != NULL ? 1 : -1;
        mem_free(ranks);
    }
    mem_free(column.values);
    mem_free(column.slots);
    return result;
}

/* 1 when it is done, 0 when the sets are not of that kind, or -1 with err. */
static int order_by_ranks(struct eval *ev, const struct labels *const *sets, size_t count,
                          uint32_t *order, struct error *err)
{
    struct keyed *keys;
    uint32_t *numbers;
    uint64_t space = 1;
    int result = 1;

    for (size_t i = 1; i < count; i++) {
        if (!same_names(sets[0], sets[i]))
            return 0;
        if (eval_tick(ev, EVAL_LABELS_WORK / 10, err) != 0)
            return -1;
    }
    keys = mem_alloc(count * sizeof(*keys));
    numbers = mem_alloc(count * sizeof(*numbers));
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct keyed){.key = 0, .index = (uint32_t)i};
    for (size_t at = 0; at < labels_count(sets[0]) && result == 1; at++)
        result = extend_keys(ev, sets, count, at, numbers, keys, &space, err);
    if (result == 1 && eval_sort(ev, keys, count, sizeof(*keys), compare_keys, NULL, err) != 0)
        result = -1;
    for (size_t i = 0; i < count && result == 1; i++)
        order[i] = keys[i].index;
    mem_free(keys);
    mem_free(numbers);
    return result;
}

int eval_order(struct eval *ev, const struct labels *const *sets, size_t count, uint32_t *order,
               struct error *err)
{
    int result = count >= FEW ? order_by_ranks(ev, sets, count, order, err) : 0;

    if (result != 0)
        return result == 1 ? 0 : -1;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    return eval_sort(ev, order, count, sizeof(*order), compare_sets, (void *)(uintptr_t)sets, err);
}
