/* plan_duration.h - durations of the tree as numbers, once the query's times are known. */
#ifndef TIDE_PROMQL_PLAN_DURATION_H
#define TIDE_PROMQL_PLAN_DURATION_H

#include "base/base.h"
#include "base/error.h"
#include "promql/ast.h"

/* What step() and range() are. */
struct duration_times {
    double step_seconds;
    double range_seconds;
};

/**
 * The nanoseconds of a duration; computed ones are cut to whole milliseconds toward zero.
 *
 * @param positive  0 and less are errors (not for offsets)
 * @return 0, or -1 with err: ERR_INVALID, text as in promql.md 9.1
 */
TIDE_NODISCARD int duration_resolve(const struct query_duration *duration,
                                    const struct duration_times *times, bool positive, int64_t *ns,
                                    struct error *err);

#endif
