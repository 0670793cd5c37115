/* eval_range.c - range vectors: the samples of selectors and subqueries under moving windows. */
#include <math.h>

#include "base/mem.h"
#include "promql/eval_crew.h"
#include "promql/eval_math.h"

static void input_init(const struct eval *ev, const struct plan_node *node,
                       struct range_input *input)
{
    *input = (struct range_input){
        .steps = node->grid.steps,
        .ref_ms = plan_ref_ms(node),
        .ref_step_ms = plan_ref_step_ms(node),
        .eval_ms = node->grid.start_ms,
        .eval_step_ms = node->grid.step_ms,
        .range_ms = node->range_ms,
        .range_seconds = node->range_seconds,
        .lookback_ms = ev->plan->lookback_ms,
        .mode = node->mode,
    };
}

static void input_set(struct eval *ev, struct range_input *input, const struct columns *columns)
{
    input->times_ms = columns->times_ms;
    input->values = columns->values;
    input->len = columns->len;
    if (ev->counts_samples) {
        bool per_step = ev->stats->samples_per_step != NULL && input->steps == ev->stats->steps;

        ev->stats->samples +=
            range_count_samples(input, per_step ? ev->stats->samples_per_step : NULL);
    }
}

static int visit_selector(struct eval *ev, const struct plan_node *node,
                          struct range_visitor *visitor, struct error *err)
{
    struct plan_source *source = node->source;
    struct range_input input;

    if (eval_select(ev, source, err) != 0)
        return -1;
    input_init(ev, node, &input);
    for (size_t i = 0; i < source->selection->count; i++) {
        const struct columns *columns = eval_read(ev, source, i, err);

        if (columns == NULL)
            return -1;
        columns = eval_without_markers(ev, columns);
        if (columns->len == 0)
            continue;
        input_set(ev, &input, columns);
        if (visitor->visit(visitor, &input, source->selection->series[source->order[i]].labels,
                           false, err) != 0 ||
            eval_tick(ev, input.steps, err) != 0)
            return -1;
    }
    return 0;
}

/* The present steps of a row as samples. */
static void row_to_columns(const struct grid *grid, const double *values, struct columns *columns)
{
    columns->len = 0;
    columns_reserve(columns, grid->steps);
    for (size_t k = 0; k < grid->steps; k++) {
        columns->times_ms[columns->len] = grid->start_ms + (int64_t)k * grid->step_ms;
        columns->values[columns->len] = values[k];
        columns->len += !eval_is_hole(&values[k]);
    }
}

static int visit_subquery(struct eval *ev, const struct plan_node *node,
                          struct range_visitor *visitor, struct error *err)
{
    const struct plan_node *inner = node->children[0];
    struct range_input input;
    struct block block;
    int result = -1;

    if (inner->grid.steps == 0)
        return 0;
    if (eval_vector(ev, inner, &block, err) != 0)
        goto out;
    input_init(ev, node, &input);
    for (size_t i = 0; i < block.count; i++) {
        row_to_columns(&inner->grid, block.rows[i].values, &ev->clean);
        if (ev->clean.len == 0)
            continue;
        input_set(ev, &input, &ev->clean);
        if (visitor->visit(visitor, &input, block.rows[i].labels, block.rows[i].drop_name, err) !=
                0 ||
            eval_tick(ev, inner->grid.steps + input.steps, err) != 0)
            goto out;
    }
    result = 0;
out:
    eval_block_free(ev, &block);
    return result;
}

int eval_range_visit(struct eval *ev, const struct plan_node *node, struct range_visitor *visitor,
                     struct error *err)
{
    return node->kind == PLAN_SUBQUERY ? visit_subquery(ev, node, visitor, err)
                                       : visit_selector(ev, node, visitor, err);
}

/* --- calls of range functions ---------------------------------------------------------------- */

struct call_visitor {
    struct range_visitor visitor; /* of a subquery's rows */
    struct series_work work;      /* of a selector's series */
    struct range_input input;     /* without samples */
    struct eval *ev;
    const struct plan_node *node;
    const struct plan_node *range; /* the argument */
    const struct range_function *function;
    struct sink *sink;
    const double *params[2];
    bool bad_params;
    const struct labels *noted; /* whose name was found to be no counter's last; borrowed */
};

static struct label name_of(const struct labels *labels)
{
    struct label label = {.value = "", .value_len = 0};

    labels_find(labels, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &label);
    return label;
}

static bool ends_with(const struct label *label, const char *end)
{
    size_t len = strlen(end);

    return label->value_len >= len && memcmp(label->value + label->value_len - len, end, len) == 0;
}

