/* lexer.c - see lexer.h. One function per state: normal, inside braces, before a bracket's number.
 */
#include "promql/lexer.h"

#include "base/utf8.h"
#include "model/labels.h"
#include "promql/lexer_scan.h"

struct word {
    const char *text;
    enum token_kind kind;
};

static const struct word words[] = {
    {"and", TOKEN_AND},
    {"or", TOKEN_OR},
    {"unless", TOKEN_UNLESS},
    {"atan2", TOKEN_ATAN2},
    {"sum", TOKEN_SUM},
    {"avg", TOKEN_AVG},
    {"count", TOKEN_COUNT},
    {"min", TOKEN_MIN},
    {"max", TOKEN_MAX},
    {"group", TOKEN_GROUP},
    {"stddev", TOKEN_STDDEV},
    {"stdvar", TOKEN_STDVAR},
    {"topk", TOKEN_TOPK},
    {"bottomk", TOKEN_BOTTOMK},
    {"count_values", TOKEN_COUNT_VALUES},
    {"quantile", TOKEN_QUANTILE},
    {"limitk", TOKEN_LIMITK},
    {"limit_ratio", TOKEN_LIMIT_RATIO},
    {"offset", TOKEN_OFFSET},
    {"smoothed", TOKEN_SMOOTHED},
    {"anchored", TOKEN_ANCHORED},
    {"by", TOKEN_BY},
    {"without", TOKEN_WITHOUT},
    {"on", TOKEN_ON},
    {"ignoring", TOKEN_IGNORING},
    {"group_left", TOKEN_GROUP_LEFT},
    {"group_right", TOKEN_GROUP_RIGHT},
    {"fill", TOKEN_FILL},
    {"fill_left", TOKEN_FILL_LEFT},
    {"fill_right", TOKEN_FILL_RIGHT},
    {"bool", TOKEN_BOOL},
    {"start", TOKEN_START},
    {"end", TOKEN_STOP},
    {"step", TOKEN_STEP},
    {"range", TOKEN_RANGE},
    {"max_of", TOKEN_MAX_OF},
    {"min_of", TOKEN_MIN_OF},
    {"inf", TOKEN_NUMBER},
    {"nan", TOKEN_NUMBER},
};

static enum token_kind find_word(const char *text, size_t len)
{
    for (size_t i = 0; i < TIDE_COUNT(words); i++) {
        size_t k = 0;

        while (k < len && (text[k] | 0x20) == (words[i].text[k] | 0x20) && words[i].text[k] != '\0')
            k++;
        /* '_' | 0x20 is 0x7f, which no other character of a name yields. */
        if (k == len && words[i].text[k] == '\0')
            return words[i].kind;
    }
    return TOKEN_IDENTIFIER;
}

void lexer_init(struct lexer *lexer, const char *text, size_t len, struct error *err)
{
    *lexer = (struct lexer){.text = text, .len = len, .err = err};
}

static enum token_kind fail(struct lexer *lexer, const char *text)
{
    error_set(lexer->err, ERR_INVALID, "%s", text);
    return TOKEN_ERROR;
}

static enum token_kind fail_rune(struct lexer *lexer, const char *text, int32_t rune,
                                 const char *after)
{
    char quoted[16];

    rune_quote(quoted, rune);
    error_set(lexer->err, ERR_INVALID, "%s%s%s", text, quoted, after);
    return TOKEN_ERROR;
}

/* fill, fill_left and fill_right are keywords only in front of a parenthesis. */
static bool parenthesis_follows(const struct lexer *lexer)
{
    size_t i = lexer->pos;

    while (i < lexer->len && is_space(lexer->text[i]))
        i++;
    return i < lexer->len && lexer->text[i] == '(';
}

static enum token_kind lex_word(struct lexer *lexer)
{
    size_t len;
    enum token_kind kind;

