/* eval_call.c - calls: the table of functions, and those that are small. See eval_call.h. */
#include "promql/eval_call.h"

#include <math.h>

#include "base/mem.h"
#include "promql/eval_math.h"

/* --- scalars ---------------------------------------------------------------------------------- */

static int call_time(struct eval *ev, const struct plan_node *node, double *values,
                     struct error *err)
{
    (void)ev;
    (void)err;
    for (size_t k = 0; k < node->grid.steps; k++)
        values[k] = (double)(node->grid.start_ms + (int64_t)k * node->grid.step_ms) / 1000.0;
    return 0;
}

static int call_pi(struct eval *ev, const struct plan_node *node, double *values, struct error *err)
{
    (void)ev;
    (void)err;
    for (size_t k = 0; k < node->grid.steps; k++)
        values[k] = M_PI;
    return 0;
}

enum { EXTREME_MIN, EXTREME_MAX };

static int call_extreme(struct eval *ev, const struct plan_node *node, double *values,
                        struct error *err)
{
    const double *right;

    if (eval_scalar(ev, node->children[0], values, err) != 0)
        return -1;
    right = eval_scalar_new(ev, node->children[1], err);
    if (right == NULL)
        return -1;
    for (size_t k = 0; k < node->grid.steps; k++)
        values[k] = node->function->op == EXTREME_MIN ? eval_min(values[k], right[k])
                                                      : eval_max(values[k], right[k]);
    return 0;
}

/* Counts the samples at each step and remembers one. */
struct count_sink {
    struct sink sink;
    struct eval *ev;
    size_t steps;
    double *row;
    uint32_t *counts;
    double *values; /* may be NULL */
};

static double *count_room(struct sink *sink)
{
    return ((struct count_sink *)sink)->row;
}

static int count_take(struct sink *sink, struct row *row, struct error *err)
{
    struct count_sink *self = (struct count_sink *)sink;

    labels_unref(row->labels);
    for (size_t k = 0; k < self->steps; k++) {
        if (eval_is_hole(&row->values[k]))
            continue;
        self->counts[k]++;
        if (self->values != NULL)
            self->values[k] = row->values[k];
    }
    return eval_tick(self->ev, self->steps, err);
}

static void count_sink_init(struct count_sink *self, struct eval *ev, size_t steps, double *values)
{
    *self = (struct count_sink){
        .sink = {count_room, count_take}, .ev = ev, .steps = steps, .values = values};
    self->row = arena_alloc(&ev->plan->arena, (steps + 1) * sizeof(*self->row));
    self->counts = arena_alloc(&ev->plan->arena, (steps + 1) * sizeof(*self->counts));
    memset(self->counts, 0, (steps + 1) * sizeof(*self->counts));
}

static int call_scalar_of(struct eval *ev, const struct plan_node *node, double *values,
                          struct error *err)
{
    struct count_sink count;

    count_sink_init(&count, ev, node->grid.steps, values);
    if (eval_rows(ev, node->children[0], &count.sink, err) != 0)
        return -1;
    for (size_t k = 0; k < node->grid.steps; k++) {
        if (count.counts[k] != 1)
            values[k] = eval_nan();
    }
    return 0;
}

/* --- small vectors ---------------------------------------------------------------------------- */

static int call_vector(struct eval *ev, const struct plan_node *node, struct sink *sink,
                       struct error *err)
{
    struct row row = {.values = sink->room(sink)};

    if (eval_scalar(ev, node->children[0], row.values, err) != 0)
        return -1;
    row.labels = labels_new_sorted(NULL, 0);
    return sink->take(sink, &row, err);
}

static void map_time(const struct map_sink *self, double *values)
{
    for (size_t k = 0; k < self->steps; k++) {
        if (!eval_is_hole(&values[k]))
            values[k] = self->params[0][k];
    }
}

static int call_timestamp(struct eval *ev, const struct plan_node *node, struct sink *sink,
                          struct error *err)
{
    struct map_sink map;
    double *times;

    if (node->children[0]->kind == PLAN_SELECTOR)
        return eval_selector_times(ev, node->children[0], sink, err);
    times = arena_alloc(&ev->plan->arena, (node->grid.steps + 1) * sizeof(*times));
    call_time(ev, node, times, err);
    map_sink_init(&map, sink, node->grid.steps);
    map.map = map_time;
    map.params[0] = times;
    map.drops_name = true;
    return eval_rows(ev, node->children[0], &map.sink, err);
}

/* Evaluates the vector argument for its errors and annotations, and answers nothing: functions of
 * native histograms, whose float samples vanish. */
static int call_nothing(struct eval *ev, const struct plan_node *node, struct sink *sink,
                        struct error *err)
{
    struct count_sink count;

