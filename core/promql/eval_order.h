/* eval_order.h - puts many label sets in order quickly; sorts that a cancelled query leaves.
 *
 * Label sets of one selection mostly have the same names and few distinct values each, so their
 * order is that of numbers made of the values' ranks. Comparing them pair by pair costs ten times
 * as much at ten thousand series. */
#ifndef TIDE_PROMQL_EVAL_ORDER_H
#define TIDE_PROMQL_EVAL_ORDER_H

#include "base/base.h"
#include "base/error.h"
#include "model/labels.h"

struct eval;

/* What making or comparing a label set costs, in the samples that eval_tick counts. */
#define EVAL_LABELS_WORK ((size_t)100)

/**
 * Fills order[0 .. count) with the indexes of `sets` by labels_compare.
 *
 * @return 0, or -1 with err: CANCELLED, TIMEOUT
 */
TIDE_NODISCARD int eval_order(struct eval *ev, const struct labels *const *sets, size_t count,
                              uint32_t *order, struct error *err);
/** qsort_r, stable, that looks at the clock. The items are in some order when it fails. */
TIDE_NODISCARD int eval_sort(struct eval *ev, void *items, size_t count, size_t size,
                             int (*compare)(const void *, const void *, void *), void *ctx,
                             struct error *err);

#endif
