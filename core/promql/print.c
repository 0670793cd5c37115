/* print.c - trees as one line of text: see print.h, promql.md 8.1. */
#include "promql/print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/number.h"
#include "promql/literal.h"
#include "promql/printer.h"

static void puts_number(struct printer *printer, double value)
{
    char text[NUMBER_PLAIN_MAX_BYTES];

    buf_append(printer->out, text, number_format_plain(text, value));
}

static void puts_seconds_as_duration(struct printer *printer, double seconds)
{
    int64_t ns = 0;

    if (literal_seconds_to_ns(seconds, &ns))
        literal_print_duration(ns / NS_PER_MS, printer->out);
    else
        puts_number(printer, seconds);
}

/* Names that need no quotes: [a-zA-Z_][a-zA-Z0-9_]*. */
static bool is_plain_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool letter = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return len != 0;
}

static void puts_name(struct buf *out, const char *name, size_t len)
{
    if (is_plain_name(name, len))
        buf_append(out, name, len);
    else
        literal_print_string(name, len, out);
}

static void puts_labels(struct printer *printer, const struct query_texts *labels)
{
    buf_putc(printer->out, '(');
    for (size_t i = 0; i < labels->count; i++) {
        if (i != 0)
            buf_puts(printer->out, ", ");
        puts_name(printer->out, labels->items[i].bytes, labels->items[i].len);
    }
    buf_putc(printer->out, ')');
}

/* --- durations
 * ------------------------------------------------------------------------------------------- */

static const char *duration_operator(enum duration_kind kind)
{
    switch (kind) {
    case DURATION_ADD:
        return " + ";
    case DURATION_SUB:
        return " - ";
    case DURATION_MUL:
        return " * ";
    case DURATION_DIV:
        return " / ";
    case DURATION_MOD:
        return " % ";
    case DURATION_POW:
        return " ^ ";
    default:
        return ", "; /* between the arguments of min_of and max_of */
    }
}

static void puts_duration_expr(struct printer *printer, const struct duration_expr *expr)
{
    bool call = expr->kind == DURATION_MIN_OF || expr->kind == DURATION_MAX_OF;

    switch (expr->kind) {
    case DURATION_NUMBER:
        if (expr->as_duration)
            puts_seconds_as_duration(printer, expr->seconds);
        else
            puts_number(printer, expr->seconds);
        return;
    case DURATION_STEP:
        buf_puts(printer->out, "step()");
        return;
    case DURATION_RANGE:
        buf_puts(printer->out, "range()");
        return;
    case DURATION_PAREN:
        buf_putc(printer->out, '(');
        puts_duration_expr(printer, expr->left);
        buf_putc(printer->out, ')');
        return;
    case DURATION_NEGATE:
        buf_putc(printer->out, '-');
        puts_duration_expr(printer, expr->left);
        return;
    default:
        break;
    }
    if (call)
        buf_puts(printer->out, expr->kind == DURATION_MIN_OF ? "min_of(" : "max_of(");
    puts_duration_expr(printer, expr->left);
    buf_puts(printer->out, duration_operator(expr->kind));
    puts_duration_expr(printer, expr->right);
    if (call)
        buf_putc(printer->out, ')');
}

static void puts_duration(struct printer *printer, const struct query_duration *duration)
{
    if (duration->expr != NULL)
        puts_duration_expr(printer, duration->expr);
    else
        literal_print_duration(duration->ns / NS_PER_MS, printer->out);
}

static void puts_at(struct printer *printer, const struct query_shift *shift)
{
    if (shift->at == AT_TIME)
        buf_printf(printer->out, " @ %.3f", (double)shift->at_ms / 1000.0);
    else if (shift->at != AT_NONE)
        buf_puts(printer->out, shift->at == AT_START ? " @ start()" : " @ end()");
}

static void puts_offset(struct printer *printer, const struct query_shift *shift)
{
    if (shift->offset.ns == 0 && shift->offset.expr == NULL)
        return;
    buf_puts(printer->out, " offset ");
    puts_duration(printer, &shift->offset);
}

