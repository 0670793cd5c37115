/* print_json.c - parse_query's tree: the members that upstream writes, in order of their names. */
#include "base/number.h"
#include "base/utf8.h"
#include "promql/literal.h"
#include "promql/print.h"

static void json_expr(struct buf *out, const struct expr *expr);

static void json_string(struct buf *out, const char *text, size_t len)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < len;) {
        uint32_t rune;
        size_t size = utf8_decode(text + i, len - i, &rune);

        if (size == 0)
            buf_puts(out, "\\ufffd");
        else if (rune == '"' || rune == '\\')
            buf_printf(out, "\\%c", (char)rune);
        else if (rune < 0x20)
            buf_printf(out, "\\u%04x", (unsigned)rune);
        else
            buf_append(out, text + i, size);
        i += TIDE_MAX(size, (size_t)1);
    }
    buf_putc(out, '"');
}

static void json_text(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, "\"%s\":", key);
    json_string(out, text, strlen(text));
}

static void json_texts(struct buf *out, const char *key, const struct query_texts *texts)
{
    buf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < texts->count; i++) {
        if (i != 0)
            buf_putc(out, ',');
        json_string(out, texts->items[i].bytes, texts->items[i].len);
    }
    buf_putc(out, ']');
}

static void json_number(struct buf *out, double value)
{
    char text[NUMBER_PLAIN_MAX_BYTES];

    buf_append(out, text, number_format_plain(text, value));
}

/* Milliseconds; durations that are to be computed show as 0, as they are not known yet. */
static void json_duration(struct buf *out, const char *key, const struct query_duration *duration)
{
    buf_printf(out, "\"%s\":%" PRId64, key,
               duration->expr != NULL ? (int64_t)0 : duration->ns / NS_PER_MS);
}

static void json_at(struct buf *out, const struct query_shift *shift)
{
    buf_printf(out, "\"startOrEnd\":%s,\"timestamp\":",
               shift->at == AT_START ? "\"start\""
               : shift->at == AT_END ? "\"end\""
                                     : "null");
    if (shift->at == AT_TIME)
        buf_printf(out, "%" PRId64, shift->at_ms);
    else
        buf_puts(out, "null");
}

