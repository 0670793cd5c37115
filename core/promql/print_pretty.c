/* print_pretty.c - format_query's text: nodes of over 100 bytes are broken over lines
 * (promql.md 8.4). */
#include "promql/printer.h"

#define LONG_BYTES 100

static void pretty(struct printer *printer, const struct expr *expr, unsigned level);

static void indent(struct printer *printer, unsigned level)
{
    for (unsigned i = 0; i < level; i++)
        buf_puts(printer->out, "  ");
}

/* Prints a node on one line if it fits; else takes that back. */
static bool fits(struct printer *printer, const struct expr *expr)
{
    size_t start = printer->out->len;
    struct printer line = {.out = printer->out, .end = start + LONG_BYTES};

    printer_expr(&line, expr);
    if (!printer_is_full(&line))
        return true;
    printer->out->len = start;
    return false;
}

static void pretty_aggregate(struct printer *printer, const struct expr *expr, unsigned level)
{
    const struct expr_aggregate *aggregate = &expr->aggregate;

    printer_aggregate_head(printer, aggregate);
    buf_puts(printer->out, "(\n");
    if (aggregate->param != NULL) {
        pretty(printer, aggregate->param, level + 1);
        buf_puts(printer->out, ",\n");
    }
    pretty(printer, aggregate->inner, level + 1);
    buf_putc(printer->out, '\n');
    indent(printer, level);
    buf_putc(printer->out, ')');
}

static void pretty_call(struct printer *printer, const struct expr *expr, unsigned level)
{
    const struct expr_call *call = &expr->call;

    buf_puts(printer->out, call->function->name);
    buf_puts(printer->out, "(\n");
    for (size_t i = 0; i < call->arg_count; i++) {
        if (i != 0)
            buf_puts(printer->out, ",\n");
        pretty(printer, call->args[i], level + 1);
    }
    buf_putc(printer->out, '\n');
    indent(printer, level);
    buf_putc(printer->out, ')');
}

static void pretty_paren(struct printer *printer, const struct expr *expr, unsigned level)
{
    buf_puts(printer->out, "(\n");
    pretty(printer, expr->paren.inner, level + 1);
    buf_putc(printer->out, '\n');
    indent(printer, level);
    buf_putc(printer->out, ')');
}

/* The first operand is indented more than the operator, which stands on a line of its own. */
static void pretty_binary(struct printer *printer, const struct expr *expr, unsigned level)
{
    pretty(printer, expr->binary.left, level + 1);
    buf_putc(printer->out, '\n');
    indent(printer, level);
    printer_binary_operator(printer, &expr->binary);
    buf_putc(printer->out, '\n');
    pretty(printer, expr->binary.right, level + 1);
}

/* The operand's own indentation goes: the sign stands in front of it. */
static void pretty_unary(struct printer *printer, const struct expr *expr, unsigned level)
{
    struct buf inner = {0};
    struct printer apart = {.out = &inner, .end = SIZE_MAX};
    size_t start = 0;

    pretty(&apart, expr->unary.inner, level);
    while (start < inner.len && inner.data[start] == ' ')
        start++;
    indent(printer, level);
    buf_putc(printer->out, expr->unary.negates ? '-' : '+');
    if (inner.len > start)
        buf_append(printer->out, inner.data + start, inner.len - start);
    buf_destroy(&inner);
}

static void pretty_subquery(struct printer *printer, const struct expr *expr, unsigned level)
{
    if (fits(printer, expr))
        return;
    pretty(printer, expr->subquery.inner, level);
    printer_subquery_tail(printer, &expr->subquery);
}

static void pretty(struct printer *printer, const struct expr *expr, unsigned level)
{
    size_t start = printer->out->len;

    switch (expr->kind) {
    case EXPR_UNARY:
        pretty_unary(printer, expr, level);
        return;
    case EXPR_SUBQUERY:
        pretty_subquery(printer, expr, level);
        return;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_SELECTOR:
    case EXPR_RANGE:
        indent(printer, level);
        promql_print(expr, printer->out);
        return;
    default:
        break;
    }
    indent(printer, level);
    if (fits(printer, expr))
        return;
    switch (expr->kind) {
    case EXPR_AGGREGATE:
        pretty_aggregate(printer, expr, level);
        return;
    case EXPR_CALL:
        pretty_call(printer, expr, level);
        return;
    case EXPR_PAREN:
        pretty_paren(printer, expr, level);
        return;
    default:
        printer->out->len = start; /* the left operand indents itself */
        pretty_binary(printer, expr, level);
        return;
    }
}

void promql_pretty(const struct expr *expr, struct buf *out)
{
    struct printer printer = {.out = out, .end = SIZE_MAX};

    pretty(&printer, expr, 0);
}
