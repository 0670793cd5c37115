/* lexer_scan.h - the parts of a token, read rune by rune: shared by lexer.c and lexer_scan.c. */
#ifndef TIDE_PROMQL_LEXER_SCAN_H
#define TIDE_PROMQL_LEXER_SCAN_H

#include "promql/lexer.h"

/* What is read behind the last rune. */
#define RUNE_END ((int32_t)-1)
#define RUNE_INVALID 0xfffd

/** Takes the next rune; RUNE_END at the end, RUNE_INVALID for a byte that is not UTF-8. */
int32_t lexer_take(struct lexer *lexer);
/** The next rune, not taken. */
int32_t lexer_peek(const struct lexer *lexer);
/** Takes the next byte if it is one of `set`. */
bool lexer_accept(struct lexer *lexer, const char *set);
/** A number or duration from pos on; TOKEN_ERROR with err. */
enum token_kind lexer_scan_number(struct lexer *lexer);
/** What follows an opening quote, to the closing one; TOKEN_ERROR with err. */
enum token_kind lexer_scan_string(struct lexer *lexer, int32_t quote);
enum token_kind lexer_scan_raw_string(struct lexer *lexer);
/** Go's %q of a rune: 'x', '\n', '\u200b'. `out` has 16 bytes of room; terminated. */
void rune_quote(char *out, int32_t rune);

static inline bool is_digit(int32_t rune)
{
    return rune >= '0' && rune <= '9';
}

/* Letters of names, the underscore included. */
static inline bool is_alpha(int32_t rune)
{
    return rune == '_' || (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
}

static inline bool is_space(int32_t rune)
{
    return rune == ' ' || rune == '\t' || rune == '\n' || rune == '\r';
}

#endif
