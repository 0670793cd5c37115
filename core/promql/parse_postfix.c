/* parse_postfix.c - brackets, offset, @, anchored and smoothed (promql.md 4.2). */
#include <math.h>
#include <stdio.h>

#include "promql/parser.h"

/* --- brackets
 * -------------------------------------------------------------------------------------------- */

static struct expr *make_range(struct parser *parser, struct expr *selector, uint32_t bracket,
                               const struct query_duration *range)
{
    const char *problem = NULL;
    struct expr *expr;

    if (selector->kind != EXPR_SELECTOR)
        problem = "ranges only allowed for vector selectors";
    else if (selector->selector.shift.offset.ns != 0 ||
             selector->selector.shift.offset.expr != NULL)
        problem = "no offset modifiers allowed before range";
    else if (selector->selector.shift.at != AT_NONE)
        problem = "no @ modifiers allowed before range";
    if (problem != NULL) {
        parser_fail(parser, bracket, "%s", problem);
        return NULL;
    }
    expr = expr_new(parser->tree, EXPR_RANGE, selector->start, parser->last_end);
    expr->type = EXPR_TYPE_RANGE;
    expr->range.selector = selector;
    expr->range.range = *range;
    expr->range.extend = selector->selector.extend;
    selector->selector.extend = EXTEND_NONE;
    return parser_node(parser, expr);
}

/* Behind the colon. */
static struct expr *parse_subquery(struct parser *parser, struct expr *inner,
                                   const struct query_duration *range)
{
    static const struct duration_place place = {"subquery selector",
                                                "number, duration, step(), range(), or \"]\""};
    struct expr *expr = expr_new(parser->tree, EXPR_SUBQUERY, inner->start, 0);

    expr->type = EXPR_TYPE_RANGE;
    expr->subquery.inner = inner;
    expr->subquery.range = *range;
    if (parser_peek(parser) != TOKEN_RIGHT_BRACKET) {
        struct duration_expr *step = parse_duration(parser, &place, 1);

        if (step == NULL || duration_finish(parser, step, true, &expr->subquery.step) != 0)
            return NULL;
        expr->subquery.has_step = true;
    }
    if (parser_expect(parser, TOKEN_RIGHT_BRACKET, "subquery selector", "\"]\"") != 0)
        return NULL;
    expr->end = parser->last_end;
    return parser_node(parser, expr);
}

static struct expr *parse_bracket(struct parser *parser, struct expr *operand)
{
    static const struct duration_place place = {"subquery or range selector",
                                                "number, duration, step(), or range()"};
    uint32_t bracket = parser_take(parser).start;
    struct query_duration range;
    struct duration_expr *expr = parse_duration(parser, &place, 1);

    if (expr == NULL || duration_finish(parser, expr, true, &range) != 0)
        return NULL;
    if (parser_peek(parser) == TOKEN_COLON) {
        parser_take(parser);
        return parse_subquery(parser, operand, &range);
    }
    if (parser_expect(parser, TOKEN_RIGHT_BRACKET, "subquery or range", "\":\" or \"]\"") != 0)
        return NULL;
    return make_range(parser, operand, bracket, &range);
}

/* --- offset and @
 * ------------------------------------------------------------------------------------------ */

/* Where an operand keeps its offset and @; NULL with err when it can have none. */
static struct query_shift *shift_of(struct parser *parser, struct expr *operand, const char *what)
{
    switch (operand->kind) {
    case EXPR_SELECTOR:
        return &operand->selector.shift;
    case EXPR_RANGE:
        return &operand->range.shift;
    case EXPR_SUBQUERY:
        return &operand->subquery.shift;
    default:
        parser_fail(parser, operand->start,
                    "%s modifier must be preceded by an instant vector selector or range vector "
                    "selector or a subquery",
                    what);
        return NULL;
    }
}

static int parse_offset(struct parser *parser, struct expr *operand)
{
    struct duration_expr *expr;
    struct query_duration offset;
    struct query_shift *shift;

    parser_take(parser);
    expr = parse_offset_duration(parser);
    if (expr == NULL || duration_finish(parser, expr, false, &offset) != 0)
        return -1;
    shift = shift_of(parser, operand, "offset");
    if (shift == NULL)
        return -1;
    if (shift->offset.ns != 0 || shift->offset.expr != NULL)
        return parser_fail(parser, operand->start, "offset may not be set multiple times");
    if (parser->options->no_negative_offset && offset.ns < 0)
        return parser_fail(parser, operand->start, "negative offset is disabled");
    shift->offset = offset;
    operand->end = parser->last_end;
    return 0;
}

