/* eval_select.c - selectors: find the series once, read each once, take values step by step. */
#include "base/mem.h"
#include "promql/eval_crew.h"
#include "promql/eval_math.h"
#include "promql/eval_order.h"

static int order_series(struct eval *ev, struct plan_source *source, struct error *err)
{
    size_t count = source->selection->count;
    const struct labels **sets = mem_alloc(count * sizeof(*sets));
    int result;

    source->order = mem_alloc(count * sizeof(*source->order));
    for (size_t i = 0; i < count; i++)
        sets[i] = source->selection->series[i].labels;
    result = eval_order(ev, sets, count, source->order, err);
    mem_free(sets);
    return result;
}

int eval_read_failed(const struct eval *ev, struct error *err)
{
    switch (err->code) {
    case ERR_CANCELLED:
        return eval_cancelled(ev, "expression evaluation", err);
    case ERR_TIMEOUT:
        return error_set(err, ERR_TIMEOUT, "query timed out in expression evaluation");
    case ERR_LIMIT:
        return -1;
    default:
        return error_note(err, "expanding series");
    }
}

int eval_select(struct eval *ev, struct plan_source *source, struct error *err)
{
    const struct querier *querier = ev->query->querier;
    struct select_request request = {
        .matchers = source->matchers,
        .matcher_count = source->matcher_count,
        .from_ms = source->from_ms,
        .to_ms = source->to_ms,
        .max_series = ev->query->max_series,
        .cancelled = ev->query->cancelled,
        .deadline_ns = ev->query->deadline_ns,
    };
    size_t count;

    if (source->selection != NULL)
        return 0;
    if (eval_tick(ev, 0, err) != 0)
        return -1;
    if (querier->select(querier->ctx, &request, &source->selection, err) != 0) {
        source->selection = NULL;
        return eval_read_failed(ev, err);
    }
    count = source->selection->count;
    if (order_series(ev, source, err) != 0)
        return -1;
    if (source->uses > 1) {
        source->kept = mem_zalloc(count, sizeof(*source->kept));
        source->is_kept = mem_zalloc(count, sizeof(*source->is_kept));
    }
    return 0;
}

const struct columns *eval_read(struct eval *ev, struct plan_source *source, size_t order,
                                struct error *err)
{
    uint32_t i = source->order[order];
    struct columns *columns = &ev->columns;

    if (source->kept != NULL) {
        columns = &source->kept[i];
        if (source->is_kept[i])
            return columns;
    } else {
        eval_release(ev, columns->len);
        columns->len = 0;
    }
    if (ev->query->querier->read(source->selection, i, source->from_ms, source->to_ms, columns,
                                 err) != 0) {
        columns->len = 0;
        return eval_read_failed(ev, err) == 0 ? columns : NULL;
    }
    if (source->kept != NULL)
        source->is_kept[i] = true;
    if (ev->stats != NULL) {
        ev->stats->series_read++;
        ev->stats->samples_read += columns->len;
    }
    if (eval_hold(ev, columns->len, err) != 0 || eval_tick(ev, columns->len + 64, err) != 0)
        return NULL;
    return columns;
}

/* The number of the first staleness marker; len when there is none. */
static size_t find_marker(const double *values, size_t len)
{
    size_t i = 0;

    for (; i + 4 <= len; i += 4) {
        int holes = (int)eval_is_hole(&values[i]) | (int)eval_is_hole(&values[i + 1]) |
                    (int)eval_is_hole(&values[i + 2]) | (int)eval_is_hole(&values[i + 3]);

        if (TIDE_UNLIKELY(holes))
            break;
    }
    while (i < len && !eval_is_hole(&values[i]))
        i++;
    return i;
}

const struct columns *eval_without_markers(struct eval *ev, const struct columns *columns)
{
    struct columns *clean = &ev->clean;

    if (find_marker(columns->values, columns->len) == columns->len)
        return columns;
    clean->len = 0;
    columns_reserve(clean, columns->len);
    for (size_t i = 0; i < columns->len; i++) {
        clean->times_ms[clean->len] = columns->times_ms[i];
        clean->values[clean->len] = columns->values[i];
        clean->len += !eval_is_hole(&columns->values[i]);
    }
    return clean;
}

void eval_sources_free(struct eval *ev)
{
    const struct querier *querier = ev->query->querier;

    for (size_t s = 0; s < ev->plan->source_count; s++) {
        struct plan_source *source = ev->plan->sources[s];

        for (size_t i = 0; source->kept != NULL && i < source->selection->count; i++)
            columns_destroy(&source->kept[i]);
        mem_free(source->kept);
        mem_free(source->is_kept);
        mem_free(source->order);
        if (source->selection != NULL)
            querier->selection_free(querier->ctx, source->selection);
        source->kept = NULL;
        source->is_kept = NULL;
        source->order = NULL;
        source->selection = NULL;
    }
}

/* --- from samples to steps (promql.md 10.1) -------------------------------------------------- */

/* The newest sample at or before each step's time that lookback still reaches: its value, or its
 * time in seconds. A staleness marker is a hole by its bits. */
