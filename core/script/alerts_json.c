/* alerts_json.c - rules and alerts in Prometheus' and Alertmanager's forms (alerts.h). */
#include <time.h>

#include "base/mem.h"
#include "base/number.h"
#include "script/alert_masks.h"
#include "script/alerts_impl.h"
#include "wire/result_json.h"

/* In the place of what may tell labels that result rules hide. */
#define HIDDEN "not shown: result rules hide labels here"

static void put_text(struct buf *out, const char *text)
{
    json_put_string(out, text, strlen(text));
}

/* "2026-11-28T18:00:00.123Z" */
static void put_time(struct buf *out, int64_t time_ms)
{
    int64_t seconds = time_ms >= 0 ? time_ms / 1000 : -((-time_ms + 999) / 1000);
    time_t at = (time_t)seconds;
    struct tm tm;

    gmtime_r(&at, &tm);
    buf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(time_ms - seconds * 1000));
}

static void put_number(struct buf *out, double value)
{
    char number[NUMBER_MAX_BYTES];
    size_t len = number_format_api(number, value);

    buf_append(out, number, len);
}

static void put_pairs(struct buf *out, const struct rule_pair *pairs, size_t count)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_putc(out, ',');
        put_text(out, pairs[i].name);
        buf_putc(out, ':');
        put_text(out, pairs[i].value);
    }
    buf_putc(out, '}');
}

void alert_put_json(struct buf *out, const struct alert *alert, const char *source_url,
                    int64_t end_ms)
{
    buf_puts(out, "{\"labels\":");
    json_put_labels(out, alert->labels);
    buf_puts(out, ",\"annotations\":");
    put_pairs(out, alert->notes, alert->note_count);
    buf_puts(out, ",\"startsAt\":");
    put_time(out, alert->fired_ms);
    buf_puts(out, ",\"endsAt\":");
    put_time(out, end_ms);
    buf_puts(out, ",\"generatorURL\":");
    put_text(out, source_url);
    buf_putc(out, '}');
}

/* --- the API -----------------------------------------------------------------------------------
 */

static bool is_visible(const struct alert *alert, const struct matcher *visible, size_t count)
{
    return alert->state != ALERT_INACTIVE && matchers_accept(visible, count, alert->labels);
}

struct alert_view *alerts_views(struct alerts *alerts, const struct ruleset *set,
                                const struct matcher *visible, size_t visible_count, size_t *count)
{
    struct alert_view *views = NULL;

    *count = 0;
    lock_acquire(&alerts->leaf_lock);
    for (size_t i = 0; i < set->hook_count[RULE_ALERT]; i++) {
        const struct rule_progress *progress =
            alerts_find_locked(alerts, set->by_hook[RULE_ALERT][i]);

        if (progress == NULL)
            continue;
        views = mem_realloc(views, (*count + progress->count + 1) * sizeof(*views));
        for (size_t k = 0; k < progress->count; k++) {
            const struct alert *alert = &progress->items[k];

            if (is_visible(alert, visible, visible_count))
                views[(*count)++] = (struct alert_view){labels_ref(alert->labels), alert->state};
        }
    }
    lock_release(&alerts->leaf_lock);
    return views;
}

/* Its labels as the reader sees them; NULL: it does not see the alert. */
static const struct labels *seen_labels(const struct alerts_shown *shown, const struct alert *alert)
{
    const struct alert_mask *mask;

    if (!is_visible(alert, shown->visible, shown->visible_count))
        return NULL;
    if (shown->masks == NULL)
        return alert->labels;
    mask = alert_masks_find(shown->masks, alert->labels);
    if (mask == NULL)
        return NULL;
    return mask->seen != NULL ? mask->seen : mask->labels;
}

/* Annotations were made of the true labels, and functions may have asked for others'. */
static bool shows_notes(const struct alerts_shown *shown, const struct rule *rule,
                        const struct alert *alert, const struct labels *seen)
{
    return shown->masks == NULL || (!rule->has_function && seen == alert->labels);
}

static void put_alert(struct buf *out, const struct alert *alert, const struct labels *seen,
                      bool notes)
{
    buf_puts(out, "{\"labels\":");
    json_put_labels(out, seen);
    buf_puts(out, ",\"annotations\":");
    put_pairs(out, alert->notes, notes ? alert->note_count : 0);
    buf_printf(out, ",\"state\":\"%s\",\"activeAt\":", alert_state_name(alert->state));
    put_time(out, alert->active_ms);
    buf_puts(out, ",\"value\":\"");
    put_number(out, alert->value);
    buf_puts(out, "\"}");
}

