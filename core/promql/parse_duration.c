/* parse_duration.c - durations in brackets and behind offset (promql.md 4.3, 4.4). */
#include <math.h>

#include "promql/parser.h"

enum { LEVEL_SUM = 1, LEVEL_PRODUCT, LEVEL_POWER };

static const struct duration_place offset_place = {"offset",
                                                   "number, duration, step(), or range()"};

static struct duration_expr *duration_new(struct parser *parser, enum duration_kind kind,
                                          uint32_t start)
{
    struct duration_expr *expr = arena_alloc(&parser->tree->arena, sizeof(*expr));

    *expr =
        (struct duration_expr){.kind = kind, .start = start, .end = parser->last_end, .depth = 1};
    return expr;
}

/* Sets the operands; NULL when that makes the expression too high. */
static struct duration_expr *with_operands(struct parser *parser, struct duration_expr *expr,
                                           struct duration_expr *left, struct duration_expr *right)
{
    expr->left = left;
    expr->right = right;
    expr->end = parser->last_end;
    if (left != NULL)
        expr->depth = TIDE_MAX(expr->depth, left->depth + 1);
    if (right != NULL)
        expr->depth = TIDE_MAX(expr->depth, right->depth + 1);
    if (expr->depth <= QUERY_MAX_DEPTH)
        return expr;
    parser_fail(parser, expr->start, "expression is nested deeper than %d levels", QUERY_MAX_DEPTH);
    return NULL;
}

/* What only the experimental form of durations has. */
static int check_enabled(struct parser *parser, uint32_t at)
{
    if (!parser->options->no_duration_expressions)
        return 0;
    return parser_fail(parser, at, "experimental duration expression is not enabled");
}

static int check_literal(struct parser *parser, const struct duration_expr *expr, uint32_t at)
{
    int64_t ns;

    if (literal_seconds_to_ns(expr->seconds, &ns))
        return 0;
    return parser_fail(parser, at, "duration out of range");
}

static struct duration_expr *parse_literal(struct parser *parser)
{
    struct token token = parser_take(parser);
    struct duration_expr *expr = duration_new(parser, DURATION_NUMBER, token.start);

    expr->as_duration = token.kind == TOKEN_DURATION;
    return parser_number(parser, &token, &expr->seconds) == 0 ? expr : NULL;
}

static int expect(struct parser *parser, enum token_kind kind, const struct duration_place *place)
{
    return parser_expect(parser, kind, place->context, place->expected);
}

/* step(), range(), min_of(a, b), max_of(a, b); the word is next. */
static struct duration_expr *parse_call(struct parser *parser, const struct duration_place *place)
{
    struct token word = parser_take(parser);
    bool has_args = word.kind == TOKEN_MIN_OF || word.kind == TOKEN_MAX_OF;
    enum duration_kind kind = word.kind == TOKEN_STEP     ? DURATION_STEP
                              : word.kind == TOKEN_RANGE  ? DURATION_RANGE
                              : word.kind == TOKEN_MIN_OF ? DURATION_MIN_OF
                                                          : DURATION_MAX_OF;
    struct duration_expr *left = NULL, *right = NULL;

    if (expect(parser, TOKEN_LEFT_PAREN, place) != 0)
        return NULL;
    if (has_args) {
        left = parse_duration(parser, place, LEVEL_SUM);
        if (left == NULL || expect(parser, TOKEN_COMMA, place) != 0)
            return NULL;
        right = parse_duration(parser, place, LEVEL_SUM);
        if (right == NULL)
            return NULL;
    }
    if (expect(parser, TOKEN_RIGHT_PAREN, place) != 0 || check_enabled(parser, word.start) != 0)
        return NULL;
    return with_operands(parser, duration_new(parser, kind, word.start), left, right);
}

/* Parentheses around parentheses are one pair. */
static struct duration_expr *parse_paren(struct parser *parser, const struct duration_place *place)
{
    struct token open = parser_take(parser);
    struct duration_expr *inner = parse_duration(parser, place, LEVEL_SUM);

    if (inner == NULL || expect(parser, TOKEN_RIGHT_PAREN, place) != 0 ||
        check_enabled(parser, inner->start) != 0)
        return NULL;
    if (inner->kind == DURATION_PAREN)
        return inner;
    return with_operands(parser, duration_new(parser, DURATION_PAREN, open.start), inner, NULL);
}

/* A sign in front of something: part of a literal, a node for minus, nothing for plus. */
static struct duration_expr *apply_sign(struct parser *parser, const struct token *sign,
                                        struct duration_expr *expr)
{
    if (expr->kind == DURATION_NUMBER) {
        if (sign->kind == TOKEN_SUB)
            expr->seconds = -expr->seconds;
        expr->start = sign->start;
        return expr;
    }
    if (sign->kind == TOKEN_ADD)
        return expr;
    return with_operands(parser, duration_new(parser, DURATION_NEGATE, sign->start), expr, NULL);
}

