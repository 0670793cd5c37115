/* alerts.c - see alerts.h: the states. What is shown of them is in alerts_json.c. */
#include "script/alerts.h"

#include <stdlib.h>

#include "base/mem.h"
#include "script/alerts_impl.h"

#define TOLD_RESOLVED_MS ((int64_t)15 * 60 * 1000)

const char *alert_state_name(enum alert_state state)
{
    static const char *const names[] = {"inactive", "pending", "firing"};

    return names[state];
}

struct labels *alert_series_labels(const struct labels *labels, const char *name,
                                   enum alert_state state)
{
    const char *text = alert_state_name(state);
    struct labels_builder builder;
    struct labels *made;

    labels_builder_init(&builder);
    labels_builder_reset(&builder, labels);
    labels_builder_set(&builder, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), name, strlen(name));
    if (state != ALERT_INACTIVE)
        labels_builder_set(&builder, ALERT_STATE_LABEL, strlen(ALERT_STATE_LABEL), text,
                           strlen(text));
    made = labels_builder_build(&builder);
    labels_builder_destroy(&builder);
    return made;
}

/* --- what is kept ------------------------------------------------------------------------------
 */

struct alerts *alerts_new(void)
{
    struct alerts *alerts = mem_zalloc(1, sizeof(*alerts));

    lock_init(&alerts->leaf_lock);
    return alerts;
}

static void free_notes(struct alert *alert)
{
    for (size_t i = 0; i < alert->note_count; i++) {
        mem_free(alert->notes[i].name);
        mem_free(alert->notes[i].value);
    }
    mem_free(alert->notes);
    alert->notes = NULL;
    alert->note_count = 0;
}

static void free_alert(struct alert *alert)
{
    labels_unref(alert->labels);
    free_notes(alert);
}

static void free_progress(struct rule_progress *progress)
{
    for (size_t i = 0; i < progress->count; i++)
        free_alert(&progress->items[i]);
    mem_free(progress->items);
    mem_free(progress->title);
    mem_free(progress);
}

void alerts_free(struct alerts *alerts)
{
    if (alerts == NULL)
        return;
    while (alerts->rules != NULL) {
        struct rule_progress *next = alerts->rules->next;

        free_progress(alerts->rules);
        alerts->rules = next;
    }
    lock_destroy(&alerts->leaf_lock);
    mem_free(alerts);
}

struct rule_progress *alerts_find_locked(const struct alerts *alerts, const struct rule *rule)
{
    for (struct rule_progress *at = alerts->rules; at != NULL; at = at->next) {
        if (at->hook == rule->hook && strcmp(at->title, rule->title) == 0)
            return at;
    }
    return NULL;
}

static struct rule_progress *progress_locked(struct alerts *alerts, const struct rule *rule)
{
    struct rule_progress *progress = alerts_find_locked(alerts, rule);

    if (progress == NULL) {
        progress = mem_zalloc(1, sizeof(*progress));
        progress->hook = rule->hook;
        progress->title = mem_dup(rule->title, strlen(rule->title));
        progress->next = alerts->rules;
        alerts->rules = progress;
    }
    return progress;
}

static bool is_in(const struct ruleset *set, const struct rule_progress *progress)
{
    for (size_t i = 0; i < set->hook_count[progress->hook]; i++) {
        if (strcmp(set->by_hook[progress->hook][i]->title, progress->title) == 0)
            return true;
    }
    return false;
}

void alerts_keep(struct alerts *alerts, const struct ruleset *set)
{
    lock_acquire(&alerts->leaf_lock);
    for (struct rule_progress **at = &alerts->rules; *at != NULL;) {
        struct rule_progress *progress = *at;

        if (is_in(set, progress)) {
            at = &progress->next;
        } else {
            *at = progress->next;
            free_progress(progress);
        }
    }
    lock_release(&alerts->leaf_lock);
}

void alerts_evaluated(struct alerts *alerts, const struct rule *rule, int64_t at_ms,
                      int64_t took_ns, const struct error *err)
{
    struct rule_progress *progress;

    lock_acquire(&alerts->leaf_lock);
    progress = progress_locked(alerts, rule);
    progress->evaluated_ms = at_ms;
    progress->took_ns = took_ns;
    progress->failed = err != NULL;
    snprintf(progress->error, sizeof(progress->error), "%.*s", (int)sizeof(progress->error) - 1,
             err != NULL ? err->text : "");
    lock_release(&alerts->leaf_lock);
}

