/* binary.h - binary operators: arithmetic over rows of values (promql.md 16). */
#ifndef TIDE_PROMQL_BINARY_H
#define TIDE_PROMQL_BINARY_H

#include "base/base.h"
#include "promql/ast.h"
#include "promql/eval_block.h"

/* What a comparison leaves behind. */
enum compare_result { COMPARE_KEEPS_LEFT, COMPARE_KEEPS_RIGHT, COMPARE_BOOL };

/** One pair. Comparisons yield 0 or 1. Not for set operators and trims. */
double binary_of(enum binary_op op, double left, double right);
/**
 * Applies an operator step by step; holes on either side give holes, and so do comparisons that
 * fail unless they are bool. `out` may be `left` or `right`. Not for set operators and trims.
 */
void binary_rows(enum binary_op op, enum compare_result compare, const double *left,
                 const double *right, double *out, size_t steps);

#endif
