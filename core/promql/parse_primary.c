/* parse_primary.c - operands: parentheses, literals, aggregations, calls (promql.md 4.2). */
#include "base/utf8.h"
#include "model/labels.h"
#include "promql/parser.h"

/* --- label lists
 * --------------------------------------------------------------------------------------- */

/* A word that may be a label: every keyword but the numbers inf and nan. */
static bool is_label_word(enum token_kind kind)
{
    switch (kind) {
    case TOKEN_IDENTIFIER:
    case TOKEN_METRIC_IDENTIFIER:
    case TOKEN_ATAN2:
    case TOKEN_AND:
    case TOKEN_OR:
    case TOKEN_UNLESS:
        return true;
    default:
        return token_is_aggregator(kind) || token_is_keyword(kind) || kind >= TOKEN_START;
    }
}

static int parse_label(struct parser *parser, struct query_text *label)
{
    enum token_kind kind = parser_peek(parser);
    struct token token;
    struct buf quoted = {0};

    if (!is_label_word(kind) && kind != TOKEN_STRING)
        return parser_fail_token(parser, "grouping opts", "label");
    token = parser_take(parser);
    *label = parser_token_text(parser, &token);
    if (label->len != 0 && utf8_valid(label->bytes, label->len))
        return 0;
    labels_quote(&quoted, label->bytes, label->len);
    parser_fail(parser, token.start, "invalid label name for grouping: %.*s", (int)quoted.len,
                (const char *)quoted.data);
    buf_destroy(&quoted);
    return -1;
}

static void add_text(struct parser *parser, struct query_texts *texts, size_t *cap,
                     struct query_text text)
{
    struct query_text *items = (struct query_text *)texts->items;

    if (texts->count == *cap) {
        *cap = *cap == 0 ? 4 : *cap * 2;
        items = arena_alloc(&parser->tree->arena, *cap * sizeof(*items));
        if (texts->count != 0)
            memcpy(items, texts->items, texts->count * sizeof(*items));
        texts->items = items;
    }
    items[texts->count++] = text;
}

int parse_label_list(struct parser *parser, struct query_texts *labels)
{
    size_t cap = 0;

    if (parser_expect(parser, TOKEN_LEFT_PAREN, "grouping opts", "\"(\"") != 0)
        return -1;
    while (parser_peek(parser) != TOKEN_RIGHT_PAREN) {
        struct query_text label = {0};

        if (parse_label(parser, &label) != 0)
            return -1;
        add_text(parser, labels, &cap, label);
        if (parser_peek(parser) == TOKEN_RIGHT_PAREN)
            break;
        if (parser_expect(parser, TOKEN_COMMA, "grouping opts", "\",\" or \")\"") != 0)
            return -1;
    }
    parser_take(parser);
    return 0;
}

/* --- arguments
 * ------------------------------------------------------------------------------------------ */

static int parse_args(struct parser *parser, struct expr_list *args)
{
    if (parser_expect(parser, TOKEN_LEFT_PAREN, NULL, NULL) != 0)
        return -1;
    if (parser_peek(parser) == TOKEN_RIGHT_PAREN) {
        parser_take(parser);
        return 0;
    }
    for (;;) {
        struct expr *arg = parse_expr(parser, 1);
        struct token comma;

        if (arg == NULL)
            return -1;
        parser_list_add(parser, args, arg);
        if (parser_peek(parser) == TOKEN_RIGHT_PAREN)
            break;
        if (parser_peek(parser) != TOKEN_COMMA)
            return parser_fail_token(parser, NULL, NULL);
        comma = parser_take(parser);
        if (parser_peek(parser) == TOKEN_RIGHT_PAREN)
            return parser_fail(parser, comma.start,
                               "trailing commas not allowed in function call args");
    }
    parser_take(parser);
    return 0;
}

/* --- aggregations
 * ----------------------------------------------------------------------------------------- */

static int parse_grouping(struct parser *parser, struct expr_aggregate *aggregate, bool *found)
{
    enum token_kind kind = parser_peek(parser);

    *found = kind == TOKEN_BY || kind == TOKEN_WITHOUT;
    if (!*found)
        return kind == TOKEN_ERROR ? -1 : 0;
    parser_take(parser);
    aggregate->without = kind == TOKEN_WITHOUT;
    return parse_label_list(parser, &aggregate->grouping);
}

static struct expr *finish_aggregate(struct parser *parser, struct expr *expr,
                                     const struct expr_list *args)
{
    struct expr_aggregate *aggregate = &expr->aggregate;
    enum aggregate_op op = aggregate->op;
    size_t wanted = aggregate_op_has_param(op) ? 2 : 1;

    expr->end = parser->last_end;
    expr->type = EXPR_TYPE_VECTOR;
    if (args->count == 0) {
        parser_fail(parser, expr->start, "no arguments for aggregate expression provided");
        return NULL;
    }
    if (parser->options->no_experimental_functions &&
        (op == AGGREGATE_LIMITK || op == AGGREGATE_LIMIT_RATIO)) {
        parser_fail(parser, expr->start,
                    "%s() is experimental and must be enabled with "
                    "--enable-feature=promql-experimental-functions",
                    aggregate_op_text(op));
        return NULL;
    }
    if (args->count != wanted) {
        parser_fail(parser, expr->start,
                    "wrong number of arguments for aggregate expression provided, "
                    "expected %zu, got %zu",
                    wanted, args->count);
        return NULL;
    }
    aggregate->param = wanted == 2 ? args->items[0] : NULL;
    aggregate->inner = args->items[wanted - 1];
    return parser_node(parser, expr);
}

