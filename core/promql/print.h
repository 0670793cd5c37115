/* print.h - trees as text: one line, pretty, JSON (promql.md 8; http-protocols 2.12).
 *
 * What is printed parses to the same tree again. Appends to a buffer; cannot fail. Thread-safe. */
#ifndef TIDE_PROMQL_PRINT_H
#define TIDE_PROMQL_PRINT_H

#include "base/base.h"
#include "base/buf.h"
#include "promql/ast.h"

/** One line, as upstream's String(): error texts, annotations, logs. */
void promql_print(const struct expr *expr, struct buf *out);
/** /api/v1/format_query: long nodes are broken over lines. */
void promql_pretty(const struct expr *expr, struct buf *out);
/** /api/v1/parse_query: the tree as JSON in upstream's shape. */
void promql_print_json(const struct expr *expr, struct buf *out);

#endif