static void puts_extend(struct printer *printer, enum extend_kind extend)
{
    if (extend != EXTEND_NONE)
        buf_puts(printer->out, extend == EXTEND_ANCHORED ? " anchored" : " smoothed");
}

/* --- selectors
 * -------------------------------------------------------------------------------------------- */

/* The matcher that the name in front of the braces stands for. */
static bool is_name_in_front(const struct expr_selector *selector, const struct matcher *matcher)
{
    return selector->name.bytes != NULL && matcher->type == MATCH_EQUAL &&
           strcmp(matcher->name, LABEL_METRIC_NAME) == 0 &&
           matcher->value_len == selector->name.len &&
           memcmp(matcher->value, selector->name.bytes, selector->name.len) == 0;
}

static int compare_texts(const void *a, const void *b)
{
    const struct buf *left = a, *right = b;
    int order = memcmp(left->data, right->data, TIDE_MIN(left->len, right->len));

    return order != 0 ? order : (left->len > right->len) - (left->len < right->len);
}

static void puts_matchers(struct printer *printer, const struct expr_selector *selector)
{
    struct buf *texts = mem_zalloc(selector->matcher_count + 1, sizeof(*texts));
    size_t count = 0;

    for (size_t i = 0; i < selector->matcher_count; i++) {
        const struct matcher *matcher = &selector->matchers[i];

        if (is_name_in_front(selector, matcher))
            continue;
        puts_name(&texts[count], matcher->name, matcher->name_len);
        buf_puts(&texts[count], matcher_operator(matcher->type));
        literal_print_string(matcher->value, matcher->value_len, &texts[count]);
        count++;
    }
    qsort(texts, count, sizeof(*texts), compare_texts);
    for (size_t i = 0; i < count; i++) {
        buf_putc(printer->out, i == 0 ? '{' : ',');
        buf_append(printer->out, texts[i].data, texts[i].len);
        buf_destroy(&texts[i]);
    }
    if (count != 0)
        buf_putc(printer->out, '}');
    mem_free(texts);
}

static void puts_selector(struct printer *printer, const struct expr_selector *selector)
{
    if (selector->name.bytes != NULL)
        buf_append(printer->out, selector->name.bytes, selector->name.len);
    puts_matchers(printer, selector);
}

/* --- nodes
 * ------------------------------------------------------------------------------------------------
 */

void printer_aggregate_head(struct printer *printer, const struct expr_aggregate *aggregate)
{
    buf_puts(printer->out, aggregate_op_text(aggregate->op));
    if (!aggregate->without && aggregate->grouping.count == 0)
        return;
    buf_puts(printer->out, aggregate->without ? " without " : " by ");
    puts_labels(printer, &aggregate->grouping);
    buf_putc(printer->out, ' ');
}

static void puts_aggregate(struct printer *printer, const struct expr_aggregate *aggregate)
{
    printer_aggregate_head(printer, aggregate);
    buf_putc(printer->out, '(');
    if (aggregate->param != NULL) {
        printer_expr(printer, aggregate->param);
        buf_puts(printer->out, ", ");
    }
    printer_expr(printer, aggregate->inner);
    buf_putc(printer->out, ')');
}

static void puts_fill(struct printer *printer, const char *word, double value)
{
    char text[NUMBER_MAX_BYTES];

    buf_printf(printer->out, " %s (", word);
    buf_append(printer->out, text, number_format_go(text, value));
    buf_putc(printer->out, ')');
}

static void puts_matching(struct printer *printer, const struct expr_binary *binary)
{
    bool grouped = binary->group != MATCH_ONE_TO_ONE;

    if (binary->on || binary->labels.count != 0 || grouped) {
        buf_puts(printer->out, binary->on ? " on " : " ignoring ");
        puts_labels(printer, &binary->labels);
    }
    if (grouped) {
        buf_puts(printer->out,
                 binary->group == MATCH_GROUP_LEFT ? " group_left " : " group_right ");
        puts_labels(printer, &binary->include);
    }
    if (binary->fills_left && binary->fills_right && binary->fill_left == binary->fill_right) {
        puts_fill(printer, "fill", binary->fill_left);
        return;
    }
    if (binary->fills_left)
        puts_fill(printer, "fill_left", binary->fill_left);
    if (binary->fills_right)
        puts_fill(printer, "fill_right", binary->fill_right);
}