    while (is_alpha(lexer_peek(lexer)) || is_digit(lexer_peek(lexer)) || lexer_peek(lexer) == ':')
        lexer->pos++;
    len = lexer->pos - lexer->start;
    kind = find_word(lexer->text + lexer->start, len);
    if ((kind == TOKEN_FILL || kind == TOKEN_FILL_LEFT || kind == TOKEN_FILL_RIGHT) &&
        !parenthesis_follows(lexer))
        return TOKEN_IDENTIFIER;
    if (kind == TOKEN_IDENTIFIER && memchr(lexer->text + lexer->start, ':', len) != NULL)
        return TOKEN_METRIC_IDENTIFIER;
    return kind;
}

/* step, range, min_of, max_of in brackets; TOKEN_END when it is none of them. */
static enum token_kind lex_duration_word(struct lexer *lexer)
{
    enum token_kind kind;

    while (is_alpha(lexer_peek(lexer)))
        lexer->pos++;
    kind = find_word(lexer->text + lexer->start, lexer->pos - lexer->start);
    if (kind == TOKEN_STEP || kind == TOKEN_RANGE || kind == TOKEN_MIN_OF || kind == TOKEN_MAX_OF)
        return kind;
    return TOKEN_END;
}

/* The end of a closing parenthesis stands before the error: upstream reports it there. */
static enum token_kind lex_right_paren(struct lexer *lexer)
{
    if (lexer->paren_depth == 0) {
        lexer->start = lexer->pos;
        return fail(lexer, "unexpected right parenthesis ')'");
    }
    lexer->paren_depth--;
    return TOKEN_RIGHT_PAREN;
}

static enum token_kind lex_left_paren(struct lexer *lexer)
{
    lexer->paren_depth++;
    return TOKEN_LEFT_PAREN;
}

/* TOKEN_END for what is no arithmetic sign and no comma. */
static enum token_kind arithmetic(int32_t rune)
{
    switch (rune) {
    case ',':
        return TOKEN_COMMA;
    case '+':
        return TOKEN_ADD;
    case '-':
        return TOKEN_SUB;
    case '*':
        return TOKEN_MUL;
    case '/':
        return TOKEN_DIV;
    case '%':
        return TOKEN_MOD;
    case '^':
        return TOKEN_POW;
    default:
        return TOKEN_END;
    }
}

/* --- in brackets, before the first number -------------------------------------------------------
 */

static enum token_kind lex_duration_colon(struct lexer *lexer)
{
    if (!lexer->seen_duration || lexer->seen_colon) {
        lexer->start = lexer->pos;
        return fail(lexer, !lexer->seen_duration
                               ? "unexpected colon before duration in duration expression"
                               : "unexpected repeated colon in duration expression");
    }
    lexer->seen_colon = true;
    return TOKEN_COLON;
}

static enum token_kind lex_duration(struct lexer *lexer)
{
    int32_t rune = lexer_take(lexer);
    enum token_kind kind = arithmetic(rune);

    if (kind != TOKEN_END)
        return kind;
    if (is_digit(rune) || (rune == '.' && is_digit(lexer_peek(lexer)))) {
        lexer->pos = lexer->start;
        lexer->seen_duration = true;
        lexer->in_duration = false;
        return lexer_scan_number(lexer);
    }
    if (is_alpha(rune)) {
        kind = lex_duration_word(lexer);
        if (kind != TOKEN_END)
            return kind;
    }
    switch (rune) {
    case RUNE_END:
        return fail(lexer, "unexpected end of input in duration expression");
    case ']':
        lexer->bracket_open = lexer->in_duration = lexer->seen_colon = false;
        return TOKEN_RIGHT_BRACKET;
    case ':':
        return lex_duration_colon(lexer);
    case '(':
        return lex_left_paren(lexer);
    case ')':
        return lex_right_paren(lexer);
    default:
        return fail_rune(lexer, "unexpected character in duration expression: ", rune, "");
    }
}

/* --- inside braces ------------------------------------------------------------------------------
 */

