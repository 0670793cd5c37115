/* ast.h - a PromQL query as a tree: what the parser makes, scripts reshape, the planner reads.
 *
 * All nodes, texts and lists lie in the tree's arena and live as long as the tree; matchers own
 * compiled expressions, which query_tree_free gives back. Positions are byte offsets into the query
 * text, [start, end). After a parse the tree is checked (promql.md 6): types fit, counts of
 * arguments fit, every selector has a matcher that does not accept "". A tree belongs to one
 * thread. */
#ifndef TIDE_PROMQL_AST_H
#define TIDE_PROMQL_AST_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "model/matcher.h"
#include "promql/function_table.h"

/* No tree is higher: recursion over it is safe on a stack of 2 MiB. */
#define QUERY_MAX_DEPTH 1000

struct expr;

/* Matchers of one selector, or those that hold everywhere: a list of what the tree must destroy. */
struct matcher_block {
    struct matcher_block *next;
    struct matcher *items;
    size_t count;
    size_t cap;
};

/* Bytes in the arena, also terminated; strings of PromQL may hold any byte. */
struct query_text {
    const char *bytes;
    size_t len;
};

struct query_texts {
    const struct query_text *items;
    size_t count;
};

/* --- durations in brackets and after offset --------------------------------------------------- */

enum duration_kind {
    DURATION_NUMBER,
    DURATION_STEP,  /* step(): of the query */
    DURATION_RANGE, /* range(): end - start of the query */
    DURATION_PAREN, /* (left) */
    DURATION_NEGATE,
    DURATION_ADD,
    DURATION_SUB,
    DURATION_MUL,
    DURATION_DIV,
    DURATION_MOD,
    DURATION_POW,
    DURATION_MIN_OF,
    DURATION_MAX_OF,
};

/* Computed in seconds when the query's times are known (promql.md 9.1). */
struct duration_expr {
    enum duration_kind kind;
    uint32_t start, end;
    double seconds;   /* DURATION_NUMBER */
    bool as_duration; /* was written 5m, not 300 */
    uint32_t depth;   /* height of this expression */
    struct duration_expr *left;
    struct duration_expr *right;
};

/* A duration: known, or to be computed. */
struct query_duration {
    int64_t ns;                 /* when expr is NULL */
    struct duration_expr *expr; /* NULL for a literal */
};

/* --- expressions -------------------------------------------------------------------------------
 */

enum expr_kind {
    EXPR_NUMBER,
    EXPR_STRING,
    EXPR_SELECTOR, /* instant vector */
    EXPR_RANGE,    /* selector[5m] */
    EXPR_SUBQUERY, /* expr[5m:1m] */
    EXPR_CALL,
    EXPR_AGGREGATE,
    EXPR_BINARY,
    EXPR_UNARY,
    EXPR_PAREN,
};

enum binary_op {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_MOD,
    BINARY_POW,
    BINARY_ATAN2,
    BINARY_EQ,
    BINARY_NE,
    BINARY_LT,
    BINARY_LE,
    BINARY_GT,
    BINARY_GE,
    BINARY_TRIM_UPPER, /* histogram </ float */
    BINARY_TRIM_LOWER, /* histogram >/ float */
    BINARY_AND,
    BINARY_OR,
    BINARY_UNLESS,
};

enum aggregate_op {
    AGGREGATE_SUM,
    AGGREGATE_AVG,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_COUNT,
    AGGREGATE_GROUP,
    AGGREGATE_STDDEV,
    AGGREGATE_STDVAR,
    AGGREGATE_QUANTILE,
    AGGREGATE_COUNT_VALUES,
    AGGREGATE_TOPK,
    AGGREGATE_BOTTOMK,
    AGGREGATE_LIMITK,
    AGGREGATE_LIMIT_RATIO,
};

/* What pairs samples of two vectors. */
enum match_group {
    MATCH_ONE_TO_ONE,  /* also of set operators, whose pairs are many to many */
    MATCH_GROUP_LEFT,  /* many to one */
    MATCH_GROUP_RIGHT, /* one to many */
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };
enum extend_kind { EXTEND_NONE, EXTEND_ANCHORED, EXTEND_SMOOTHED };

/* offset and @ of selectors, ranges and subqueries. */
struct query_shift {
    struct query_duration offset; /* may be negative; 0: none */
    enum at_kind at;
    int64_t at_ms; /* AT_TIME */
};

struct expr_number {
    double value;
    bool as_duration; /* was written 5m: printed so */
};

struct expr_selector {
    struct query_text name;   /* in front of the braces; bytes NULL when absent */
    struct matcher *matchers; /* the name's is the last one, as type = on __name__ */
    size_t matcher_count;
    struct matcher_block *block; /* their owner in the tree */
    struct query_shift shift;
    enum extend_kind extend;
};

/* The inner selector has no shift and no extend of its own: they are here. */
struct expr_range {
    struct expr *selector;
    struct query_duration range; /* > 0 when known */
    struct query_shift shift;
    enum extend_kind extend;
};

struct expr_subquery {
    struct expr *inner;
    struct query_duration range;
    struct query_duration step; /* 0 when has_step is false: the default */
    bool has_step;
    struct query_shift shift;
};

struct expr_call {
    const struct function_row *function; /* static, or of the function_set */
    struct expr **args;
    size_t arg_count;
};