/* --- an answer comes in ------------------------------------------------------------------------
 */

/* The labels of an alert: those of the sample, the rule's, the rule's name. */
static struct labels *labels_of(const struct rule *rule, const struct labels *sample)
{
    struct labels_builder builder;
    struct labels *labels;

    labels_builder_init(&builder);
    labels_builder_reset(&builder, sample);
    labels_builder_delete(&builder, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME));
    for (size_t i = 0; i < rule->label_count; i++)
        labels_builder_set(&builder, rule->labels[i].name, strlen(rule->labels[i].name),
                           rule->labels[i].value, strlen(rule->labels[i].value));
    labels_builder_set(&builder, "alertname", strlen("alertname"), rule->title,
                       strlen(rule->title));
    labels = labels_builder_build(&builder);
    labels_builder_destroy(&builder);
    return labels;
}

/* One label set of an answer. */
struct found {
    struct labels *labels;
    double value;
};

static int compare_found(const void *a, const void *b)
{
    return labels_compare(((const struct found *)a)->labels, ((const struct found *)b)->labels);
}

static void free_found(struct found *found, size_t count)
{
    for (size_t i = 0; i < count; i++)
        labels_unref(found[i].labels);
    mem_free(found);
}

/* The answer's label sets, sorted. @return NULL with err */
static struct found *find_all(const struct rule *rule, const struct value *answer, size_t *count,
                              struct error *err)
{
    bool scalar = answer->type == VALUE_SCALAR;
    struct found *found;

    *count = scalar ? 1 : answer->count;
    if (answer->type != VALUE_VECTOR && !scalar) {
        error_set(err, ERR_EXECUTION, "the answer is neither a vector nor a scalar");
        return NULL;
    }
    if (*count > ALERTS_MAX) {
        error_set(err, ERR_LIMIT, "%zu alerts, more than %d", *count, ALERTS_MAX);
        return NULL;
    }
    found = mem_zalloc(*count + 1, sizeof(*found));
    for (size_t i = 0; i < *count; i++) {
        found[i].labels = labels_of(rule, scalar ? NULL : answer->series[i].labels);
        found[i].value = scalar ? answer->scalar : answer->series[i].value;
    }
    qsort(found, *count, sizeof(*found), compare_found);
    for (size_t i = 1; i < *count; i++) {
        if (labels_equal(found[i - 1].labels, found[i].labels)) {
            error_set(err, ERR_EXECUTION, "two alerts with the same labels");
            free_found(found, *count);
            return NULL;
        }
    }
    return found;
}

static void resolve(struct alert *alert, const struct rule *rule, int64_t at_ms)
{
    if (alert->state == ALERT_FIRING && at_ms - alert->seen_ms < rule->keep_firing_ms)
        return;
    if (alert->state == ALERT_FIRING) {
        alert->resolved_ms = at_ms;
        alert->sent_ms = 0;
    }
    alert->state = ALERT_INACTIVE;
}

static void see(struct alert *alert, const struct rule *rule, int64_t at_ms, double value)
{
    alert->value = value;
    alert->seen_ms = at_ms;
    if (alert->state == ALERT_INACTIVE) { /* it was resolved, and begins again */
        alert->state = ALERT_PENDING;
        alert->active_ms = at_ms;
        alert->resolved_ms = 0;
    }
    if (alert->state == ALERT_PENDING && at_ms - alert->active_ms >= rule->hold_ms) {
        alert->state = ALERT_FIRING;
        alert->fired_ms = at_ms;
        alert->sent_ms = 0;
    }
}

/* Old and new alerts in one list, and those that are gone. */
struct merge {
    struct alert *items;
    size_t count;
    struct alert *gone;
    size_t gone_count;
};

/* Both lists are in order of labels, and so is the one that is made. The old one stays as it is:
 * others may read it. */
