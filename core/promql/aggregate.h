/* aggregate.h - aggregation operators (promql.md 15): shared by aggregate.c, which folds rows as
 * they come, and by aggregate_pick.c, which looks at all rows of a group. */
#ifndef TIDE_PROMQL_AGGREGATE_H
#define TIDE_PROMQL_AGGREGATE_H

#include "promql/eval.h"

/* Whether a group's name is to be dropped at the end: what its members at its last step say. */
struct group_flag {
    size_t steps_seen; /* last step with a member, + 1 */
    bool drop_name;
};

void group_flag_add(struct group_flag *flag, const struct row *row, size_t steps);

/** quantile, count_values, topk, bottomk, limitk, limit_ratio. */
TIDE_NODISCARD int aggregate_pick_rows(struct eval *ev, const struct plan_node *node,
                                       struct sink *sink, struct error *err);
TIDE_NODISCARD int aggregate_count_values(struct eval *ev, const struct plan_node *node,
                                          struct sink *sink, struct error *err);

#endif