void printer_binary_operator(struct printer *printer, const struct expr_binary *binary)
{
    buf_puts(printer->out, binary_op_text(binary->op));
    if (binary->returns_bool)
        buf_puts(printer->out, " bool");
    if (binary->has_matching)
        puts_matching(printer, binary);
}

static void puts_call(struct printer *printer, const struct expr_call *call)
{
    buf_puts(printer->out, call->function->name);
    buf_putc(printer->out, '(');
    for (size_t i = 0; i < call->arg_count && !printer_is_full(printer); i++) {
        if (i != 0)
            buf_puts(printer->out, ", ");
        printer_expr(printer, call->args[i]);
    }
    buf_putc(printer->out, ')');
}

void printer_subquery_tail(struct printer *printer, const struct expr_subquery *subquery)
{
    buf_putc(printer->out, '[');
    puts_duration(printer, &subquery->range);
    buf_putc(printer->out, ':');
    if (subquery->has_step)
        puts_duration(printer, &subquery->step);
    buf_putc(printer->out, ']');
    puts_at(printer, &subquery->shift);
    puts_offset(printer, &subquery->shift);
}

static void puts_range(struct printer *printer, const struct expr_range *range)
{
    puts_selector(printer, &range->selector->selector);
    buf_putc(printer->out, '[');
    puts_duration(printer, &range->range);
    buf_putc(printer->out, ']');
    puts_extend(printer, range->extend);
    puts_at(printer, &range->shift);
    puts_offset(printer, &range->shift);
}

static void puts_binary(struct printer *printer, const struct expr_binary *binary)
{
    printer_expr(printer, binary->left);
    buf_putc(printer->out, ' ');
    printer_binary_operator(printer, binary);
    buf_putc(printer->out, ' ');
    printer_expr(printer, binary->right);
}

void printer_expr(struct printer *printer, const struct expr *expr)
{
    if (printer_is_full(printer))
        return;
    switch (expr->kind) {
    case EXPR_NUMBER:
        if (expr->number.as_duration)
            puts_seconds_as_duration(printer, expr->number.value);
        else
            puts_number(printer, expr->number.value);
        return;
    case EXPR_STRING:
        literal_print_string(expr->string.bytes, expr->string.len, printer->out);
        return;
    case EXPR_SELECTOR:
        puts_selector(printer, &expr->selector);
        puts_at(printer, &expr->selector.shift);
        puts_extend(printer, expr->selector.extend);
        puts_offset(printer, &expr->selector.shift);
        return;
    case EXPR_RANGE:
        puts_range(printer, &expr->range);
        return;
    case EXPR_SUBQUERY:
        printer_expr(printer, expr->subquery.inner);
        printer_subquery_tail(printer, &expr->subquery);
        return;
    case EXPR_CALL:
        puts_call(printer, &expr->call);
        return;
    case EXPR_AGGREGATE:
        puts_aggregate(printer, &expr->aggregate);
        return;
    case EXPR_BINARY:
        puts_binary(printer, &expr->binary);
        return;
    case EXPR_UNARY:
        buf_putc(printer->out, expr->unary.negates ? '-' : '+');
        printer_expr(printer, expr->unary.inner);
        return;
    case EXPR_PAREN:
        buf_putc(printer->out, '(');
        printer_expr(printer, expr->paren.inner);
        buf_putc(printer->out, ')');
        return;
    }
}

void promql_print(const struct expr *expr, struct buf *out)
{
    struct printer printer = {.out = out, .end = SIZE_MAX};

    printer_expr(&printer, expr);
}
