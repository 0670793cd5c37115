/* binary.h - binary operators: their kinds, and arithmetic over rows of values (promql.md 16). */
#ifndef TIDE_PROMQL_BINARY_H
#define TIDE_PROMQL_BINARY_H

#include "base/base.h"
#include "promql/eval_block.h"

enum binary_op {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_MOD,
    BINARY_POW,
    BINARY_ATAN2,
    BINARY_EQ,
    BINARY_NE,
    BINARY_LT,
    BINARY_LE,
    BINARY_GT,
    BINARY_GE,
    BINARY_TRIM_UPPER, /* histogram </ float */
    BINARY_TRIM_LOWER, /* histogram >/ float */
    BINARY_AND,
    BINARY_OR,
    BINARY_UNLESS,
};

enum binary_cardinality { ONE_TO_ONE, MANY_TO_ONE, ONE_TO_MANY, MANY_TO_MANY };

struct binary_matching {
    enum binary_cardinality cardinality;
    bool on; /* match on the labels; else on all but them */
    struct label_names labels;
    struct label_names include; /* group_left(...), group_right(...) */
    bool fills_left, fills_right;
    double fill_left, fill_right;
};

/* What a comparison leaves behind. */
enum compare_result { COMPARE_KEEPS_LEFT, COMPARE_KEEPS_RIGHT, COMPARE_BOOL };

bool binary_is_comparison(enum binary_op op);
bool binary_is_set(enum binary_op op);
/** "+", "</", ... Static. */
const char *binary_text(enum binary_op op);
/** One pair. Comparisons yield 0 or 1. Not for set operators and trims. */
double binary_of(enum binary_op op, double left, double right);
/**
 * Applies an operator step by step; holes on either side give holes, and so do comparisons that
 * fail unless they are bool. `out` may be `left` or `right`. Not for set operators and trims.
 */
void binary_rows(enum binary_op op, enum compare_result compare, const double *left,
                 const double *right, double *out, size_t steps);

#endif
