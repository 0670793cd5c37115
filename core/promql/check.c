/* check.c - do types and counts fit? The order of the checks is upstream's (promql.md 6). */
#include "promql/parser.h"

static int check(struct parser *parser, struct expr *expr);

static int expect_type(struct parser *parser, struct expr *expr, enum expr_type type,
                       const char *context)
{
    if (check(parser, expr) != 0)
        return -1;
    if (expr->type == type)
        return 0;
    return parser_fail(parser, expr->start, "expected type %s in %s, got %s", expr_type_text(type),
                       context, expr_type_text(expr->type));
}

static int check_aggregate(struct parser *parser, struct expr *expr)
{
    struct expr_aggregate *aggregate = &expr->aggregate;
    bool text = aggregate->op == AGGREGATE_COUNT_VALUES;

    if (expect_type(parser, aggregate->inner, EXPR_TYPE_VECTOR, "aggregation expression") != 0)
        return -1;
    if (aggregate->param == NULL)
        return 0;
    return expect_type(parser, aggregate->param, text ? EXPR_TYPE_STRING : EXPR_TYPE_SCALAR,
                       "aggregation parameter");
}

/* --- binary operators
 * ----------------------------------------------------------------------------------- */

static int fail_on_and_group(struct parser *parser, const struct expr_binary *binary,
                             const struct query_text *label)
{
    struct buf quoted = {0};

    literal_print_string(label->bytes, label->len, &quoted);
    parser_fail(parser, binary->op_start,
                "label %.*s must not occur in ON and GROUP clause at once", (int)quoted.len,
                (const char *)quoted.data);
    buf_destroy(&quoted);
    return -1;
}

static int check_on_and_group(struct parser *parser, const struct expr_binary *binary)
{
    for (size_t i = 0; binary->on && i < binary->labels.count; i++) {
        const struct query_text *label = &binary->labels.items[i];

        for (size_t k = 0; k < binary->include.count; k++) {
            const struct query_text *other = &binary->include.items[k];

            if (label->len == other->len && memcmp(label->bytes, other->bytes, label->len) == 0)
                return fail_on_and_group(parser, binary, label);
        }
    }
    return 0;
}

static bool is_operand_type(enum expr_type type)
{
    return type == EXPR_TYPE_SCALAR || type == EXPR_TYPE_VECTOR;
}

/* One side at least is a scalar: matching makes no sense, and empty matching is dropped. */
static int check_without_matching(struct parser *parser, struct expr *expr)
{
    struct expr_binary *binary = &expr->binary;

    if (binary->labels.count != 0)
        return parser_fail(parser, expr->start,
                           "vector matching only allowed between instant vectors");
    if (binary->fills_left || binary->fills_right)
        return parser_fail(parser, expr->start,
                           "filling in missing series only allowed between instant vectors");
    binary->has_matching = binary->on = false;
    binary->group = MATCH_ONE_TO_ONE;
    binary->include = (struct query_texts){0};
    if (binary_op_is_set(binary->op))
        return parser_fail(parser, expr->start,
                           "set operator \"%s\" not allowed in binary scalar expression",
                           binary_op_text(binary->op));
    return 0;
}

static int check_set_operator(struct parser *parser, const struct expr *expr)
{
    const struct expr_binary *binary = &expr->binary;

    if (binary->group != MATCH_ONE_TO_ONE)
        return parser_fail(parser, expr->start, "no grouping allowed for \"%s\" operation",
                           binary_op_text(binary->op));
    if (binary->fills_left || binary->fills_right)
        return parser_fail(parser, expr->start,
                           "filling in missing series not allowed for set operators");
    return 0;
}

static int check_binary(struct parser *parser, struct expr *expr)
{
    struct expr_binary *binary = &expr->binary;
    const struct expr *left = binary->left, *right = binary->right;
    bool compares = binary_op_is_comparison(binary->op);
    bool scalars = left->type == EXPR_TYPE_SCALAR && right->type == EXPR_TYPE_SCALAR;

    if (check(parser, binary->left) != 0 || check(parser, binary->right) != 0)
        return -1;
    if (binary->returns_bool && !compares)
        return parser_fail(parser, binary->op_start,
                           "bool modifier can only be used on comparison operators");
    if (compares && scalars && !binary->returns_bool)
        return parser_fail(parser, binary->op_start,
                           "comparisons between scalars must use BOOL modifier");
    if (check_on_and_group(parser, binary) != 0)
        return -1;
    if (!is_operand_type(left->type) || !is_operand_type(right->type))
        return parser_fail(parser, is_operand_type(left->type) ? right->start : left->start,
                           "binary expression must contain only scalar and instant vector types");
    if (left->type != EXPR_TYPE_VECTOR || right->type != EXPR_TYPE_VECTOR)
        return check_without_matching(parser, expr);
    binary->has_matching = true;
    return binary_op_is_set(binary->op) ? check_set_operator(parser, expr) : 0;
}

/* --- calls
 * ------------------------------------------------------------------------------------------------
 */

static size_t declared_args(const struct function_row *function)
{
    size_t count = 0;

    while (count < FUNCTION_MAX_ARGS && function->args[count] != EXPR_TYPE_NONE)
        count++;
    return count;
}