/* An info for rates of what does not look like a counter (promql.md 18). */
static void check_counter(struct call_visitor *self, const struct labels *labels)
{
    struct label name = name_of(labels), noted = {0};
    struct buf quoted = {0};

    if (name.value_len == 0 || ends_with(&name, "_total") || ends_with(&name, "_sum") ||
        ends_with(&name, "_count") || ends_with(&name, "_bucket"))
        return;
    if (self->noted != NULL)
        noted = name_of(self->noted);
    if (noted.value_len == name.value_len && memcmp(noted.value, name.value, name.value_len) == 0)
        return;
    eval_quote_name(&quoted, labels);
    eval_note(self->ev, ANNOTATION_INFO, self->node->children[0]->offset,
              "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
              "%.*s",
              (int)quoted.len, (const char *)quoted.data);
    buf_destroy(&quoted);
    labels_unref(self->noted);
    self->noted = labels_ref(labels);
}

static bool param_is_bad(const struct range_function *function, double value)
{
    if (function->flags & RANGE_QUANTILE_CHECK)
        return !(value >= 0 && value <= 1);
    if (function->flags & RANGE_SMOOTHING_CHECK)
        return !(value > 0 && value < 1);
    return false;
}

static void format_fixed(char *out, size_t size, double value)
{
    struct buf text = {0};

    if (isnan(value))
        buf_puts(&text, "NaN");
    else if (isinf(value))
        buf_puts(&text, value > 0 ? "+Inf" : "-Inf");
    else
        buf_printf(&text, "%f", value);
    memcpy(out, text.data, TIDE_MIN(text.len, size - 1));
    out[TIDE_MIN(text.len, size - 1)] = '\0';
    buf_destroy(&text);
}

/* Parameters are judged only where a window has samples. */
static int check_params(const struct call_visitor *self, const struct range_input *input,
                        struct error *err)
{
    static const char *const texts[] = {"invalid smoothing factor. Expected: 0 < sf < 1, got: %s",
                                        "invalid trend factor. Expected: 0 < tf < 1, got: %s"};
    struct window w = {0};

    for (size_t k = 0; k < input->steps; k++) {
        window_move(input, k, &w);
        if (w.from == w.to)
            continue;
        for (size_t p = 0; p < TIDE_COUNT(texts) && self->params[p] != NULL; p++) {
            char number[400];

            if (!param_is_bad(self->function, self->params[p][k]))
                continue;
            if (self->function->flags & RANGE_QUANTILE_CHECK) {
                eval_note_quantile(self->ev, self->params[p][k], self->node->children[0]->offset);
                continue;
            }
            format_fixed(number, sizeof(number), self->params[p][k]);
            if (p == 0)
                return error_set(err, ERR_EXECUTION, texts[0], number);
            return error_set(err, ERR_EXECUTION, texts[1], number);
        }
    }
    return 0;
}

/* Lets a long kernel look at the clock. */
struct kernel_watch {
    struct range_watch watch;
    struct eval *ev;
    struct error *err;
    bool ended;
};

static int tick_watch(struct range_watch *watch, size_t work)
{
    struct kernel_watch *self = (struct kernel_watch *)watch;

    if (eval_tick(self->ev, work, self->err) != 0)
        self->ended = true;
    return self->ended;
}

/* The function over all windows of one series, on the thread whose `ev` it is. */
static int run_kernel(const struct call_visitor *self, struct eval *ev,
                      const struct range_input *input, double *values, struct error *err)
{
    struct range_input with_params = *input;
    struct kernel_watch watch = {.watch = {tick_watch}, .ev = ev, .err = err};

    with_params.params[0] = self->params[0];
    with_params.params[1] = self->params[1];
    with_params.watch = &watch.watch;
    self->function->kernel(&with_params, &ev->scratch, values);
    return watch.ended ? -1 : 0;
}

static int pass_row(struct call_visitor *self, const struct labels *labels, double *values,
                    bool drop_name, struct error *err)
{
    struct row row = {.values = values, .drop_name = drop_name};

    if (self->function->flags & RANGE_COUNTER_CHECK)
        check_counter(self, labels);
    if (!(self->function->flags & RANGE_KEEPS_NAME))
        row.drop_name = true;
    row.labels = labels_ref(labels);
    return self->sink->take(self->sink, &row, err);
}

