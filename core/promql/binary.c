/* binary.c - see binary.h. */
#include "promql/binary.h"

#include <math.h>

#include "promql/eval_math.h"

double binary_of(enum binary_op op, double left, double right)
{
    switch (op) {
    case BINARY_ADD:
        return left + right;
    case BINARY_SUB:
        return left - right;
    case BINARY_MUL:
        return left * right;
    case BINARY_DIV:
        return left / right;
    case BINARY_MOD:
        return fmod(left, right);
    case BINARY_POW:
        return pow(left, right);
    case BINARY_ATAN2:
        return atan2(left, right);
    case BINARY_EQ:
        return left == right;
    case BINARY_NE:
        return left != right;
    case BINARY_LT:
        return left < right;
    case BINARY_LE:
        return left <= right;
    case BINARY_GT:
        return left > right;
    case BINARY_GE:
        return left >= right;
    default:
        return eval_nan();
    }
}

/* One loop per operator, so that each is a plain loop over arrays. */
#define ARITHMETIC(expression)                                                                     \
    for (size_t k = 0; k < steps; k++) {                                                           \
        double l = left[k], r = right[k];                                                          \
        bool hole = eval_is_hole(&left[k]) || eval_is_hole(&right[k]);                             \
                                                                                                   \
        out[k] = hole ? eval_hole() : (expression);                                                \
    }                                                                                              \
    return

#define COMPARISON(operator)                                                                       \
    for (size_t k = 0; k < steps; k++) {                                                           \
        double l = left[k], r = right[k];                                                          \
        bool holds = l operator r;                                                                 \
        double kept = compare == COMPARE_KEEPS_LEFT ? l : r;                                       \
                                                                                                   \
        if (eval_is_hole(&left[k]) || eval_is_hole(&right[k]))                                     \
            out[k] = eval_hole();                                                                  \
        else if (compare == COMPARE_BOOL)                                                          \
            out[k] = holds ? 1 : 0;                                                                \
        else                                                                                       \
            out[k] = holds ? kept : eval_hole();                                                   \
    }                                                                                              \
    return

void binary_rows(enum binary_op op, enum compare_result compare, const double *left,
                 const double *right, double *out, size_t steps)
{
    switch (op) {
    case BINARY_ADD:
        ARITHMETIC(l + r);
    case BINARY_SUB:
        ARITHMETIC(l - r);
    case BINARY_MUL:
        ARITHMETIC(l * r);
    case BINARY_DIV:
        ARITHMETIC(l / r);
    case BINARY_MOD:
        ARITHMETIC(fmod(l, r));
    case BINARY_POW:
        ARITHMETIC(pow(l, r));
    case BINARY_ATAN2:
        ARITHMETIC(atan2(l, r));
    case BINARY_EQ:
        COMPARISON(==);
    case BINARY_NE:
        COMPARISON(!=);
    case BINARY_LT:
        COMPARISON(<);
    case BINARY_LE:
        COMPARISON(<=);
    case BINARY_GT:
        COMPARISON(>);
    case BINARY_GE:
        COMPARISON(>=);
    default:
        row_clear(out, steps);
        return;
    }
}
