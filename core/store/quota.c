/* quota.c - what a limit counts: series in memory, samples a second (door.h). */
#include "base/mem.h"
#include "store/engine.h"

#define WINDOW_NS ((int64_t)10 * 1000 * 1000 * 1000)
#define WINDOW_SECONDS 10.0
/* Below this share of the soft bound it is told again when it is reached. */
#define REARM 0.9
#define DUE_MAX 4096u

struct quota *quota_new(const struct limit_rule *rule, const struct label *list, size_t count,
                        const struct buf *key)
{
    struct quota *quota = mem_zalloc(1, sizeof(*quota));
    struct labels_builder builder;

    quota->rule = rule;
    quota->key = mem_dup(key->data, key->len);
    quota->key_len = key->len;
    quota->tokens = TIDE_MAX(rule->samples_per_second * rule->burst_seconds, 1.0);
    lock_init(&quota->rate_lock);
    labels_builder_init(&builder);
    for (size_t i = 0; i < rule->by_count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (list[j].name_len == strlen(rule->by[i]) &&
                memcmp(list[j].name, rule->by[i], list[j].name_len) == 0)
                labels_builder_set(&builder, rule->by[i], list[j].name_len, list[j].value,
                                   list[j].value_len);
        }
    }
    quota->labels = labels_builder_build(&builder);
    labels_builder_destroy(&builder);
    return quota;
}

void quota_free(struct quota *quota)
{
    labels_unref(quota->labels);
    lock_destroy(&quota->rate_lock);
    mem_free(quota->key);
    mem_free(quota);
}

/* --- soft bounds -------------------------------------------------------------------------------
 */

static void note_soft(struct intake *intake, struct door *door, struct quota *quota, double number,
                      double bound)
{
    counter_add(&quota->rule->counts->soft, 1);
    lock_acquire(&intake->leaf_lock);
    if (intake->due == NULL)
        intake->due = mem_alloc(DUE_MAX * sizeof(*intake->due));
    if (intake->due_count < DUE_MAX) {
        door->set->references++;
        intake->due[intake->due_count] = (struct soft_event){
            door->set, quota->rule->title, labels_ref(quota->labels), number, bound};
        __atomic_store_n(&intake->due_count, intake->due_count + 1, __ATOMIC_RELAXED);
    }
    lock_release(&intake->leaf_lock);
}

static bool take_due(struct intake *intake, struct soft_event *event)
{
    bool found;

    lock_acquire(&intake->leaf_lock);
    found = intake->due_count != 0;
    if (found) {
        *event = intake->due[0];
        memmove(intake->due, intake->due + 1, (intake->due_count - 1) * sizeof(*event));
        __atomic_store_n(&intake->due_count, intake->due_count - 1, __ATOMIC_RELAXED);
    }
    lock_release(&intake->leaf_lock);
    return found;
}

void intake_tell(struct store *store)
{
    const struct policy *policy = store->options.policy;
    struct soft_event event;

    if (__atomic_load_n(&store->intake.due_count, __ATOMIC_RELAXED) == 0)
        return;
    while (take_due(&store->intake, &event)) {
        if (policy->limit_soft != NULL && policy_wants(store, STORE_EVENT_LIMIT_SOFT))
            policy->limit_soft(policy->ctx, event.labels, event.title, event.number, event.bound);
        labels_unref(event.labels);
        intake_set_unref(&store->intake, event.set);
    }
}

/* --- series ------------------------------------------------------------------------------------
 */

/* What a rule lets in that has decided about a series already. */
static uint64_t bound_of(const struct limit_rule *rule, bool overruled)
{
    uint64_t more = TIDE_MAX(rule->series / 10, (uint64_t)1);

    if (!overruled)
        return rule->series;
    return rule->over == LIMIT_STRIP ? rule->series + more : UINT64_MAX;
}

/* There are `now` series, one more than before. */
static void note_growth(struct intake *intake, struct door *door, struct quota *quota, uint64_t now)
{
    const struct limit_rule *rule = quota->rule;
    double bound = (double)rule->series;

    if (now == rule->series)
        __atomic_add_fetch(&rule->counts->full, 1, __ATOMIC_RELAXED);
    if (rule->soft > 0 && (double)now >= bound * rule->soft &&
        __atomic_exchange_n(&quota->told_series, 1, __ATOMIC_RELAXED) == 0)
        note_soft(intake, door, quota, (double)now, bound);
}

static void count_in(struct intake *intake, struct door *door, struct quota *quota)
{
    uint64_t now = __atomic_add_fetch(&quota->series, 1, __ATOMIC_ACQ_REL);

    if (quota->rule->has_series)
        note_growth(intake, door, quota, now);
}

