/* parse.h - PromQL text to a checked tree (promql.md 3-7).
 *
 * Thread-safe: nothing is shared but the regex cache and the options' function set. */
#ifndef TIDE_PROMQL_PARSE_H
#define TIDE_PROMQL_PARSE_H

#include "base/base.h"
#include "base/error.h"
#include "base/regex.h"
#include "promql/ast.h"

/* Which parts of the language are refused (promql.md 1). Zeroed: all of it is understood. */
struct promql_options {
    bool no_experimental_functions;
    bool no_duration_expressions;
    bool no_extended_ranges; /* anchored, smoothed */
    bool no_fill;
    bool no_at;
    bool no_negative_offset;
    const struct function_set *functions; /* besides the built-in ones; may be NULL */
};

/** Refuses what upstream hides behind options: experimental functions and aggregations, duration
 * expressions, anchored and smoothed, fill. */
void promql_options_stable(struct promql_options *options);
/**
 * Parses and checks a query.
 *
 * @param text     any bytes; copied
 * @param options  may be NULL: the whole language
 * @param cache    for matchers' regular expressions; may be NULL
 * @return owned tree (query_tree_free), or NULL with err: ERR_INVALID, the text is upstream's
 *         "LINE:COLUMN: parse error: ..."
 * Memory: at most about 300 bytes per byte of text. Stack: bounded by QUERY_MAX_DEPTH.
 */
TIDE_NODISCARD struct query_tree *promql_parse(const char *text, size_t len,
                                               const struct promql_options *options,
                                               struct regex_cache *cache, struct error *err);

#endif
