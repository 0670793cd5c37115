/* functions.h - functions that scripts add to PromQL (tide.func), for the one who runs a query.
 *
 *     struct rule_functions functions;
 *
 *     rule_functions_begin(&functions, book);      book may be NULL: none are added
 *     parse with functions.set, execute with functions.added
 *     rule_functions_end(&functions);              when tree and result are gone
 *
 * They run in the states of the threads that evaluate, within limits.script_time a call. A broken
 * or suspended function fails the query. One owner; the calls are thread-safe. */
#ifndef TIDE_SCRIPT_FUNCTIONS_H
#define TIDE_SCRIPT_FUNCTIONS_H

#include "base/base.h"
#include "promql/engine.h"

struct rulebook;
struct ruleset;

struct rule_functions {
    const struct function_set *set; /* NULL: none */
    struct added_functions added;
    struct rulebook *book;
    struct ruleset *rules; /* owned reference: the rows are its */
};

void rule_functions_begin(struct rule_functions *functions, struct rulebook *book);
void rule_functions_end(struct rule_functions *functions);

#ifndef TIDE_CDEF
struct lua_State;
struct script_state;
/** Pushes the state's two columns, pointed at numbers that are there until its binding's era rises.
 */
void functions_push_window_raises(struct lua_State *L, struct script_state *state,
                                  const int64_t *times_ms, const double *values, size_t len);
#endif

#endif
