/* eval.c - the nodes of a plan, dispatched; bounds on work and memory. See eval.h. */
#include "promql/eval.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"
#include "promql/eval_math.h"

/* Samples of work between two looks at the clock: about a millisecond. */
#define WORK_PER_CHECK ((size_t)200 * 1000)

int eval_cancelled(const struct eval *ev, const char *where, struct error *err)
{
    const int *flag = ev->query->cancelled;

    if (flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) == QUERY_KILLED)
        return error_set(err, ERR_CANCELLED, "query was killed");
    return error_set(err, ERR_CANCELLED, "query was canceled in %s", where);
}

void eval_publish(const struct eval *ev)
{
    struct query_progress *progress = ev->query->progress;
    uint64_t bytes = ev->held * (sizeof(int64_t) + sizeof(double)) + ev->plan->arena.used_bytes;

    if (progress == NULL || ev->stats == NULL || ev->is_hand)
        return;
    __atomic_store_n(&progress->samples_read, ev->stats->samples_read, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->series_read, ev->stats->series_read, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->memory_bytes, bytes, __ATOMIC_RELAXED);
    if (bytes > progress->peak_bytes)
        __atomic_store_n(&progress->peak_bytes, bytes, __ATOMIC_RELAXED);
}

/* Counts what is held among that of all queries. */
static int put_in_pot(struct eval *ev, struct error *err)
{
    struct query_pot *pot = ev->query->pot;
    size_t total;
    bool grows;

    if (pot == NULL || ev->held == ev->in_pot)
        return 0;
    total = __atomic_add_fetch(&pot->held, ev->held - ev->in_pot, __ATOMIC_RELAXED);
    grows = ev->held > ev->in_pot;
    ev->in_pot = ev->held;
    if (!grows || total <= pot->most)
        return 0;
    return error_set(err, ERR_BUSY,
                     "all queries together hold more samples in memory than they may; try again "
                     "later");
}

void eval_leave_pot(struct eval *ev)
{
    if (ev->query->pot != NULL)
        __atomic_sub_fetch(&ev->query->pot->held, ev->in_pot, __ATOMIC_RELAXED);
    ev->in_pot = 0;
}

int eval_tick(struct eval *ev, size_t work, struct error *err)
{
    const struct promql_query *query = ev->query;

    if (TIDE_LIKELY(work != 0 && work < ev->until_check)) {
        ev->until_check -= work;
        return 0;
    }
    ev->until_check = WORK_PER_CHECK;
    eval_publish(ev);
    if (query->cancelled != NULL && __atomic_load_n(query->cancelled, __ATOMIC_RELAXED) != 0)
        return eval_cancelled(ev, "expression evaluation", err);
    if (query->deadline_ns != 0 && clock_mono_ns(clock_system()) >= query->deadline_ns)
        return error_set(err, ERR_TIMEOUT, "query timed out in expression evaluation");
    return put_in_pot(ev, err);
}

int eval_hold(struct eval *ev, size_t samples, struct error *err)
{
    ev->held += samples;
    if (ev->stats != NULL && ev->held > ev->stats->peak_samples)
        ev->stats->peak_samples = ev->held;
    if (ev->held > ev->max_samples)
        return error_set(err, ERR_LIMIT,
                         "query processing would load too many samples into memory in "
                         "query execution");
    return 0;
}

void eval_release(struct eval *ev, size_t samples)
{
    TIDE_ASSERT(samples <= ev->held);
    ev->held -= samples;
}

size_t eval_row_cost(size_t count, size_t steps)
{
    return TIDE_MAX(count, steps / 4);
}

void eval_block_free(struct eval *ev, struct block *block)
{
    eval_release(ev, block->held);
    block_destroy(block);
}

int eval_pass_block(struct eval *ev, struct block *block, struct sink *sink, struct error *err)
{
    for (size_t i = 0; i < block->count; i++) {
        struct row row = block->rows[i];

        block->rows[i].labels = NULL; /* the sink's from here on */
        if (sink->take(sink, &row, err) != 0 || eval_tick(ev, block->steps, err) != 0)
            return -1;
    }
    block->count = 0;
    return 0;
}

/* --- step-invariant parts ------------------------------------------------------------------- */

/* Repeats rows of one step over all steps. */
struct repeat_sink {
    struct sink sink;
    struct sink *to;
    size_t steps;
    double value;
};

