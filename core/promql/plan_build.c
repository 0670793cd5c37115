/* plan_build.c - see plan_build.h. */
#include "promql/plan_build.h"

#include "base/mem.h"
#include "promql/binary.h"
#include "promql/eval_call.h"
#include "promql/plan_duration.h"

#define NS_PER_MS 1000000
#define NS_PER_SECOND 1000000000

/* Times beyond this (a hundred million years) are cut, so that sums of them cannot overflow. */
#define FARTHEST_MS ((int64_t)1 << 61)

struct builder {
    struct plan *plan;
    const struct promql_query *query;
    int64_t start_ms, end_ms, step_ms; /* of the query; an instant query's step is 0 */
    struct duration_times times;
    size_t max_samples;
    struct error *err;
};

static struct plan_node *build(struct builder *b, struct expr *expr, const struct grid *grid);

static int64_t clamp_time(int64_t ms)
{
    return ms > FARTHEST_MS ? FARTHEST_MS : ms < -FARTHEST_MS ? -FARTHEST_MS : ms;
}

static struct plan_node *new_node(struct builder *b, const struct expr *expr, enum plan_kind kind,
                                  const struct grid *grid, size_t child_count)
{
    struct plan_node *node = arena_alloc(&b->plan->arena, sizeof(*node));

    *node = (struct plan_node){.kind = kind, .type = expr->type, .offset = expr->start};
    node->grid = *grid;
    node->child_count = child_count;
    node->children = arena_alloc(&b->plan->arena, (child_count + 1) * sizeof(*node->children));
    return node;
}

static struct plan_node *new_number(struct builder *b, const struct expr *expr,
                                    const struct grid *grid, double value)
{
    struct plan_node *node = new_node(b, expr, PLAN_NUMBER, grid, 0);

    node->number = value;
    node->type = EXPR_TYPE_SCALAR;
    return node;
}

/* --- step invariance (promql.md 9.3) ------------------------------------------------------------
 */

static bool is_folded_call(const struct expr *expr)
{
    const char *name = expr->call.function->name;

    return expr->call.arg_count == 0 && (strcmp(name, "start") == 0 || strcmp(name, "end") == 0 ||
                                         strcmp(name, "step") == 0 || strcmp(name, "range") == 0);
}

static bool is_invariant(struct expr *expr);

static bool is_invariant_call(const struct expr *expr)
{
    const char *name = expr->call.function->name;
    const struct call_function *function = call_function_find(name, strlen(name));

    if (is_folded_call(expr))
        return true;
    for (size_t i = 0; i < expr->call.arg_count; i++) {
        if (!is_invariant(expr->call.args[i]))
            return false;
    }
    if (strcmp(name, "timestamp") == 0)
        return expr_unparen(expr->call.args[0])->kind == EXPR_SELECTOR;
    return strcmp(name, "predict_linear") != 0 && !(function != NULL && function->depends_on_time);
}

static bool is_invariant(struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
    case EXPR_STRING:
        return true;
    case EXPR_SELECTOR:
        return expr->selector.shift.at != AT_NONE;
    case EXPR_RANGE:
        return expr->range.shift.at != AT_NONE;
    case EXPR_SUBQUERY:
        return expr->subquery.shift.at != AT_NONE;
    case EXPR_CALL:
        return is_invariant_call(expr);
    case EXPR_AGGREGATE:
        return is_invariant(expr->aggregate.inner);
    case EXPR_BINARY:
        return is_invariant(expr->binary.left) && is_invariant(expr->binary.right);
    case EXPR_UNARY:
        return is_invariant(expr->unary.inner);
    case EXPR_PAREN:
        return is_invariant(expr->paren.inner);
    }
    return false;
}

/* --- times ---------------------------------------------------------------------------------------
 */

static int set_shift(struct builder *b, struct plan_node *node, const struct query_shift *shift)
{
    int64_t ns;

    if (duration_resolve(&shift->offset, &b->times, false, &ns, b->err) != 0)
        return -1;
    node->offset_ms = ns / NS_PER_MS;
    node->at_set = shift->at != AT_NONE;
    if (shift->at == AT_TIME)
        node->at_ms = clamp_time(shift->at_ms);
    else
        node->at_ms = shift->at == AT_START ? b->start_ms : b->end_ms;
    return 0;
}

static int set_range(struct builder *b, struct plan_node *node,
                     const struct query_duration *duration)
{
    int64_t ns;

    if (duration_resolve(duration, &b->times, true, &ns, b->err) != 0)
        return -1;
    node->range_ms = ns / NS_PER_MS;
    node->range_seconds = (double)(ns / NS_PER_SECOND) + (double)(ns % NS_PER_SECOND) / 1e9;
    return 0;
}

