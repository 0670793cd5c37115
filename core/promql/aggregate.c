/* aggregate.c - sum, avg, min, max, count, group, stddev, stdvar: each row is folded into its
 * group's accumulators as it comes, and not kept. See aggregate.h. */
#include "promql/aggregate.h"

#include <math.h>

#include "base/mem.h"
#include "promql/eval_math.h"

void group_flag_add(struct group_flag *flag, const struct row *row, size_t steps)
{
    size_t last = steps;

    while (last > flag->steps_seen && eval_is_hole(&row->values[last - 1]))
        last--;
    if (last > flag->steps_seen) {
        flag->steps_seen = last;
        flag->drop_name = row->drop_name;
    } else if (last != 0 && !eval_is_hole(&row->values[last - 1])) {
        flag->drop_name = flag->drop_name || row->drop_name;
    }
}

/* One group; which arrays it has depends on the operator. All have one item per step. */
struct group {
    struct group_flag flag;
    double *values; /* the result so far, a hole where no member was; sum: without compensation */
    double *lost;   /* sum: compensation; stddev, stdvar: sum of squares */
    double *counts; /* stddev, stdvar */
    struct mean *means;
};

struct fold_sink {
    struct sink sink;
    struct eval *ev;
    const struct plan_node *node;
    struct label_part_map groups_map;
    struct group *groups;
    size_t group_cap;
    size_t steps;
    double *row;
    size_t held;
    struct arena arena;
};

static double *new_values(struct fold_sink *self, bool holes)
{
    double *values = arena_alloc(&self->arena, self->steps * sizeof(*values));

    if (holes)
        row_clear(values, self->steps);
    else
        memset(values, 0, self->steps * sizeof(*values));
    return values;
}

static void group_init(struct fold_sink *self, struct group *group)
{
    enum aggregate_op op = self->node->aggregate;

    *group = (struct group){.values = new_values(self, true)};
    if (op == AGGREGATE_SUM || op == AGGREGATE_STDDEV || op == AGGREGATE_STDVAR)
        group->lost = new_values(self, false);
    if (op == AGGREGATE_STDDEV || op == AGGREGATE_STDVAR)
        group->counts = new_values(self, false);
    if (op == AGGREGATE_AVG)
        group->means = arena_alloc(&self->arena, self->steps * sizeof(*group->means));
}

static void fold_sum(struct group *group, const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        struct kahan sum = {group->values[k], group->lost[k]};

        if (eval_is_hole(&values[k]))
            continue;
        if (eval_is_hole(&group->values[k])) {
            group->values[k] = values[k];
            continue;
        }
        kahan_add(&sum, values[k]);
        group->values[k] = sum.sum;
        group->lost[k] = sum.lost;
    }
}

static void fold_avg(struct group *group, const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        if (eval_is_hole(&values[k]))
            continue;
        if (eval_is_hole(&group->values[k])) {
            mean_start(&group->means[k], values[k]);
            group->values[k] = 0;
        } else {
            mean_add(&group->means[k], values[k]);
        }
    }
}

static void fold_min(struct group *group, const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        double best = group->values[k], now = values[k];

        /* A hole is a NaN, too: it is replaced like any other. */
        if (!eval_is_hole(&values[k]) && (now < best || isnan(best)))
            memcpy(&group->values[k], &values[k], sizeof(double));
    }
}

static void fold_max(struct group *group, const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        double best = group->values[k], now = values[k];

        if (!eval_is_hole(&values[k]) && (now > best || isnan(best)))
            memcpy(&group->values[k], &values[k], sizeof(double));
    }
}

static void fold_count(struct group *group, const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        if (!eval_is_hole(&values[k]))
            group->values[k] = eval_is_hole(&group->values[k]) ? 1 : group->values[k] + 1;
    }
}

static void fold_group(struct group *group, const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        if (!eval_is_hole(&values[k]))
            group->values[k] = 1;
    }
}

