/* plan_build.h - makes a plan of a tree (promql.md 9.1, 9.3, 10.4). */
#ifndef TIDE_PROMQL_PLAN_BUILD_H
#define TIDE_PROMQL_PLAN_BUILD_H

#include "promql/eval_plan.h"

/**
 * Resolves times, folds constants, finds step-invariant parts and shares selectors.
 *
 * @param plan  zeroed; the caller calls plan_destroy, on failure too. Keeps pointers into the tree.
 * @return 0, or -1 with err: ERR_INVALID (duration expressions, type of a range query), ERR_LIMIT
 */
TIDE_NODISCARD int plan_build(struct plan *plan, const struct promql_query *query,
                              const struct query_tree *tree, struct error *err);

#endif
