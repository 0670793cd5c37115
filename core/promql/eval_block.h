/* eval_block.h - instant vectors over all steps: one row of values per series, and ways to pass
 * them.
 *
 * A row has a value for each step of its grid; steps without one are holes (eval_math.h). Rows are
 * passed through sinks one at a time, so an aggregation over ten thousand series holds none of
 * them; a block collects rows where all are needed at once. Owned by one evaluation, one thread. */
#ifndef TIDE_PROMQL_EVAL_BLOCK_H
#define TIDE_PROMQL_EVAL_BLOCK_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "model/labels.h"
#include "promql/eval_labels.h"

/* Evaluation times: start, start + step, ... */
struct grid {
    int64_t start_ms;
    int64_t step_ms;
    size_t steps;
};

struct row {
    const struct labels *labels; /* owned reference */
    double *values;              /* one per step */
    bool drop_name;              /* __name__, __type__ and __unit__ go at the end (promql.md 17) */
};

struct block {
    size_t steps;
    struct row *rows; /* owned */
    size_t count;
    size_t cap;
    struct arena arena; /* the rows' values */
    size_t held;        /* samples that the evaluation counts for it */
};

/* Takes rows. A producer asks for room, fills steps values there, and hands the row over; or hands
 * over a row whose values lie elsewhere, which take() may overwrite but not keep. */
struct sink {
    double *(*room)(struct sink *sink);
    /* Takes over row->labels' reference, on failure too. */
    int (*take)(struct sink *sink, struct row *row, struct error *err);
};

void block_init(struct block *block, size_t steps);
void block_destroy(struct block *block);
/** Memory for one row's values, good as long as the block. */
double *block_room(struct block *block);
/** Adds a row; values must be block_room's. Takes the labels over. The row is good until the next.
 */
struct row *block_add(struct block *block, const struct labels *labels, double *values,
                      bool drop_name);
/** Fills values[0 .. steps) with holes. */
void row_clear(double *values, size_t steps);
/** Has no step a value? Ends at the first that has. */
bool row_is_empty(const double *values, size_t steps);
/** Number of steps that have a value. */
size_t row_count(const double *values, size_t steps);

#endif
