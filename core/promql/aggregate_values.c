/* aggregate_values.c - count_values: groups by value, too (promql.md 15.3). See aggregate.h. */
#include <math.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/utf8.h"
#include "promql/aggregate.h"
#include "promql/eval_math.h"

struct value_sink {
    struct sink sink;
    struct eval *ev;
    const struct plan_node *node;
    const struct plan_node *label;
    bool shows_value; /* not when without(...) lists the label */
    struct labels_builder builder;
    struct label_set_map map;
    struct block out;
    double *row;
};

static double *value_room(struct sink *sink)
{
    return ((struct value_sink *)sink)->row;
}

/* The labels of the group, without the value's. Owned. */
static struct labels *group_labels(struct value_sink *self, const struct labels *labels)
{
    const struct plan_node *node = self->node;
    struct labels *rest =
        node->without ? labels_drop(labels, &node->names, true) : labels_keep(labels, &node->names);
    struct labels *result;

    labels_builder_reset(&self->builder, rest);
    labels_builder_delete(&self->builder, self->label->text, self->label->text_len);
    result = labels_builder_build(&self->builder);
    labels_unref(rest);
    return result;
}

/* A new group has a count at each step, so all of them are held, and cost time. */
static int begin_group(struct value_sink *self, const struct labels *labels, struct error *err)
{
    size_t steps = self->out.steps;
    double *values;

    if (eval_hold(self->ev, steps, err) != 0)
        return -1;
    self->out.held += steps;
    values = block_room(&self->out);
    row_clear(values, steps);
    block_add(&self->out, labels_ref(labels), values, false);
    return eval_tick(self->ev, steps, err);
}

static int group_of(struct value_sink *self, const struct labels *group, double value,
                    size_t *number, struct error *err)
{
    char text[NUMBER_PLAIN_MAX_BYTES];
    struct labels *labels;
    bool is_new;

    labels_builder_reset(&self->builder, group);
    if (self->shows_value)
        labels_builder_set(&self->builder, self->label->text, self->label->text_len, text,
                           number_format_plain(text, value));
    labels = labels_builder_build(&self->builder);
    *number = label_set_map_put(&self->map, labels, &is_new);
    return is_new ? begin_group(self, self->map.sets[*number], err) : 0;
}

static int value_take(struct sink *sink, struct row *row, struct error *err)
{
    struct value_sink *self = (struct value_sink *)sink;
    struct labels *group = group_labels(self, row->labels);
    size_t number = SIZE_MAX;
    double last = 0;
    int result = 0;

    labels_unref(row->labels);
    for (size_t k = 0; k < self->out.steps && result == 0; k++) {
        double value = row->values[k], *count;

        if (eval_is_hole(&row->values[k]))
            continue;
        if (number == SIZE_MAX || double_bits(value) != double_bits(last))
            result = group_of(self, group, value, &number, err);
        if (result != 0)
            break;
        last = value;
        count = &self->out.rows[number].values[k];
        *count = eval_is_hole(count) ? 1 : *count + 1;
    }
    labels_unref(group);
    return result != 0 ? -1 : eval_tick(self->ev, self->out.steps * 4, err);
}

int aggregate_count_values(struct eval *ev, const struct plan_node *node, struct sink *sink,
                           struct error *err)
{
    const struct plan_node *label = node->children[1];
    struct value_sink self = {
        .sink = {value_room, value_take}, .ev = ev, .node = node, .label = label};
    int result;

    if (label->text_len == 0 || !utf8_valid(label->text, label->text_len)) {
        struct buf quoted = {0};

        labels_quote(&quoted, label->text, label->text_len);
        error_set(err, ERR_EXECUTION, "invalid label name %.*s", (int)quoted.len,
                  (const char *)quoted.data);
        buf_destroy(&quoted);
        return -1;
    }
    self.shows_value =
        !(node->without && label_names_has(&node->names, label->text, label->text_len));
    self.row = arena_alloc(&ev->plan->arena, (node->grid.steps + 1) * sizeof(*self.row));
    labels_builder_init(&self.builder);
    block_init(&self.out, node->grid.steps);
    result = eval_rows(ev, node->children[0], &self.sink, err);
    if (result == 0)
        result = eval_pass_block(ev, &self.out, sink, err);
    eval_block_free(ev, &self.out);
    label_set_map_destroy(&self.map);
    labels_builder_destroy(&self.builder);
    return result;
}
