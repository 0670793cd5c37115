/* func_histogram.c - quantiles and fractions of classic histograms (promql.md 12.7, 13.11).
 *
 * The rows of a vector are buckets: those that differ only in their label `le` are one histogram.
 * Histograms are put together once for all steps, with their buckets in order. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/number.h"
#include "promql/eval_call.h"
#include "promql/eval_math.h"

struct member {
    double bound;
    uint32_t row;
    uint32_t group;
};

struct histograms {
    struct eval *ev;
    const struct plan_node *node;
    const struct plan_node *argument; /* the vector: annotations point there */
    struct block block;
    struct label_set_map groups; /* labels without le, with the name */
    struct member *members;      /* by group, then by bound */
    size_t member_count;
    struct bucket *buckets; /* of the largest histogram */
};

static void note_malformed(struct histograms *h, const struct labels *labels)
{
    struct label le = {.value = "", .value_len = 0}, name = {.value = "", .value_len = 0};
    struct buf text = {0};

    labels_find(labels, "le", 2, &le);
    labels_find(labels, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &name);
    buf_puts(&text, "bucket label \"le\" is missing or has a malformed value of ");
    labels_quote(&text, le.value, le.value_len);
    if (name.value_len != 0) {
        buf_puts(&text, " for metric name ");
        labels_quote(&text, name.value, name.value_len);
    }
    annotations_add(h->ev->notes, ANNOTATION_WARNING, (const char *)text.data, text.len,
                    h->argument->offset);
    buf_destroy(&text);
}

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->bound != y->bound)
        return x->bound < y->bound ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int histograms_init(struct histograms *h, struct eval *ev, const struct plan_node *node,
                           size_t argument, struct error *err)
{
    static const struct query_text le_name = {"le", 2};
    static const struct query_texts le_names = {&le_name, 1};
    bool is_new;

    *h = (struct histograms){.ev = ev, .node = node, .argument = node->children[argument]};
    if (eval_vector(ev, h->argument, &h->block, err) != 0)
        return -1;
    h->members = mem_alloc(h->block.count * sizeof(*h->members));
    h->buckets = mem_alloc(h->block.count * sizeof(*h->buckets));
    for (size_t i = 0; i < h->block.count; i++) {
        const struct labels *labels = h->block.rows[i].labels;
        struct member *member = &h->members[h->member_count];
        struct label le = {.value = "", .value_len = 0};

        labels_find(labels, "le", 2, &le);
        if (!eval_parse_bound(le.value, le.value_len, &member->bound)) {
            if (!row_is_empty(h->block.rows[i].values, h->block.steps))
                note_malformed(h, labels);
            continue;
        }
        member->row = (uint32_t)i;
        member->group =
            (uint32_t)label_set_map_put(&h->groups, labels_drop(labels, &le_names, false), &is_new);
        h->member_count++;
    }
    qsort(h->members, h->member_count, sizeof(*h->members), compare_members);
    return 0;
}

static void histograms_destroy(struct histograms *h)
{
    eval_block_free(h->ev, &h->block);
    label_set_map_destroy(&h->groups);
    mem_free(h->members);
    mem_free(h->buckets);
}

/* The buckets of members [from, to) that are there at step k. */
static size_t gather(const struct histograms *h, size_t from, size_t to, size_t k)
{
    size_t count = 0;

    for (size_t i = from; i < to; i++) {
        const double *value = &h->block.rows[h->members[i].row].values[k];

        if (eval_is_hole(value))
            continue;
        h->buckets[count++] = (struct bucket){h->members[i].bound, *value};
    }
    return count;
}

static void note_repair(struct histograms *h, size_t group, const struct bucket_repair *repair,
                        size_t k)
{
    struct label name = {.value = "", .value_len = 0};
    struct buf quoted = {0};
    const struct grid *grid = &h->node->grid;

    if (labels_find(h->groups.sets[group], LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &name))
        labels_quote(&quoted, name.value, name.value_len);
    annotations_add_forced(h->ev->notes, (const char *)quoted.data, quoted.len, repair->min_bound,
                           repair->max_bound, repair->max_diff,
                           grid->start_ms + (int64_t)k * grid->step_ms, h->argument->offset);
    buf_destroy(&quoted);
}

/* One value per step of one histogram: its quantile, or its fraction when high is not NULL. Steps
 * where `only` is false are holes; NULL: all are wanted. */
static int fill_row(struct histograms *h, size_t from, size_t to, const double *low,
                    const double *high, const bool *only, double *values, struct error *err)
{
    size_t steps = h->block.steps;

    for (size_t k = 0; k < steps; k++) {
        size_t count = only == NULL || only[k] ? gather(h, from, to, k) : 0;
        struct bucket_repair repair;

        values[k] = eval_hole();
        if (eval_tick(h->ev, to - from, err) != 0)
            return -1;
        if (count == 0)
            continue;
        if (high != NULL) {
            values[k] = eval_bucket_fraction(low[k], high[k], h->buckets, count);
            continue;
        }
        values[k] = eval_bucket_quantile(low[k], h->buckets, count, &repair);
        if (repair.forced)
            note_repair(h, h->members[from].group, &repair, k);
    }
    return 0;
}

