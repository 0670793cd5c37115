/* ast_shape.c - what a query asks for, and ways to narrow it: see ast.h. */
#include "promql/ast.h"

/* --- facts
 * ------------------------------------------------------------------------------------------ */

static void note_range(struct query_facts *facts, const struct query_duration *range)
{
    if (range->expr != NULL)
        facts->has_computed_duration = true;
    else
        facts->longest_range_ns = TIDE_MAX(facts->longest_range_ns, range->ns);
}

static void note_shift(struct query_facts *facts, const struct query_shift *shift)
{
    int64_t ns = shift->offset.ns;

    if (shift->at != AT_NONE)
        facts->has_at = true;
    if (shift->offset.expr != NULL)
        facts->has_computed_duration = true;
    else if (ns != INT64_MIN)
        facts->longest_offset_ns = TIDE_MAX(facts->longest_offset_ns, ns < 0 ? -ns : ns);
    else
        facts->longest_offset_ns = INT64_MAX;
}

static bool note_expr(struct expr *expr, void *ctx)
{
    struct query_facts *facts = ctx;

    facts->nodes++;
    switch (expr->kind) {
    case EXPR_SELECTOR:
        facts->selectors++;
        note_shift(facts, &expr->selector.shift);
        break;
    case EXPR_RANGE:
        note_range(facts, &expr->range.range);
        note_shift(facts, &expr->range.shift);
        break;
    case EXPR_SUBQUERY:
        facts->subqueries++;
        note_range(facts, &expr->subquery.range);
        note_shift(facts, &expr->subquery.shift);
        if (expr->subquery.step.expr != NULL)
            facts->has_computed_duration = true;
        break;
    case EXPR_CALL:
        facts->calls++;
        break;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_AGGREGATE:
    case EXPR_BINARY:
    case EXPR_UNARY:
    case EXPR_PAREN:
        break;
    }
    return true;
}

void query_tree_facts(const struct query_tree *tree, struct query_facts *facts)
{
    *facts = (struct query_facts){0};
    expr_visit(tree->root, note_expr, facts);
}

/* --- matchers
 * --------------------------------------------------------------------------------------- */

/* Puts a copy in front: the matcher of the name in front of the braces stays the last one. */
static void selector_prepend(struct query_tree *tree, struct expr *expr,
                             const struct matcher *matcher)
{
    struct expr_selector *selector = &expr->selector;
    struct matcher_block *block = selector->block;

    matcher_block_room(tree, block);
    memmove(block->items + 1, block->items, block->count * sizeof(*block->items));
    matcher_copy(&block->items[0], matcher);
    block->count++;
    selector->matchers = block->items;
    selector->matcher_count = block->count;
}

struct adding {
    struct query_tree *tree;
    const struct matcher *matcher;
};

static bool add_to_selector(struct expr *expr, void *ctx)
{
    const struct adding *adding = ctx;

    if (expr->kind == EXPR_SELECTOR)
        selector_prepend(adding->tree, expr, adding->matcher);
    return true;
}

int query_tree_add_matcher(struct query_tree *tree, enum matcher_type type, const char *name,
                           size_t name_len, const char *value, size_t value_len,
                           struct regex_cache *cache, struct error *err)
{
    struct matcher *matcher;
    struct adding adding = {.tree = tree};

    if (tree->everywhere == NULL)
        tree->everywhere = matcher_block_new(tree);
    matcher = matcher_block_room(tree, tree->everywhere);
    if (matcher_init(matcher, type, name, name_len, value, value_len, cache, err) != 0)
        return -1;
    tree->everywhere->count++;
    adding.matcher = matcher;
    expr_visit(tree->root, add_to_selector, &adding);
    return 0;
}

int expr_add_matcher(struct query_tree *tree, struct expr *selector, enum matcher_type type,
                     const char *name, size_t name_len, const char *value, size_t value_len,
                     struct regex_cache *cache, struct error *err)
{
    struct matcher matcher;

    TIDE_ASSERT(selector->kind == EXPR_SELECTOR);
    if (matcher_init(&matcher, type, name, name_len, value, value_len, cache, err) != 0)
        return -1;
    selector_prepend(tree, selector, &matcher);
    matcher_destroy(&matcher);
    return 0;
}

/* --- bounds
 * ------------------------------------------------------------------------------------------ */

struct clamping {
    int64_t bound_ns;
    size_t changed;
};

static void clamp_range(struct clamping *clamping, struct query_duration *range)
{
    if (range->expr == NULL && range->ns > clamping->bound_ns) {
        range->ns = clamping->bound_ns;
        clamping->changed++;
    }
}

static bool clamp_ranges_of(struct expr *expr, void *ctx)
{
    if (expr->kind == EXPR_RANGE)
        clamp_range(ctx, &expr->range.range);
    else if (expr->kind == EXPR_SUBQUERY)
        clamp_range(ctx, &expr->subquery.range);
    return true;
}

size_t query_tree_clamp_ranges(struct query_tree *tree, int64_t max_ns)
{
    struct clamping clamping = {.bound_ns = max_ns};

    TIDE_ASSERT(max_ns > 0);
    expr_visit(tree->root, clamp_ranges_of, &clamping);
    return clamping.changed;
}

static bool clamp_step_of(struct expr *expr, void *ctx)
{
    struct clamping *clamping = ctx;

    if (expr->kind == EXPR_SUBQUERY && expr->subquery.has_step &&
        expr->subquery.step.expr == NULL && expr->subquery.step.ns < clamping->bound_ns) {
        expr->subquery.step.ns = clamping->bound_ns;
        clamping->changed++;
    }
    return true;
}

size_t query_tree_clamp_steps(struct query_tree *tree, int64_t min_ns)
{
    struct clamping clamping = {.bound_ns = min_ns};

    TIDE_ASSERT(min_ns > 0);
    expr_visit(tree->root, clamp_step_of, &clamping);
    return clamping.changed;
}

bool expr_is_plain_selector(const struct expr *expr)
{
    return expr->kind == EXPR_SELECTOR && expr->selector.shift.at == AT_NONE &&
           expr->selector.shift.offset.ns == 0 && expr->selector.shift.offset.expr == NULL &&
           expr->selector.extend == EXTEND_NONE;
}
