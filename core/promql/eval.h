/* eval.h - evaluates the nodes of a plan; what the files eval_*, aggregate and binary share.
 *
 * One evaluation belongs to one thread (and each of its helpers has an evaluation's state of its
 * own, eval_crew.h). Every function that can take long calls eval_tick; every
 * one that collects samples counts them with eval_hold, so that a query cannot outgrow its limit.
 */
#ifndef TIDE_PROMQL_EVAL_H
#define TIDE_PROMQL_EVAL_H

#include "base/base.h"
#include "base/error.h"
#include "promql/annotations.h"
#include "promql/binary.h"
#include "promql/engine.h"
#include "promql/eval_block.h"
#include "promql/eval_plan.h"
#include "promql/func_range.h"

struct eval {
    const struct promql_query *query;
    struct plan *plan;
    struct annotations *notes;
    struct query_stats *stats;
    bool counts_samples; /* for the stats */
    bool is_hand;        /* a thread's part of an evaluation (eval_crew.h) */
    size_t max_samples;
    size_t held;        /* samples held now */
    size_t in_pot;      /* of them, as counted in the query's pot */
    size_t until_check; /* work left before the clock and the flag are looked at */
    struct range_scratch scratch;
    struct columns columns; /* the series being read */
    struct columns clean;   /* the same without staleness markers, or a subquery's row */
};

/* --- the nodes: eval.c ---------------------------------------------------------------------- */

/** Passes the rows of a vector node to a sink. */
TIDE_NODISCARD int eval_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                             struct error *err);
/** Collects the rows of a vector node. The caller calls eval_block_free, on failure too. */
TIDE_NODISCARD int eval_vector(struct eval *ev, const struct plan_node *node, struct block *block,
                               struct error *err);
/** Fills values[0 .. steps of the node's grid) of a scalar node. */
TIDE_NODISCARD int eval_scalar(struct eval *ev, const struct plan_node *node, double *values,
                               struct error *err);
/** eval_scalar into fresh memory of the plan's arena. NULL with err. */
double *eval_scalar_new(struct eval *ev, const struct plan_node *node, struct error *err);
/** Passes a block's rows on, in order, and leaves it empty of them. Order is kept with blocks. */
TIDE_NODISCARD int eval_pass_block(struct eval *ev, struct block *block, struct sink *sink,
                                   struct error *err);
/** Destroys a block and gives back what it held. */
void eval_block_free(struct eval *ev, struct block *block);

/* --- bounds: eval.c ------------------------------------------------------------------------- */

/** After `work` samples' worth of work: 0, or -1 when the query was cancelled or is out of time. */
TIDE_NODISCARD int eval_tick(struct eval *ev, size_t work, struct error *err);
/** The last act: what it held is not counted in the query's pot any more. */
void eval_leave_pot(struct eval *ev);
/** Tells those who watch how far it is. */
void eval_publish(const struct eval *ev);
/** -1: the query was cancelled, or killed. */
TIDE_NODISCARD int eval_cancelled(const struct eval *ev, const char *where, struct error *err);
/** -1 with what select or read failed with, in the query's words. */
TIDE_NODISCARD int eval_read_failed(const struct eval *ev, struct error *err);
/** Counts samples that are kept from now on. -1 with ERR_LIMIT when they are too many. */
TIDE_NODISCARD int eval_hold(struct eval *ev, size_t samples, struct error *err);
void eval_release(struct eval *ev, size_t samples);
/** What a row of `count` samples counts: sparse rows count for the memory that they take, too. */
size_t eval_row_cost(size_t count, size_t steps);

/* --- sinks: eval_sink.c --------------------------------------------------------------------- */

/* Collects rows in a block. */
struct block_sink {
    struct sink sink;
    struct eval *ev;
    struct block *block;
    double *spare; /* room that was given out and not used */
};

void block_sink_init(struct block_sink *sink, struct eval *ev, struct block *block);

