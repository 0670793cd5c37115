/* func_added.c - functions that the server adds to the language: windows or samples go out to a
 * function pointer, one value comes back. */
#include "promql/eval_call.h"
#include "promql/eval_math.h"

struct added {
    struct range_visitor visitor;
    struct sink map; /* for instant vectors */
    struct eval *ev;
    const struct plan_node *node;
    struct sink *to;
    const double *params[FUNCTION_MAX_ARGS]; /* scalar arguments, one value per step */
    size_t param_count;
};

/* Asks for the value of one window at step k; a hole when there is none. */
static int ask(struct added *self, const int64_t *times_ms, const double *values, size_t len,
               size_t k, double *result, struct error *err)
{
    const struct added_functions *functions = self->ev->query->added;
    double scalars[FUNCTION_MAX_ARGS];
    int answer;

    for (size_t p = 0; p < self->param_count; p++)
        scalars[p] = self->params[p][k];
    answer = functions->call(functions->ctx, self->node->added, times_ms, values, len, scalars,
                             self->param_count, result, err);
    if (answer == 0)
        *result = eval_hole();
    if (answer < 0)
        return -1;
    return eval_tick(self->ev, len + 64, err);
}

static int visit_window(struct range_visitor *visitor, const struct range_input *input,
                        const struct labels *labels, bool drop_name, struct error *err)
{
    struct added *self = (struct added *)visitor;
    struct row row = {.values = self->to->room(self->to), .drop_name = true};
    struct window w = {0};

    (void)drop_name;
    for (size_t k = 0; k < input->steps; k++) {
        window_move(input, k, &w);
        row.values[k] = eval_hole();
        if (w.from != w.to && ask(self, input->times_ms + w.from, input->values + w.from,
                                  w.to - w.from, k, &row.values[k], err) != 0)
            return -1;
    }
    row.labels = labels_ref(labels);
    return self->to->take(self->to, &row, err);
}

static double *added_room(struct sink *sink)
{
    struct added *self = (struct added *)((char *)sink - offsetof(struct added, map));

    return self->to->room(self->to);
}

static int added_take(struct sink *sink, struct row *row, struct error *err)
{
    struct added *self = (struct added *)((char *)sink - offsetof(struct added, map));
    const struct grid *grid = &self->node->grid;

    for (size_t k = 0; k < grid->steps; k++) {
        int64_t time_ms = grid->start_ms + (int64_t)k * grid->step_ms;
        double value = row->values[k];

        if (!eval_is_hole(&row->values[k]) &&
            ask(self, &time_ms, &value, 1, k, &row->values[k], err) != 0) {
            labels_unref(row->labels);
            return -1;
        }
    }
    row->drop_name = true;
    return self->to->take(self->to, row, err);
}

int func_added(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    struct added self = {
        .visitor = {visit_window}, .map = {added_room, added_take}, .ev = ev, .node = node};
    const struct plan_node *vector = NULL;

    self.to = sink;
    for (size_t i = 0; i < node->child_count; i++) {
        const struct plan_node *child = node->children[i];

        if (child->type == EXPR_TYPE_RANGE || child->type == EXPR_TYPE_VECTOR) {
            vector = child;
        } else if (child->type == EXPR_TYPE_SCALAR && self.param_count < FUNCTION_MAX_ARGS) {
            self.params[self.param_count] = eval_scalar_new(ev, child, err);
            if (self.params[self.param_count++] == NULL)
                return -1;
        }
    }
    if (vector == NULL)
        return error_set(err, ERR_EXECUTION, "function \"%s\" takes no vector", node->added->name);
    if (vector->type == EXPR_TYPE_RANGE)
        return eval_range_visit(ev, vector, &self.visitor, err);
    return eval_rows(ev, vector, &self.map, err);
}