/* Passes one row per histogram. @param label  set to text in each; NULL: none */
static int emit(struct histograms *h, const double *low, const double *high, const bool *only,
                const struct plan_node *label, const char *text, size_t len, struct sink *sink,
                struct error *err)
{
    struct labels_builder builder;
    int result = 0;

    labels_builder_init(&builder);
    for (size_t from = 0, to = 0; from < h->member_count && result == 0; from = to) {
        const struct labels *group = h->groups.sets[h->members[from].group];
        struct row row = {.values = sink->room(sink), .drop_name = true};

        while (to < h->member_count && h->members[to].group == h->members[from].group)
            to++;
        result = fill_row(h, from, to, low, high, only, row.values, err);
        if (result != 0 || row_is_empty(row.values, h->block.steps))
            continue;
        if (label != NULL) {
            labels_builder_reset(&builder, group);
            labels_builder_set(&builder, label->text, label->text_len, text, len);
            row.labels = labels_builder_build(&builder);
        } else {
            row.labels = labels_ref(group);
        }
        result = sink->take(sink, &row, err);
    }
    labels_builder_destroy(&builder);
    return result;
}

static void note_bad_quantiles(struct eval *ev, const double *q, size_t steps, uint32_t offset)
{
    for (size_t k = 0; k < steps; k++) {
        if (!(q[k] >= 0 && q[k] <= 1) && (k == 0 || double_bits(q[k]) != double_bits(q[k - 1])))
            eval_note_quantile(ev, q[k], offset);
    }
}

int func_histogram_quantile(struct eval *ev, const struct plan_node *node, struct sink *sink,
                            struct error *err)
{
    const double *q = eval_scalar_new(ev, node->children[0], err);
    struct histograms h;
    int result;

    if (q == NULL)
        return -1;
    note_bad_quantiles(ev, q, node->grid.steps, node->children[0]->offset);
    result = histograms_init(&h, ev, node, 1, err);
    if (result == 0)
        result = emit(&h, q, NULL, NULL, NULL, NULL, 0, sink, err);
    histograms_destroy(&h);
    return result;
}

int func_histogram_fraction(struct eval *ev, const struct plan_node *node, struct sink *sink,
                            struct error *err)
{
    const double *low = eval_scalar_new(ev, node->children[0], err);
    const double *high = low != NULL ? eval_scalar_new(ev, node->children[1], err) : NULL;
    struct histograms h;
    int result;

    if (high == NULL)
        return -1;
    result = histograms_init(&h, ev, node, 2, err);
    if (result == 0)
        result = emit(&h, low, high, NULL, NULL, NULL, 0, sink, err);
    histograms_destroy(&h);
    return result;
}

/* A quantile as the value of a label: "0.0", "0.5", "1e-05". */
static size_t format_quantile(char *out, double q)
{
    size_t len = number_format_go(out, q);

    if (!isfinite(q))
        return len;
    for (size_t i = 0; i < len; i++) {
        if (out[i] == '.' || out[i] == 'e')
            return len;
    }
    out[len++] = '.';
    out[len++] = '0';
    return len;
}

/* One quantile of histogram_quantiles; it may differ from step to step, and its label with it. */
static int emit_quantile(struct histograms *h, const double *q, struct sink *sink,
                         struct error *err)
{
    size_t steps = h->block.steps;
    bool *done = mem_zalloc(steps, sizeof(*done)), *only = mem_alloc(steps);
    int result = 0;

    for (size_t first = 0; first < steps && result == 0; first++) {
        char text[NUMBER_MAX_BYTES + 2];

        if (done[first])
            continue;
        for (size_t k = 0; k < steps; k++) {
            only[k] = double_bits(q[k]) == double_bits(q[first]);
            done[k] = done[k] || only[k];
        }
        result = emit(h, q, NULL, only, h->node->children[1], text, format_quantile(text, q[first]),
                      sink, err);
    }
    mem_free(done);
    mem_free(only);
    return result;
}

int func_histogram_quantiles(struct eval *ev, const struct plan_node *node, struct sink *sink,
                             struct error *err)
{
    struct histograms h;
    int result = histograms_init(&h, ev, node, 0, err);

    for (size_t i = 2; i < node->child_count && result == 0; i++) {
        const double *q = eval_scalar_new(ev, node->children[i], err);

        if (q == NULL) {
            result = -1;
            break;
        }
        note_bad_quantiles(ev, q, node->grid.steps, node->children[i]->offset);
        result = emit_quantile(&h, q, sink, err);
    }
    histograms_destroy(&h);
    return result;
}