/* Changes each row's values on their way to another sink. */
struct map_sink {
    struct sink sink;
    struct sink *to;
    void (*map)(const struct map_sink *self, double *values);
    size_t steps;
    bool drops_name; /* sets the rows' flag */
    int op;          /* for the map: which function or operator */
    enum compare_result compare;
    const double *params[2]; /* for the map: one value per step */
};

void map_sink_init(struct map_sink *sink, struct sink *to, size_t steps);

/* --- selectors: eval_select.c ---------------------------------------------------------------- */

/** Selects a source's series, once; sorts them by labels. */
TIDE_NODISCARD int eval_select(struct eval *ev, struct plan_source *source, struct error *err);
/**
 * The samples of one series of a source over all the source's time.
 *
 * @param order  0 .. count-1 in order of labels
 * @return borrowed until the next call, or NULL with err
 */
const struct columns *eval_read(struct eval *ev, struct plan_source *source, size_t order,
                                struct error *err);
/** The samples that are no staleness markers: a copy, or themselves. Good until the next call. */
const struct columns *eval_without_markers(struct eval *ev, const struct columns *columns);
TIDE_NODISCARD int eval_selector_rows(struct eval *ev, const struct plan_node *node,
                                      struct sink *sink, struct error *err);
/** The times of the samples that the selector takes, in seconds. */
TIDE_NODISCARD int eval_selector_times(struct eval *ev, const struct plan_node *node,
                                       struct sink *sink, struct error *err);
void eval_sources_free(struct eval *ev);

/* --- range vectors: eval_range.c -------------------------------------------------------------- */

/* One series of a range vector at a time. */
struct range_visitor {
    /* input.times_ms .. are borrowed for the call; labels too. */
    int (*visit)(struct range_visitor *self, const struct range_input *input,
                 const struct labels *labels, bool drop_name, struct error *err);
};

/** Calls the visitor with each series of a range or subquery node that has samples. */
TIDE_NODISCARD int eval_range_visit(struct eval *ev, const struct plan_node *node,
                                    struct range_visitor *visitor, struct error *err);
/** A call of a range function. */
TIDE_NODISCARD int eval_range_call(struct eval *ev, const struct plan_node *node,
                                   const struct range_function *function, struct sink *sink,
                                   struct error *err);
/** A bare range vector, the answer of an instant query. */
TIDE_NODISCARD int eval_range_value(struct eval *ev, const struct plan_node *node,
                                    struct value *out, struct error *err);

/* --- operators: eval_binary.c, aggregate.c, aggregate_pick.c -----------------------------------
 */

TIDE_NODISCARD int eval_binary_rows(struct eval *ev, const struct plan_node *node,
                                    struct sink *sink, struct error *err);
TIDE_NODISCARD int eval_binary_scalar(struct eval *ev, const struct plan_node *node, double *values,
                                      struct error *err);
TIDE_NODISCARD int eval_aggregate_rows(struct eval *ev, const struct plan_node *node,
                                       struct sink *sink, struct error *err);

/* --- calls: eval_call.c and func_* ------------------------------------------------------------ */

TIDE_NODISCARD int eval_call_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                                  struct error *err);
TIDE_NODISCARD int eval_call_scalar(struct eval *ev, const struct plan_node *node, double *values,
                                    struct error *err);

/** True for the functions that order their rows (sort, ...). */
bool eval_call_sorts(const struct plan_node *node);
/** True for functions that pass the rows of argument 0 on in their order. */
bool eval_call_keeps_order(const struct plan_node *node);

/* --- annotations: eval.c ------------------------------------------------------------------ */

/** The metric name in quotes, "" without one. */
void eval_quote_name(struct buf *out, const struct labels *labels);
void eval_note_quantile(struct eval *ev, double q, uint32_t offset);
void eval_note(struct eval *ev, enum annotation_kind kind, uint32_t offset, const char *format, ...)
    TIDE_PRINTF(4, 5);

#endif
