/* run_alert.h - an answer of an alerting rule: annotations, ALERTS series, webhooks. Part of
 * run_rule.h. */
#ifndef TIDE_SCRIPT_RUN_ALERT_H
#define TIDE_SCRIPT_RUN_ALERT_H

#include "script/run_rule.h"

/** @return 0, or -1 with err; the actor holds what is to be pushed */
TIDE_NODISCARD int run_alert(struct rule_runner *runner, const struct rule *rule,
                             const struct value *answer, int64_t due_ms, struct error *err);

/* run_rule.c's, for it. */

/** Takes the list over and marks series of the last run that are not in it. */
TIDE_NODISCARD int rule_runner_written(struct rule_runner *runner, const struct rule *rule,
                                       const struct labels **now, size_t count, int64_t time_ms,
                                       struct error *err);
/** Pushes a sample of these labels. */
TIDE_NODISCARD int rule_runner_push(struct rule_runner *runner, const struct labels *labels,
                                    int64_t time_ms, double value, struct error *err);
#ifndef TIDE_CDEF
struct lua_State;
struct script_state;
/** Calls Lua as an actor. */
TIDE_NODISCARD int rule_runner_act(struct rule_runner *runner, const struct rule *rule,
                                   void (*function)(struct lua_State *L, void *ctx), void *ctx,
                                   struct script_state *state, struct error *err);
#endif

#endif
