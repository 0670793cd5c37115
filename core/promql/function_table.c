/* function_table.c - see function_table.h. Rows are in order of names; ids are their places. */
#include "promql/function_table.h"

#define NONE EXPR_TYPE_NONE
#define SCALAR EXPR_TYPE_SCALAR
#define STRING EXPR_TYPE_STRING
#define VECTOR EXPR_TYPE_VECTOR
#define RANGE EXPR_TYPE_RANGE

static const struct function_row functions[] = {
    {"abs", 0, VECTOR, {VECTOR}, 0, false},
    {"absent", 1, VECTOR, {VECTOR}, 0, false},
    {"absent_over_time", 2, VECTOR, {RANGE}, 0, false},
    {"acos", 3, VECTOR, {VECTOR}, 0, false},
    {"acosh", 4, VECTOR, {VECTOR}, 0, false},
    {"asin", 5, VECTOR, {VECTOR}, 0, false},
    {"asinh", 6, VECTOR, {VECTOR}, 0, false},
    {"atan", 7, VECTOR, {VECTOR}, 0, false},
    {"atanh", 8, VECTOR, {VECTOR}, 0, false},
    {"avg_over_time", 9, VECTOR, {RANGE}, 0, false},
    {"ceil", 10, VECTOR, {VECTOR}, 0, false},
    {"changes", 11, VECTOR, {RANGE}, 0, false},
    {"clamp", 12, VECTOR, {VECTOR, SCALAR, SCALAR}, 0, false},
    {"clamp_max", 13, VECTOR, {VECTOR, SCALAR}, 0, false},
    {"clamp_min", 14, VECTOR, {VECTOR, SCALAR}, 0, false},
    {"cos", 15, VECTOR, {VECTOR}, 0, false},
    {"cosh", 16, VECTOR, {VECTOR}, 0, false},
    {"count_over_time", 17, VECTOR, {RANGE}, 0, false},
    {"day_of_month", 18, VECTOR, {VECTOR}, 1, false},
    {"day_of_week", 19, VECTOR, {VECTOR}, 1, false},
    {"day_of_year", 20, VECTOR, {VECTOR}, 1, false},
    {"days_in_month", 21, VECTOR, {VECTOR}, 1, false},
    {"deg", 22, VECTOR, {VECTOR}, 0, false},
    {"delta", 23, VECTOR, {RANGE}, 0, false},
    {"deriv", 24, VECTOR, {RANGE}, 0, false},
    {"double_exponential_smoothing", 25, VECTOR, {RANGE, SCALAR, SCALAR}, 0, true},
    {"end", 26, SCALAR, {NONE}, 0, true},
    {"exp", 27, VECTOR, {VECTOR}, 0, false},
    {"first_over_time", 28, VECTOR, {RANGE}, 0, false},
    {"floor", 29, VECTOR, {VECTOR}, 0, false},
    {"histogram_avg", 30, VECTOR, {VECTOR}, 0, false},
    {"histogram_count", 31, VECTOR, {VECTOR}, 0, false},
    {"histogram_fraction", 32, VECTOR, {SCALAR, SCALAR, VECTOR}, 0, false},
    {"histogram_quantile", 33, VECTOR, {SCALAR, VECTOR}, 0, false},
    {"histogram_quantiles", 34, VECTOR, {VECTOR, STRING, SCALAR, SCALAR}, 9, true},
    {"histogram_stddev", 35, VECTOR, {VECTOR}, 0, false},
    {"histogram_stdvar", 36, VECTOR, {VECTOR}, 0, false},
    {"histogram_sum", 37, VECTOR, {VECTOR}, 0, false},
    {"hour", 38, VECTOR, {VECTOR}, 1, false},
    {"idelta", 39, VECTOR, {RANGE}, 0, false},
    {"increase", 40, VECTOR, {RANGE}, 0, false},
    {"info", 41, VECTOR, {VECTOR, VECTOR}, 1, true},
    {"irate", 42, VECTOR, {RANGE}, 0, false},
    {"label_join", 43, VECTOR, {VECTOR, STRING, STRING, STRING}, FUNCTION_ANY_NUMBER, false},
    {"label_replace", 44, VECTOR, {VECTOR, STRING, STRING, STRING, STRING}, 0, false},
    {"last_over_time", 45, VECTOR, {RANGE}, 0, false},
    {"ln", 46, VECTOR, {VECTOR}, 0, false},
    {"log10", 47, VECTOR, {VECTOR}, 0, false},
    {"log2", 48, VECTOR, {VECTOR}, 0, false},
    {"mad_over_time", 49, VECTOR, {RANGE}, 0, true},
    {"max_of", 50, SCALAR, {SCALAR, SCALAR}, 0, true},
    {"max_over_time", 51, VECTOR, {RANGE}, 0, false},
    {"min_of", 52, SCALAR, {SCALAR, SCALAR}, 0, true},
    {"min_over_time", 53, VECTOR, {RANGE}, 0, false},
    {"minute", 54, VECTOR, {VECTOR}, 1, false},
    {"month", 55, VECTOR, {VECTOR}, 1, false},
    {"pi", 56, SCALAR, {NONE}, 0, false},
    {"predict_linear", 57, VECTOR, {RANGE, SCALAR}, 0, false},
    {"present_over_time", 58, VECTOR, {RANGE}, 0, false},
    {"quantile_over_time", 59, VECTOR, {SCALAR, RANGE}, 0, false},
    {"rad", 60, VECTOR, {VECTOR}, 0, false},
    {"range", 61, SCALAR, {NONE}, 0, true},
    {"rate", 62, VECTOR, {RANGE}, 0, false},
    {"resets", 63, VECTOR, {RANGE}, 0, false},
    {"round", 64, VECTOR, {VECTOR, SCALAR}, 1, false},
    {"scalar", 65, SCALAR, {VECTOR}, 0, false},
    {"sgn", 66, VECTOR, {VECTOR}, 0, false},
    {"sin", 67, VECTOR, {VECTOR}, 0, false},
    {"sinh", 68, VECTOR, {VECTOR}, 0, false},
    {"sort", 69, VECTOR, {VECTOR}, 0, false},
    {"sort_by_label", 70, VECTOR, {VECTOR, STRING}, FUNCTION_ANY_NUMBER, true},
    {"sort_by_label_desc", 71, VECTOR, {VECTOR, STRING}, FUNCTION_ANY_NUMBER, true},
    {"sort_desc", 72, VECTOR, {VECTOR}, 0, false},
    {"sqrt", 73, VECTOR, {VECTOR}, 0, false},
    {"start", 74, SCALAR, {NONE}, 0, true},
    {"start_timestamp", 75, VECTOR, {VECTOR}, 0, true},
    {"stddev_over_time", 76, VECTOR, {RANGE}, 0, false},
    {"stdvar_over_time", 77, VECTOR, {RANGE}, 0, false},
    {"step", 78, SCALAR, {NONE}, 0, true},
    {"sum_over_time", 79, VECTOR, {RANGE}, 0, false},
    {"tan", 80, VECTOR, {VECTOR}, 0, false},
    {"tanh", 81, VECTOR, {VECTOR}, 0, false},
    {"time", 82, SCALAR, {NONE}, 0, false},
    {"timestamp", 83, VECTOR, {VECTOR}, 0, false},
    {"ts_of_first_over_time", 84, VECTOR, {RANGE}, 0, true},
    {"ts_of_last_over_time", 85, VECTOR, {RANGE}, 0, true},
    {"ts_of_max_over_time", 86, VECTOR, {RANGE}, 0, true},
    {"ts_of_min_over_time", 87, VECTOR, {RANGE}, 0, true},
    {"vector", 88, VECTOR, {SCALAR}, 0, false},
    {"year", 89, VECTOR, {VECTOR}, 1, false},
};

size_t function_table_count(void)
{
    return TIDE_COUNT(functions);
}

const struct function_row *function_table_at(size_t i)
{
    TIDE_ASSERT(i < TIDE_COUNT(functions));
    return &functions[i];
}

static bool is_named(const struct function_row *row, const char *name, size_t len)
{
    return strlen(row->name) == len && memcmp(row->name, name, len) == 0;
}

const struct function_row *function_table_find(const char *name, size_t len,
                                               const struct function_set *added)
{
    for (size_t i = 0; i < TIDE_COUNT(functions); i++) {
        if (is_named(&functions[i], name, len))
            return &functions[i];
    }
    for (size_t i = 0; added != NULL && i < added->count; i++) {
        if (is_named(&added->rows[i], name, len))
            return &added->rows[i];
    }
    return NULL;
}

const char *expr_type_text(enum expr_type type)
{
    switch (type) {
    case EXPR_TYPE_SCALAR:
        return "scalar";
    case EXPR_TYPE_STRING:
        return "string";
    case EXPR_TYPE_VECTOR:
        return "instant vector";
    case EXPR_TYPE_RANGE:
        return "range vector";
    case EXPR_TYPE_NONE:
        break;
    }
    return "none";
}
