/* plan.c - see plan.h: the pass of maintenance.c without its deeds. */
#include "store/plan.h"

#include <stdio.h>

#include "base/mem.h"
#include "store/clock_guard.h"
#include "store/pass_parts.h"
#include "store/pressure.h"

struct planning {
    struct store *store;
    const struct plan_request *request;
    const struct policy *policy;
    struct store_plan *plan;
};

/* Under its stripe; as look_at of maintenance.c, but it touches nothing. */
static void note(struct planning *planning, const struct series *series, struct duties *duties)
{
    const struct plan_request *request = planning->request;
    struct duty duty;

    if (!series->has_samples || series->busy)
        return;
    duty = duty_of(planning->store, series);
    duty.labels = series_labels_locked(planning->store, series);
    if (!matchers_accept(request->matchers, request->matcher_count, duty.labels)) {
        labels_unref(duty.labels);
        return;
    }
    if (planning->policy == planning->store->options.policy)
        duty_recall(planning->store, &duty);
    duties_add(duties, &duty);
}

static void name_decider(const struct duty_verdict *verdict, enum plan_kind *kind,
                         char title[PLAN_RULE_BYTES])
{
    *kind = verdict->by_default     ? PLAN_CONFIGURATION
            : verdict->rule != NULL ? PLAN_RULE
                                    : PLAN_BROKEN;
    snprintf(title, PLAN_RULE_BYTES, "%s",
             *kind == PLAN_RULE            ? verdict->rule
             : *kind == PLAN_CONFIGURATION ? "configuration"
                                           : "broken rule");
}

static struct plan_rule *rule_of(struct store_plan *plan, enum plan_kind kind, const char *title)
{
    struct plan_rule *rule;

    for (size_t i = 0; i < plan->rule_count; i++) {
        if (plan->rules[i].kind == kind && strcmp(plan->rules[i].title, title) == 0)
            return &plan->rules[i];
    }
    plan->rules = mem_realloc(plan->rules, (plan->rule_count + 1) * sizeof(*plan->rules));
    rule = &plan->rules[plan->rule_count++];
    *rule = (struct plan_rule){
        .kind = kind, .removed = {.first_ms = TIDE_LATEST_MS, .last_ms = TIDE_EARLIEST_MS}};
    snprintf(rule->title, sizeof(rule->title), "%s", title);
    return rule;
}

static void add_removed(struct plan_rule *rule, const struct duty *duty,
                        const struct removal *dropped)
{
    removal_add(&rule->removed, dropped);
    if (rule->example_count < PLAN_EXAMPLES)
        rule->examples[rule->example_count++] =
            (struct plan_example){labels_ref(duty->labels), dropped->chunks};
}

/* What each rule says that is asked before somebody decides. */
static void tell_asked(struct planning *planning, const struct duty *duty, struct buf *out)
{
    struct series_view view = duty_view(planning->store, duty);
    const struct policy *policy = planning->policy;

    if (policy_decides(policy) && policy->explain_retention != NULL)
        policy->explain_retention(policy->ctx, &view, out);
}

static void explain(struct planning *planning, const struct duty *duty,
                    const struct duty_verdict *verdict, const struct plan_rule *rule,
                    uint64_t all_chunks, const struct drop_count *count)
{
    struct store_plan *plan = planning->plan;
    struct plan_explained *one;

    if (plan->explained == NULL)
        plan->explained = mem_zalloc(PLAN_EXPLAINED, sizeof(*plan->explained));
    if (plan->explained_count == PLAN_EXPLAINED)
        return;
    one = &plan->explained[plan->explained_count++];
    *one = (struct plan_explained){.labels = labels_ref(duty->labels),
                                   .kind = rule->kind,
                                   .keep_ms = verdict->keep_ms,
                                   .from_ms = verdict->from_ms,
                                   .undeleted = verdict->kept,
                                   .archived = duty->archived,
                                   .first_ms = duty->first_ms,
                                   .last_ms = duty->last_ms,
                                   .all_chunks = all_chunks,
                                   .removed = count->removed,
                                   .surprising = count->surprising != 0};
    memcpy(one->title, rule->title, sizeof(one->title));
    tell_asked(planning, duty, &one->asked);
}

/* What would go of one series, counted; what is a surprise may have to wait. */
static int count_series(struct planning *planning, const struct duty *duty,
                        const struct duty_verdict *verdict, struct drop_count *count,
                        struct error *err)
{
    struct store_plan *plan = planning->plan;
    struct drop_order order = drop_order_of(duty, verdict);