static struct duration_expr *parse_operand(struct parser *parser,
                                           const struct duration_place *place)
{
    struct duration_expr *expr;
    struct token sign;

    switch (parser_peek(parser)) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        expr = parse_literal(parser);
        return expr != NULL && check_literal(parser, expr, expr->start) == 0 ? expr : NULL;
    case TOKEN_STEP:
    case TOKEN_RANGE:
    case TOKEN_MIN_OF:
    case TOKEN_MAX_OF:
        return parse_call(parser, place);
    case TOKEN_LEFT_PAREN:
        return parse_paren(parser, place);
    case TOKEN_ADD:
    case TOKEN_SUB:
        sign = parser_take(parser);
        expr = parse_duration(parser, place, LEVEL_POWER);
        return expr != NULL ? apply_sign(parser, &sign, expr) : NULL;
    default:
        parser_fail_token(parser, place->context, place->expected);
        return NULL;
    }
}

/* 0 for what is no operator of durations. */
static int operator_level(enum token_kind kind, enum duration_kind *operation)
{
    switch (kind) {
    case TOKEN_ADD:
        *operation = DURATION_ADD;
        return LEVEL_SUM;
    case TOKEN_SUB:
        *operation = DURATION_SUB;
        return LEVEL_SUM;
    case TOKEN_MUL:
        *operation = DURATION_MUL;
        return LEVEL_PRODUCT;
    case TOKEN_DIV:
        *operation = DURATION_DIV;
        return LEVEL_PRODUCT;
    case TOKEN_MOD:
        *operation = DURATION_MOD;
        return LEVEL_PRODUCT;
    case TOKEN_POW:
        *operation = DURATION_POW;
        return LEVEL_POWER;
    default:
        return 0;
    }
}

static struct duration_expr *parse_operation(struct parser *parser,
                                             const struct duration_place *place,
                                             struct duration_expr *left, enum duration_kind kind,
                                             int level)
{
    struct token operator_token = parser_take(parser);
    struct duration_expr *right =
        parse_duration(parser, place, level == LEVEL_POWER ? level : level + 1);
    bool by_zero;

    if (right == NULL || check_enabled(parser, left->start) != 0)
        return NULL;
    by_zero = right->kind == DURATION_NUMBER && right->seconds == 0;
    if (by_zero && (kind == DURATION_DIV || kind == DURATION_MOD)) {
        parser_fail(parser, operator_token.start,
                    kind == DURATION_DIV ? "division by zero" : "modulo by zero");
        return NULL;
    }
    return with_operands(parser, duration_new(parser, kind, left->start), left, right);
}

struct duration_expr *parse_duration(struct parser *parser, const struct duration_place *place,
                                     int level)
{
    struct duration_expr *left;

    if (parser_peek(parser) == TOKEN_ERROR || parser_enter(parser) != 0)
        return NULL;
    left = parse_operand(parser, place);
    while (left != NULL) {
        enum duration_kind kind;
        int its_level = operator_level(parser_peek(parser), &kind);

        if (parser_peek(parser) == TOKEN_ERROR)
            return NULL;
        if (its_level == 0 || its_level < level)
            break;
        left = parse_operation(parser, place, left, kind, its_level);
    }
    parser_leave(parser);
    return left;
}

/* Behind a sign only one operand belongs to the offset. */
static struct duration_expr *parse_signed_offset(struct parser *parser)
{
    struct token sign = parser_take(parser);
    struct duration_expr *expr;

    switch (parser_peek(parser)) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        expr = parse_literal(parser);
        if (expr != NULL && check_literal(parser, expr, sign.start) != 0)
            return NULL;
        break;
    case TOKEN_LEFT_PAREN:
        expr = parse_paren(parser, &offset_place);
        break;
    case TOKEN_STEP:
    case TOKEN_RANGE:
    case TOKEN_MIN_OF:
    case TOKEN_MAX_OF:
        expr = parse_call(parser, &offset_place);
        break;
    default:
        parser_fail_token(parser, offset_place.context, offset_place.expected);
        return NULL;
    }
    return expr != NULL ? apply_sign(parser, &sign, expr) : NULL;
}

struct duration_expr *parse_offset_duration(struct parser *parser)
{
    switch (parser_peek(parser)) {
    case TOKEN_ADD:
    case TOKEN_SUB:
        return parse_signed_offset(parser);
    case TOKEN_LEFT_PAREN: /* then operators go on with the duration */
        return parse_duration(parser, &offset_place, LEVEL_SUM);
    default:
        return parse_operand(parser, &offset_place);
    }
}

int duration_finish(struct parser *parser, struct duration_expr *expr, bool positive,
                    struct query_duration *duration)
{
    *duration = (struct query_duration){0};
    if (expr->kind != DURATION_NUMBER) {
        duration->expr = expr;
        return 0;
    }
    if (positive && !(expr->seconds > 0))
        return parser_fail(parser, expr->start, "duration must be greater than 0");
    if (!literal_seconds_to_ns(expr->seconds, &duration->ns))
        return parser_fail(parser, expr->start, "duration out of range");
    return 0;
}
