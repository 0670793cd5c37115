/* plan_duration.c - see plan_duration.h. */
#include "promql/plan_duration.h"

#include <math.h>

#include "promql/eval_math.h"

#define NS_PER_MS 1000000
#define LARGEST_SECONDS 9223372036.854775807 /* 2^63 - 1 nanoseconds */

static int fail_at(const struct duration_expr *expr, const char *text, struct error *err)
{
    return error_set(err, ERR_INVALID, "%" PRIu32 ":%" PRIu32 ": %s", expr->start, expr->end, text);
}

static int compute(const struct duration_expr *expr, const struct duration_times *times,
                   double *seconds, struct error *err)
{
    double left = 0, right = 0;

    if (expr->left != NULL && compute(expr->left, times, &left, err) != 0)
        return -1;
    if (expr->right != NULL && compute(expr->right, times, &right, err) != 0)
        return -1;
    switch (expr->kind) {
    case DURATION_NUMBER:
        *seconds = expr->seconds;
        break;
    case DURATION_STEP:
        *seconds = times->step_seconds;
        break;
    case DURATION_RANGE:
        *seconds = times->range_seconds;
        break;
    case DURATION_PAREN:
        *seconds = left;
        break;
    case DURATION_NEGATE:
        *seconds = -left;
        break;
    case DURATION_ADD:
        *seconds = left + right;
        break;
    case DURATION_SUB:
        *seconds = left - right;
        break;
    case DURATION_MUL:
        *seconds = left * right;
        break;
    case DURATION_DIV:
        if (right == 0)
            return fail_at(expr, "division by zero", err);
        *seconds = left / right;
        break;
    case DURATION_MOD:
        if (right == 0)
            return fail_at(expr, "modulo by zero", err);
        *seconds = fmod(left, right);
        break;
    case DURATION_POW:
        *seconds = pow(left, right);
        break;
    case DURATION_MIN_OF:
        *seconds = eval_min(left, right);
        break;
    case DURATION_MAX_OF:
        *seconds = eval_max(left, right);
        break;
    }
    return 0;
}

int duration_resolve(const struct query_duration *duration, const struct duration_times *times,
                     bool positive, int64_t *ns, struct error *err)
{
    double seconds;

    if (duration->expr == NULL) {
        *ns = duration->ns;
        return 0;
    }
    if (compute(duration->expr, times, &seconds, err) != 0)
        return -1;
    if (!isfinite(seconds))
        return fail_at(duration->expr, "duration is NaN or infinite", err);
    if (positive && seconds <= 0)
        return fail_at(duration->expr, "duration must be greater than 0", err);
    if (fabs(seconds) >= LARGEST_SECONDS)
        return fail_at(duration->expr, "duration is out of range", err);
    *ns = (int64_t)(seconds * 1000) * NS_PER_MS;
    if (positive && *ns <= 0)
        return fail_at(duration->expr, "duration must be greater than 0", err);
    return 0;
}
