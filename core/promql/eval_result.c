/* eval_result.c - from the rows of the top node to the answer: names dropped, equal series merged,
 * order (promql.md 9.2, 17, 20.1). */
#include "promql/eval_result.h"

#include "base/clock.h"
#include "base/mem.h"
#include "promql/eval.h"
#include "promql/eval_math.h"
#include "promql/eval_order.h"

/* Makes the answer's series of the rows that come. */
struct result_sink {
    struct sink sink;
    struct eval *ev;
    struct value *out;
    struct label_set_map map;
    size_t steps;
    double *row;
};

static double *result_room(struct sink *sink)
{
    return ((struct result_sink *)sink)->row;
}

static int fail_same_labels(struct error *err)
{
    return error_set(err, ERR_EXECUTION, "vector cannot contain metrics with the same labelset");
}

/* Adds the samples of `row` to a series that has none at their times. */
static int merge_samples(struct result_sink *self, struct columns *samples, const double *row,
                         struct error *err)
{
    const struct grid *grid = &self->ev->plan->grid;
    struct columns merged = {0};
    size_t i = 0;

    columns_reserve(&merged, samples->len + row_count(row, self->steps));
    for (size_t k = 0; k < self->steps; k++) {
        int64_t time_ms = grid->start_ms + (int64_t)k * grid->step_ms;

        if (i < samples->len && samples->times_ms[i] == time_ms) {
            if (!eval_is_hole(&row[k])) {
                columns_destroy(&merged);
                return fail_same_labels(err);
            }
            columns_append(&merged, time_ms, samples->values[i++]);
        } else if (!eval_is_hole(&row[k])) {
            columns_append(&merged, time_ms, row[k]);
        }
    }
    columns_destroy(samples);
    *samples = merged;
    return 0;
}

static void set_samples(struct result_sink *self, struct columns *samples, const double *row,
                        size_t count)
{
    const struct grid *grid = &self->ev->plan->grid;

    samples->times_ms = mem_alloc(count * sizeof(*samples->times_ms));
    samples->values = mem_alloc(count * sizeof(*samples->values));
    samples->cap = count;
    for (size_t k = 0; k < self->steps; k++) {
        if (eval_is_hole(&row[k]))
            continue;
        samples->times_ms[samples->len] = grid->start_ms + (int64_t)k * grid->step_ms;
        samples->values[samples->len++] = row[k];
    }
}

static int result_take(struct sink *sink, struct row *row, struct error *err)
{
    struct result_sink *self = (struct result_sink *)sink;
    const struct labels *labels = row->labels;
    size_t count = row_count(row->values, self->steps), number;
    struct value_series *series;
    bool is_new;

    if (count == 0) {
        labels_unref(labels);
        return 0;
    }
    if (row->drop_name) {
        labels = labels_drop_metadata(row->labels);
        labels_unref(row->labels);
    }
    number = label_set_map_put(&self->map, labels, &is_new);
    if (eval_hold(self->ev, count, err) != 0 || eval_tick(self->ev, self->steps, err) != 0)
        return -1;
    if (!is_new) {
        if (!self->ev->plan->is_range)
            return fail_same_labels(err);
        return merge_samples(self, &self->out->series[number].samples, row->values, err);
    }
    series = value_add_series(self->out, labels_ref(self->map.sets[number]));
    if (self->ev->plan->is_range)
        set_samples(self, &series->samples, row->values, count);
    else
        series->value = row->values[0];
    return 0;
}

static int reorder(struct eval *ev, struct value *out, struct error *err)
{
    const struct labels **sets = mem_alloc(out->count * sizeof(*sets));
    uint32_t *order = mem_alloc(out->count * sizeof(*order));
    struct value_series *series;
    int result;

    for (size_t i = 0; i < out->count; i++)
        sets[i] = out->series[i].labels;
    result = eval_order(ev, sets, out->count, order, err);
    if (result == 0) {
        series = mem_alloc(out->count * sizeof(*series));
        for (size_t i = 0; i < out->count; i++)
            series[i] = out->series[order[i]];
        mem_free(out->series);
        out->series = series;
        out->cap = out->count;
    }
    mem_free(sets);
    mem_free(order);
    return result;
}