static void take_newest(const struct columns *columns, int64_t ref_ms, int64_t ref_step_ms,
                        int64_t lookback_ms, bool times, double *out, size_t steps)
{
    size_t behind = 0; /* samples at or before the step's time */

    for (size_t k = 0; k < steps; k++) {
        int64_t ref = ref_ms + (int64_t)k * ref_step_ms;

        while (behind < columns->len && columns->times_ms[behind] <= ref)
            behind++;
        out[k] = eval_hole();
        if (behind != 0 && columns->times_ms[behind - 1] > ref - lookback_ms) {
            out[k] = columns->values[behind - 1];
            if (times && !eval_is_hole(&out[k]))
                out[k] = (double)columns->times_ms[behind - 1] / 1000.0;
        }
    }
}

/* `x smoothed`: the line between the samples around each step's time (promql.md 11). */
static void take_smoothed(const struct columns *columns, int64_t ref_ms, int64_t ref_step_ms,
                          int64_t lookback_ms, double *out, size_t steps)
{
    size_t behind = 0;

    for (size_t k = 0; k < steps; k++) {
        int64_t ref = ref_ms + (int64_t)k * ref_step_ms;
        int64_t before_ms, after_ms;

        while (behind < columns->len && columns->times_ms[behind] <= ref)
            behind++;
        out[k] = eval_hole();
        if (behind == 0 || columns->times_ms[behind - 1] <= ref - lookback_ms)
            continue;
        before_ms = columns->times_ms[behind - 1];
        out[k] = columns->values[behind - 1];
        if (before_ms == ref || behind == columns->len ||
            columns->times_ms[behind] > ref + lookback_ms)
            continue;
        after_ms = columns->times_ms[behind];
        out[k] += (columns->values[behind] - out[k]) * (double)(ref - before_ms) /
                  (double)(after_ms - before_ms);
    }
}

/* An instant query's value from what the store keeps at hand: true if no read is needed. */
static bool take_last_value(const struct selected_series *series, int64_t ref_ms,
                            int64_t lookback_ms, bool times, double *out)
{
    if (!series->last_value_known || series->last_ms > ref_ms)
        return false;
    *out = eval_hole();
    if (series->last_ms > ref_ms - lookback_ms) {
        *out = series->last_value;
        if (times && !eval_is_hole(out))
            *out = (double)series->last_ms / 1000.0;
    }
    return true;
}

static int take_series(struct eval *ev, const struct plan_node *node, size_t order, bool times,
                       double *values, struct error *err)
{
    struct plan_source *source = node->source;
    const struct selected_series *series = &source->selection->series[source->order[order]];
    int64_t ref_ms = plan_ref_ms(node), lookback_ms = ev->plan->lookback_ms;
    bool smoothed = node->mode == RANGE_SMOOTHED && !times;
    const struct columns *columns;

    if (node->grid.steps == 1 && !smoothed &&
        take_last_value(series, ref_ms, lookback_ms, times, values))
        return eval_tick(ev, 16, err);
    columns = eval_read(ev, source, order, err);
    if (columns == NULL)
        return -1;
    if (smoothed) {
        take_smoothed(eval_without_markers(ev, columns), ref_ms, plan_ref_step_ms(node),
                      lookback_ms, values, node->grid.steps);
        return 0;
    }
    take_newest(columns, ref_ms, plan_ref_step_ms(node), lookback_ms, times, values,
                node->grid.steps);
    return 0;
}

static void count_values(struct eval *ev, const double *values, size_t steps)
{
    if (!ev->counts_samples)
        return;
    for (size_t k = 0; k < steps; k++) {
        bool here = !eval_is_hole(&values[k]);

        ev->stats->samples += here;
        if (ev->stats->samples_per_step != NULL && steps == ev->stats->steps)
            ev->stats->samples_per_step[k] += here;
    }
}

/* Each series of a selector, as a row. */
struct selector_work {
    struct series_work work;
    const struct plan_node *node;
    struct sink *sink;
    bool times;
};

static int compute_series(const struct series_work *work, struct eval *ev, size_t order,
                          double *values, bool *empty, struct error *err)
{
    const struct selector_work *self = (const struct selector_work *)work;

    if (take_series(ev, self->node, order, self->times, values, err) != 0)
        return -1;
    *empty = row_is_empty(values, self->node->grid.steps);
    count_values(ev, values, self->node->grid.steps);
    return 0;
}

static int hand_on_series(struct series_work *work, size_t order, double *values, struct error *err)
{
    struct selector_work *self = (struct selector_work *)work;
    const struct plan_source *source = self->node->source;
    struct row row = {.values = values,
                      .labels = labels_ref(source->selection->series[source->order[order]].labels),
                      .drop_name = self->times};

    return self->sink->take(self->sink, &row, err);
}

static int selector_rows(struct eval *ev, const struct plan_node *node, bool times,
                         struct sink *sink, struct error *err)
{
    struct selector_work self = {.work = {compute_series, hand_on_series, node->grid.steps == 1},
                                 .node = node,
                                 .sink = sink,
                                 .times = times};

    if (eval_select(ev, node->source, err) != 0)
        return -1;
    return eval_each_series(ev, node, &self.work, sink, err);
}

int eval_selector_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                       struct error *err)
{
    return selector_rows(ev, node, false, sink, err);
}

int eval_selector_times(struct eval *ev, const struct plan_node *node, struct sink *sink,
                        struct error *err)
{
    return selector_rows(ev, node, true, sink, err);
}
