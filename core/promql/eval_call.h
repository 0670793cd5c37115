/* eval_call.h - the functions that are not kernels over range vectors, and how they are found. */
#ifndef TIDE_PROMQL_EVAL_CALL_H
#define TIDE_PROMQL_EVAL_CALL_H

#include "promql/eval.h"

typedef int (*call_rows)(struct eval *ev, const struct plan_node *node, struct sink *sink,
                         struct error *err);
typedef int (*call_scalar)(struct eval *ev, const struct plan_node *node, double *values,
                           struct error *err);

/* Either rows (a vector) or scalar is set. */
struct call_function {
    const char *name;
    call_rows rows;
    call_scalar scalar;
    int op;               /* which of several that share a function */
    bool depends_on_time; /* even when no argument does (promql.md 9.3) */
};

/** NULL when there is none. Static. */
const struct call_function *call_function_find(const char *name, size_t len);

/* func_math.c: one value in, one value out. */
enum math_op {
    MATH_ABS,
    MATH_CEIL,
    MATH_FLOOR,
    MATH_EXP,
    MATH_SQRT,
    MATH_LN,
    MATH_LOG2,
    MATH_LOG10,
    MATH_SIN,
    MATH_COS,
    MATH_TAN,
    MATH_ASIN,
    MATH_ACOS,
    MATH_ATAN,
    MATH_SINH,
    MATH_COSH,
    MATH_TANH,
    MATH_ASINH,
    MATH_ACOSH,
    MATH_ATANH,
    MATH_DEG,
    MATH_RAD,
    MATH_SGN,
};
enum date_op {
    DATE_YEAR,
    DATE_MONTH,
    DATE_DAY_OF_MONTH,
    DATE_DAY_OF_WEEK,
    DATE_DAY_OF_YEAR,
    DATE_DAYS_IN_MONTH,
    DATE_HOUR,
    DATE_MINUTE,
};
int func_math(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_round(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_clamp(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_clamp_min(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_clamp_max(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_date(struct eval *, const struct plan_node *, struct sink *, struct error *);
/** Calendar of whole seconds since 1970, truncated toward zero. Pure. */
double func_date_of(enum date_op op, double seconds);

/* func_label.c */
int func_label_replace(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_label_join(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_sort(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_sort_by_label(struct eval *, const struct plan_node *, struct sink *, struct error *);
/** Digits as numbers, the rest by bytes (promql.md 13.4). < 0, 0, > 0. Pure. */
int func_natural_compare(const char *a, size_t a_len, const char *b, size_t b_len);

/* func_histogram.c */
int func_histogram_quantile(struct eval *, const struct plan_node *, struct sink *, struct error *);
int func_histogram_quantiles(struct eval *, const struct plan_node *, struct sink *,
                             struct error *);
int func_histogram_fraction(struct eval *, const struct plan_node *, struct sink *, struct error *);

/* func_added.c */
int func_added(struct eval *, const struct plan_node *, struct sink *, struct error *);

/* func_info.c */
int func_info(struct eval *, const struct plan_node *, struct sink *, struct error *);

#endif
