/* binary_set.c - and, or, unless: by whether the other side has the signature (promql.md 16.6). */
#include "base/mem.h"
#include "promql/binary_match.h"
#include "promql/eval_math.h"
#include "promql/eval_order.h"

/* For each signature of a side: at which steps it has a sample. */
struct presence {
    bool **steps; /* by signature; NULL: never */
    struct arena arena;
};

/* The caller destroys it, on failure too. */
static int presence_init(struct presence *presence, struct eval *ev, const struct block *block,
                         const uint32_t *numbers, size_t signature_count, struct error *err)
{
    *presence = (struct presence){0};
    presence->steps = mem_zalloc(signature_count, sizeof(*presence->steps));
    for (size_t i = 0; i < block->count; i++) {
        bool *steps = presence->steps[numbers[i]];

        if (steps == NULL) {
            steps = arena_alloc(&presence->arena, block->steps);
            memset(steps, 0, block->steps);
            presence->steps[numbers[i]] = steps;
        }
        for (size_t k = 0; k < block->steps; k++)
            steps[k] = steps[k] || !eval_is_hole(&block->rows[i].values[k]);
        if (eval_tick(ev, block->steps, err) != 0)
            return -1;
    }
    return 0;
}

static void presence_destroy(struct presence *presence)
{
    mem_free(presence->steps);
    arena_destroy(&presence->arena);
}

/* Makes holes where the other side's presence is not `wanted`. */
static void mask(double *values, const bool *present, bool wanted, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        if ((present != NULL && present[k]) != wanted)
            values[k] = eval_hole();
    }
}

/* A row of `or`'s right side whose labels a left row has too: their steps are disjoint, so they are
 * one series. Returns false when there is no such row. */
static bool merge_into_left(struct block *left, struct label_set_map *map, struct row *row,
                            size_t steps)
{
    bool is_new;
    size_t number = label_set_map_put(map, labels_ref(row->labels), &is_new);
    double *values;

    if (is_new || number >= left->count)
        return false;
    values = left->rows[number].values;
    for (size_t k = 0; k < steps; k++) {
        if (eval_is_hole(&values[k]))
            memcpy(&values[k], &row->values[k], sizeof(double));
    }
    return true;
}

static int set_or(struct eval *ev, struct block *left, struct block *right,
                  const struct signatures *of, struct sink *sink, struct error *err)
{
    struct presence presence;
    struct label_set_map map = {0};
    bool is_new, unique = left->steps > 1;
    int result = presence_init(&presence, ev, left, of->of_left, of->map.count, err);

    for (size_t i = 0; i < left->count && unique && result == 0; i++) {
        label_set_map_put(&map, labels_ref(left->rows[i].labels), &is_new);
        unique = is_new;
        result = eval_tick(ev, EVAL_LABELS_WORK, err);
    }
    for (size_t j = 0; j < right->count && result == 0; j++) {
        struct row *row = &right->rows[j];

        mask(row->values, presence.steps[of->of_right[j]], false, left->steps);
        if (unique && merge_into_left(left, &map, row, left->steps))
            row_clear(row->values, left->steps);
        result = eval_tick(ev, left->steps + EVAL_LABELS_WORK, err);
    }
    if (result == 0)
        result = eval_pass_block(ev, left, sink, err);
    for (size_t j = 0; j < right->count && result == 0; j++) {
        struct row row = right->rows[j];

        if (row_is_empty(row.values, right->steps))
            continue;
        right->rows[j].labels = NULL;
        result = sink->take(sink, &row, err);
        if (result == 0)
            result = eval_tick(ev, right->steps, err);
    }
    presence_destroy(&presence);
    label_set_map_destroy(&map);
    return result;
}

int binary_match_set(struct eval *ev, const struct plan_node *node, struct block *left,
                     struct block *right, struct sink *sink, struct error *err)
{
    struct signatures of;
    struct presence presence;
    int result = signatures_init(&of, ev, node->binary, left, right, err);

    if (result == 0 && node->op == BINARY_OR) {
        result = set_or(ev, left, right, &of, sink, err);
    } else if (result == 0) {
        result = presence_init(&presence, ev, right, of.of_right, of.map.count, err);
        for (size_t i = 0; i < left->count && result == 0; i++) {
            mask(left->rows[i].values, presence.steps[of.of_left[i]], node->op == BINARY_AND,
                 left->steps);
            result = eval_tick(ev, left->steps, err);
        }
        presence_destroy(&presence);
        if (result == 0)
            result = eval_pass_block(ev, left, sink, err);
    }
    signatures_destroy(&of);
    return result;
}
