/* intake.c - declared rules come into force, and say what they mean (intake.h). */
#include "store/intake.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/engine.h"

/* --- refresh -----------------------------------------------------------------------------------
 */

/* The policy's rules as a set with one reference; NULL: there are none. */
static struct intake_set *make_set(const struct policy *policy)
{
    struct intake_rules rules = {0};
    struct intake_set *set;

    if (policy->intake != NULL)
        policy->intake(policy->ctx, &rules);
    if (rules.transform_count + rules.limit_count == 0) {
        if (rules.release != NULL)
            rules.release(rules.owner);
        return NULL;
    }
    set = mem_zalloc(1, sizeof(*set));
    set->rules = rules;
    set->references = 1;
    set->quota_counts = mem_zalloc(rules.limit_count + 1, sizeof(*set->quota_counts));
    return set;
}

/* The series of a stripe leave the doors of older rules for those of the rules in force. */
static void move_stripe(struct store *store, struct stripe *stripe, const struct intake_set *set)
{
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        struct series *series = stripe->slots[i];

        if (series == NULL || series->archived)
            continue;
        if (series->door != 0 && door_of_id(&store->intake, series->door)->set == set)
            continue; /* it came after the change */
        door_leave_locked(store, series);
        door_attach_locked(store, series);
    }
    lock_release(&stripe->stripe_lock);
}

static void put_in_force(struct store *store, struct intake_set *set)
{
    struct intake *intake = &store->intake;
    struct intake_set *old;

    lock_acquire(&intake->leaf_lock);
    old = intake->set;
    __atomic_store_n(&intake->set, set, __ATOMIC_RELEASE);
    intake->counting = set != NULL && set->rules.limit_count != 0;
    lock_release(&intake->leaf_lock);
    if (old != NULL || set != NULL) {
        for (size_t i = 0; i < SERIES_STRIPES; i++)
            move_stripe(store, &store->map.stripes[i], set);
    }
    lock_acquire(&intake->leaf_lock);
    intake->counting = false;
    cond_broadcast(&intake->counted);
    lock_release(&intake->leaf_lock);
    __atomic_add_fetch(&intake->room, 1, __ATOMIC_RELEASE);
    intake_set_unref(intake, old);
}

void store_refresh_rules(struct store *store)
{
    const struct policy *policy = store->options.policy;
    struct intake *intake = &store->intake;
    uint64_t version;

    if (policy == NULL || policy->version == NULL)
        return;
    if (policy->version(policy->ctx) == __atomic_load_n(&intake->version, __ATOMIC_ACQUIRE))
        return;
    lock_acquire(&intake->refresh_lock);
    version = policy->version(policy->ctx);
    if (version != intake->version) {
        put_in_force(store, make_set(policy));
        __atomic_store_n(&intake->version, version, __ATOMIC_RELEASE);
    }
    lock_release(&intake->refresh_lock);
    intake_tell(store);
}

/* --- what they mean ----------------------------------------------------------------------------
 */

/* Holds a reference to the set, so that it can be given back without the caller's help. */
struct owner {
    struct intake *intake;
    struct intake_set *set;
};

static void *own(struct store *store, struct intake_set *set)
{
    struct owner *owner = mem_zalloc(1, sizeof(*owner));

    *owner = (struct owner){&store->intake, set};
    return owner;
}

static void disown(void *ctx)
{
    struct owner *owner = ctx;

    if (owner == NULL)
        return;
    intake_set_unref(owner->intake, owner->set);
    mem_free(owner);
}

static const char *over_text(const struct limit_rule *rule, char *text, size_t size)
{
    switch (rule->over) {
    case LIMIT_DROP:
        return "refused";
    case LIMIT_STRIP:
        return "stripped of labels";
    case LIMIT_SAMPLE:
        snprintf(text, size, "one in %" PRIu32 " kept", rule->one_in);
        return text;
    case LIMIT_SHORT:
        return "kept for a short time";
    }
    return "";
}

