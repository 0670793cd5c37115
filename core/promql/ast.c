/* ast.c - see ast.h. */
#include "promql/ast.h"

#include "base/mem.h"

struct query_tree *query_tree_new(const char *text, size_t len)
{
    struct query_tree *tree = mem_zalloc(1, sizeof(*tree));

    tree->text.bytes = arena_dup(&tree->arena, text, len);
    tree->text.len = len;
    return tree;
}

void query_tree_free(struct query_tree *tree)
{
    if (tree == NULL)
        return;
    for (struct matcher_block *block = tree->blocks; block != NULL; block = block->next) {
        for (size_t i = 0; i < block->count; i++)
            matcher_destroy(&block->items[i]);
    }
    arena_destroy(&tree->arena);
    mem_free(tree);
}

struct expr *expr_new(struct query_tree *tree, enum expr_kind kind, uint32_t start, uint32_t end)
{
    struct expr *expr = arena_alloc(&tree->arena, sizeof(*expr));

    memset(expr, 0, sizeof(*expr));
    expr->kind = kind;
    expr->start = start;
    expr->end = end;
    expr->depth = 1;
    return expr;
}

bool expr_set_depth(struct expr *expr)
{
    size_t count = expr_child_count(expr);

    expr->depth = 1;
    for (size_t i = 0; i < count; i++)
        expr->depth = TIDE_MAX(expr->depth, expr_child(expr, i)->depth + 1);
    return expr->depth <= QUERY_MAX_DEPTH;
}

struct matcher_block *matcher_block_new(struct query_tree *tree)
{
    struct matcher_block *block = arena_alloc(&tree->arena, sizeof(*block));

    *block = (struct matcher_block){.next = tree->blocks};
    tree->blocks = block;
    return block;
}

struct matcher *matcher_block_room(struct query_tree *tree, struct matcher_block *block)
{
    if (block->count == block->cap) {
        size_t cap = block->cap == 0 ? 2 : block->cap * 2;
        struct matcher *items = arena_alloc(&tree->arena, cap * sizeof(*items));

        if (block->count != 0)
            memcpy(items, block->items, block->count * sizeof(*items));
        block->items = items;
        block->cap = cap;
    }
    return &block->items[block->count];
}

/* --- names
 * ---------------------------------------------------------------------------------------- */

const char *binary_op_text(enum binary_op op)
{
    static const char *const texts[] = {
        [BINARY_ADD] = "+",       [BINARY_SUB] = "-",         [BINARY_MUL] = "*",
        [BINARY_DIV] = "/",       [BINARY_MOD] = "%",         [BINARY_POW] = "^",
        [BINARY_ATAN2] = "atan2", [BINARY_EQ] = "==",         [BINARY_NE] = "!=",
        [BINARY_LT] = "<",        [BINARY_LE] = "<=",         [BINARY_GT] = ">",
        [BINARY_GE] = ">=",       [BINARY_TRIM_UPPER] = "</", [BINARY_TRIM_LOWER] = ">/",
        [BINARY_AND] = "and",     [BINARY_OR] = "or",         [BINARY_UNLESS] = "unless",
    };

    return texts[op];
}

bool binary_op_is_comparison(enum binary_op op)
{
    return op >= BINARY_EQ && op <= BINARY_GE;
}

bool binary_op_is_set(enum binary_op op)
{
    return op >= BINARY_AND;
}

const char *aggregate_op_text(enum aggregate_op op)
{
    static const char *const texts[] = {
        [AGGREGATE_SUM] = "sum",           [AGGREGATE_AVG] = "avg",
        [AGGREGATE_MIN] = "min",           [AGGREGATE_MAX] = "max",
        [AGGREGATE_COUNT] = "count",       [AGGREGATE_GROUP] = "group",
        [AGGREGATE_STDDEV] = "stddev",     [AGGREGATE_STDVAR] = "stdvar",
        [AGGREGATE_QUANTILE] = "quantile", [AGGREGATE_COUNT_VALUES] = "count_values",
        [AGGREGATE_TOPK] = "topk",         [AGGREGATE_BOTTOMK] = "bottomk",
        [AGGREGATE_LIMITK] = "limitk",     [AGGREGATE_LIMIT_RATIO] = "limit_ratio",
    };

    return texts[op];
}

bool aggregate_op_has_param(enum aggregate_op op)
{
    return op >= AGGREGATE_QUANTILE;
}

/* --- walking
 * --------------------------------------------------------------------------------------- */

size_t expr_child_count(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_SELECTOR:
        return 0;
    case EXPR_CALL:
        return expr->call.arg_count;
    case EXPR_AGGREGATE:
        return expr->aggregate.param != NULL ? 2 : 1;
    case EXPR_BINARY:
        return 2;
    case EXPR_RANGE:
    case EXPR_SUBQUERY:
    case EXPR_UNARY:
    case EXPR_PAREN:
        return 1;
    }
    return 0;
}

struct expr *expr_child(const struct expr *expr, size_t i)
{
    switch (expr->kind) {
    case EXPR_RANGE:
        return expr->range.selector;
    case EXPR_SUBQUERY:
        return expr->subquery.inner;
    case EXPR_CALL:
        return expr->call.args[i];
    case EXPR_AGGREGATE:
        return i == 0 && expr->aggregate.param != NULL ? expr->aggregate.param
                                                       : expr->aggregate.inner;
    case EXPR_BINARY:
        return i == 0 ? expr->binary.left : expr->binary.right;
    case EXPR_UNARY:
        return expr->unary.inner;
    case EXPR_PAREN:
        return expr->paren.inner;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_SELECTOR:
        break;
    }
    return NULL;
}

struct expr *expr_unparen(struct expr *expr)
{
    while (expr->kind == EXPR_PAREN)
        expr = expr->paren.inner;
    return expr;
}

void expr_visit(struct expr *expr, expr_visitor visit, void *ctx)
{
    size_t count;

    if (!visit(expr, ctx))
        return;
    count = expr_child_count(expr);
    for (size_t i = 0; i < count; i++)
        expr_visit(expr_child(expr, i), visit, ctx);
}