static int sort_series(struct eval *ev, struct value *out, struct error *err)
{
    int result = 0;
    int64_t start_ns = clock_mono_ns(clock_system());
    bool sorted = true;

    for (size_t i = 1; i < out->count && sorted; i++)
        sorted = labels_compare(out->series[i - 1].labels, out->series[i].labels) <= 0;
    if (!sorted)
        result = reorder(ev, out, err);
    if (ev->stats != NULL)
        ev->stats->sort_ns = clock_mono_ns(clock_system()) - start_ns;
    return result;
}

/* Do the top nodes of an instant query keep an order that it asked for? */
static bool is_ordered(const struct plan_node *node)
{
    switch (node->kind) {
    case PLAN_ONCE:
    case PLAN_NEGATE:
        return is_ordered(node->children[0]);
    case PLAN_AGGREGATE:
        return node->aggregate == AGGREGATE_TOPK || node->aggregate == AGGREGATE_BOTTOMK;
    case PLAN_BINARY:
        if (node->children[0]->type == EXPR_TYPE_SCALAR)
            return is_ordered(node->children[1]);
        if (node->children[1]->type == EXPR_TYPE_SCALAR || binary_op_is_set(node->op))
            return is_ordered(node->children[0]);
        return false;
    case PLAN_CALL:
        if (eval_call_sorts(node))
            return true;
        return eval_call_keeps_order(node) && is_ordered(node->children[0]);
    default:
        return false;
    }
}

static int run_vector(struct eval *ev, struct value *out, struct error *err)
{
    const struct plan_node *root = ev->plan->root;
    struct result_sink sink = {
        .sink = {result_room, result_take}, .ev = ev, .out = out, .steps = root->grid.steps};
    int result;

    out->type = ev->plan->is_range ? VALUE_MATRIX : VALUE_VECTOR;
    sink.row = arena_alloc(&ev->plan->arena, (sink.steps + 1) * sizeof(*sink.row));
    result = eval_rows(ev, root, &sink.sink, err);
    label_set_map_destroy(&sink.map);
    if (result == 0 && (ev->plan->is_range || !is_ordered(root)))
        result = sort_series(ev, out, err);
    return result;
}

static int run_scalar(struct eval *ev, struct value *out, struct error *err)
{
    const struct plan *plan = ev->plan;
    const double *values = eval_scalar_new(ev, plan->root, err);
    struct value_series *series;

    if (values == NULL)
        return -1;
    if (!plan->is_range) {
        out->type = VALUE_SCALAR;
        out->scalar = values[0];
        return 0;
    }
    out->type = VALUE_MATRIX;
    series = value_add_series(out, labels_new_sorted(NULL, 0));
    for (size_t k = 0; k < plan->grid.steps; k++)
        columns_append(&series->samples, plan->grid.start_ms + (int64_t)k * plan->grid.step_ms,
                       values[k]);
    return 0;
}

static int run_range(struct eval *ev, struct value *out, struct error *err)
{
    out->type = VALUE_MATRIX;
    if (eval_range_value(ev, ev->plan->root, out, err) != 0 || sort_series(ev, out, err) != 0)
        return -1;
    for (size_t i = 1; i < out->count; i++) {
        if (labels_equal(out->series[i - 1].labels, out->series[i].labels))
            return fail_same_labels(err);
    }
    return 0;
}

int eval_result(struct eval *ev, struct value *out, struct error *err)
{
    const struct plan_node *root = ev->plan->root;

    out->time_ms = ev->plan->grid.start_ms;
    switch (root->type) {
    case EXPR_TYPE_SCALAR:
        return run_scalar(ev, out, err);
    case EXPR_TYPE_VECTOR:
        return run_vector(ev, out, err);
    case EXPR_TYPE_RANGE:
        return run_range(ev, out, err);
    default:
        out->type = VALUE_STRING;
        out->text = mem_dup(root->text, root->text_len);
        out->text_len = root->text_len;
        return 0;
    }
}
