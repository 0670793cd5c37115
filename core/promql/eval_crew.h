/* eval_crew.h - the series of a selector, computed by as many threads as are to be had, and handed
 * on in order by the evaluating one.
 *
 * Reading and the kernels of range functions are most of a query's work, and each series stands
 * alone. The evaluating thread asks the query's helpers (engine.h) for a hand when there is enough
 * to do; helpers take batches of series, it takes batches itself while the next one in order is not
 * ready, and passes rows on. Results are the same to the bit, whoever computes them. */
#ifndef TIDE_PROMQL_EVAL_CREW_H
#define TIDE_PROMQL_EVAL_CREW_H

#include "promql/eval.h"

struct series_work {
    /* Fills values[0 .. steps) from series `order` of the source; *empty: there are none. `ev` is
     * the running thread's own: it may be read with, counted in and ticked, not annotated. */
    int (*compute)(const struct series_work *self, struct eval *ev, size_t order, double *values,
                   bool *empty, struct error *err);
    /* Passes a row that is not empty on: on the evaluating thread, in order of labels. The values
     * lie in the sink's room or elsewhere. */
    int (*hand_on)(struct series_work *self, size_t order, double *values, struct error *err);
    bool alone; /* compute annotates: the evaluating thread only */
};

/**
 * Computes all series of the node's source, which has been selected, and hands them on.
 *
 * @param sink  whose room values are computed in
 */
TIDE_NODISCARD int eval_each_series(struct eval *ev, const struct plan_node *node,
                                    struct series_work *work, struct sink *sink, struct error *err);

#endif