static enum token_kind lex_braces_not(struct lexer *lexer)
{
    int32_t rune = lexer_take(lexer);

    if (rune == '~')
        return TOKEN_NEQ_REGEX;
    if (rune == '=')
        return TOKEN_NEQ;
    return fail_rune(lexer, "unexpected character after '!' inside braces: ", rune, "");
}

static enum token_kind lex_braces(struct lexer *lexer)
{
    int32_t rune = lexer_take(lexer);

    if (is_alpha(rune)) {
        while (is_alpha(lexer_peek(lexer)) || is_digit(lexer_peek(lexer)))
            lexer->pos++;
        return TOKEN_IDENTIFIER;
    }
    switch (rune) {
    case RUNE_END:
        return fail(lexer, "unexpected end of input inside braces");
    case ',':
        return TOKEN_COMMA;
    case '"':
    case '\'':
        return lexer_scan_string(lexer, rune);
    case '`':
        return lexer_scan_raw_string(lexer);
    case '=':
        return lexer_accept(lexer, "~") ? TOKEN_EQL_REGEX : TOKEN_EQL;
    case '!':
        return lex_braces_not(lexer);
    case '{':
        return fail(lexer, "unexpected left brace '{'");
    case '}':
        lexer->brace_open = false;
        return TOKEN_RIGHT_BRACE;
    default:
        return fail_rune(lexer, "unexpected character inside braces: ", rune, "");
    }
}

/* --- the normal state ---------------------------------------------------------------------------
 */

static enum token_kind lex_bracket(struct lexer *lexer, int32_t rune)
{
    if (rune == '[') {
        if (lexer->bracket_open)
            return fail(lexer, "unexpected left bracket '['");
        lexer->bracket_open = lexer->in_duration = true;
        lexer->seen_colon = false;
        return TOKEN_LEFT_BRACKET;
    }
    if (!lexer->bracket_open)
        return fail(lexer, "unexpected right bracket ']'");
    lexer->bracket_open = false;
    return TOKEN_RIGHT_BRACKET;
}

/* A letter or colon: a word, or within brackets one of few. */
static enum token_kind lex_letter(struct lexer *lexer, int32_t rune)
{
    enum token_kind kind;

    if (!lexer->bracket_open)
        return lex_word(lexer);
    if (rune == ':') {
        if (lexer->seen_colon)
            return fail(lexer, "unexpected colon ':'");
        lexer->seen_colon = true;
        return TOKEN_COLON;
    }
    kind = lex_duration_word(lexer);
    if (kind != TOKEN_END)
        return kind;
    return fail_rune(lexer, "unexpected character: ", rune, ", expected ':'");
}

static enum token_kind lex_comparison(struct lexer *lexer, int32_t rune)
{
    switch (rune) {
    case '<':
        if (lexer_accept(lexer, "="))
            return TOKEN_LTE;
        return lexer_accept(lexer, "/") ? TOKEN_TRIM_UPPER : TOKEN_LSS;
    case '>':
        if (lexer_accept(lexer, "="))
            return TOKEN_GTE;
        return lexer_accept(lexer, "/") ? TOKEN_TRIM_LOWER : TOKEN_GTR;
    case '=':
        if (lexer_accept(lexer, "="))
            return TOKEN_EQLC;
        if (lexer_peek(lexer) == '~')
            return fail(lexer, "unexpected character after '=': '~'");
        return TOKEN_EQL;
    default: /* ! */
        rune = lexer_take(lexer);
        if (rune == '=')
            return TOKEN_NEQ;
        return fail_rune(lexer, "unexpected character after '!': ", rune, "");
    }
}

static enum token_kind lex_end(struct lexer *lexer)
{
    if (lexer->paren_depth != 0)
        return fail(lexer, "unclosed left parenthesis");
    if (lexer->bracket_open)
        return fail(lexer, "unclosed left bracket");
    return TOKEN_END;
}

