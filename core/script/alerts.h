/* alerts.h - what recording and alerting rules are at: the active alerts of each rule, kept over
 * reloads, and both in the forms of Prometheus' API.
 *
 * An alert is one label set of a rule's answer: pending for as long as the rule's `hold`, then
 * firing, then resolved, which is told for a quarter of an hour. The scripts thread evaluates
 * (scheduler.c); anybody may list. Thread-safe. */
#ifndef TIDE_SCRIPT_ALERTS_H
#define TIDE_SCRIPT_ALERTS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/value.h"
#include "script/ruleset.h"

/* Alerts of one rule; more is an error of the rule. */
#define ALERTS_MAX 10000

enum alert_state { ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING };

/* "inactive", "pending", "firing"; static. */
const char *alert_state_name(enum alert_state state);

struct alert {
    const struct labels *labels; /* alertname and the rule's labels included; owned */
    struct rule_pair *notes;     /* annotations; owned */
    size_t note_count;
    double value;
    enum alert_state state; /* INACTIVE: resolved */
    int64_t active_ms;      /* since when its label set is in the answer */
    int64_t fired_ms;
    int64_t seen_ms;     /* when it was last in the answer */
    int64_t resolved_ms; /* 0: not */
    int64_t sent_ms;     /* to the webhooks; 0: never */
};

struct alerts;

struct alerts *alerts_new(void);
/** Takes NULL. */
void alerts_free(struct alerts *alerts);

/** Forgets rules that are not in the set any more. */
void alerts_keep(struct alerts *alerts, const struct ruleset *set);
/** How an evaluation of a record or alert rule went; err NULL: well. */
void alerts_evaluated(struct alerts *alerts, const struct rule *rule, int64_t at_ms,
                      int64_t took_ns, const struct error *err);

/**
 * Takes an answer of an alert rule. `text` has what cannot be known outside: annotations of a new
 * or changed alert.
 *
 * @param answer    a vector, or a scalar
 * @param annotate  fills notes (rule_pairs, owned) of an alert; may be NULL
 * @param restored  when an alert that is new to us began, by what was stored before a restart; 0:
 *                  unknown; may be NULL
 * @return 0, or -1 with err: EXECUTION (a label set twice), LIMIT; nothing has changed then
 */
TIDE_NODISCARD int alerts_take(struct alerts *alerts, const struct rule *rule, int64_t at_ms,
                               const struct value *answer,
                               void (*annotate)(void *ctx, struct alert *alert),
                               int64_t (*restored)(void *ctx, const struct labels *labels),
                               void *ctx, struct error *err);
/**
 * Walks the alerts of a rule; the scripts thread only, between two alerts_take. Nobody else writes.
 *
 * @return the i-th, or NULL
 */
struct alert *alerts_at(struct alerts *alerts, const struct rule *rule, size_t i);
/** Takes those away that have been resolved for a quarter of an hour. */
void alerts_prune(struct alerts *alerts, const struct rule *rule, int64_t now_ms);

/** One alert in Alertmanager's form; times RFC 3339. */
void alert_put_json(struct buf *out, const struct alert *alert, const char *source_url,
                    int64_t end_ms);

#define ALERT_STATE_LABEL "alertstate"
/** Labels of an alert's series: ALERTS, with its state, or another name without (INACTIVE). */
struct labels *alert_series_labels(const struct labels *labels, const char *name,
                                   enum alert_state state);

/* --- for the API
 * ---------------------------------------------------------------------------------------- */

struct alert_masks;

/* What a reader may see. */
struct alerts_shown {
    const struct matcher *visible; /* that an alert's true labels must satisfy; with any, only rules
                                      with such alerts are listed, and no recording rules */
    size_t visible_count;
    const struct alert_masks *masks; /* labels as result rules show them; NULL: there are none */
};

/* An alert whose labels are looked at. */
struct alert_view {
    const struct labels *labels; /* owned */
    enum alert_state state;
};

/** Those of the set that are visible; the caller frees the list and unrefs the labels. */
struct alert_view *alerts_views(struct alerts *alerts, const struct ruleset *set,
                                const struct matcher *visible, size_t visible_count, size_t *count);

/** {"groups":[...]} of the rules in the set, as Prometheus has it. */
void alerts_put_rules(struct alerts *alerts, const struct ruleset *set,
                      const struct alerts_shown *shown, bool alerting, bool recording,
                      struct buf *out);
/** {"alerts":[...]}: pending and firing. */
void alerts_put_alerts(struct alerts *alerts, const struct ruleset *set,
                       const struct alerts_shown *shown, struct buf *out);

#endif
