/* eval_plan.c - see eval_plan.h. What builds plans is plan_build.c. */
#include "promql/eval_plan.h"

#include "base/mem.h"

void plan_add_source(struct plan *plan, struct plan_source *source)
{
    if (plan->source_count == plan->source_cap) {
        plan->source_cap = plan->source_cap != 0 ? plan->source_cap * 2 : 8;
        plan->sources = mem_realloc(plan->sources, plan->source_cap * sizeof(*plan->sources));
    }
    plan->sources[plan->source_count++] = source;
}

void plan_destroy(struct plan *plan)
{
    mem_free(plan->sources);
    arena_destroy(&plan->arena);
    *plan = (struct plan){0};
}
