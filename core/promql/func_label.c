/* func_label.c - functions that rewrite labels or order by them (promql.md 13.1, 13.4, 13.5). */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/regex.h"
#include "base/utf8.h"
#include "promql/eval_call.h"
#include "promql/eval_math.h"
#include "promql/eval_order.h"

static bool is_valid_name(const char *text, size_t len)
{
    return len != 0 && utf8_valid(text, len);
}

static int fail_name(const char *format_start, const struct plan_node *text, struct error *err)
{
    return error_set(err, ERR_EXECUTION, "%s: %.*s", format_start, (int)text->text_len, text->text);
}

/* --- rewriting ----------------------------------------------------------------------------------
 */

/* Collects rows under new labels. Rows that come to have the same labels are one series if their
 * steps are disjoint. */
struct relabel {
    struct block block;
    struct label_set_map map;
    struct eval *ev;
};

static int relabel_add(struct relabel *self, const struct labels *labels, const struct row *row,
                       struct error *err)
{
    size_t steps = self->block.steps, number, count = row_count(row->values, steps);
    double *values;
    bool is_new;

    number = label_set_map_put(&self->map, labels, &is_new);
    if (is_new) {
        values = block_room(&self->block);
        memcpy(values, row->values, steps * sizeof(*values));
        block_add(&self->block, labels_ref(labels), values, row->drop_name);
        self->block.held += count;
        return eval_hold(self->ev, count, err);
    }
    values = self->block.rows[number].values;
    for (size_t k = 0; k < steps; k++) {
        if (eval_is_hole(&row->values[k]))
            continue;
        if (!eval_is_hole(&values[k]))
            return error_set(err, ERR_EXECUTION,
                             "vector cannot contain metrics with the same labelset");
        memcpy(&values[k], &row->values[k], sizeof(double));
    }
    return 0;
}

static void relabel_destroy(struct relabel *self)
{
    eval_block_free(self->ev, &self->block);
    label_set_map_destroy(&self->map);
}

static bool sets_metric_name(const struct plan_node *dst)
{
    return dst->text_len == strlen(LABEL_METRIC_NAME) &&
           memcmp(dst->text, LABEL_METRIC_NAME, dst->text_len) == 0;
}

/* The labels with dst set to a text. Owned. */
static struct labels *with_label(struct labels_builder *builder, const struct labels *labels,
                                 const struct plan_node *dst, const char *value, size_t len)
{
    labels_builder_reset(builder, labels);
    labels_builder_set(builder, dst->text, dst->text_len, value, len);
    return labels_builder_build(builder);
}

/* Rewrites each row by `text_of`: false when it stays as it is, else *out is its dst (mem_free). */
struct rewrite {
    const struct plan_node *node;
    const struct regex *regex;
};

typedef bool (*rewrite_text)(const struct rewrite *self, const struct labels *labels, char **out,
                             size_t *len);

static int rewrite_rows(struct eval *ev, const struct rewrite *self, rewrite_text text_of,
                        struct sink *sink, struct error *err)
{
    const struct plan_node *node = self->node, *dst = node->children[1];
    struct relabel relabel = {.ev = ev};
    struct labels_builder builder;
    struct block block;
    int result;

    labels_builder_init(&builder);
    block_init(&relabel.block, node->grid.steps);
    result = eval_vector(ev, node->children[0], &block, err);
    for (size_t i = 0; i < block.count && result == 0; i++) {
        struct row row = block.rows[i];
        const struct labels *labels = labels_ref(row.labels);
        char *text;
        size_t len;

        if (text_of(self, row.labels, &text, &len)) {
            labels_unref(labels);
            labels = with_label(&builder, row.labels, dst, text, len);
            mem_free(text);
            if (sets_metric_name(dst))
                row.drop_name = false;
        }
        result = relabel_add(&relabel, labels, &row, err);
        if (result == 0)
            result = eval_tick(ev, node->grid.steps + 2 * EVAL_LABELS_WORK, err);
    }
    if (result == 0)
        result = eval_pass_block(ev, &relabel.block, sink, err);
    eval_block_free(ev, &block);
    relabel_destroy(&relabel);
    labels_builder_destroy(&builder);
    return result;
}

static struct label value_of(const struct labels *labels, const struct plan_node *name)
{
    struct label label = {.value = "", .value_len = 0};

    labels_find(labels, name->text, name->text_len, &label);
    return label;
}

static bool replaced_text(const struct rewrite *self, const struct labels *labels, char **out,
                          size_t *len)
{
    const struct plan_node *replacement = self->node->children[2];
    struct label source = value_of(labels, self->node->children[3]);

    return regex_expand(self->regex, source.value, source.value_len, replacement->text,
                        replacement->text_len, out, len);
}

int func_label_replace(struct eval *ev, const struct plan_node *node, struct sink *sink,
                       struct error *err)
{
    const struct plan_node *dst = node->children[1], *pattern = node->children[4];
    struct regex *regex;
    struct rewrite rewrite;
    int result;