/* The alerts that may be seen, as a JSON list; how many. */
static size_t put_list(struct buf *out, const struct rule *rule,
                       const struct rule_progress *progress, const struct alerts_shown *shown,
                       bool first)
{
    size_t written = 0;

    for (size_t i = 0; progress != NULL && i < progress->count; i++) {
        const struct alert *alert = &progress->items[i];
        const struct labels *seen = seen_labels(shown, alert);

        if (seen == NULL)
            continue;
        if (written++ != 0 || !first)
            buf_putc(out, ',');
        put_alert(out, alert, seen, shows_notes(shown, rule, alert, seen));
    }
    return written;
}

void alerts_put_alerts(struct alerts *alerts, const struct ruleset *set,
                       const struct alerts_shown *shown, struct buf *out)
{
    size_t written = 0;

    buf_puts(out, "{\"alerts\":[");
    lock_acquire(&alerts->leaf_lock);
    for (size_t i = 0; i < set->hook_count[RULE_ALERT]; i++) {
        const struct rule *rule = set->by_hook[RULE_ALERT][i];

        written += put_list(out, rule, alerts_find_locked(alerts, rule), shown, written == 0);
    }
    lock_release(&alerts->leaf_lock);
    buf_puts(out, "]}");
}

/* --- what rules say of themselves, to whom labels are hidden from ------------------------------
 */

/* Whether a text speaks of a label that some result rule may hide: it may tell its values. */
static bool names_hidden(const struct ruleset *set, const char *text)
{
    for (size_t i = 0; i < set->hook_count[RULE_RESULT]; i++) {
        const struct rule *rule = set->by_hook[RULE_RESULT][i];

        for (size_t k = 0; k < rule->label_count; k++) {
            if (strstr(text, rule->labels[k].name) != NULL)
                return true;
        }
    }
    return false;
}

/* Of a rule's own labels or annotations those that speak of no hidden one. */
static void put_open_pairs(struct buf *out, const struct ruleset *set,
                           const struct rule_pair *pairs, size_t count)
{
    bool any = false;

    buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (names_hidden(set, pairs[i].name) || names_hidden(set, pairs[i].value))
            continue;
        if (any)
            buf_putc(out, ',');
        any = true;
        put_text(out, pairs[i].name);
        buf_putc(out, ':');
        put_text(out, pairs[i].value);
    }
    buf_putc(out, '}');
}

static enum alert_state state_of(const struct rule_progress *progress)
{
    enum alert_state state = ALERT_INACTIVE;

    for (size_t i = 0; progress != NULL && i < progress->count; i++)
        state = TIDE_MAX(state, progress->items[i].state);
    return state;
}

/* How it went the last time. */
static void put_health(struct buf *out, const struct rule_progress *progress, bool masked)
{
    buf_printf(out, ",\"health\":\"%s\",\"evaluationTime\":",
               progress == NULL || progress->evaluated_ms == 0 ? "unknown"
               : progress->failed                              ? "err"
                                                               : "ok");
    put_number(out, progress != NULL ? (double)progress->took_ns / 1e9 : 0);
    buf_puts(out, ",\"lastEvaluation\":");
    put_time(out, progress != NULL ? progress->evaluated_ms : 0);
    if (progress != NULL && progress->failed) {
        buf_puts(out, ",\"lastError\":");
        put_text(out, masked ? HIDDEN : progress->error);
    }
}

static void put_seconds(struct buf *out, const char *name, int64_t ms)
{
    buf_printf(out, ",\"%s\":", name);
    put_number(out, (double)ms / 1000);
}