struct expr_aggregate {
    enum aggregate_op op;
    struct expr *inner;
    struct expr *param; /* NULL unless op takes one */
    struct query_texts grouping;
    bool without;
};

struct expr_binary {
    enum binary_op op;
    struct expr *left;
    struct expr *right;
    bool returns_bool;
    bool has_matching; /* both sides are vectors, or on/ignoring was written */
    bool on;           /* on(labels), else ignoring(labels) */
    struct query_texts labels;
    enum match_group group;
    struct query_texts include; /* group_left(labels) */
    bool fills_left, fills_right;
    double fill_left, fill_right;
    uint32_t op_start; /* where the operator stands */
};

struct expr_unary {
    bool negates; /* else a plus sign, which does nothing */
    struct expr *inner;
};

struct expr_paren {
    struct expr *inner;
};

struct expr {
    enum expr_kind kind;
    enum expr_type type; /* set by the checker */
    uint32_t start, end;
    uint32_t depth; /* height of the tree below, itself included */
    union {
        struct expr_number number;
        struct query_text string;
        struct expr_selector selector;
        struct expr_range range;
        struct expr_subquery subquery;
        struct expr_call call;
        struct expr_aggregate aggregate;
        struct expr_binary binary;
        struct expr_unary unary;
        struct expr_paren paren;
    };
};

/* A parsed query and all that belongs to it. */
struct query_tree {
    struct expr *root;
    struct query_text text; /* a copy of the query as sent */
    /* Matchers that hold for whatever the query reads, also for what no selector names: the info
     * series of info(). They are in each selector already. */
    struct matcher_block *everywhere; /* NULL: none */
    struct arena arena;
    struct matcher_block *blocks; /* the matchers to give back */
};

/** An empty tree with a copy of the text; the parser fills it. */
struct query_tree *query_tree_new(const char *text, size_t len);
/** Takes NULL. */
void query_tree_free(struct query_tree *tree);

/** A new node of the tree, zeroed but for kind, start and end. Its depth is 1: expr_set_depth. */
struct expr *expr_new(struct query_tree *tree, enum expr_kind kind, uint32_t start, uint32_t end);
/** Finds the height of a node whose children are in place. False when it is over QUERY_MAX_DEPTH.
 */
TIDE_NODISCARD bool expr_set_depth(struct expr *expr);
/** An empty block of matchers of the tree. */
struct matcher_block *matcher_block_new(struct query_tree *tree);
/** Room for one more matcher, not yet counted: init it, then count++. */
struct matcher *matcher_block_room(struct query_tree *tree, struct matcher_block *block);

/** "+", "atan2", "</". Static. */
const char *binary_op_text(enum binary_op op);
bool binary_op_is_comparison(enum binary_op op);
bool binary_op_is_set(enum binary_op op);
/** "sum", "count_values". Static. */
const char *aggregate_op_text(enum aggregate_op op);
/** topk, bottomk, quantile, limitk, limit_ratio and count_values have a parameter. */
bool aggregate_op_has_param(enum aggregate_op op);

/* --- walking -----------------------------------------------------------------------------------
 */

/** Children in the order of the text: parameter before operand, left before right. */
size_t expr_child_count(const struct expr *expr);
struct expr *expr_child(const struct expr *expr, size_t i);
/** What stands inside any number of parentheses. */
struct expr *expr_unparen(struct expr *expr);

/* Called with each node before its children; false: not into its children. */
typedef bool (*expr_visitor)(struct expr *expr, void *ctx);
void expr_visit(struct expr *expr, expr_visitor visit, void *ctx);

/* What a query asks for, for policies to judge. */
struct query_facts {
    size_t nodes;
    size_t selectors;
    size_t subqueries;
    size_t calls;
    int64_t longest_range_ns;  /* of known ranges and subqueries; 0: none */
    int64_t longest_offset_ns; /* of known offsets, absolute */
    bool has_at;
    bool has_computed_duration; /* some range or offset depends on step() or range() */
};

void query_tree_facts(const struct query_tree *tree, struct query_facts *facts);
/** A selector of series and nothing else: no offset, @ or range (match[] of the API). */
bool expr_is_plain_selector(const struct expr *expr);

/* --- reshaping ---------------------------------------------------------------------------------
 */

/**
 * Adds one matcher to every selector and to what the query reads besides (everywhere).
 *
 * @return 0, or -1 with err: ERR_INVALID (bad regular expression); then nothing is changed
 */
TIDE_NODISCARD int query_tree_add_matcher(struct query_tree *tree, enum matcher_type type,
                                          const char *name, size_t name_len, const char *value,
                                          size_t value_len, struct regex_cache *cache,
                                          struct error *err);
/** Adds one matcher to one selector (EXPR_SELECTOR) of the tree. As query_tree_add_matcher. */
TIDE_NODISCARD int expr_add_matcher(struct query_tree *tree, struct expr *selector,
                                    enum matcher_type type, const char *name, size_t name_len,
                                    const char *value, size_t value_len, struct regex_cache *cache,
                                    struct error *err);
/** Shortens known ranges (of selectors and subqueries) to at most max_ns > 0. Returns how many. */
size_t query_tree_clamp_ranges(struct query_tree *tree, int64_t max_ns);
/** Lengthens known steps of subqueries to at least min_ns > 0. Returns how many. */
size_t query_tree_clamp_steps(struct query_tree *tree, int64_t min_ns);

#endif
