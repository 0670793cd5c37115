/* parse_selector.c - a metric name and matchers in braces (promql.md 4.2). */
#include "promql/parser.h"

static int add_matcher(struct parser *parser, struct matcher_block *block, enum matcher_type type,
                       struct query_text name, struct query_text value, uint32_t at)
{
    struct matcher *matcher = matcher_block_room(parser->tree, block);

    if (matcher_init(matcher, type, name.bytes, name.len, value.bytes, value.len, parser->cache,
                     parser->err) != 0)
        return parser_fail_at(parser, at);
    block->count++;
    if (matcher->regex != NULL)
        parser->regex_cost += regex_cost(matcher->regex);
    if (parser->regex_cost > PARSER_MAX_REGEX_COST)
        return parser_fail(parser, at,
                           "the regular expressions of the query are too large together");
    return 0;
}

/* The matcher that a metric name stands for. */
static int add_name(struct parser *parser, struct matcher_block *block, struct query_text name,
                    uint32_t at)
{
    struct query_text label = {LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME)};

    return add_matcher(parser, block, MATCH_EQUAL, label, name, at);
}

static bool match_type(enum token_kind kind, enum matcher_type *type)
{
    switch (kind) {
    case TOKEN_EQL:
        *type = MATCH_EQUAL;
        return true;
    case TOKEN_NEQ:
        *type = MATCH_NOT_EQUAL;
        return true;
    case TOKEN_EQL_REGEX:
        *type = MATCH_REGEX;
        return true;
    case TOKEN_NEQ_REGEX:
        *type = MATCH_NOT_REGEX;
        return true;
    default:
        return false;
    }
}

static int parse_matcher(struct parser *parser, struct matcher_block *block)
{
    static const char context[] = "label matching";
    enum token_kind kind = parser_peek(parser);
    enum matcher_type type;
    struct token name_token, value_token;
    struct query_text name;

    if (kind != TOKEN_IDENTIFIER && kind != TOKEN_STRING)
        return parser_fail_token(parser, context, "identifier or \"}\"");
    name_token = parser_take(parser);
    name = parser_token_text(parser, &name_token);
    if (!match_type(parser_peek(parser), &type)) {
        if (kind == TOKEN_IDENTIFIER)
            return parser_fail_token(parser, context, "label matching operator");
        return add_name(parser, block, name, name_token.start);
    }
    parser_take(parser);
    if (parser_peek(parser) != TOKEN_STRING)
        return parser_fail_token(parser, context, "string");
    value_token = parser_take(parser);
    return add_matcher(parser, block, type, name, parser_token_text(parser, &value_token),
                       name_token.start);
}

static int parse_matchers(struct parser *parser, struct matcher_block *block)
{
    parser_take(parser); /* { */
    while (parser_peek(parser) != TOKEN_RIGHT_BRACE) {
        if (parse_matcher(parser, block) != 0)
            return -1;
        if (parser_peek(parser) == TOKEN_RIGHT_BRACE)
            break;
        if (parser_expect(parser, TOKEN_COMMA, "label matching", "\",\" or \"}\"") != 0)
            return -1;
    }
    parser_take(parser);
    return 0;
}

struct expr *parse_selector(struct parser *parser, const struct token *name)
{
    struct expr *expr = expr_new(parser->tree, EXPR_SELECTOR, 0, 0);
    struct expr_selector *selector = &expr->selector;

    expr->type = EXPR_TYPE_VECTOR;
    expr->start = name != NULL ? name->start : parser->token.start;
    selector->block = matcher_block_new(parser->tree);
    if (parser_peek(parser) == TOKEN_ERROR)
        return NULL;
    if (parser_peek(parser) == TOKEN_LEFT_BRACE && parse_matchers(parser, selector->block) != 0)
        return NULL;
    if (name != NULL) {
        selector->name = parser_token_text(parser, name);
        if (add_name(parser, selector->block, selector->name, name->start) != 0)
            return NULL;
    }
    expr->end = parser->last_end;
    selector->matchers = selector->block->items;
    selector->matcher_count = selector->block->count;
    return expr;
}