static int visit_call(struct range_visitor *visitor, const struct range_input *input,
                      const struct labels *labels, bool drop_name, struct error *err)
{
    struct call_visitor *self = (struct call_visitor *)visitor;
    double *values = self->sink->room(self->sink);

    if ((self->bad_params && check_params(self, input, err) != 0) ||
        run_kernel(self, self->ev, input, values, err) != 0)
        return -1;
    if (row_is_empty(values, input->steps))
        return 0;
    return pass_row(self, labels, values, drop_name, err);
}

static const struct call_visitor *visitor_of(const struct series_work *work)
{
    return (const struct call_visitor *)((const char *)work - offsetof(struct call_visitor, work));
}

static int compute_series(const struct series_work *work, struct eval *ev, size_t order,
                          double *values, bool *empty, struct error *err)
{
    const struct call_visitor *self = visitor_of(work);
    const struct columns *columns = eval_read(ev, self->range->source, order, err);
    struct range_input input = self->input;

    if (columns == NULL)
        return -1;
    columns = eval_without_markers(ev, columns);
    *empty = columns->len == 0;
    if (*empty)
        return 0;
    input_set(ev, &input, columns);
    if ((self->bad_params && check_params(self, &input, err) != 0) ||
        run_kernel(self, ev, &input, values, err) != 0)
        return -1;
    *empty = row_is_empty(values, input.steps);
    return 0;
}

static int hand_on_series(struct series_work *work, size_t order, double *values, struct error *err)
{
    struct call_visitor *self =
        (struct call_visitor *)((char *)work - offsetof(struct call_visitor, work));
    const struct plan_source *source = self->range->source;

    return pass_row(self, source->selection->series[source->order[order]].labels, values, false,
                    err);
}

static int call_over_selector(struct call_visitor *self, struct error *err)
{
    if (eval_select(self->ev, self->range->source, err) != 0)
        return -1;
    input_init(self->ev, self->range, &self->input);
    return eval_each_series(self->ev, self->range, &self->work, self->sink, err);
}

int eval_range_call(struct eval *ev, const struct plan_node *node,
                    const struct range_function *function, struct sink *sink, struct error *err)
{
    struct call_visitor self = {.visitor = {visit_call},
                                .work = {compute_series, hand_on_series, false},
                                .ev = ev,
                                .node = node,
                                .range = node->children[function->range_arg],
                                .function = function,
                                .sink = sink};
    int result;

    for (size_t p = 0; p < TIDE_COUNT(self.params) && function->scalar_args[p] >= 0; p++) {
        self.params[p] = eval_scalar_new(ev, node->children[function->scalar_args[p]], err);
        if (self.params[p] == NULL)
            return -1;
        for (size_t k = 0; k < node->grid.steps; k++)
            self.bad_params = self.bad_params || param_is_bad(function, self.params[p][k]);
    }
    self.work.alone = self.bad_params;
    result = self.range->kind == PLAN_SUBQUERY ? visit_subquery(ev, self.range, &self.visitor, err)
                                               : call_over_selector(&self, err);
    labels_unref(self.noted);
    return result;
}

/* --- a bare range vector --------------------------------------------------------------------- */

struct value_visitor {
    struct range_visitor visitor;
    struct eval *ev;
    struct value *out;
};

static int visit_value(struct range_visitor *visitor, const struct range_input *input,
                       const struct labels *labels, bool drop_name, struct error *err)
{
    struct value_visitor *self = (struct value_visitor *)visitor;
    struct columns samples = {0};
    struct window w = {0};

    if (input->mode != RANGE_PLAIN) {
        columns_reserve(&samples, input->len + 2);
        samples.len = range_extend(input, samples.times_ms, samples.values);
    } else {
        window_move(input, 0, &w);
        columns_reserve(&samples, w.to - w.from + 1);
        samples.len = w.to - w.from;
        if (samples.len != 0) {
            memcpy(samples.times_ms, input->times_ms + w.from, samples.len * sizeof(int64_t));
            memcpy(samples.values, input->values + w.from, samples.len * sizeof(double));
        }
    }
    if (samples.len == 0) {
        columns_destroy(&samples);
        return 0;
    }
    if (eval_hold(self->ev, samples.len, err) != 0) {
        columns_destroy(&samples);
        return -1;
    }
    value_add_series(self->out, drop_name ? labels_drop_metadata(labels) : labels_ref(labels))
        ->samples = samples;
    return 0;
}

int eval_range_value(struct eval *ev, const struct plan_node *node, struct value *out,
                     struct error *err)
{
    struct value_visitor self = {.visitor = {visit_value}, .ev = ev, .out = out};

    return eval_range_visit(ev, node, &self.visitor, err);
}