static void put_rule(struct buf *out, const struct ruleset *set, const struct rule *rule,
                     const struct rule_progress *progress, const struct alerts_shown *shown)
{
    bool alerting = rule->hook == RULE_ALERT;

    buf_puts(out, "{\"name\":");
    put_text(out, alerting ? rule->title : rule->metric);
    buf_puts(out, ",\"query\":");
    put_text(out, names_hidden(set, rule->text) ? HIDDEN : rule->text);
    buf_puts(out, ",\"labels\":");
    put_open_pairs(out, set, rule->labels, rule->label_count);
    if (alerting) {
        buf_printf(out, ",\"state\":\"%s\"", alert_state_name(state_of(progress)));
        put_seconds(out, "duration", rule->hold_ms);
        put_seconds(out, "keepFiringFor", rule->keep_firing_ms);
        buf_puts(out, ",\"annotations\":");
        put_open_pairs(out, set, rule->notes, rule->note_count);
        buf_puts(out, ",\"alerts\":[");
        put_list(out, rule, progress, shown, true);
        buf_putc(out, ']');
    }
    put_health(out, progress, shown->masks != NULL);
    buf_printf(out, ",\"type\":\"%s\"}", alerting ? "alerting" : "recording");
}

/* Whether a rule is listed for somebody who sees only some series. */
static bool rule_shows(const struct rule_progress *progress, const struct alerts_shown *shown)
{
    if (shown->visible_count == 0)
        return true;
    for (size_t i = 0; progress != NULL && i < progress->count; i++) {
        if (seen_labels(shown, &progress->items[i]) != NULL)
            return true;
    }
    return false;
}

struct group_writer {
    struct alerts *alerts;
    const struct alerts_shown *shown;
    bool alerting;
    bool recording;
    struct buf *out;
};

static bool is_listed(const struct group_writer *writer, const struct rule *rule)
{
    bool wanted = (rule->hook == RULE_ALERT && writer->alerting) ||
                  (rule->hook == RULE_RECORD && writer->recording);

    return wanted && rule_shows(alerts_find_locked(writer->alerts, rule), writer->shown);
}

static bool same_group(const struct rule *a, const struct rule *b)
{
    return a->every_ms == b->every_ms && strcmp(a->script, b->script) == 0;
}

/* Whether a rule before it is of its group. */
static bool group_is_done(const struct group_writer *writer, const struct ruleset *set, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (same_group(&set->rules[k], &set->rules[i]) && is_listed(writer, &set->rules[k]))
            return true;
    }
    return false;
}

/* The rules of one file that are evaluated at one interval. */
static void put_group(const struct group_writer *writer, const struct ruleset *set, size_t first)
{
    struct buf *out = writer->out;
    const struct rule *head = &set->rules[first];
    const char *name = strrchr(head->script, '/');
    const struct rule_progress *last = alerts_find_locked(writer->alerts, head);
    struct buf title = {0};
    double took = 0;
    bool any = false;

    name = name != NULL ? name + 1 : head->script;
    buf_printf(&title, "%s %" PRId64 "s", name, head->every_ms / 1000);
    buf_puts(out, "{\"name\":");
    json_put_string(out, (char *)title.data, title.len);
    buf_destroy(&title);
    buf_puts(out, ",\"file\":");
    put_text(out, head->script);
    put_seconds(out, "interval", head->every_ms);
    buf_puts(out, ",\"limit\":0,\"rules\":[");
    for (size_t i = first; i < set->rule_count; i++) {
        const struct rule_progress *progress = alerts_find_locked(writer->alerts, &set->rules[i]);

        if (!same_group(&set->rules[i], head) || !is_listed(writer, &set->rules[i]))
            continue;
        if (any)
            buf_putc(out, ',');
        any = true;
        took += progress != NULL ? (double)progress->took_ns / 1e9 : 0;
        put_rule(out, set, &set->rules[i], progress, writer->shown);
    }
    buf_puts(out, "],\"evaluationTime\":");
    put_number(out, took);
    buf_puts(out, ",\"lastEvaluation\":");
    put_time(out, last != NULL ? last->evaluated_ms : 0);
    buf_putc(out, '}');
}

void alerts_put_rules(struct alerts *alerts, const struct ruleset *set,
                      const struct alerts_shown *shown, bool alerting, bool recording,
                      struct buf *out)
{
    const struct group_writer writer = {alerts, shown, alerting, recording, out};
    bool any = false;

    buf_puts(out, "{\"groups\":[");
    lock_acquire(&alerts->leaf_lock);
    for (size_t i = 0; i < set->rule_count; i++) {
        if (!is_listed(&writer, &set->rules[i]) || group_is_done(&writer, set, i))
            continue;
        if (any)
            buf_putc(out, ',');
        any = true;
        put_group(&writer, set, i);
    }
    lock_release(&alerts->leaf_lock);
    buf_puts(out, "]}");
}