/* %f of Go: infinities have a sign, NaN has letters. */
static int fail_at_bounds(struct parser *parser, const struct expr *operand, double seconds)
{
    char text[400];

    if (isnan(seconds))
        snprintf(text, sizeof(text), "NaN");
    else if (isinf(seconds))
        snprintf(text, sizeof(text), seconds > 0 ? "+Inf" : "-Inf");
    else
        snprintf(text, sizeof(text), "%f", seconds);
    return parser_fail(parser, operand->start, "timestamp out of bounds for @ modifier: %s", text);
}

/* A signed number behind @, in seconds. */
static int parse_at_time(struct parser *parser, const struct expr *operand, int64_t *at_ms)
{
    enum token_kind kind = parser_peek(parser);
    bool negative = kind == TOKEN_SUB;
    struct token token;
    double seconds;

    if (kind == TOKEN_ADD || kind == TOKEN_SUB) {
        parser_take(parser);
        kind = parser_peek(parser);
    }
    if (kind != TOKEN_NUMBER && kind != TOKEN_DURATION)
        return parser_fail_token(parser, "@", "timestamp");
    token = parser_take(parser);
    if (parser_number(parser, &token, &seconds) != 0)
        return -1;
    if (negative)
        seconds = -seconds;
    if (!(fabs(seconds) < 9223372036854775808.0))
        return fail_at_bounds(parser, operand, seconds);
    seconds = round(seconds * 1000);
    *at_ms = fabs(seconds) < 9223372036854775808.0 ? (int64_t)seconds : INT64_MIN;
    return 0;
}

static int parse_at(struct parser *parser, struct expr *operand)
{
    enum at_kind at = AT_TIME;
    int64_t at_ms = 0;
    struct query_shift *shift;
    enum token_kind kind;

    parser_take(parser);
    kind = parser_peek(parser);
    if (kind == TOKEN_START || kind == TOKEN_STOP) {
        at = kind == TOKEN_START ? AT_START : AT_END;
        parser_take(parser);
        if (parser_expect(parser, TOKEN_LEFT_PAREN, "@", "timestamp") != 0 ||
            parser_expect(parser, TOKEN_RIGHT_PAREN, "@", "timestamp") != 0)
            return -1;
    } else if (parse_at_time(parser, operand, &at_ms) != 0) {
        return -1;
    }
    shift = shift_of(parser, operand, "@");
    if (shift == NULL)
        return -1;
    if (parser->options->no_at)
        return parser_fail(parser, operand->start, "@ modifier is disabled");
    if (shift->at != AT_NONE)
        return parser_fail(parser, operand->start, "@ <timestamp> may not be set multiple times");
    shift->at = at;
    shift->at_ms = at_ms;
    operand->end = parser->last_end;
    return 0;
}

/* --- anchored and smoothed
 * ----------------------------------------------------------------------------------- */

static int parse_extend(struct parser *parser, struct expr *operand)
{
    struct token word = parser_take(parser);
    bool anchored = word.kind == TOKEN_ANCHORED;
    const char *name = anchored ? "anchored" : "smoothed";
    enum extend_kind extend = anchored ? EXTEND_ANCHORED : EXTEND_SMOOTHED, *place;

    if (parser->options->no_extended_ranges)
        return parser_fail(parser, operand->start, "%s modifier is experimental and not enabled",
                           name);
    switch (operand->kind) {
    case EXPR_SELECTOR:
        place = &operand->selector.extend;
        break;
    case EXPR_RANGE:
        place = &operand->range.extend;
        break;
    case EXPR_SUBQUERY:
        return parser_fail(parser, operand->start, "%s modifier is not supported for subqueries",
                           name);
    default:
        return parser_fail(parser, operand->start, "%s modifier not implemented", name);
    }
    if (*place != EXTEND_NONE && *place != extend)
        return parser_fail(parser, operand->start,
                           "anchored and smoothed modifiers cannot be used together");
    *place = extend;
    operand->end = parser->last_end;
    return 0;
}

struct expr *parse_postfix(struct parser *parser, struct expr *operand)
{
    for (;;) {
        int result;

        switch (parser_peek(parser)) {
        case TOKEN_ERROR:
            return NULL;
        case TOKEN_LEFT_BRACKET:
            operand = parse_bracket(parser, operand);
            result = operand != NULL ? 0 : -1;
            break;
        case TOKEN_OFFSET:
            result = parse_offset(parser, operand);
            break;
        case TOKEN_AT:
            result = parse_at(parser, operand);
            break;
        case TOKEN_ANCHORED:
        case TOKEN_SMOOTHED:
            result = parse_extend(parser, operand);
            break;
        default:
            return operand;
        }
        if (result != 0)
            return NULL;
    }
}