    if (retention_count(planning->store, &order, true, count, err) != 0) {
        if (err->code == ERR_IO)
            return -1;
        plan->damaged++;
        *count = (struct drop_count){0};
    }
    if (count->surprising != 0)
        removal_add(&plan->surprising, &count->removed);
    return 0;
}

static int plan_series(struct planning *planning, const struct duty *duty, struct error *err)
{
    struct store_plan *plan = planning->plan;
    struct duty_verdict verdict = duty_decide(planning->store, planning->policy, duty);
    uint64_t chunks = duty->chunks;
    char title[PLAN_RULE_BYTES];
    struct drop_count count = {0};
    struct plan_rule *rule;
    enum plan_kind kind;

    name_decider(&verdict, &kind, title);
    rule = rule_of(plan, kind, title);
    plan->series++;
    chunks += duty->uncounted ? duty_count_file(planning->store, duty->fp) : 0;
    plan->chunks += chunks;
    plan->rules_name = verdict.rules;
    rule->decides++;
    if (verdict.due && count_series(planning, duty, &verdict, &count, err) != 0)
        return -1;
    if (count.removed.series != 0)
        add_removed(rule, duty, &count.removed);
    if (plan_thin_series(planning->store, planning->policy, duty, &count.removed, plan, err) != 0) {
        if (err->code == ERR_IO)
            return -1;
        plan->damaged += err->code == ERR_CORRUPT;
    }
    if (planning->request->matcher_count != 0)
        explain(planning, duty, &verdict, rule, chunks, &count);
    return 0;
}

/* Under background_lock, as the pass. */
static int plan_stripe(struct planning *planning, struct stripe *stripe, struct error *err)
{
    struct duties duties = {0};
    int result = 0;

    duty_begin(planning->store);
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        if (stripe->slots[i] != NULL)
            note(planning, stripe->slots[i], &duties);
    }
    lock_release(&stripe->stripe_lock);
    for (size_t i = 0; i < duties.count && result == 0; i++)
        result = plan_series(planning, &duties.items[i], err);
    duties_destroy(&duties);
    return result;
}

/* What becomes of it as a whole. */
static void foretell(struct store *store, struct store_plan *plan)
{
    plan->first = pass_guard_is_first(store, plan->rules_name);
    plan->waits =
        pass_guard_would_hold(store, plan->rules_name, plan->surprising.chunks, plan->chunks);
}

int store_plan(struct store *store, const struct plan_request *request, struct store_plan *plan,
               struct error *err)
{
    struct planning planning = {
        .store = store,
        .request = request,
        .policy = request->policy != NULL ? request->policy : store->options.policy,
        .plan = plan,
    };
    int result = 0;

    *plan = (struct store_plan){
        .time_ms = clock_wall_ms(store->clock),
        .rules_name = retention_name_now(store),
        .surprising = {.first_ms = TIDE_LATEST_MS, .last_ms = TIDE_EARLIEST_MS},
    };
    if (store->folder == NULL)
        return error_set(err, ERR_UNSUPPORTED, "a store in memory has no retention");
    for (uint32_t i = 0; i < SERIES_STRIPES && result == 0; i++) {
        if (request->cancelled != NULL &&
            __atomic_load_n(request->cancelled, __ATOMIC_RELAXED) != 0)
            return error_set(err, ERR_CANCELLED, "the plan was cancelled");
        lock_acquire(&store->background_lock);
        if (i == 0)
            plan->held = clock_guard_holds(store, false);
        result = plan_stripe(&planning, &store->map.stripes[i], err);
        if (i + 1 == SERIES_STRIPES)
            foretell(store, plan);
        lock_release(&store->background_lock);
    }
    if (result != 0 || request->matcher_count != 0)
        return result;
    lock_acquire(&store->background_lock);
    result = pressure_plan(store, planning.policy, plan, err);
    lock_release(&store->background_lock);
    return result;
}

void store_plan_destroy(struct store_plan *plan)
{
    for (size_t i = 0; i < plan->rule_count; i++) {
        for (size_t k = 0; k < plan->rules[i].example_count; k++)
            labels_unref(plan->rules[i].examples[k].labels);
    }
    for (size_t i = 0; i < plan->explained_count; i++) {
        labels_unref(plan->explained[i].labels);
        buf_destroy(&plan->explained[i].asked);
    }
    plan_thin_destroy(plan);
    mem_free(plan->rules);
    mem_free(plan->explained);
    *plan = (struct store_plan){0};
}