    regex = regex_compile(ev->query->regexes, pattern->text, pattern->text_len, err);
    if (regex == NULL)
        return fail_name("invalid regular expression in label_replace()", pattern, err);
    if (!is_valid_name(dst->text, dst->text_len)) {
        regex_unref(regex);
        return fail_name("invalid destination label name in label_replace()", dst, err);
    }
    rewrite = (struct rewrite){node, regex};
    result = rewrite_rows(ev, &rewrite, replaced_text, sink, err);
    regex_unref(regex);
    return result;
}

static bool joined_text(const struct rewrite *self, const struct labels *labels, char **out,
                        size_t *len)
{
    const struct plan_node *node = self->node, *separator = node->children[2];
    struct buf text = {0};

    for (size_t i = 3; i < node->child_count; i++) {
        struct label label = value_of(labels, node->children[i]);

        if (i > 3)
            buf_append(&text, separator->text, separator->text_len);
        buf_append(&text, label.value, label.value_len);
    }
    *out = (char *)text.data;
    *len = text.len;
    return true;
}

int func_label_join(struct eval *ev, const struct plan_node *node, struct sink *sink,
                    struct error *err)
{
    struct rewrite rewrite = {node, NULL};

    for (size_t i = 3; i < node->child_count; i++) {
        if (!is_valid_name(node->children[i]->text, node->children[i]->text_len))
            return fail_name("invalid source label name in label_join()", node->children[i], err);
    }
    if (!is_valid_name(node->children[1]->text, node->children[1]->text_len))
        return fail_name("invalid destination label name in label_join()", node->children[1], err);
    return rewrite_rows(ev, &rewrite, joined_text, sink, err);
}

/* --- sorting ------------------------------------------------------------------------------------
 */

static void note_ineffective(struct eval *ev, const struct plan_node *node)
{
    eval_note(ev, ANNOTATION_WARNING, node->offset,
              "sort is ineffective for range queries since results are always ordered by labels");
}

struct sort_order {
    const struct plan_node *node;
    bool descending;
};

static int compare_values(const void *a, const void *b, void *context)
{
    const struct sort_order *order = context;
    double x = ((const struct row *)a)->values[0], y = ((const struct row *)b)->values[0];

    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y); /* NaN is last in both directions */
    return order->descending ? (x < y) - (x > y) : (x > y) - (x < y);
}

static int sort_rows(struct eval *ev, const struct plan_node *node,
                     int (*compare)(const void *, const void *, void *), struct sink *sink,
                     struct error *err)
{
    struct sort_order order = {node, node->function->op != 0};
    struct block block;
    int result = eval_vector(ev, node->children[0], &block, err);

    if (ev->plan->spans_time || node->grid.steps > 1)
        note_ineffective(ev, node);
    else if (result == 0 && block.count != 0)
        result = eval_sort(ev, block.rows, block.count, sizeof(*block.rows), compare, &order, err);
    if (result == 0)
        result = eval_pass_block(ev, &block, sink, err);
    eval_block_free(ev, &block);
    return result;
}

int func_sort(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    return sort_rows(ev, node, compare_values, sink, err);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the run of digits, or of anything else, at the start. */
static size_t run_length(const char *text, size_t len)
{
    size_t i = 1;

    while (i < len && is_digit(text[i]) == is_digit(text[0]))
        i++;
    return i;
}

static bool run_number(const char *text, size_t len, int64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]) || __builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, text[i] - '0', number))
            return false;
    }
    return true;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, TIDE_MIN(a_len, b_len));

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

int func_natural_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    while (a_len != 0 && b_len != 0) {
        size_t a_run = run_length(a, a_len), b_run = run_length(b, b_len);
        int64_t x, y;
        int order;

        if (run_number(a, a_run, &x) && run_number(b, b_run, &y))
            order = (x > y) - (x < y);
        else
            order = compare_bytes(a, a_run, b, b_run);
        if (order != 0)
            return order;
        a += a_run;
        a_len -= a_run;
        b += b_run;
        b_len -= b_run;
    }
    return (a_len > b_len) - (a_len < b_len);
}

static int compare_labels(const void *a, const void *b, void *context)
{
    const struct sort_order *order = context;
    const struct labels *x = ((const struct row *)a)->labels, *y = ((const struct row *)b)->labels;
    int result = 0;

    for (size_t i = 1; i < order->node->child_count && result == 0; i++) {
        struct label p = value_of(x, order->node->children[i]);
        struct label q = value_of(y, order->node->children[i]);

        result = func_natural_compare(p.value, p.value_len, q.value, q.value_len);
    }
    if (result == 0)
        result = labels_compare(x, y);
    return order->descending ? -result : result;
}

int func_sort_by_label(struct eval *ev, const struct plan_node *node, struct sink *sink,
                       struct error *err)
{
    return sort_rows(ev, node, compare_labels, sink, err);
}
