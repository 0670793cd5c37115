/* eval_plan.h - a query made ready to evaluate: times resolved, constants folded, selectors shared.
 *
 * A plan is made once from a parsed tree, for one query's times. It keeps pointers into the tree
 * (matchers, label names, texts), which must outlive it. What a node says about time is absolute:
 * each node knows the grid that it is evaluated on, so nothing about steps is passed around. */
#ifndef TIDE_PROMQL_EVAL_PLAN_H
#define TIDE_PROMQL_EVAL_PLAN_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "model/columns.h"
#include "model/matcher.h"
#include "promql/ast.h"
#include "promql/engine.h"
#include "promql/eval_block.h"
#include "promql/func_range.h"
#include "store/querier.h"

enum plan_kind {
    PLAN_NUMBER,
    PLAN_STRING,
    PLAN_SELECTOR, /* instant vector */
    PLAN_RANGE,    /* range vector of a selector */
    PLAN_SUBQUERY, /* range vector of an expression */
    PLAN_CALL,
    PLAN_AGGREGATE,
    PLAN_BINARY,
    PLAN_NEGATE,
    PLAN_ONCE, /* does not depend on the step: evaluated at the first one, repeated */
};

/* One set of matchers that the query reads, over the time that all its uses need together. */
struct plan_source {
    const struct matcher *matchers; /* of the tree */
    size_t matcher_count;
    int64_t from_ms, to_ms; /* inclusive */
    size_t uses;
    /* While evaluating: */
    struct selection *selection; /* NULL: not selected yet */
    uint32_t *order;             /* series by labels */
    struct columns *kept;        /* one per series when there are several uses */
    bool *is_kept;
};

struct call_function;

struct plan_node {
    enum plan_kind kind;
    enum expr_type type;
    uint32_t offset; /* first byte in the query text: annotations point there */
    struct grid grid;
    struct plan_node **children;
    size_t child_count;

    double number;    /* PLAN_NUMBER */
    const char *text; /* PLAN_STRING */
    size_t text_len;

    struct plan_source *source; /* PLAN_SELECTOR, PLAN_RANGE */
    bool at_set;
    int64_t at_ms;
    int64_t offset_ms;
    int64_t range_ms; /* PLAN_RANGE, PLAN_SUBQUERY */
    double range_seconds;
    enum range_mode mode;

    const struct call_function *function; /* PLAN_CALL; NULL for range functions */
    const struct range_function *range_function;
    const struct function_row *added; /* not built in: query->added is asked */

    enum aggregate_op aggregate; /* PLAN_AGGREGATE; child 0 is the vector, child 1 the parameter */
    struct query_texts names;
    bool without;

    enum binary_op op; /* PLAN_BINARY */
    bool returns_bool;
    const struct expr_binary *binary; /* how vectors match; of the tree */
};

struct plan {
    struct plan_node *root;
    const struct query_tree *tree;
    struct plan_source **sources;
    size_t source_count;
    size_t source_cap;
    struct arena arena;
    int64_t lookback_ms;
    struct grid grid; /* of the query */
    bool is_range;    /* a range query: the result is a matrix */
    bool spans_time;  /* its end lies after its start */
};

/** Has a source's selection freed at the end of the evaluation. */
void plan_add_source(struct plan *plan, struct plan_source *source);
void plan_destroy(struct plan *plan);

#ifndef TIDE_CDEF
/** The time that step k of a selector, range or subquery looks back from. */
static inline int64_t plan_ref_ms(const struct plan_node *node)
{
    return (node->at_set ? node->at_ms : node->grid.start_ms) - node->offset_ms;
}

static inline int64_t plan_ref_step_ms(const struct plan_node *node)
{
    return node->at_set ? 0 : node->grid.step_ms;
}
#endif

#endif
