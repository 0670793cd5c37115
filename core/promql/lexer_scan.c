/* lexer_scan.c - see lexer_scan.h. */
#include "promql/lexer_scan.h"

#include <stdio.h>

#include "base/utf8.h"
#include "model/labels.h"

int32_t lexer_take(struct lexer *lexer)
{
    uint32_t rune;
    size_t size;

    if (lexer->pos >= lexer->len)
        return RUNE_END;
    size = utf8_decode(lexer->text + lexer->pos, lexer->len - lexer->pos, &rune);
    if (size == 0) {
        lexer->pos++;
        return RUNE_INVALID;
    }
    lexer->pos += size;
    return (int32_t)rune;
}

int32_t lexer_peek(const struct lexer *lexer)
{
    struct lexer ahead = *lexer;

    return lexer_take(&ahead);
}

static bool next_is(const struct lexer *lexer, const char *set)
{
    return lexer->pos < lexer->len && lexer->text[lexer->pos] != '\0' &&
           strchr(set, lexer->text[lexer->pos]) != NULL;
}

bool lexer_accept(struct lexer *lexer, const char *set)
{
    if (!next_is(lexer, set))
        return false;
    lexer->pos++;
    return true;
}

static bool at_end(const struct lexer *lexer)
{
    return lexer->pos >= lexer->len;
}

static bool next_is_alphanumeric(const struct lexer *lexer)
{
    int32_t rune = lexer_peek(lexer);

    return is_alpha(rune) || is_digit(rune);
}

/* What must not follow in a number. */
#define AFTER_DOT "_."
#define AFTER_EXPONENT "._eE"
#define AFTER_UNDERSCORE "._eE"

/* One piece of a number behind its first digit. False: the text is no number. */
static bool scan_number_piece(struct lexer *lexer, const char *digits, bool hex, bool *dot,
                              bool *exponent)
{
    if (next_is(lexer, ".") && *dot) {
        lexer->pos++;
        return false;
    }
    if (next_is(lexer, "eE") && *exponent) {
        lexer->pos++;
        return false;
    }
    if (lexer_accept(lexer, ".")) {
        *dot = true;
        return !lexer_accept(lexer, AFTER_DOT) && !hex;
    }
    if (lexer_accept(lexer, "eE")) {
        *exponent = true;
        lexer_accept(lexer, "+-");
        return !lexer_accept(lexer, AFTER_EXPONENT) && !at_end(lexer);
    }
    if (lexer_accept(lexer, "_"))
        return !lexer_accept(lexer, AFTER_UNDERSCORE) && !at_end(lexer);
    while (lexer_accept(lexer, digits))
        ;
    return true;
}

/* Exactly upstream's steps: what was taken when it fails is part of the error text. */
static bool scan_plain_number(struct lexer *lexer)
{
    const char *digits = "0123456789";
    size_t first = lexer->pos;
    bool dot = false, exponent = false, hex = false;

    if (lexer_accept(lexer, "0") && lexer_accept(lexer, "xX")) {
        lexer_accept(lexer, "_");
        digits = "0123456789abcdefABCDEF";
        hex = true;
    }
    lexer_accept(lexer, ".");
    lexer_accept(lexer, digits);
    while (next_is(lexer, digits) || next_is(lexer, "._eE")) {
        if (!scan_number_piece(lexer, digits, hex, &dot, &exponent))
            return false;
    }
    return lexer->pos != first && !next_is_alphanumeric(lexer);
}

/* The rest of a duration: unit { digits unit }. Wrong orders are found when it is read. */
static bool scan_duration_rest(struct lexer *lexer)
{
    if (!lexer_accept(lexer, "smhdwy"))
        return false;
    lexer_accept(lexer, "s");
    while (lexer_accept(lexer, "0123456789")) {
        while (lexer_accept(lexer, "0123456789"))
            ;
        if (!lexer_accept(lexer, "smhdw"))
            return false;
        lexer_accept(lexer, "s");
    }
    if (next_is_alphanumeric(lexer)) {
        lexer_take(lexer);
        return false;
    }
    return true;
}

enum token_kind lexer_scan_number(struct lexer *lexer)
{
    struct buf text = {0};

    if (scan_plain_number(lexer))
        return TOKEN_NUMBER;
    if (scan_duration_rest(lexer))
        return TOKEN_DURATION;
    labels_quote(&text, lexer->text + lexer->start, lexer->pos - lexer->start);
    error_set(lexer->err, ERR_INVALID, "bad number or duration syntax: %.*s", (int)text.len,
              (const char *)text.data);
    buf_destroy(&text);
    return TOKEN_ERROR;
}

/* --- strings -----------------------------------------------------------------------------------
 */

static enum token_kind fail(struct lexer *lexer, const char *text)
{
    error_set(lexer->err, ERR_INVALID, "%s", text);
    return TOKEN_ERROR;
}