static void explain_limit(struct store *store, struct intake_set *set, size_t index,
                          const struct label *list, size_t count, struct intake_line *line)
{
    const struct limit_rule *rule = &set->rules.limits[index];
    struct buf key = {0};
    char over[40], rate[80] = "";
    uint64_t series = 0;
    double rate_now = 0;
    struct quota *quota;

    quota_key(rule, index, list, count, &key);
    lock_acquire(&store->intake.leaf_lock);
    quota = text_map_get(&set->quotas, key.data, key.len);
    if (quota != NULL) {
        series = __atomic_load_n(&quota->series, __ATOMIC_RELAXED);
        rate_now = quota_rate(quota, clock_mono_ns(store->clock));
    }
    lock_release(&store->intake.leaf_lock);
    buf_destroy(&key);
    if (rule->samples_per_second > 0)
        snprintf(rate, sizeof(rate), "%.6g of %.6g samples a second", rate_now,
                 rule->samples_per_second);
    if (!rule->has_series) {
        line->outcome = INTAKE_ROOM;
        snprintf(line->text, sizeof(line->text), "%s", rate);
        return;
    }
    line->outcome = series < rule->series ? INTAKE_ROOM : INTAKE_FULL;
    snprintf(line->text, sizeof(line->text), "%" PRIu64 " of %" PRIu64 " series%s%s%s%s", series,
             rule->series, rate[0] != '\0' ? ", " : "", rate,
             line->outcome == INTAKE_FULL ? "; a new one is " : "",
             line->outcome == INTAKE_FULL ? over_text(rule, over, sizeof(over)) : "");
}

void store_explain_intake(struct store *store, const struct labels *labels,
                          struct intake_explanation *out)
{
    struct intake_set *set = intake_hold_set(&store->intake);
    size_t count = labels_count(labels);
    struct label *list;

    *out = (struct intake_explanation){0};
    if (set == NULL)
        return;
    list = mem_alloc((count + 1) * sizeof(*list));
    for (size_t i = 0; i < count; i++)
        list[i] = labels_at(labels, i);
    out->owner = own(store, set);
    out->lines =
        mem_zalloc(set->rules.transform_count + set->rules.limit_count, sizeof(*out->lines));
    for (size_t i = 0; i < set->rules.transform_count; i++) {
        const struct transform_rule *rule = &set->rules.transforms[i];
        struct intake_line *line = &out->lines[out->count++];

        *line = (struct intake_line){.hook = "transform", .title = rule->title};
        if (!matchers_accept_list(rule->matchers, rule->matcher_count, list, count))
            continue;
        line->outcome = INTAKE_APPLIES;
        transform_describe(rule, line->text, sizeof(line->text));
    }
    for (size_t i = 0; i < set->rules.limit_count; i++) {
        const struct limit_rule *rule = &set->rules.limits[i];
        struct intake_line *line = &out->lines[out->count++];

        *line = (struct intake_line){.hook = "limit", .title = rule->title};
        if (matchers_accept_list(rule->matchers, rule->matcher_count, list, count))
            explain_limit(store, set, i, list, count, line);
    }
    mem_free(list);
}

void intake_explanation_destroy(struct intake_explanation *explanation)
{
    mem_free(explanation->lines);
    disown(explanation->owner);
    *explanation = (struct intake_explanation){0};
}

/* --- quotas ------------------------------------------------------------------------------------
 */

static double fullness(const struct quota_view *quota)
{
    double series =
        quota->series_bound != 0 ? (double)quota->series / (double)quota->series_bound : 0;
    double rate = quota->rate_bound > 0 ? quota->rate / quota->rate_bound : 0;

    return TIDE_MAX(series, rate);
}

static int compare_quotas(const void *a, const void *b)
{
    const struct quota_view *x = a, *y = b;
    double more = fullness(y) - fullness(x);

    return more != 0 ? (more > 0) - (more < 0) : labels_compare(x->labels, y->labels);
}

void store_quotas_get(struct store *store, size_t limit, struct quota_list *out)
{
    struct intake_set *set = intake_hold_set(&store->intake);
    int64_t now_ns = clock_mono_ns(store->clock);

    *out = (struct quota_list){0};
    if (set == NULL)
        return;
    out->owner = own(store, set);
    lock_acquire(&store->intake.leaf_lock);
    out->quotas = mem_alloc((set->quotas.count + 1) * sizeof(*out->quotas));
    for (size_t i = 0; i < set->quotas.cap; i++) {
        struct quota *quota = set->quotas.slots[i].key != NULL ? set->quotas.slots[i].value : NULL;

        if (quota == NULL)
            continue;
        out->quotas[out->count++] = (struct quota_view){
            .title = quota->rule->title,
            .labels = labels_ref(quota->labels),
            .series = __atomic_load_n(&quota->series, __ATOMIC_RELAXED),
            .series_bound = quota->rule->has_series ? quota->rule->series : 0,
            .rate = quota->rule->samples_per_second > 0 ? quota_rate(quota, now_ns) : 0,
            .rate_bound = quota->rule->samples_per_second,
        };
    }
    lock_release(&store->intake.leaf_lock);
    qsort(out->quotas, out->count, sizeof(*out->quotas), compare_quotas);
    while (out->count > limit)
        labels_unref(out->quotas[--out->count].labels);
}

void quota_list_destroy(struct quota_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        labels_unref(list->quotas[i].labels);
    mem_free(list->quotas);
    disown(list->owner);
    *list = (struct quota_list){0};
}