static enum range_mode mode_of(enum extend_kind extend)
{
    return extend == EXTEND_ANCHORED   ? RANGE_ANCHORED
           : extend == EXTEND_SMOOTHED ? RANGE_SMOOTHED
                                       : RANGE_PLAIN;
}

static int64_t last_ref_ms(const struct plan_node *node)
{
    return plan_ref_ms(node) + (int64_t)(node->grid.steps - 1) * plan_ref_step_ms(node);
}

/* --- selectors
 * -------------------------------------------------------------------------------------
 */

static bool same_matchers(const struct plan_source *source, const struct expr_selector *selector)
{
    if (source->matcher_count != selector->matcher_count)
        return false;
    for (size_t i = 0; i < source->matcher_count; i++) {
        const struct matcher *a = &source->matchers[i], *b = &selector->matchers[i];

        if (a->type != b->type || a->name_len != b->name_len || a->value_len != b->value_len ||
            memcmp(a->name, b->name, a->name_len) != 0 ||
            memcmp(a->value, b->value, a->value_len) != 0)
            return false;
    }
    return true;
}

/* The source for these matchers over [from, to]: one that there is, if its time overlaps. */
static struct plan_source *share_source(struct builder *b, const struct expr_selector *selector,
                                        int64_t from_ms, int64_t to_ms)
{
    struct plan *plan = b->plan;
    struct plan_source *source;

    for (size_t i = 0; i < plan->source_count; i++) {
        source = plan->sources[i];
        if (!same_matchers(source, selector) || from_ms > source->to_ms || to_ms < source->from_ms)
            continue;
        source->from_ms = TIDE_MIN(source->from_ms, from_ms);
        source->to_ms = TIDE_MAX(source->to_ms, to_ms);
        source->uses++;
        return source;
    }
    source = arena_alloc(&plan->arena, sizeof(*source));
    *source = (struct plan_source){.matchers = selector->matchers,
                                   .matcher_count = selector->matcher_count,
                                   .from_ms = from_ms,
                                   .to_ms = to_ms,
                                   .uses = 1};
    plan_add_source(plan, source);
    return source;
}

static struct plan_node *build_selector(struct builder *b, struct expr *expr,
                                        const struct grid *grid)
{
    struct plan_node *node = new_node(b, expr, PLAN_SELECTOR, grid, 0);
    int64_t lookback = b->plan->lookback_ms, to;

    if (set_shift(b, node, &expr->selector.shift) != 0)
        return NULL;
    node->mode = mode_of(expr->selector.extend);
    to = last_ref_ms(node) + (node->mode == RANGE_SMOOTHED ? lookback : 0);
    node->source = share_source(b, &expr->selector, plan_ref_ms(node) - lookback + 1, to);
    return node;
}

static struct plan_node *build_range(struct builder *b, struct expr *expr, const struct grid *grid)
{
    struct plan_node *node = new_node(b, expr, PLAN_RANGE, grid, 0);
    int64_t lookback = b->plan->lookback_ms, from, to;

    if (set_range(b, node, &expr->range.range) != 0 || set_shift(b, node, &expr->range.shift) != 0)
        return NULL;
    node->mode = mode_of(expr->range.extend);
    from = plan_ref_ms(node) - node->range_ms - (node->mode != RANGE_PLAIN ? lookback : 0) + 1;
    to = last_ref_ms(node) + (node->mode == RANGE_SMOOTHED ? lookback : 0);
    node->source = share_source(b, &expr->range.selector->selector, from, to);
    return node;
}

/* The largest multiple of step at or below t. */
static int64_t align_down(int64_t t, int64_t step)
{
    int64_t rest = t % step;

    return rest < 0 ? t - rest - step : t - rest;
}

static struct plan_node *build_subquery(struct builder *b, struct expr *expr,
                                        const struct grid *grid)
{
    const struct expr_subquery *subquery = &expr->subquery;
    struct plan_node *node = new_node(b, expr, PLAN_SUBQUERY, grid, 1);
    struct grid inner = {.step_ms = b->query->subquery_step_ms != 0
                                        ? b->query->subquery_step_ms
                                        : PROMQL_DEFAULT_SUBQUERY_STEP_MS};
    int64_t last, ns;

    if (set_range(b, node, &subquery->range) != 0 || set_shift(b, node, &subquery->shift) != 0)
        return NULL;
    if (subquery->has_step) {
        if (duration_resolve(&subquery->step, &b->times, true, &ns, b->err) != 0)
            return NULL;
        inner.step_ms = TIDE_MAX(ns / NS_PER_MS, 1);
    }
    inner.start_ms = align_down(plan_ref_ms(node) - node->range_ms, inner.step_ms) + inner.step_ms;
    last = last_ref_ms(node);
    if (inner.start_ms <= last && grid->steps != 0)
        inner.steps = (size_t)((last - inner.start_ms) / inner.step_ms) + 1;
    if (inner.steps > b->max_samples) {
        error_set(b->err, ERR_LIMIT,
                  "query processing would load too many samples into memory in query execution");
        return NULL;
    }
    node->children[0] = build(b, subquery->inner, &inner);
    return node->children[0] != NULL ? node : NULL;
}

