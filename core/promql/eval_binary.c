/* eval_binary.c - binary operators between scalars and vectors; vector to vector by matching. */
#include "base/mem.h"
#include "promql/binary_match.h"
#include "promql/eval.h"
#include "promql/eval_math.h"

int eval_binary_scalar(struct eval *ev, const struct plan_node *node, double *values,
                       struct error *err)
{
    const double *right;

    if (node->op == BINARY_TRIM_LOWER || node->op == BINARY_TRIM_UPPER)
        return error_set(err, ERR_EXECUTION, "operator \"%s\" not allowed for Scalar operations",
                         binary_op_text(node->op));
    if (eval_scalar(ev, node->children[0], values, err) != 0)
        return -1;
    right = eval_scalar_new(ev, node->children[1], err);
    if (right == NULL)
        return -1;
    for (size_t k = 0; k < node->grid.steps; k++)
        values[k] = binary_of(node->op, values[k], right[k]);
    return 0;
}

static void map_scalar_right(const struct map_sink *self, double *values)
{
    binary_rows((enum binary_op)self->op, self->compare, values, self->params[0], values,
                self->steps);
}

static void map_scalar_left(const struct map_sink *self, double *values)
{
    binary_rows((enum binary_op)self->op, self->compare, self->params[0], values, values,
                self->steps);
}

static void note_trim(struct eval *ev, const struct plan_node *node)
{
    eval_note(ev, ANNOTATION_INFO, node->offset,
              "incompatible sample types encountered for binary operator \"%s\": float %s float",
              binary_op_text(node->op), binary_op_text(node->op));
}

/* Trims are for histograms: float samples are dropped, with an info. */
static int trim_rows(struct eval *ev, const struct plan_node *node, const struct plan_node *vector,
                     struct error *err)
{
    struct block block;
    int result = eval_vector(ev, vector, &block, err);

    if (result == 0 && block.count != 0)
        note_trim(ev, node);
    eval_block_free(ev, &block);
    return result;
}

static int scalar_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                       struct error *err)
{
    bool scalar_left = node->children[0]->type == EXPR_TYPE_SCALAR;
    const struct plan_node *vector = node->children[scalar_left ? 1 : 0];
    const struct plan_node *scalar = node->children[scalar_left ? 0 : 1];
    struct map_sink map;

    if (node->op == BINARY_TRIM_LOWER || node->op == BINARY_TRIM_UPPER)
        return trim_rows(ev, node, vector, err);
    map_sink_init(&map, sink, node->grid.steps);
    map.map = scalar_left ? map_scalar_left : map_scalar_right;
    map.op = (int)node->op;
    map.drops_name = !binary_op_is_comparison(node->op) || node->returns_bool;
    map.compare = node->returns_bool ? COMPARE_BOOL
                  : scalar_left      ? COMPARE_KEEPS_RIGHT
                                     : COMPARE_KEEPS_LEFT;
    map.params[0] = eval_scalar_new(ev, scalar, err);
    if (map.params[0] == NULL)
        return -1;
    return eval_rows(ev, vector, &map.sink, err);
}

int eval_binary_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                     struct error *err)
{
    struct block left = {0}, right = {0};
    int result = -1;

    if (node->children[0]->type == EXPR_TYPE_SCALAR || node->children[1]->type == EXPR_TYPE_SCALAR)
        return scalar_rows(ev, node, sink, err);
    if (eval_vector(ev, node->children[0], &left, err) != 0 ||
        eval_vector(ev, node->children[1], &right, err) != 0)
        goto out;
    if (binary_op_is_set(node->op))
        result = binary_match_set(ev, node, &left, &right, sink, err);
    else
        result = binary_match_rows(ev, node, &left, &right, sink, err);
out:
    eval_block_free(ev, &left);
    eval_block_free(ev, &right);
    return result;
}
