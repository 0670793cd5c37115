/* plan_thin.c - what a pass would thin out (plan.h): its own jobs (downsample.h), run dry. */
#include <stdio.h>

#include "base/mem.h"
#include "store/downsample.h"
#include "store/plan.h"

static struct plan_rule *rule_of(struct store_plan *plan, const char *title)
{
    struct plan_rule *rule;

    for (size_t i = 0; i < plan->thinned_count; i++) {
        if (strcmp(plan->thinned[i].title, title) == 0)
            return &plan->thinned[i];
    }
    plan->thinned = mem_realloc(plan->thinned, (plan->thinned_count + 1) * sizeof(*plan->thinned));
    rule = &plan->thinned[plan->thinned_count++];
    *rule = (struct plan_rule){
        .kind = PLAN_RULE, .removed = {.first_ms = TIDE_LATEST_MS, .last_ms = TIDE_EARLIEST_MS}};
    snprintf(rule->title, sizeof(rule->title), "%s", title);
    return rule;
}

static void add_removed(struct plan_rule *rule, const struct duty *duty,
                        const struct removal *removed)
{
    struct removal *sum = &rule->removed;

    sum->series += removed->series;
    sum->chunks += removed->chunks;
    sum->samples += removed->samples;
    sum->bytes += removed->bytes;
    sum->first_ms = TIDE_MIN(sum->first_ms, removed->first_ms);
    sum->last_ms = TIDE_MAX(sum->last_ms, removed->last_ms);
    if (rule->example_count < PLAN_EXAMPLES)
        rule->examples[rule->example_count++] =
            (struct plan_example){labels_ref(duty->labels), removed->chunks};
}

int plan_thin_series(struct store *store, const struct policy *policy, const struct duty *duty,
                     const struct removal *dropped, struct store_plan *plan, struct error *err)
{
    struct thin_job job;
    bool due;
    int result = 0;

    if (!policy_downsamples(policy) || dropped->series_gone != 0)
        return 0;
    due = downsample_prepare(store, policy, duty, &job);
    for (size_t i = 0; i < job.verdict.count; i++)
        rule_of(plan, job.verdict.tiers[i].rule)->decides++;
    if (!due)
        return 0;
    job.dry = true;
    job.skip = dropped->chunks;
    result = merge_thin(store, &job, 1, err);
    if (job.end == THIN_FAILED)
        result = -1;
    for (size_t i = 0; i < job.tier_count; i++) {
        struct removal removed;

        if (thin_job_removed(&job, i, &removed))
            add_removed(rule_of(plan, job.tiers[i].rule), duty, &removed);
    }
    thin_job_destroy(&job);
    return result;
}

void plan_thin_destroy(struct store_plan *plan)
{
    for (size_t i = 0; i < plan->thinned_count; i++) {
        for (size_t k = 0; k < plan->thinned[i].example_count; k++)
            labels_unref(plan->thinned[i].examples[k].labels);
    }
    for (size_t k = 0; plan->pressed != NULL && k < plan->pressed->example_count; k++)
        labels_unref(plan->pressed->examples[k].labels);
    mem_free(plan->pressed);
    mem_free(plan->thinned);
}
