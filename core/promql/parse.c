/* parse.c - see parse.h. Recursive descent; operators by precedence climbing (promql.md 4.1). */
#include "promql/parse.h"

#include <stdarg.h>
#include <stdio.h>

#include "promql/parser.h"

/* --- tokens and errors
 * ------------------------------------------------------------------------------ */

int parser_fail_at(struct parser *parser, uint32_t at)
{
    const struct query_text *text = &parser->tree->text;
    uint32_t line = 1, line_start = 0;

    for (uint32_t i = 0; i < at && i < text->len; i++) {
        if (text->bytes[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    return error_note(parser->err, "%" PRIu32 ":%" PRIu32 ": parse error", line,
                      at - line_start + 1);
}

int parser_fail(struct parser *parser, uint32_t at, const char *format, ...)
{
    char text[sizeof(parser->err->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(parser->err, ERR_INVALID, "%s", text);
    return parser_fail_at(parser, at);
}

enum token_kind parser_peek(struct parser *parser)
{
    if (!parser->peeked) {
        lexer_next(&parser->lexer, &parser->token);
        parser->peeked = true;
        if (parser->token.kind == TOKEN_ERROR)
            parser_fail_at(parser, parser->token.start);
    }
    return parser->token.kind;
}

struct token parser_take(struct parser *parser)
{
    TIDE_ASSERT(parser->peeked);
    if (parser->token.kind != TOKEN_ERROR && parser->token.kind != TOKEN_END) {
        parser->peeked = false;
        parser->last_end = parser->token.end;
    }
    return parser->token;
}

int parser_fail_token(struct parser *parser, const char *context, const char *expected)
{
    struct buf text = {0};

    if (parser_peek(parser) == TOKEN_ERROR)
        return -1;
    if (context == NULL && parser->aggregates > 0)
        context = "aggregation";
    buf_puts(&text, "unexpected ");
    token_describe(&parser->lexer, &parser->token, &text);
    if (context != NULL)
        buf_printf(&text, " in %s", context);
    if (expected != NULL)
        buf_printf(&text, ", expected %s", expected);
    parser_fail(parser, parser->token.start, "%.*s", (int)text.len, (const char *)text.data);
    buf_destroy(&text);
    return -1;
}

int parser_expect(struct parser *parser, enum token_kind kind, const char *context,
                  const char *expected)
{
    if (parser_peek(parser) != kind)
        return parser_fail_token(parser, context, expected);
    parser_take(parser);
    return 0;
}

static int fail_depth(struct parser *parser, uint32_t at)
{
    return parser_fail(parser, at, "expression is nested deeper than %d levels", QUERY_MAX_DEPTH);
}

int parser_enter(struct parser *parser)
{
    if (parser->depth >= QUERY_MAX_DEPTH)
        return fail_depth(parser, parser->peeked ? parser->token.start : parser->last_end);
    parser->depth++;
    return 0;
}

void parser_leave(struct parser *parser)
{
    parser->depth--;
}

struct expr *parser_node(struct parser *parser, struct expr *expr)
{
    if (expr_set_depth(expr))
        return expr;
    fail_depth(parser, expr->start);
    return NULL;
}

int parser_number(struct parser *parser, const struct token *token, double *value)
{
    const char *text = parser->tree->text.bytes + token->start;
    size_t len = token->end - token->start;
    int64_t ns;

    if (token->kind == TOKEN_DURATION) {
        if (literal_duration(text, len, &ns, parser->err) != 0)
            return parser_fail_at(parser, token->start);
        *value = literal_seconds(ns);
        return 0;
    }
    if (literal_number(text, len, value, parser->err) != 0)
        return parser_fail_at(parser, token->start);
    return 0;
}

void parser_list_add(struct parser *parser, struct expr_list *list, struct expr *expr)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 4 : list->cap * 2;
        struct expr **items = arena_alloc(&parser->tree->arena, cap * sizeof(struct expr *));

        if (list->count != 0)
            memcpy(items, list->items, list->count * sizeof(struct expr *));
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = expr;
}

struct query_text parser_token_text(struct parser *parser, const struct token *token)
{
    const char *text = parser->tree->text.bytes + token->start;
    size_t len = token->end - token->start;

    if (token->kind == TOKEN_STRING)
        return literal_string(&parser->tree->arena, text, len);
    return (struct query_text){arena_dup(&parser->tree->arena, text, len), len};
}

/* --- operators
 * --------------------------------------------------------------------------------------- */

enum { LEVEL_OR = 1, LEVEL_AND, LEVEL_COMPARISON, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_POWER };

static int level_of(enum token_kind kind)
{
    switch (kind) {
    case TOKEN_OR:
        return LEVEL_OR;
    case TOKEN_AND:
    case TOKEN_UNLESS:
        return LEVEL_AND;
    case TOKEN_ADD:
    case TOKEN_SUB:
        return LEVEL_SUM;
    case TOKEN_MUL:
    case TOKEN_DIV:
    case TOKEN_MOD:
    case TOKEN_ATAN2:
        return LEVEL_PRODUCT;
    case TOKEN_POW:
        return LEVEL_POWER;
    default:
        return LEVEL_COMPARISON;
    }
}

/* A sign in front of a number literal is part of it; else it is a node of its own. */
static struct expr *parse_unary(struct parser *parser)
{
    struct token sign = parser_take(parser);
    struct expr *inner, *expr;

    if (parser_enter(parser) != 0)
        return NULL;
    inner = parse_expr(parser, LEVEL_POWER);
    parser_leave(parser);
    if (inner == NULL)
        return NULL;
    if (inner->kind == EXPR_NUMBER) {
        if (sign.kind == TOKEN_SUB)
            inner->number.value = -inner->number.value;
        inner->start = sign.start;
        return inner;
    }
    expr = expr_new(parser->tree, EXPR_UNARY, sign.start, inner->end);
    expr->unary.negates = sign.kind == TOKEN_SUB;
    expr->unary.inner = inner;
    expr->type = inner->type;
    return parser_node(parser, expr);
}

static struct expr *parse_operand(struct parser *parser)
{
    enum token_kind kind = parser_peek(parser);
    struct expr *primary;

    if (kind == TOKEN_ADD || kind == TOKEN_SUB)
        return parse_unary(parser);
    primary = parse_primary(parser);
    return primary != NULL ? parse_postfix(parser, primary) : NULL;
}

/* Where upstream points for errors about an operator: the first non-space behind the left side. */
static uint32_t operator_position(const struct parser *parser, const struct expr *left)
{
    const struct query_text *text = &parser->tree->text;
    uint32_t at = left->end;

    while (at < text->len && strchr(" \t\n\r", text->bytes[at]) != NULL && text->bytes[at] != '\0')
        at++;
    return at;
}

static struct expr *parse_binary(struct parser *parser, struct expr *left, int level)
{
    struct token token = parser_take(parser);
    struct expr *expr = expr_new(parser->tree, EXPR_BINARY, left->start, left->end);
    struct expr_binary *binary = &expr->binary;

    binary->op = (enum binary_op)(token.kind - TOKEN_ADD);
    binary->op_start = operator_position(parser, left);
    binary->left = left;
    if (parse_binary_modifiers(parser, binary) != 0 || parser_enter(parser) != 0)
        return NULL;
    binary->right = parse_expr(parser, level == LEVEL_POWER ? level : level + 1);
    parser_leave(parser);
    if (binary->right == NULL)
        return NULL;
    expr->end = binary->right->end;
    expr->type = left->type == EXPR_TYPE_SCALAR && binary->right->type == EXPR_TYPE_SCALAR
                     ? EXPR_TYPE_SCALAR
                     : EXPR_TYPE_VECTOR;
    return parser_node(parser, expr);
}

struct expr *parse_expr(struct parser *parser, int level)
{
    struct expr *left = parse_operand(parser);

    while (left != NULL) {
        enum token_kind kind = parser_peek(parser);
        int its_level;

        if (kind == TOKEN_ERROR)
            return NULL;
        if (!token_is_binary(kind))
            return left;
        its_level = level_of(kind);
        if (its_level < level)
            return left;
        left = parse_binary(parser, left, its_level);
    }
    return NULL;
}

/* --- the whole
 * ---------------------------------------------------------------------------------------- */

static int parse_query(struct parser *parser)
{
    struct expr *root;

    if (parser_peek(parser) == TOKEN_ERROR)
        return -1;
    if (parser->token.kind == TOKEN_END)
        return parser_fail(parser, 0, "no expression found in input");
    root = parse_expr(parser, LEVEL_OR);
    if (root == NULL)
        return -1;
    if (parser_peek(parser) != TOKEN_END)
        return parser_fail_token(parser, NULL, NULL);
    parser->tree->root = root;
    return parser_check(parser, root);
}

void promql_options_stable(struct promql_options *options)
{
    options->no_experimental_functions = true;
    options->no_duration_expressions = true;
    options->no_extended_ranges = true;
    options->no_fill = true;
}

struct query_tree *promql_parse(const char *text, size_t len, const struct promql_options *options,
                                struct regex_cache *cache, struct error *err)
{
    static const struct promql_options whole_language;
    struct parser parser = {
        .options = options != NULL ? options : &whole_language,
        .cache = cache,
        .err = err,
    };

    if (len >= UINT32_MAX) {
        error_set(err, ERR_LIMIT, "query of %zu bytes", len);
        return NULL;
    }
    parser.tree = query_tree_new(text, len);
    lexer_init(&parser.lexer, parser.tree->text.bytes, len, err);
    if (parse_query(&parser) != 0) {
        query_tree_free(parser.tree);
        return NULL;
    }
    return parser.tree;
}
