/* func_math.c - functions of one value: mathematics, rounding, clamping, dates (promql.md 13). */
#include <math.h>

#include "promql/eval_call.h"
#include "promql/eval_math.h"

/* One loop per function; `x` is the value. */
#define EACH_VALUE(expression)                                                                     \
    for (size_t k = 0; k < self->steps; k++) {                                                     \
        double x = values[k];                                                                      \
                                                                                                   \
        if (!eval_is_hole(&values[k]))                                                             \
            values[k] = (expression);                                                              \
    }                                                                                              \
    return

static void map_trigonometry(const struct map_sink *self, double *values)
{
    switch ((enum math_op)self->op) {
    case MATH_SIN:
        EACH_VALUE(sin(x));
    case MATH_COS:
        EACH_VALUE(cos(x));
    case MATH_TAN:
        EACH_VALUE(tan(x));
    case MATH_ASIN:
        EACH_VALUE(asin(x));
    case MATH_ACOS:
        EACH_VALUE(acos(x));
    case MATH_ATAN:
        EACH_VALUE(atan(x));
    case MATH_SINH:
        EACH_VALUE(sinh(x));
    case MATH_COSH:
        EACH_VALUE(cosh(x));
    case MATH_TANH:
        EACH_VALUE(tanh(x));
    case MATH_ASINH:
        EACH_VALUE(asinh(x));
    case MATH_ACOSH:
        EACH_VALUE(acosh(x));
    default:
        EACH_VALUE(atanh(x));
    }
}

static void map_math(const struct map_sink *self, double *values)
{
    switch ((enum math_op)self->op) {
    case MATH_ABS:
        EACH_VALUE(fabs(x));
    case MATH_CEIL:
        EACH_VALUE(ceil(x));
    case MATH_FLOOR:
        EACH_VALUE(floor(x));
    case MATH_EXP:
        EACH_VALUE(exp(x));
    case MATH_SQRT:
        EACH_VALUE(sqrt(x));
    case MATH_LN:
        EACH_VALUE(log(x));
    case MATH_LOG2:
        EACH_VALUE(log2(x));
    case MATH_LOG10:
        EACH_VALUE(log10(x));
    case MATH_DEG:
        EACH_VALUE(x * 180 / M_PI);
    case MATH_RAD:
        EACH_VALUE(x * M_PI / 180);
    case MATH_SGN:
        EACH_VALUE(x < 0 ? -1 : x > 0 ? 1 : x);
    default:
        map_trigonometry(self, values);
    }
}

int func_math(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    struct map_sink map;

    map_sink_init(&map, sink, node->grid.steps);
    map.map = map_math;
    map.op = node->function->op;
    map.drops_name = true;
    return eval_rows(ev, node->children[0], &map.sink, err);
}

/* --- round and clamp -------------------------------------------------------------------------- */

static void map_round(const struct map_sink *self, double *values)
{
    for (size_t k = 0; k < self->steps; k++) {
        double inverse = 1.0 / (self->params[0] != NULL ? self->params[0][k] : 1);

        if (!eval_is_hole(&values[k]))
            values[k] = floor(values[k] * inverse + 0.5) / inverse;
    }
}

/* params: lower bounds, upper bounds; NULL is none. */
static void map_clamp(const struct map_sink *self, double *values)
{
    for (size_t k = 0; k < self->steps; k++) {
        double low = self->params[0] != NULL ? self->params[0][k] : -INFINITY;
        double high = self->params[1] != NULL ? self->params[1][k] : INFINITY;

        if (eval_is_hole(&values[k]))
            continue;
        values[k] = high < low ? eval_hole() : eval_max(low, eval_min(high, values[k]));
    }
}

/* Maps argument 0; parameters come from the arguments of these numbers, 0 for none. */
static int map_with_params(struct eval *ev, const struct plan_node *node, struct sink *sink,
                           void (*apply)(const struct map_sink *, double *), size_t first,
                           size_t second, struct error *err)
{
    size_t from[2] = {first, second};
    struct map_sink map;

    map_sink_init(&map, sink, node->grid.steps);
    map.map = apply;
    map.drops_name = true;
    for (size_t p = 0; p < 2; p++) {
        if (from[p] == 0)
            continue;
        map.params[p] = eval_scalar_new(ev, node->children[from[p]], err);
        if (map.params[p] == NULL)
            return -1;
    }
    return eval_rows(ev, node->children[0], &map.sink, err);
}

int func_round(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    return map_with_params(ev, node, sink, map_round, node->child_count > 1 ? 1 : 0, 0, err);
}

int func_clamp(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    return map_with_params(ev, node, sink, map_clamp, 1, 2, err);
}

int func_clamp_min(struct eval *ev, const struct plan_node *node, struct sink *sink,
                   struct error *err)
{
    return map_with_params(ev, node, sink, map_clamp, 1, 0, err);
}

int func_clamp_max(struct eval *ev, const struct plan_node *node, struct sink *sink,
                   struct error *err)
{
    return map_with_params(ev, node, sink, map_clamp, 0, 1, err);
}

/* --- dates ------------------------------------------------------------------------------------ */

#define DAY_SECONDS 86400
#define LARGEST_SECONDS                                                                            \
    9e15 /* years far beyond any calendar; NaN and infinities are cut here, too */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Proleptic Gregorian date of days since 1970 (years start in March, eras have 400 years). */
static void civil_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t shifted = days + 719468, era = floor_div(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;

    *day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    *month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return lengths[month - 1] + (month == 2 && is_leap(year));
}

double func_date_of(enum date_op op, double seconds)
{
    int64_t whole, days, of_day, year, month, day, day_of_year;

    if (!(fabs(seconds) < LARGEST_SECONDS))
        seconds = seconds > 0 ? LARGEST_SECONDS : seconds < 0 ? -LARGEST_SECONDS : 0;
    whole = (int64_t)seconds;
    days = floor_div(whole, DAY_SECONDS);
    of_day = whole - days * DAY_SECONDS;
    civil_of_days(days, &year, &month, &day);
    switch (op) {
    case DATE_YEAR:
        return (double)year;
    case DATE_MONTH:
        return (double)month;
    case DATE_DAY_OF_MONTH:
        return (double)day;
    case DATE_DAY_OF_WEEK:
        return (double)(((days + 4) % 7 + 7) % 7);
    case DATE_DAY_OF_YEAR:
        day_of_year = day;
        for (int64_t m = 1; m < month; m++)
            day_of_year += days_in_month(year, m);
        return (double)day_of_year;
    case DATE_DAYS_IN_MONTH:
        return (double)days_in_month(year, month);
    case DATE_HOUR:
        return (double)(of_day / 3600);
    default:
        return (double)(of_day / 60 % 60);
    }
}

static void map_date(const struct map_sink *self, double *values)
{
    EACH_VALUE(func_date_of((enum date_op)self->op, x));
}

int func_date(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    struct map_sink map;
    struct row row;

    map_sink_init(&map, sink, node->grid.steps);
    map.map = map_date;
    map.op = node->function->op;
    map.drops_name = true;
    if (node->child_count != 0)
        return eval_rows(ev, node->children[0], &map.sink, err);
    row = (struct row){.values = map.sink.room(&map.sink)};
    for (size_t k = 0; k < node->grid.steps; k++)
        row.values[k] = (double)((node->grid.start_ms + (int64_t)k * node->grid.step_ms) / 1000);
    row.labels = labels_new_sorted(NULL, 0);
    return map.sink.take(&map.sink, &row, err);
}