    (void)sink;
    count_sink_init(&count, ev, node->grid.steps, NULL);
    return eval_rows(ev, node->children[0], &count.sink, err);
}

/* --- absent (promql.md 13.3) --------------------------------------------------------------------
 */

/* The labels that the selector's = matchers say. Owned. */
static struct labels *labels_of_matchers(const struct plan_node *argument)
{
    struct labels_builder builder;
    struct label *set = NULL; /* labels that an = has set before */
    struct labels *labels;
    size_t set_count = 0;

    if (argument->kind != PLAN_SELECTOR && argument->kind != PLAN_RANGE)
        return labels_new_sorted(NULL, 0);
    labels_builder_init(&builder);
    set = mem_alloc(argument->source->matcher_count * sizeof(*set));
    for (size_t i = 0; i < argument->source->matcher_count; i++) {
        const struct matcher *m = &argument->source->matchers[i];
        bool is_set = false;

        if (m->name_len == strlen(LABEL_METRIC_NAME) &&
            memcmp(m->name, LABEL_METRIC_NAME, m->name_len) == 0)
            continue;
        for (size_t k = 0; k < set_count; k++)
            is_set = is_set || (set[k].name_len == m->name_len &&
                                memcmp(set[k].name, m->name, m->name_len) == 0);
        if (m->type == MATCH_EQUAL && !is_set) {
            labels_builder_set(&builder, m->name, m->name_len, m->value, m->value_len);
            set[set_count++] = (struct label){.name = m->name, .name_len = m->name_len};
        } else {
            labels_builder_delete(&builder, m->name, m->name_len);
        }
    }
    labels = labels_builder_build(&builder);
    labels_builder_destroy(&builder);
    mem_free(set);
    return labels;
}

static int emit_absent(const struct plan_node *node, const uint32_t *counts, struct sink *sink,
                       struct error *err)
{
    struct row row = {.values = sink->room(sink)};

    for (size_t k = 0; k < node->grid.steps; k++)
        row.values[k] = counts[k] == 0 ? 1 : eval_hole();
    row.labels = labels_of_matchers(node->children[0]);
    return sink->take(sink, &row, err);
}

static int call_absent(struct eval *ev, const struct plan_node *node, struct sink *sink,
                       struct error *err)
{
    struct count_sink count;

    count_sink_init(&count, ev, node->grid.steps, NULL);
    if (eval_rows(ev, node->children[0], &count.sink, err) != 0)
        return -1;
    return emit_absent(node, count.counts, sink, err);
}

struct presence_visitor {
    struct range_visitor visitor;
    bool *present;
};

static int visit_presence(struct range_visitor *visitor, const struct range_input *input,
                          const struct labels *labels, bool drop_name, struct error *err)
{
    (void)labels;
    (void)drop_name;
    (void)err;
    range_mark_present(input, ((struct presence_visitor *)visitor)->present);
    return 0;
}

static int call_absent_over_time(struct eval *ev, const struct plan_node *node, struct sink *sink,
                                 struct error *err)
{
    size_t steps = node->grid.steps;
    bool *present = arena_alloc(&ev->plan->arena, steps + 1);
    uint32_t *counts = arena_alloc(&ev->plan->arena, (steps + 1) * sizeof(*counts));
    struct presence_visitor visitor = {{visit_presence}, present};

    memset(present, 0, steps + 1);
    if (eval_range_visit(ev, node->children[0], &visitor.visitor, err) != 0)
        return -1;
    for (size_t k = 0; k < steps; k++)
        counts[k] = present[k];
    return emit_absent(node, counts, sink, err);
}

/* --- the table -------------------------------------------------------------------------------- */

#define MATH(name, op)                                                                             \
    {                                                                                              \
        name, func_math, NULL, op, false                                                           \
    }
#define DATE(name, op)                                                                             \
    {                                                                                              \
        name, func_date, NULL, op, true                                                            \
    }
#define ROWS(name, function)                                                                       \
    {                                                                                              \
        name, function, NULL, 0, false                                                             \
    }