static bool take_place(struct intake *intake, struct door *door, struct quota *quota,
                       bool overruled)
{
    uint64_t bound = bound_of(quota->rule, overruled);
    uint64_t before = __atomic_load_n(&quota->series, __ATOMIC_RELAXED);

    if (!quota->rule->has_series) {
        count_in(intake, door, quota);
        return true;
    }
    do {
        if (before >= bound)
            return false;
    } while (!__atomic_compare_exchange_n(&quota->series, &before, before + 1, true,
                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    note_growth(intake, door, quota, before + 1);
    return true;
}

static void count_out(struct intake *intake, struct quota *quota)
{
    const struct limit_rule *rule = quota->rule;
    uint64_t before = __atomic_fetch_sub(&quota->series, 1, __ATOMIC_ACQ_REL);

    if (!rule->has_series)
        return;
    if (before == rule->series)
        __atomic_sub_fetch(&rule->counts->full, 1, __ATOMIC_RELAXED);
    if (before == rule->series || before == bound_of(rule, true))
        __atomic_add_fetch(&intake->room, 1, __ATOMIC_RELEASE);
    if ((double)(before - 1) < (double)rule->series * rule->soft * REARM)
        __atomic_store_n(&quota->told_series, 0, __ATOMIC_RELAXED);
}

struct quota *door_enter(struct intake *intake, struct door *door, const uint8_t *overruled)
{
    if (door == NULL)
        return NULL;
    for (size_t i = 0; i < door->quota_count; i++) {
        struct quota *quota = door->quotas[i];
        bool had_its_say =
            overruled != NULL && overruled[quota->rule - door->set->rules.limits] != 0;

        if (take_place(intake, door, quota, had_its_say))
            continue;
        while (i-- > 0)
            count_out(intake, door->quotas[i]);
        return quota;
    }
    return NULL;
}

void door_count_in(struct intake *intake, struct door *door)
{
    for (size_t i = 0; i < door->quota_count; i++)
        count_in(intake, door, door->quotas[i]);
}

void door_count_out(struct intake *intake, struct door *door)
{
    for (size_t i = 0; i < door->quota_count; i++)
        count_out(intake, door->quotas[i]);
}

/* --- rates -------------------------------------------------------------------------------------
 */

static double most_tokens(const struct limit_rule *rule)
{
    return TIDE_MAX(rule->samples_per_second * rule->burst_seconds, 1.0);
}

/* The ten seconds of the window are over, perhaps long ago. */
static void turn_window(struct quota *quota, int64_t now_ns)
{
    int64_t gone_ns = now_ns - quota->window_ns;

    if (gone_ns < WINDOW_NS)
        return;
    quota->rate = gone_ns < 2 * WINDOW_NS ? (double)quota->window_count / WINDOW_SECONDS : 0;
    quota->window_ns = now_ns - gone_ns % WINDOW_NS;
    quota->window_count = 0;
    if (quota->rate < quota->rule->samples_per_second * quota->rule->soft * REARM)
        quota->told_rate = false;
}

/* A sample more; out: whether the soft bound is to be told. */
static enum rate_verdict charge(struct quota *quota, int64_t now_ns, double *soft)
{
    const struct limit_rule *rule = quota->rule;

    turn_window(quota, now_ns);
    if (now_ns > quota->filled_ns && quota->filled_ns != 0)
        quota->tokens =
            TIDE_MIN(most_tokens(rule), quota->tokens + (double)(now_ns - quota->filled_ns) *
                                                            rule->samples_per_second / 1e9);
    quota->filled_ns = TIDE_MAX(now_ns, quota->filled_ns);
    if (quota->tokens < 1) {
        if (rule->over != LIMIT_SAMPLE)
            return RATE_REFUSED;
        return quota->turn++ % rule->one_in == 0 ? RATE_SPARED : RATE_SKIPPED;
    }
    quota->tokens -= 1;
    quota->window_count++;
    *soft = (double)quota->window_count / WINDOW_SECONDS;
    if (rule->soft <= 0 || quota->told_rate || *soft < rule->samples_per_second * rule->soft)
        *soft = 0;
    else
        quota->told_rate = true;
    return RATE_GOOD;
}

static void give_back(struct quota *quota, uint64_t samples)
{
    lock_acquire(&quota->rate_lock);
    quota->tokens = TIDE_MIN(most_tokens(quota->rule), quota->tokens + (double)samples);
    quota->window_count -= TIDE_MIN(quota->window_count, samples);
    lock_release(&quota->rate_lock);
}

enum rate_verdict door_charge(struct intake *intake, struct door *door, int64_t now_ns,
                              const struct limit_rule **rule)
{
    enum rate_verdict worst = RATE_GOOD;

    for (size_t i = 0; i < door->quota_count; i++) {
        struct quota *quota = door->quotas[i];
        enum rate_verdict verdict;
        double soft = 0;

        if (quota->rule->samples_per_second <= 0)
            continue;
        lock_acquire(&quota->rate_lock);
        verdict = charge(quota, now_ns, &soft);
        lock_release(&quota->rate_lock);
        if (soft > 0)
            note_soft(intake, door, quota, soft, quota->rule->samples_per_second);
        if (verdict == RATE_REFUSED || verdict == RATE_SKIPPED) {
            *rule = quota->rule;
            while (i-- > 0) {
                if (door->quotas[i]->rule->samples_per_second > 0)
                    give_back(door->quotas[i], 1);
            }
            return verdict;
        }
        worst = TIDE_MAX(worst, verdict);
    }
    return worst;
}

void door_give_back(struct door *door, uint64_t samples)
{
    for (size_t i = 0; i < door->quota_count && samples != 0; i++) {
        if (door->quotas[i]->rule->samples_per_second > 0)
            give_back(door->quotas[i], samples);
    }
}

double quota_rate(struct quota *quota, int64_t now_ns)
{
    double rate;

    lock_acquire(&quota->rate_lock);
    turn_window(quota, now_ns);
    rate = TIDE_MAX(quota->rate, (double)quota->window_count / WINDOW_SECONDS);
    lock_release(&quota->rate_lock);
    return rate;
}