/* Go's %#U: U+0063 'c', without the character when it is not printable. */
static enum token_kind fail_rune(struct lexer *lexer, const char *before, int32_t rune,
                                 const char *after)
{
    char encoded[5] = {0};

    if (!utf8_is_print((uint32_t)rune)) {
        error_set(lexer->err, ERR_INVALID, "%s U+%04X%s", before, (unsigned)rune, after);
        return TOKEN_ERROR;
    }
    utf8_encode(encoded, (uint32_t)rune);
    error_set(lexer->err, ERR_INVALID, "%s U+%04X '%s'%s", before, (unsigned)rune, encoded, after);
    return TOKEN_ERROR;
}

static uint32_t digit_value(int32_t rune)
{
    if (is_digit(rune))
        return (uint32_t)(rune - '0');
    if (rune >= 'a' && rune <= 'f')
        return (uint32_t)(rune - 'a') + 10;
    if (rune >= 'A' && rune <= 'F')
        return (uint32_t)(rune - 'A') + 10;
    return 16;
}

static enum token_kind scan_escape_digits(struct lexer *lexer, int32_t rune, int count,
                                          uint32_t base, uint32_t max)
{
    uint32_t value = 0;

    for (int i = 0; i < count; i++) {
        uint32_t digit;

        if (i > 0)
            rune = lexer_take(lexer);
        digit = digit_value(rune);
        if (digit >= base) {
            if (rune == RUNE_END)
                return fail(lexer, "escape sequence not terminated");
            return fail_rune(lexer, "illegal character", rune, " in escape sequence");
        }
        value = value * base + digit;
    }
    if (value > max || (value >= 0xd800 && value < 0xe000))
        return fail(lexer, "escape sequence is an invalid Unicode code point");
    return TOKEN_STRING;
}

static enum token_kind scan_escape(struct lexer *lexer, int32_t quote)
{
    int32_t rune = lexer_take(lexer);

    if (rune == quote)
        return TOKEN_STRING;
    switch (rune) {
    case 'a':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'v':
    case '\\':
        return TOKEN_STRING;
    case 'x':
        return scan_escape_digits(lexer, lexer_take(lexer), 2, 16, 255);
    case 'u':
        return scan_escape_digits(lexer, lexer_take(lexer), 4, 16, 0x10ffff);
    case 'U':
        return scan_escape_digits(lexer, lexer_take(lexer), 8, 16, 0x10ffff);
    case RUNE_END:
        return fail(lexer, "escape sequence not terminated");
    default:
        if (rune >= '0' && rune <= '7')
            return scan_escape_digits(lexer, rune, 3, 8, 255);
        return fail_rune(lexer, "unknown escape sequence", rune, "");
    }
}

enum token_kind lexer_scan_string(struct lexer *lexer, int32_t quote)
{
    for (;;) {
        int32_t rune = lexer_take(lexer);

        if (rune == quote)
            return TOKEN_STRING;
        if (rune == RUNE_END || rune == '\n')
            return fail(lexer, "unterminated quoted string");
        if (rune == RUNE_INVALID)
            return fail(lexer, "invalid UTF-8 rune");
        if (rune == '\\' && scan_escape(lexer, quote) == TOKEN_ERROR)
            return TOKEN_ERROR;
    }
}

enum token_kind lexer_scan_raw_string(struct lexer *lexer)
{
    for (;;) {
        int32_t rune = lexer_take(lexer);

        if (rune == '`')
            return TOKEN_STRING;
        if (rune == RUNE_END)
            return fail(lexer, "unterminated raw string");
        if (rune == RUNE_INVALID)
            return fail(lexer, "invalid UTF-8 rune");
    }
}

void rune_quote(char *out, int32_t rune)
{
    static const char escapes[] = "a\ab\bf\fn\nr\rt\tv\v\\\\''";
    size_t len = 0;

    if (rune < 0)
        rune = RUNE_INVALID;
    for (size_t i = 0; i + 1 < sizeof(escapes); i += 2) {
        if (rune == escapes[i + 1]) {
            snprintf(out, 16, "'\\%c'", escapes[i]);
            return;
        }
    }
    if (utf8_is_print((uint32_t)rune)) {
        out[0] = '\'';
        len = utf8_encode(out + 1, (uint32_t)rune);
        out[len + 1] = '\'';
        out[len + 2] = '\0';
    } else if (rune < ' ' || rune == 0x7f) {
        snprintf(out, 16, "'\\x%02x'", (unsigned)rune);
    } else if (rune < 0x10000) {
        snprintf(out, 16, "'\\u%04x'", (unsigned)rune);
    } else {
        snprintf(out, 16, "'\\U%08x'", (unsigned)rune);
    }
}
