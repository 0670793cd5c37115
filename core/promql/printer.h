/* printer.h - what print.c and print_pretty.c share: pieces of the one-line form. */
#ifndef TIDE_PROMQL_PRINTER_H
#define TIDE_PROMQL_PRINTER_H

#include "promql/print.h"

/* Prints until `out` is longer than `end` bytes: enough to know whether a node is long. */
struct printer {
    struct buf *out;
    size_t end;
};

void printer_expr(struct printer *printer, const struct expr *expr);
/** "sum by (a, b) " */
void printer_aggregate_head(struct printer *printer, const struct expr_aggregate *aggregate);
/** "== bool on (a) group_left (b)" */
void printer_binary_operator(struct printer *printer, const struct expr_binary *binary);
/** "[5m:1m] @ 1.000 offset 1m" */
void printer_subquery_tail(struct printer *printer, const struct expr_subquery *subquery);

static inline bool printer_is_full(const struct printer *printer)
{
    return printer->out->len > printer->end;
}

#endif