static void merge(struct merge *merge, const struct rule_progress *progress,
                  const struct rule *rule, int64_t at_ms, struct found *found, size_t count,
                  int64_t (*restored)(void *ctx, const struct labels *labels), void *ctx)
{
    struct alert *merged = mem_zalloc(progress->count + count + 1, sizeof(*merged));
    size_t i = 0, k = 0, n = 0;

    merge->items = merged;
    merge->gone = mem_zalloc(progress->count + 1, sizeof(*merge->gone));

    while (i < progress->count || k < count) {
        int order = i == progress->count ? 1
                    : k == count         ? -1
                                 : labels_compare(progress->items[i].labels, found[k].labels);

        if (order <= 0) {
            merged[n] = progress->items[i++];
            if (order < 0) {
                resolve(&merged[n], rule, at_ms);
            } else {
                see(&merged[n], rule, at_ms, found[k].value);
                k++;
            }
        } else {
            int64_t since_ms = restored != NULL ? restored(ctx, found[k].labels) : 0;

            merged[n] = (struct alert){.labels = labels_ref(found[k].labels),
                                       .state = ALERT_PENDING,
                                       .active_ms = since_ms != 0 ? since_ms : at_ms};
            see(&merged[n], rule, at_ms, found[k].value);
            k++;
        }
        /* What was only pending leaves no trace. */
        if (merged[n].state == ALERT_INACTIVE && merged[n].resolved_ms == 0)
            merge->gone[merge->gone_count++] = merged[n];
        else
            n++;
    }
    merge->count = n;
}

int alerts_take(struct alerts *alerts, const struct rule *rule, int64_t at_ms,
                const struct value *answer, void (*annotate)(void *ctx, struct alert *alert),
                int64_t (*restored)(void *ctx, const struct labels *labels), void *ctx,
                struct error *err)
{
    struct rule_progress *progress;
    struct merge merged = {0};
    size_t count;
    struct found *found = find_all(rule, answer, &count, err);

    if (found == NULL)
        return -1;
    lock_acquire(&alerts->leaf_lock);
    progress = progress_locked(alerts, rule);
    lock_release(&alerts->leaf_lock);
    /* Nobody else writes, so reading it needs no lock; Lua may run in the callbacks. */
    merge(&merged, progress, rule, at_ms, found, count, restored, ctx);
    free_found(found, count);
    lock_acquire(&alerts->leaf_lock);
    mem_free(progress->items);
    progress->items = merged.items;
    progress->count = merged.count;
    lock_release(&alerts->leaf_lock);
    for (size_t i = 0; i < merged.gone_count; i++)
        free_alert(&merged.gone[i]);
    mem_free(merged.gone);
    for (size_t i = 0; annotate != NULL && i < merged.count; i++) {
        struct alert *alert = &merged.items[i];
        struct alert noted = {.labels = alert->labels, .value = alert->value};
        struct alert old = *alert;

        if (alert->seen_ms != at_ms)
            continue;
        annotate(ctx, &noted);
        lock_acquire(&alerts->leaf_lock);
        alert->notes = noted.notes;
        alert->note_count = noted.note_count;
        lock_release(&alerts->leaf_lock);
        free_notes(&old);
    }
    return 0;
}

struct alert *alerts_at(struct alerts *alerts, const struct rule *rule, size_t i)
{
    struct rule_progress *progress;

    lock_acquire(&alerts->leaf_lock);
    progress = alerts_find_locked(alerts, rule);
    lock_release(&alerts->leaf_lock);
    return progress != NULL && i < progress->count ? &progress->items[i] : NULL;
}

void alerts_prune(struct alerts *alerts, const struct rule *rule, int64_t now_ms)
{
    struct rule_progress *progress;
    size_t kept = 0;

    lock_acquire(&alerts->leaf_lock);
    progress = alerts_find_locked(alerts, rule);
    for (size_t i = 0; progress != NULL && i < progress->count; i++) {
        struct alert *alert = &progress->items[i];

        if (alert->resolved_ms != 0 && now_ms - alert->resolved_ms > TOLD_RESOLVED_MS)
            free_alert(alert);
        else
            progress->items[kept++] = *alert;
    }
    if (progress != NULL)
        progress->count = kept;
    lock_release(&alerts->leaf_lock);
}