static void json_matchers(struct buf *out, const struct expr_selector *selector)
{
    buf_puts(out, "\"matchers\":[");
    for (size_t i = 0; i < selector->matcher_count; i++) {
        const struct matcher *matcher = &selector->matchers[i];

        buf_puts(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_string(out, matcher->name, matcher->name_len);
        buf_printf(out, ",\"type\":\"%s\",\"value\":", matcher_operator(matcher->type));
        json_string(out, matcher->value, matcher->value_len);
        buf_putc(out, '}');
    }
    buf_puts(out, "],\"name\":");
    json_string(out, selector->name.bytes != NULL ? selector->name.bytes : "", selector->name.len);
}

static void json_selector(struct buf *out, const struct expr_selector *selector,
                          const struct query_duration *range, const struct query_shift *shift,
                          enum extend_kind extend)
{
    buf_printf(out, "\"anchored\":%s,", extend == EXTEND_ANCHORED ? "true" : "false");
    json_matchers(out, selector);
    buf_putc(out, ',');
    json_duration(out, "offset", &shift->offset);
    if (range != NULL) {
        buf_putc(out, ',');
        json_duration(out, "range", range);
    }
    buf_printf(out, ",\"smoothed\":%s,", extend == EXTEND_SMOOTHED ? "true" : "false");
    json_at(out, shift);
    buf_putc(out, ',');
    json_text(out, "type", range != NULL ? "matrixSelector" : "vectorSelector");
}

static const char *internal_type(enum expr_type type)
{
    return type == EXPR_TYPE_VECTOR  ? "vector"
           : type == EXPR_TYPE_RANGE ? "matrix"
                                     : expr_type_text(type);
}

static void json_call(struct buf *out, const struct expr_call *call)
{
    const struct function_row *function = call->function;

    buf_puts(out, "\"args\":[");
    for (size_t i = 0; i < call->arg_count; i++) {
        if (i != 0)
            buf_putc(out, ',');
        json_expr(out, call->args[i]);
    }
    buf_puts(out, "],\"func\":{\"argTypes\":[");
    for (size_t i = 0; i < FUNCTION_MAX_ARGS && function->args[i] != EXPR_TYPE_NONE; i++)
        buf_printf(out, "%s\"%s\"", i == 0 ? "" : ",", internal_type(function->args[i]));
    buf_puts(out, "],");
    json_text(out, "name", function->name);
    buf_printf(out, ",\"returnType\":\"%s\",\"variadic\":%d},\"type\":\"call\"",
               internal_type(function->returns), function->variadic);
}

static void json_aggregate(struct buf *out, const struct expr_aggregate *aggregate)
{
    buf_puts(out, "\"expr\":");
    json_expr(out, aggregate->inner);
    buf_putc(out, ',');
    json_texts(out, "grouping", &aggregate->grouping);
    buf_putc(out, ',');
    json_text(out, "op", aggregate_op_text(aggregate->op));
    buf_puts(out, ",\"param\":");
    if (aggregate->param != NULL)
        json_expr(out, aggregate->param);
    else
        buf_puts(out, "null");
    buf_printf(out, ",\"type\":\"aggregation\",\"without\":%s",
               aggregate->without ? "true" : "false");
}

static void json_fill(struct buf *out, const char *key, bool fills, double value)
{
    buf_printf(out, "\"%s\":", key);
    if (!fills) {
        buf_puts(out, "null");
        return;
    }
    buf_putc(out, '"');
    json_number(out, value);
    buf_putc(out, '"');
}

static void json_matching(struct buf *out, const struct expr_binary *binary)
{
    const char *card = binary_op_is_set(binary->op)         ? "many-to-many"
                       : binary->group == MATCH_GROUP_LEFT  ? "many-to-one"
                       : binary->group == MATCH_GROUP_RIGHT ? "one-to-many"
                                                            : "one-to-one";

    buf_puts(out, "\"matching\":");
    if (!binary->has_matching) {
        buf_puts(out, "null");
        return;
    }
    buf_printf(out, "{\"card\":\"%s\",\"fillValues\":{", card);
    json_fill(out, "lhs", binary->fills_left, binary->fill_left);
    buf_putc(out, ',');
    json_fill(out, "rhs", binary->fills_right, binary->fill_right);
    buf_puts(out, "},");
    json_texts(out, "include", &binary->include);
    buf_putc(out, ',');
    json_texts(out, "labels", &binary->labels);
    buf_printf(out, ",\"on\":%s}", binary->on ? "true" : "false");
}

static void json_binary(struct buf *out, const struct expr_binary *binary)
{
    buf_printf(out, "\"bool\":%s,\"lhs\":", binary->returns_bool ? "true" : "false");
    json_expr(out, binary->left);
    buf_putc(out, ',');
    json_matching(out, binary);
    buf_putc(out, ',');
    json_text(out, "op", binary_op_text(binary->op));
    buf_puts(out, ",\"rhs\":");
    json_expr(out, binary->right);
    buf_puts(out, ",\"type\":\"binaryExpr\"");
}

static void json_subquery(struct buf *out, const struct expr_subquery *subquery)
{
    buf_puts(out, "\"expr\":");
    json_expr(out, subquery->inner);
    buf_putc(out, ',');
    json_duration(out, "offset", &subquery->shift.offset);
    buf_putc(out, ',');
    json_duration(out, "range", &subquery->range);
    buf_putc(out, ',');
    json_at(out, &subquery->shift);
    buf_putc(out, ',');
    json_duration(out, "step", &subquery->step);
    buf_puts(out, ",\"type\":\"subquery\"");
}

static void json_members(struct buf *out, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
        buf_puts(out, "\"type\":\"numberLiteral\",\"val\":\"");
        json_number(out, expr->number.value);
        buf_putc(out, '"');
        return;
    case EXPR_STRING:
        buf_puts(out, "\"type\":\"stringLiteral\",\"val\":");
        json_string(out, expr->string.bytes, expr->string.len);
        return;
    case EXPR_SELECTOR:
        json_selector(out, &expr->selector, NULL, &expr->selector.shift, expr->selector.extend);
        return;
    case EXPR_RANGE:
        json_selector(out, &expr->range.selector->selector, &expr->range.range, &expr->range.shift,
                      expr->range.extend);
        return;
    case EXPR_SUBQUERY:
        json_subquery(out, &expr->subquery);
        return;
    case EXPR_CALL:
        json_call(out, &expr->call);
        return;
    case EXPR_AGGREGATE:
        json_aggregate(out, &expr->aggregate);
        return;
    case EXPR_BINARY:
        json_binary(out, &expr->binary);
        return;
    case EXPR_UNARY:
        buf_puts(out, "\"expr\":");
        json_expr(out, expr->unary.inner);
        buf_printf(out, ",\"op\":\"%s\",\"type\":\"unaryExpr\"", expr->unary.negates ? "-" : "+");
        return;
    case EXPR_PAREN:
        buf_puts(out, "\"expr\":");
        json_expr(out, expr->paren.inner);
        buf_puts(out, ",\"type\":\"parenExpr\"");
        return;
    }
}

static void json_expr(struct buf *out, const struct expr *expr)
{
    buf_putc(out, '{');
    json_members(out, expr);
    buf_putc(out, '}');
}

void promql_print_json(const struct expr *expr, struct buf *out)
{
    json_expr(out, expr);
}
