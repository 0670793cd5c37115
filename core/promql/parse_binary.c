/* parse_binary.c - what stands between an operator and its right side (promql.md 4.2: binmod). */
#include "promql/parser.h"

static int parse_fill_value(struct parser *parser, double *value)
{
    bool negative = false;
    struct token token;

    if (parser_expect(parser, TOKEN_LEFT_PAREN, NULL, NULL) != 0)
        return -1;
    if (parser_peek(parser) == TOKEN_ADD || parser_peek(parser) == TOKEN_SUB)
        negative = parser_take(parser).kind == TOKEN_SUB;
    if (parser_peek(parser) != TOKEN_NUMBER && parser_peek(parser) != TOKEN_DURATION)
        return parser_fail_token(parser, NULL, NULL);
    token = parser_take(parser);
    if (parser_number(parser, &token, value) != 0)
        return -1;
    if (negative)
        *value = -*value;
    return parser_expect(parser, TOKEN_RIGHT_PAREN, NULL, NULL);
}

static int parse_one_fill(struct parser *parser, struct expr_binary *binary)
{
    struct token word = parser_take(parser);
    double value;

    if (parse_fill_value(parser, &value) != 0)
        return -1;
    if (parser->options->no_fill)
        return parser_fail(parser, word.start,
                           "binop fill modifiers are experimental and not enabled");
    if (word.kind != TOKEN_FILL_RIGHT) {
        binary->fills_left = true;
        binary->fill_left = value;
    }
    if (word.kind != TOKEN_FILL_LEFT) {
        binary->fills_right = true;
        binary->fill_right = value;
    }
    return 0;
}

/* fill(v), or fill_left(v) and fill_right(v) in any order. */
static int parse_fills(struct parser *parser, struct expr_binary *binary)
{
    enum token_kind first = parser_peek(parser), other;

    if (first != TOKEN_FILL && first != TOKEN_FILL_LEFT && first != TOKEN_FILL_RIGHT)
        return 0;
    if (parse_one_fill(parser, binary) != 0)
        return -1;
    other = first == TOKEN_FILL_LEFT ? TOKEN_FILL_RIGHT : TOKEN_FILL_LEFT;
    if (first != TOKEN_FILL && parser_peek(parser) == other)
        return parse_one_fill(parser, binary);
    return 0;
}

int parse_binary_modifiers(struct parser *parser, struct expr_binary *binary)
{
    enum token_kind kind = parser_peek(parser);

    if (kind == TOKEN_BOOL) {
        parser_take(parser);
        binary->returns_bool = true;
        kind = parser_peek(parser);
    }
    if (kind == TOKEN_ON || kind == TOKEN_IGNORING) {
        parser_take(parser);
        binary->on = kind == TOKEN_ON;
        binary->has_matching = true;
        if (parse_label_list(parser, &binary->labels) != 0)
            return -1;
        kind = parser_peek(parser);
        if (kind == TOKEN_GROUP_LEFT || kind == TOKEN_GROUP_RIGHT) {
            parser_take(parser);
            binary->group = kind == TOKEN_GROUP_LEFT ? MATCH_GROUP_LEFT : MATCH_GROUP_RIGHT;
            if (parser_peek(parser) == TOKEN_LEFT_PAREN &&
                parse_label_list(parser, &binary->include) != 0)
                return -1;
        }
    }
    return parse_fills(parser, binary);
}