/* --- calls, operators
 * ------------------------------------------------------------------------------
 */

static struct plan_node *build_folded(struct builder *b, const struct expr *expr,
                                      const struct grid *grid)
{
    const char *name = expr->call.function->name;
    double value;

    if (strcmp(name, "start") == 0)
        value = (double)b->start_ms / 1000.0;
    else if (strcmp(name, "end") == 0)
        value = (double)b->end_ms / 1000.0;
    else if (strcmp(name, "range") == 0)
        value = (double)(b->end_ms - b->start_ms) / 1000.0;
    else
        value = b->start_ms == b->end_ms ? 0 : (double)b->step_ms / 1000.0;
    return new_number(b, expr, grid, value);
}

/* The second argument of info: only its matchers count. */
static struct plan_node *build_info_matchers(struct builder *b, struct expr *expr,
                                             const struct grid *grid)
{
    struct plan_node *node = new_node(b, expr, PLAN_SELECTOR, grid, 0);

    node->source = arena_alloc(&b->plan->arena, sizeof(*node->source));
    *node->source = (struct plan_source){.matchers = expr->selector.matchers,
                                         .matcher_count = expr->selector.matcher_count};
    return node;
}

static struct plan_node *build_call(struct builder *b, struct expr *expr, const struct grid *grid)
{
    const struct expr_call *call = &expr->call;
    const char *name = call->function->name;
    struct plan_node *node;

    if (is_folded_call(expr))
        return build_folded(b, expr, grid);
    node = new_node(b, expr, PLAN_CALL, grid, call->arg_count);
    node->range_function = range_function_find(name);
    node->function = call_function_find(name, strlen(name));
    if (call->function->id >= FUNCTION_FIRST_ADDED && b->query->added != NULL)
        node->added = call->function;
    if (node->range_function == NULL && node->function == NULL && node->added == NULL) {
        error_set(b->err, ERR_EXECUTION, "function \"%s\" cannot be evaluated", name);
        return NULL;
    }
    for (size_t i = 0; i < call->arg_count; i++) {
        struct expr *arg = expr_unparen(call->args[i]);
        bool is_matchers = i == 1 && strcmp(name, "info") == 0;

        node->children[i] = is_matchers ? build_info_matchers(b, arg, grid) : build(b, arg, grid);
        if (node->children[i] == NULL)
            return NULL;
    }
    return node;
}

static struct plan_node *build_aggregate(struct builder *b, struct expr *expr,
                                         const struct grid *grid)
{
    const struct expr_aggregate *aggregate = &expr->aggregate;
    struct plan_node *node =
        new_node(b, expr, PLAN_AGGREGATE, grid, aggregate->param != NULL ? 2 : 1);

    node->aggregate = aggregate->op;
    node->names = aggregate->grouping;
    node->without = aggregate->without;
    if (aggregate->param != NULL) {
        node->children[1] = build(b, expr_unparen(aggregate->param), grid);
        if (node->children[1] == NULL)
            return NULL;
    }
    node->children[0] = build(b, expr_unparen(aggregate->inner), grid);
    return node->children[0] != NULL ? node : NULL;
}

static bool is_trim(enum binary_op op)
{
    return op == BINARY_TRIM_UPPER || op == BINARY_TRIM_LOWER;
}

static struct plan_node *build_binary(struct builder *b, struct expr *expr, const struct grid *grid)
{
    struct plan_node *node = new_node(b, expr, PLAN_BINARY, grid, 2);
    const struct plan_node *left, *right;

    node->op = expr->binary.op;
    node->returns_bool = expr->binary.returns_bool;
    node->binary = &expr->binary;
    node->children[0] = build(b, expr->binary.left, grid);
    node->children[1] = node->children[0] != NULL ? build(b, expr->binary.right, grid) : NULL;
    if (node->children[1] == NULL)
        return NULL;
    left = node->children[0];
    right = node->children[1];
    if (left->kind == PLAN_NUMBER && right->kind == PLAN_NUMBER && !is_trim(node->op))
        return new_number(b, expr, grid, binary_of(node->op, left->number, right->number));
    return node;
}