/* Welford's variance (12.3); values is the mean, lost the sum of squares. */
static void fold_variance(struct group *group, const double *values, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        double x = values[k], delta;

        if (eval_is_hole(&values[k]))
            continue;
        group->counts[k]++;
        if (eval_is_hole(&group->values[k])) {
            group->values[k] = x;
            group->lost[k] = isfinite(x) ? 0 : eval_nan();
            continue;
        }
        delta = x - group->values[k];
        group->values[k] += delta / group->counts[k];
        group->lost[k] += delta * (x - group->values[k]);
    }
}

static void fold(const struct fold_sink *self, struct group *group, const double *values)
{
    switch (self->node->aggregate) {
    case AGGREGATE_SUM:
        fold_sum(group, values, self->steps);
        break;
    case AGGREGATE_AVG:
        fold_avg(group, values, self->steps);
        break;
    case AGGREGATE_MIN:
        fold_min(group, values, self->steps);
        break;
    case AGGREGATE_MAX:
        fold_max(group, values, self->steps);
        break;
    case AGGREGATE_COUNT:
        fold_count(group, values, self->steps);
        break;
    case AGGREGATE_STDDEV:
    case AGGREGATE_STDVAR:
        fold_variance(group, values, self->steps);
        break;
    default:
        fold_group(group, values, self->steps);
        break;
    }
}

static double *fold_room(struct sink *sink)
{
    return ((struct fold_sink *)sink)->row;
}

static int fold_take(struct sink *sink, struct row *row, struct error *err)
{
    struct fold_sink *self = (struct fold_sink *)sink;
    bool is_new;
    size_t number = label_part_map_put(&self->groups_map, row->labels, &is_new);
    size_t count = row_count(row->values, self->steps);

    labels_unref(row->labels);
    if (is_new) {
        if (number == self->group_cap) {
            self->group_cap = self->group_cap != 0 ? self->group_cap * 2 : 16;
            self->groups = mem_realloc(self->groups, self->group_cap * sizeof(*self->groups));
        }
        group_init(self, &self->groups[number]);
        count += self->steps / 4; /* the group's own memory */
    }
    group_flag_add(&self->groups[number].flag, row, self->steps);
    fold(self, &self->groups[number], row->values);
    self->held += count;
    if (eval_hold(self->ev, count, err) != 0)
        return -1;
    return eval_tick(self->ev, self->steps, err);
}

static void finish(const struct fold_sink *self, struct group *group)
{
    enum aggregate_op op = self->node->aggregate;

    for (size_t k = 0; k < self->steps; k++) {
        if (eval_is_hole(&group->values[k]))
            continue;
        if (op == AGGREGATE_SUM)
            group->values[k] += group->lost[k];
        else if (op == AGGREGATE_AVG)
            group->values[k] = mean_value(&group->means[k]);
        else if (op == AGGREGATE_STDVAR)
            group->values[k] = group->lost[k] / group->counts[k];
        else if (op == AGGREGATE_STDDEV)
            group->values[k] = sqrt(group->lost[k] / group->counts[k]);
    }
}

static int emit_groups(struct fold_sink *self, struct sink *to, struct error *err)
{
    for (size_t g = 0; g < self->groups_map.count; g++) {
        struct row row = {.labels = labels_ref(self->groups_map.parts[g]),
                          .values = self->groups[g].values,
                          .drop_name = self->groups[g].flag.drop_name};

        finish(self, &self->groups[g]);
        if (to->take(to, &row, err) != 0)
            return -1;
    }
    return 0;
}

int eval_aggregate_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                        struct error *err)
{
    struct fold_sink self = {.sink = {fold_room, fold_take},
                             .ev = ev,
                             .node = node,
                             .groups_map = {.names = &node->names, .keeps = !node->without},
                             .steps = node->grid.steps};
    int result;

    if (node->aggregate == AGGREGATE_COUNT_VALUES)
        return aggregate_count_values(ev, node, sink, err);
    if (node->aggregate >= AGGREGATE_QUANTILE)
        return aggregate_pick_rows(ev, node, sink, err);
    self.row = arena_alloc(&self.arena, self.steps * sizeof(*self.row));
    result = eval_rows(ev, node->children[0], &self.sink, err);
    if (result == 0)
        result = emit_groups(&self, sink, err);
    eval_release(ev, self.held);
    label_part_map_destroy(&self.groups_map);
    mem_free(self.groups);
    arena_destroy(&self.arena);
    return result;
}
