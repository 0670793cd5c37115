/* parser.h - what the files parse*.c share: one parse under way. Not for other rooms: parse.h is.
 */
#ifndef TIDE_PROMQL_PARSER_H
#define TIDE_PROMQL_PARSER_H

#include "promql/ast.h"
#include "promql/lexer.h"
#include "promql/literal.h"
#include "promql/parse.h"

/* All regular expressions of a query together, in instructions: about 16 MB. "a=~'.{1000}'" takes
 * ten thousand, and a query could name thousands of those. */
#define PARSER_MAX_REGEX_COST ((size_t)1000 * 1000)

/* Tokens are read as late as possible: a node's own check comes before errors behind it. The first
 * error ends the parse, so functions return NULL or -1 with err set, and callers just leave. */
struct parser {
    struct lexer lexer;
    struct token token; /* the one looked at, if `peeked` */
    bool peeked;
    uint32_t last_end; /* end of the last token taken */
    struct query_tree *tree;
    const struct promql_options *options;
    struct regex_cache *cache;
    struct error *err;
    uint32_t depth;      /* of the recursion */
    size_t regex_cost;   /* of all matchers so far */
    uint32_t aggregates; /* aggregations whose arguments are being read */
};

/* --- tokens and errors: parse.c ------------------------------------------------------------------
 */

enum token_kind parser_peek(struct parser *parser);
/** Takes the token that was looked at. */
struct token parser_take(struct parser *parser);
/** Sets err to "LINE:COLUMN: parse error: ..."; returns -1. */
int parser_fail(struct parser *parser, uint32_t at, const char *format, ...) TIDE_PRINTF(3, 4);
/** Puts the position in front of what err says already; returns -1. */
int parser_fail_at(struct parser *parser, uint32_t at);
/**
 * "unexpected TOKEN in CONTEXT, expected WHAT" about the token looked at; returns -1.
 *
 * @param context   NULL: that of the enclosing aggregation, if any
 * @param expected  may be NULL
 */
int parser_fail_token(struct parser *parser, const char *context, const char *expected);
/** Takes a token of this kind, or fails by parser_fail_token. */
int parser_expect(struct parser *parser, enum token_kind kind, const char *context,
                  const char *expected);
/** Counts a level of recursion; -1 when there are too many. parser_leave() after success. */
int parser_enter(struct parser *parser);
void parser_leave(struct parser *parser);
/** Makes a complete node part of the tree: its depth is checked. NULL with err. */
struct expr *parser_node(struct parser *parser, struct expr *expr);
/** Value of the number or duration token that was taken. */
int parser_number(struct parser *parser, const struct token *token, double *value);

/* A growing array in the arena. */
struct expr_list {
    struct expr **items;
    size_t count;
    size_t cap;
};

void parser_list_add(struct parser *parser, struct expr_list *list, struct expr *expr);
/** The name in a label list or matcher: source text of a word, value of a string. */
struct query_text parser_token_text(struct parser *parser, const struct token *token);

/* --- expressions: parse.c
 * ------------------------------------------------------------------------- */

/** Operators that bind at least as strongly as `level` (1: all), and their operands. */
struct expr *parse_expr(struct parser *parser, int level);

/* --- parse_primary.c
 * -------------------------------------------------------------------------------- */

struct expr *parse_primary(struct parser *parser);
/** "(a, b,)" of by, on and the like, from its parenthesis on. */
int parse_label_list(struct parser *parser, struct query_texts *labels);

/* --- parse_selector.c
 * ------------------------------------------------------------------------------- */

/** A selector whose name (may be NULL) was taken; its braces, if any, come next. */
struct expr *parse_selector(struct parser *parser, const struct token *name);

/* --- parse_postfix.c
 * -------------------------------------------------------------------------------- */

/** Brackets, offset, @, anchored and smoothed behind an operand. */
struct expr *parse_postfix(struct parser *parser, struct expr *operand);

/* --- parse_duration.c
 * ------------------------------------------------------------------------------- */

/* Where a duration stands decides what an error says. */
struct duration_place {
    const char *context;
    const char *expected;
};

/** In brackets. NULL with err. */
struct duration_expr *parse_duration(struct parser *parser, const struct duration_place *place,
                                     int level);
/** Behind offset. NULL with err. */
struct duration_expr *parse_offset_duration(struct parser *parser);
/** What a parsed duration says: nanoseconds if it is a literal. -1 with err. */
int duration_finish(struct parser *parser, struct duration_expr *expr, bool positive,
                    struct query_duration *duration);

/* --- parse_binary.c
 * --------------------------------------------------------------------------------- */

/** bool, on(...), group_left(...), fill(...) behind an operator. */
int parse_binary_modifiers(struct parser *parser, struct expr_binary *binary);

/* --- check.c
 * ---------------------------------------------------------------------------------------- */

/** Types of the whole tree (promql.md 6). -1 with err. */
int parser_check(struct parser *parser, struct expr *root);

#endif