static struct plan_node *build_unary(struct builder *b, struct expr *expr, const struct grid *grid)
{
    struct plan_node *node, *inner = build(b, expr->unary.inner, grid);

    if (inner == NULL || !expr->unary.negates)
        return inner;
    if (inner->kind == PLAN_NUMBER)
        return new_number(b, expr, grid, -inner->number);
    node = new_node(b, expr, PLAN_NEGATE, grid, 1);
    node->children[0] = inner;
    return node;
}

static struct plan_node *build_kind(struct builder *b, struct expr *expr, const struct grid *grid)
{
    struct plan_node *node;

    switch (expr->kind) {
    case EXPR_NUMBER:
        return new_number(b, expr, grid, expr->number.value);
    case EXPR_STRING:
        node = new_node(b, expr, PLAN_STRING, grid, 0);
        node->text = expr->string.bytes;
        node->text_len = expr->string.len;
        return node;
    case EXPR_SELECTOR:
        return build_selector(b, expr, grid);
    case EXPR_RANGE:
        return build_range(b, expr, grid);
    case EXPR_SUBQUERY:
        return build_subquery(b, expr, grid);
    case EXPR_CALL:
        return build_call(b, expr, grid);
    case EXPR_AGGREGATE:
        return build_aggregate(b, expr, grid);
    case EXPR_BINARY:
        return build_binary(b, expr, grid);
    case EXPR_UNARY:
        return build_unary(b, expr, grid);
    case EXPR_PAREN:
        return build(b, expr->paren.inner, grid);
    }
    error_set(b->err, ERR_INVALID, "unknown expression");
    return NULL;
}

/* A node, or one that is evaluated once and repeated. */
static struct plan_node *build(struct builder *b, struct expr *expr, const struct grid *grid)
{
    struct grid first = {grid->start_ms, grid->step_ms, 1};
    struct plan_node *node, *once;

    if (grid->steps <= 1 || (expr->type != EXPR_TYPE_SCALAR && expr->type != EXPR_TYPE_VECTOR) ||
        !is_invariant(expr))
        return build_kind(b, expr, grid);
    node = build_kind(b, expr, &first);
    if (node == NULL)
        return NULL;
    if (node->kind == PLAN_NUMBER) {
        node->grid = *grid;
        return node;
    }
    once = new_node(b, expr, PLAN_ONCE, grid, 1);
    once->offset = node->offset;
    once->children[0] = node;
    return once;
}

static int check_query(struct builder *b, const struct query_tree *tree)
{
    struct plan *plan = b->plan;
    enum expr_type type = tree->root->type;

    if (plan->is_range && type != EXPR_TYPE_SCALAR && type != EXPR_TYPE_VECTOR)
        return error_set(b->err, ERR_INVALID,
                         "invalid expression type \"%s\" for range query, must be Scalar or "
                         "instant Vector",
                         expr_type_text(type));
    if (plan->grid.steps > b->max_samples)
        return error_set(b->err, ERR_LIMIT,
                         "query processing would load too many samples into memory in query "
                         "execution");
    return 0;
}

int plan_build(struct plan *plan, const struct promql_query *query, const struct query_tree *tree,
               struct error *err)
{
    struct builder b = {.plan = plan, .query = query, .err = err};

    plan->tree = tree;
    plan->is_range = query->step_ms > 0;
    plan->lookback_ms = query->lookback_ms != 0 ? query->lookback_ms : PROMQL_DEFAULT_LOOKBACK_MS;
    b.max_samples = query->max_samples != 0 ? query->max_samples : PROMQL_DEFAULT_MAX_SAMPLES;
    b.start_ms = clamp_time(query->start_ms);
    b.end_ms = plan->is_range ? clamp_time(query->end_ms) : b.start_ms;
    b.step_ms = query->step_ms;
    plan->spans_time = b.end_ms != b.start_ms;
    plan->grid = (struct grid){b.start_ms, TIDE_MAX(b.step_ms, 1), 1};
    if (plan->is_range && b.end_ms > b.start_ms)
        plan->grid.steps = (size_t)((b.end_ms - b.start_ms) / b.step_ms) + 1;
    b.times.step_seconds = (double)b.step_ms / 1000.0;
    b.times.range_seconds = (double)(b.end_ms - b.start_ms) / 1000.0;
    if (check_query(&b, tree) != 0)
        return -1;
    plan->root = build(&b, tree->root, &plan->grid);
    return plan->root != NULL ? 0 : -1;
}
