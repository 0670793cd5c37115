/* declared.h - rules without a function that the store runs itself: transform and limit
 * (store/intake.h). */
#ifndef TIDE_SCRIPT_DECLARED_H
#define TIDE_SCRIPT_DECLARED_H

#include "script/ruleset.h"
#include "store/intake.h"

struct rulebook;

/** Gathers the rules of a set that is loaded into its `transforms` and `limits`. */
void declared_gather(struct ruleset *set);
/** After the rules got their statistics: the store counts there. */
void declared_count_in_stats(struct ruleset *set);
/** Frees what a rule has of these. */
void declared_free(struct rule *rule);
/** struct policy's `intake`, with the rulebook as ctx. */
void declared_lend(void *ctx, struct intake_rules *rules);

#ifndef TIDE_CDEF
/** Reads them from the rule's table on top of the stack. */
void declared_take_raises(struct lua_State *L, struct rule *rule);
#endif

#endif