static int check_arg_count(struct parser *parser, const struct expr *expr)
{
    const struct function_row *function = expr->call.function;
    size_t wanted = declared_args(function), got = expr->call.arg_count;

    if (function->variadic == 0) {
        if (got != wanted)
            return parser_fail(parser, expr->start,
                               "expected %zu argument(s) in call to \"%s\", got %zu", wanted,
                               function->name, got);
        return 0;
    }
    if (got < wanted - 1)
        return parser_fail(parser, expr->start,
                           "expected at least %zu argument(s) in call to \"%s\", got %zu",
                           wanted - 1, function->name, got);
    if (function->variadic > 0 && got > wanted - 1 + (size_t)function->variadic)
        return parser_fail(parser, expr->start,
                           "expected at most %zu argument(s) in call to \"%s\", got %zu",
                           wanted - 1 + (size_t)function->variadic, function->name, got);
    return 0;
}

/* The second argument of info() is only matchers, which may all accept "". */
static int check_info(struct parser *parser, const struct expr *expr)
{
    const struct expr *arg = expr->call.args[1];

    if (arg->type != EXPR_TYPE_VECTOR)
        return parser_fail(parser, expr->start,
                           "expected type instant vector in call to function \"info\", got %s",
                           expr_type_text(arg->type));
    if (arg->kind != EXPR_SELECTOR)
        return parser_fail(parser, arg->start, "expected label selectors only");
    if (arg->selector.name.bytes != NULL)
        return parser_fail(parser, arg->start,
                           "expected label selectors only, got vector selector instead");
    return 0;
}

static int check_call(struct parser *parser, struct expr *expr)
{
    const struct function_row *function = expr->call.function;
    size_t declared = declared_args(function), checked = expr->call.arg_count;

    if (check_arg_count(parser, expr) != 0)
        return -1;
    if (strcmp(function->name, "info") == 0 && checked > 1) {
        if (check_info(parser, expr) != 0)
            return -1;
        checked = 1;
    }
    for (size_t i = 0; i < checked; i++) {
        enum expr_type type = function->args[TIDE_MIN(i, declared - 1)];

        if (check(parser, expr->call.args[i]) != 0)
            return -1;
        if (expr->call.args[i]->type == type)
            continue;
        return parser_fail(parser, expr->call.args[i]->start,
                           "expected type %s in call to function \"%s\", got %s",
                           expr_type_text(type), function->name,
                           expr_type_text(expr->call.args[i]->type));
    }
    return 0;
}

/* --- the rest
 * -----------------------------------------------------------------------------------------------
 */

static int fail_two_names(struct parser *parser, const struct expr *expr,
                          const struct matcher *matcher)
{
    const struct query_text *name = &expr->selector.name;
    struct buf text = {0};

    literal_print_string(name->bytes, name->len, &text);
    buf_puts(&text, " or ");
    literal_print_string(matcher->value, matcher->value_len, &text);
    parser_fail(parser, expr->start, "metric name must not be set twice: %.*s", (int)text.len,
                (const char *)text.data);
    buf_destroy(&text);
    return -1;
}

static int check_selector(struct parser *parser, const struct expr *expr)
{
    const struct expr_selector *selector = &expr->selector;
    size_t inside = selector->matcher_count - (selector->name.bytes != NULL ? 1 : 0);
    bool selects = selector->name.bytes != NULL;

    for (size_t i = 0; i < inside; i++) {
        const struct matcher *matcher = &selector->matchers[i];

        if (selector->name.bytes != NULL && strcmp(matcher->name, LABEL_METRIC_NAME) == 0)
            return fail_two_names(parser, expr, matcher);
        selects = selects || !matcher->matches_empty;
    }
    if (selects)
        return 0;
    return parser_fail(parser, expr->start,
                       "vector selector must contain at least one non-empty matcher");
}

static int check_unary(struct parser *parser, struct expr *expr)
{
    struct expr *inner = expr->unary.inner;

    if (check(parser, inner) != 0)
        return -1;
    if (is_operand_type(inner->type))
        return 0;
    return parser_fail(parser, expr->start,
                       "unary expression only allowed on expressions of type scalar or instant "
                       "vector, got \"%s\"",
                       expr_type_text(inner->type));
}

static int check_subquery(struct parser *parser, struct expr *expr)
{
    struct expr *inner = expr->subquery.inner;

    if (check(parser, inner) != 0)
        return -1;
    if (inner->type == EXPR_TYPE_VECTOR)
        return 0;
    return parser_fail(parser, expr->start,
                       "subquery is only allowed on instant vector, got %s instead",
                       inner->type == EXPR_TYPE_RANGE ? "matrix" : expr_type_text(inner->type));
}

static int check(struct parser *parser, struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
    case EXPR_STRING:
        return 0;
    case EXPR_SELECTOR:
        return check_selector(parser, expr);
    case EXPR_RANGE:
        return check(parser, expr->range.selector);
    case EXPR_SUBQUERY:
        return check_subquery(parser, expr);
    case EXPR_CALL:
        return check_call(parser, expr);
    case EXPR_AGGREGATE:
        return check_aggregate(parser, expr);
    case EXPR_BINARY:
        return check_binary(parser, expr);
    case EXPR_UNARY:
        return check_unary(parser, expr);
    case EXPR_PAREN:
        return check(parser, expr->paren.inner);
    }
    return 0;
}

int parser_check(struct parser *parser, struct expr *root)
{
    return check(parser, root);
}