/* Behind the aggregator's word stand by, without or a parenthesis. */
static struct expr *parse_aggregate(struct parser *parser, const struct token *word)
{
    struct expr *expr = expr_new(parser->tree, EXPR_AGGREGATE, word->start, word->end);
    struct expr_list args = {0};
    bool grouped;

    expr->aggregate.op = (enum aggregate_op)(word->kind - TOKEN_SUM);
    parser->aggregates++;
    if (parse_grouping(parser, &expr->aggregate, &grouped) != 0 || parse_args(parser, &args) != 0)
        return NULL;
    if (!grouped && parse_grouping(parser, &expr->aggregate, &grouped) != 0)
        return NULL;
    parser->aggregates--;
    return finish_aggregate(parser, expr, &args);
}

/* --- calls
 * --------------------------------------------------------------------------------------------------
 */

static struct expr *parse_call(struct parser *parser, const struct token *name)
{
    const char *text = parser->tree->text.bytes + name->start;
    size_t len = name->end - name->start;
    struct expr *expr = expr_new(parser->tree, EXPR_CALL, name->start, name->end);
    struct expr_list args = {0};
    const struct function_row *function;

    if (parse_args(parser, &args) != 0)
        return NULL;
    function = function_table_find(text, len, parser->options->functions);
    if (function == NULL) {
        parser_fail(parser, name->start, "unknown function with name \"%.*s\"", (int)len, text);
        return NULL;
    }
    if (function->experimental && parser->options->no_experimental_functions) {
        parser_fail(parser, name->start, "function \"%.*s\" is not enabled", (int)len, text);
        return NULL;
    }
    expr->call.function = function;
    expr->call.args = args.items;
    expr->call.arg_count = args.count;
    expr->type = function->returns;
    expr->end = parser->last_end;
    return parser_node(parser, expr);
}

/* --- operands
 * ------------------------------------------------------------------------------------------------
 */

static struct expr *parse_paren(struct parser *parser)
{
    struct token open = parser_take(parser);
    struct expr *expr, *inner = parse_expr(parser, 1);

    if (inner == NULL || parser_expect(parser, TOKEN_RIGHT_PAREN, NULL, NULL) != 0)
        return NULL;
    expr = expr_new(parser->tree, EXPR_PAREN, open.start, parser->last_end);
    expr->paren.inner = inner;
    expr->type = inner->type;
    return parser_node(parser, expr);
}

static struct expr *parse_literal(struct parser *parser)
{
    struct token token = parser_take(parser);
    struct expr *expr;

    if (token.kind == TOKEN_STRING) {
        expr = expr_new(parser->tree, EXPR_STRING, token.start, token.end);
        expr->string = parser_token_text(parser, &token);
        expr->type = EXPR_TYPE_STRING;
        return expr;
    }
    expr = expr_new(parser->tree, EXPR_NUMBER, token.start, token.end);
    expr->number.as_duration = token.kind == TOKEN_DURATION;
    expr->type = EXPR_TYPE_SCALAR;
    return parser_number(parser, &token, &expr->number.value) == 0 ? expr : NULL;
}

/* Words that are selectors when nothing else makes sense (promql.md 3.4). */
static bool is_metric_word(enum token_kind kind)
{
    switch (kind) {
    case TOKEN_IDENTIFIER:
    case TOKEN_METRIC_IDENTIFIER:
    case TOKEN_AND:
    case TOKEN_OR:
    case TOKEN_UNLESS:
    case TOKEN_BY:
    case TOKEN_WITHOUT:
    case TOKEN_OFFSET:
    case TOKEN_FILL:
    case TOKEN_FILL_LEFT:
    case TOKEN_FILL_RIGHT:
    case TOKEN_ANCHORED:
    case TOKEN_SMOOTHED:
        return true;
    default:
        return token_is_aggregator(kind) || kind >= TOKEN_START;
    }
}

static struct expr *parse_word(struct parser *parser)
{
    struct token word = parser_take(parser);
    enum token_kind next = parser_peek(parser);
    bool callable = word.kind == TOKEN_IDENTIFIER || word.kind >= TOKEN_START;

    if (next == TOKEN_ERROR)
        return NULL;
    if (token_is_aggregator(word.kind) &&
        (next == TOKEN_LEFT_PAREN || next == TOKEN_BY || next == TOKEN_WITHOUT))
        return parse_aggregate(parser, &word);
    if (callable && next == TOKEN_LEFT_PAREN)
        return parse_call(parser, &word);
    return parse_selector(parser, &word);
}

static struct expr *parse_operand_of(struct parser *parser, enum token_kind kind)
{
    switch (kind) {
    case TOKEN_LEFT_PAREN:
        return parse_paren(parser);
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
        return parse_literal(parser);
    case TOKEN_LEFT_BRACE:
        return parse_selector(parser, NULL);
    default:
        if (is_metric_word(kind))
            return parse_word(parser);
        parser_fail_token(parser, NULL, NULL);
        return NULL;
    }
}

struct expr *parse_primary(struct parser *parser)
{
    enum token_kind kind = parser_peek(parser);
    struct expr *expr;

    if (kind == TOKEN_ERROR || parser_enter(parser) != 0)
        return NULL;
    expr = parse_operand_of(parser, kind);
    parser_leave(parser);
    return expr;
}
