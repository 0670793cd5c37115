/* pressure_rules.h - who loses samples first when the disk is nearly full, put to the rules
 * (decide.c fills them into the policy; store/policy.h says what each means). Context is the
 * rulebook. */
#ifndef TIDE_SCRIPT_PRESSURE_RULES_H
#define TIDE_SCRIPT_PRESSURE_RULES_H

#include "store/policy.h"

bool pressure_rules_are_there(void *ctx);
int pressure_rank(void *ctx, struct pressure_candidate *list, size_t count, uint32_t *order,
                  size_t *ordered, char title[POLICY_RULE_BYTES]);
void pressure_tell(void *ctx, uint64_t free_bytes, uint64_t bound_bytes);

#endif