static double *repeat_room(struct sink *sink)
{
    return &((struct repeat_sink *)sink)->value;
}

static int repeat_take(struct sink *sink, struct row *row, struct error *err)
{
    struct repeat_sink *self = (struct repeat_sink *)sink;
    double *values = self->to->room(self->to);

    for (size_t k = 0; k < self->steps; k++)
        memcpy(&values[k], row->values, sizeof(double));
    row->values = values;
    return self->to->take(self->to, row, err);
}

static int once_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                     struct error *err)
{
    struct repeat_sink repeat = {
        .sink = {repeat_room, repeat_take}, .to = sink, .steps = node->grid.steps};

    return eval_rows(ev, node->children[0], &repeat.sink, err);
}

/* --- dispatch -------------------------------------------------------------------------------- */

static void map_negate(const struct map_sink *self, double *values)
{
    for (size_t k = 0; k < self->steps; k++) {
        if (!eval_is_hole(&values[k]))
            values[k] = -values[k];
    }
}

int eval_rows(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    struct map_sink map;

    if (eval_tick(ev, 64, err) != 0)
        return -1;
    switch (node->kind) {
    case PLAN_SELECTOR:
        return eval_selector_rows(ev, node, sink, err);
    case PLAN_CALL:
        return eval_call_rows(ev, node, sink, err);
    case PLAN_AGGREGATE:
        return eval_aggregate_rows(ev, node, sink, err);
    case PLAN_BINARY:
        return eval_binary_rows(ev, node, sink, err);
    case PLAN_NEGATE:
        map_sink_init(&map, sink, node->grid.steps);
        map.map = map_negate;
        map.drops_name = true;
        return eval_rows(ev, node->children[0], &map.sink, err);
    case PLAN_ONCE:
        return once_rows(ev, node, sink, err);
    default:
        return error_set(err, ERR_EXECUTION, "expected an instant vector");
    }
}

int eval_vector(struct eval *ev, const struct plan_node *node, struct block *block,
                struct error *err)
{
    struct block_sink sink;

    block_init(block, node->grid.steps);
    block_sink_init(&sink, ev, block);
    return eval_rows(ev, node, &sink.sink, err);
}

int eval_scalar(struct eval *ev, const struct plan_node *node, double *values, struct error *err)
{
    size_t steps = node->grid.steps;

    if (steps == 0)
        return 0;
    if (eval_tick(ev, steps, err) != 0)
        return -1;
    switch (node->kind) {
    case PLAN_NUMBER:
        for (size_t k = 0; k < steps; k++)
            values[k] = node->number;
        return 0;
    case PLAN_CALL:
        return eval_call_scalar(ev, node, values, err);
    case PLAN_BINARY:
        return eval_binary_scalar(ev, node, values, err);
    case PLAN_NEGATE:
        if (eval_scalar(ev, node->children[0], values, err) != 0)
            return -1;
        for (size_t k = 0; k < steps; k++)
            values[k] = -values[k];
        return 0;
    case PLAN_ONCE:
        if (eval_scalar(ev, node->children[0], values, err) != 0)
            return -1;
        for (size_t k = 1; k < steps; k++)
            values[k] = values[0];
        return 0;
    default:
        return error_set(err, ERR_EXECUTION, "expected a scalar");
    }
}

double *eval_scalar_new(struct eval *ev, const struct plan_node *node, struct error *err)
{
    double *values = arena_alloc(&ev->plan->arena, (node->grid.steps + 1) * sizeof(*values));

    return eval_scalar(ev, node, values, err) == 0 ? values : NULL;
}

/* --- annotations ----------------------------------------------------------------------------- */

void eval_quote_name(struct buf *out, const struct labels *labels)
{
    struct label label = {.value = "", .value_len = 0};

    labels_find(labels, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &label);
    labels_quote(out, label.value, label.value_len);
}

void eval_note(struct eval *ev, enum annotation_kind kind, uint32_t offset, const char *format, ...)
{
    char text[2048];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0)
        annotations_add(ev->notes, kind, text, TIDE_MIN((size_t)len, sizeof(text) - 1), offset);
}

void eval_note_quantile(struct eval *ev, double q, uint32_t offset)
{
    char number[NUMBER_MAX_BYTES];

    eval_note(ev, ANNOTATION_WARNING, offset, "quantile value should be between 0 and 1, got %.*s",
              (int)number_format_go(number, q), number);
}