static const struct call_function functions[] = {
    MATH("abs", MATH_ABS),
    MATH("ceil", MATH_CEIL),
    MATH("floor", MATH_FLOOR),
    MATH("exp", MATH_EXP),
    MATH("sqrt", MATH_SQRT),
    MATH("ln", MATH_LN),
    MATH("log2", MATH_LOG2),
    MATH("log10", MATH_LOG10),
    MATH("sin", MATH_SIN),
    MATH("cos", MATH_COS),
    MATH("tan", MATH_TAN),
    MATH("asin", MATH_ASIN),
    MATH("acos", MATH_ACOS),
    MATH("atan", MATH_ATAN),
    MATH("sinh", MATH_SINH),
    MATH("cosh", MATH_COSH),
    MATH("tanh", MATH_TANH),
    MATH("asinh", MATH_ASINH),
    MATH("acosh", MATH_ACOSH),
    MATH("atanh", MATH_ATANH),
    MATH("deg", MATH_DEG),
    MATH("rad", MATH_RAD),
    MATH("sgn", MATH_SGN),
    DATE("year", DATE_YEAR),
    DATE("month", DATE_MONTH),
    DATE("day_of_month", DATE_DAY_OF_MONTH),
    DATE("day_of_week", DATE_DAY_OF_WEEK),
    DATE("day_of_year", DATE_DAY_OF_YEAR),
    DATE("days_in_month", DATE_DAYS_IN_MONTH),
    DATE("hour", DATE_HOUR),
    DATE("minute", DATE_MINUTE),
    ROWS("round", func_round),
    ROWS("clamp", func_clamp),
    ROWS("clamp_min", func_clamp_min),
    ROWS("clamp_max", func_clamp_max),
    ROWS("label_replace", func_label_replace),
    ROWS("label_join", func_label_join),
    {"sort", func_sort, NULL, 0, false},
    {"sort_desc", func_sort, NULL, 1, false},
    {"sort_by_label", func_sort_by_label, NULL, 0, false},
    {"sort_by_label_desc", func_sort_by_label, NULL, 1, false},
    ROWS("histogram_quantile", func_histogram_quantile),
    ROWS("histogram_quantiles", func_histogram_quantiles),
    ROWS("histogram_fraction", func_histogram_fraction),
    ROWS("histogram_avg", call_nothing),
    ROWS("histogram_count", call_nothing),
    ROWS("histogram_sum", call_nothing),
    ROWS("histogram_stddev", call_nothing),
    ROWS("histogram_stdvar", call_nothing),
    ROWS("start_timestamp", call_nothing),
    ROWS("info", func_info),
    ROWS("vector", call_vector),
    ROWS("absent", call_absent),
    ROWS("absent_over_time", call_absent_over_time),
    {"timestamp", call_timestamp, NULL, 0, true},
    {"time", NULL, call_time, 0, true},
    {"pi", NULL, call_pi, 0, false},
    {"scalar", NULL, call_scalar_of, 0, false},
    {"min_of", NULL, call_extreme, EXTREME_MIN, false},
    {"max_of", NULL, call_extreme, EXTREME_MAX, false},
};

const struct call_function *call_function_find(const char *name, size_t len)
{
    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        if (strlen(functions[i].name) == len && memcmp(functions[i].name, name, len) == 0)
            return &functions[i];
    }
    return NULL;
}

/* anchored and smoothed are for few functions (promql.md 11). */
static int check_mode(const struct plan_node *node, struct error *err)
{
    const struct range_function *function = node->range_function;
    const char *name = function != NULL      ? function->name
                       : node->added != NULL ? node->added->name
                                             : node->function->name;
    unsigned flags = function != NULL ? function->flags : 0;

    for (size_t i = 0; i < node->child_count; i++) {
        const struct plan_node *child = node->children[i];

        if (child->kind != PLAN_RANGE)
            continue;
        if (child->mode == RANGE_ANCHORED && !(flags & RANGE_ANCHORED_OK))
            return error_set(err, ERR_EXECUTION,
                             "anchored modifier can only be used with: changes, delta, increase, "
                             "rate, resets - not with %s",
                             name);
        if (child->mode == RANGE_SMOOTHED && !(flags & RANGE_SMOOTHED_OK))
            return error_set(err, ERR_EXECUTION,
                             "smoothed modifier can only be used with: delta, increase, rate - "
                             "not with %s",
                             name);
    }
    return 0;
}

bool eval_call_sorts(const struct plan_node *node)
{
    return node->function != NULL &&
           (node->function->rows == func_sort || node->function->rows == func_sort_by_label);
}

bool eval_call_keeps_order(const struct plan_node *node)
{
    static const call_rows keepers[] = {func_math,       func_round,         func_clamp,
                                        func_clamp_min,  func_clamp_max,     func_date,
                                        func_label_join, func_label_replace, call_timestamp};

    for (size_t i = 0; i < TIDE_COUNT(keepers); i++) {
        if (node->function != NULL && node->function->rows == keepers[i])
            return node->child_count != 0;
    }
    return false;
}

int eval_call_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                   struct error *err)
{
    if (check_mode(node, err) != 0)
        return -1;
    if (node->range_function != NULL)
        return eval_range_call(ev, node, node->range_function, sink, err);
    if (node->added != NULL)
        return func_added(ev, node, sink, err);
    return node->function->rows(ev, node, sink, err);
}

int eval_call_scalar(struct eval *ev, const struct plan_node *node, double *values,
                     struct error *err)
{
    return node->function->scalar(ev, node, values, err);
}
