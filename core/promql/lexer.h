/* lexer.h - PromQL text to tokens, one at a time (promql.md 3).
 *
 * The lexer's state depends on braces and brackets, as upstream's does, and so do its errors. It
 * borrows the text and allocates nothing. White space and comments are left out. */
#ifndef TIDE_PROMQL_LEXER_H
#define TIDE_PROMQL_LEXER_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

enum token_kind {
    TOKEN_ERROR, /* the lexer's err says what; the token's start says where */
    TOKEN_END,
    TOKEN_IDENTIFIER,
    TOKEN_METRIC_IDENTIFIER, /* has a colon */
    TOKEN_NUMBER,
    TOKEN_DURATION,
    TOKEN_STRING,
    /* punctuation */
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_EQL, /* = */
    /* operators, in the order of enum binary_op (ast.h) */
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL,
    TOKEN_DIV,
    TOKEN_MOD,
    TOKEN_POW,
    TOKEN_ATAN2,
    TOKEN_EQLC,
    TOKEN_NEQ,
    TOKEN_LSS,
    TOKEN_LTE,
    TOKEN_GTR,
    TOKEN_GTE,
    TOKEN_TRIM_UPPER,
    TOKEN_TRIM_LOWER,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_UNLESS,
    /* operators that are not binary ones */
    TOKEN_EQL_REGEX,
    TOKEN_NEQ_REGEX,
    TOKEN_AT,
    /* aggregators, in the order of enum aggregate_op (ast.h) */
    TOKEN_SUM,
    TOKEN_AVG,
    TOKEN_MIN,
    TOKEN_MAX,
    TOKEN_COUNT,
    TOKEN_GROUP,
    TOKEN_STDDEV,
    TOKEN_STDVAR,
    TOKEN_QUANTILE,
    TOKEN_COUNT_VALUES,
    TOKEN_TOPK,
    TOKEN_BOTTOMK,
    TOKEN_LIMITK,
    TOKEN_LIMIT_RATIO,
    /* keywords */
    TOKEN_OFFSET,
    TOKEN_SMOOTHED,
    TOKEN_ANCHORED,
    TOKEN_BY,
    TOKEN_WITHOUT,
    TOKEN_ON,
    TOKEN_IGNORING,
    TOKEN_GROUP_LEFT,
    TOKEN_GROUP_RIGHT,
    TOKEN_FILL,
    TOKEN_FILL_LEFT,
    TOKEN_FILL_RIGHT,
    TOKEN_BOOL,
    /* words that are functions, too */
    TOKEN_START,
    TOKEN_STOP, /* end */
    TOKEN_STEP,
    TOKEN_RANGE,
    TOKEN_MIN_OF,
    TOKEN_MAX_OF,
};

struct token {
    enum token_kind kind;
    uint32_t start, end; /* bytes of the text */
};

struct lexer {
    const char *text;
    size_t len;
    size_t pos;
    size_t start; /* of the token being read */
    size_t paren_depth;
    bool brace_open;
    bool bracket_open;
    bool seen_colon;    /* in this bracket */
    bool seen_duration; /* in any bracket of the query: upstream never forgets it */
    bool in_duration;   /* in a bracket, before its first number */
    struct error *err;
};

void lexer_init(struct lexer *lexer, const char *text, size_t len, struct error *err);
/** Reads the next token. After TOKEN_ERROR or TOKEN_END there is nothing more to read. */
void lexer_next(struct lexer *lexer, struct token *token);
/** What messages call a token: `identifier "foo"`, `<op:==>`, `end of input`. */
void token_describe(const struct lexer *lexer, const struct token *token, struct buf *out);

#ifndef TIDE_CDEF
static inline bool token_is_operator(enum token_kind kind)
{
    return kind >= TOKEN_ADD && kind <= TOKEN_AT;
}

static inline bool token_is_binary(enum token_kind kind)
{
    return kind >= TOKEN_ADD && kind <= TOKEN_UNLESS;
}

static inline bool token_is_aggregator(enum token_kind kind)
{
    return kind >= TOKEN_SUM && kind <= TOKEN_LIMIT_RATIO;
}

static inline bool token_is_keyword(enum token_kind kind)
{
    return kind >= TOKEN_OFFSET && kind <= TOKEN_BOOL;
}
#endif

#endif