static enum token_kind lex_normal(struct lexer *lexer)
{
    int32_t rune = lexer_take(lexer);
    enum token_kind kind = arithmetic(rune);

    if (kind != TOKEN_END)
        return kind;
    if (is_digit(rune) || (rune == '.' && is_digit(lexer_peek(lexer)))) {
        lexer->pos = lexer->start;
        return lexer_scan_number(lexer);
    }
    if (is_alpha(rune) || rune == ':')
        return lex_letter(lexer, rune);
    switch (rune) {
    case RUNE_END:
        return lex_end(lexer);
    case '<':
    case '>':
    case '=':
    case '!':
        return lex_comparison(lexer, rune);
    case '"':
    case '\'':
        return lexer_scan_string(lexer, rune);
    case '`':
        return lexer_scan_raw_string(lexer);
    case '(':
        return lex_left_paren(lexer);
    case ')':
        return lex_right_paren(lexer);
    case '{':
        lexer->brace_open = true;
        return TOKEN_LEFT_BRACE;
    case '[':
    case ']':
        return lex_bracket(lexer, rune);
    case '@':
        return TOKEN_AT;
    default:
        return fail_rune(lexer, "unexpected character: ", rune, "");
    }
}

/* White space, and comments where the state allows them. */
static void skip_blank(struct lexer *lexer)
{
    while (lexer->pos < lexer->len) {
        char c = lexer->text[lexer->pos];

        if (c == '#' && !lexer->in_duration) {
            while (lexer->pos < lexer->len && lexer->text[lexer->pos] != '\n' &&
                   lexer->text[lexer->pos] != '\r')
                lexer->pos++;
        } else if (is_space(c)) {
            lexer->pos++;
        } else {
            return;
        }
    }
}

void lexer_next(struct lexer *lexer, struct token *token)
{
    skip_blank(lexer);
    lexer->start = lexer->pos;
    if (lexer->brace_open)
        token->kind = lex_braces(lexer);
    else if (lexer->in_duration)
        token->kind = lex_duration(lexer);
    else
        token->kind = lex_normal(lexer);
    token->start = (uint32_t)lexer->start;
    token->end = (uint32_t)lexer->pos;
}

/* --- names of tokens -----------------------------------------------------------------------------
 */

#define SHOWN_RUNES 10

/* "%.10q...": long texts are cut after ten characters. */
static void quote_shortened(const char *text, size_t len, struct buf *out)
{
    struct lexer runes = {.text = text, .len = len};

    if (len <= SHOWN_RUNES) {
        labels_quote(out, text, len);
        return;
    }
    for (int i = 0; i < SHOWN_RUNES; i++)
        lexer_take(&runes);
    labels_quote(out, text, runes.pos);
    buf_puts(out, "...");
}

void token_describe(const struct lexer *lexer, const struct token *token, struct buf *out)
{
    const char *text = lexer->text + token->start;
    size_t len = token->end - token->start;

    if (token_is_keyword(token->kind) || token_is_operator(token->kind) ||
        token_is_aggregator(token->kind)) {
        buf_puts(out, token_is_keyword(token->kind)    ? "<"
                      : token_is_operator(token->kind) ? "<op:"
                                                       : "<aggr:");
        buf_append(out, text, len);
        buf_putc(out, '>');
        return;
    }
    switch (token->kind) {
    case TOKEN_END:
        buf_puts(out, "end of input");
        return;
    case TOKEN_IDENTIFIER:
    case TOKEN_METRIC_IDENTIFIER:
        buf_puts(out, token->kind == TOKEN_IDENTIFIER ? "identifier " : "metric identifier ");
        labels_quote(out, text, len);
        return;
    case TOKEN_NUMBER:
        buf_puts(out, "number ");
        break;
    case TOKEN_DURATION:
        buf_puts(out, "duration ");
        break;
    case TOKEN_STRING:
        buf_puts(out, "string ");
        break;
    default:
        break;
    }
    quote_shortened(text, len, out);
}
