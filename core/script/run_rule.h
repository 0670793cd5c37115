/* run_rule.h - one run of a rule that acts: a timer, a recording rule, an alerting rule, a rule on
 * an event. For scheduler.c; belongs to its thread. */
#ifndef TIDE_SCRIPT_RUN_RULE_H
#define TIDE_SCRIPT_RUN_RULE_H

#include "base/base.h"
#include "base/error.h"
#include "base/metrics.h"
#include "script/act.h"
#include "script/alerts.h"
#include "script/events.h"
#include "script/ruleset.h"

#define WEBHOOKS_MAX 8

struct lua_State;
struct rulebook;
struct webhook;

struct rule_runner_options {
    struct rulebook *book;
    int64_t time_ms;
    const char *webhooks;
    int64_t webhook_timeout_ms;
    int64_t resend_ms;
    const char *source_url;
    struct metrics *metrics;
};

/* The series that a rule's last run has written, in order of labels: those that are not written
 * again get a staleness marker. */
struct written {
    enum rule_hook hook;
    char *title;
    const struct labels **items;
    size_t count;
};

struct rule_runner {
    struct rulebook *book;
    struct actor actor;
    int cancelled; /* atomic */
    int64_t time_ns;
    int64_t resend_ms;
    char *source_url;
    struct webhook *webhooks[WEBHOOKS_MAX];
    size_t webhook_count;
    struct ruleset *set; /* owned reference: the rules that are run */
    struct written *written;
    size_t written_count;
};

TIDE_NODISCARD int rule_runner_init(struct rule_runner *runner,
                                    const struct rule_runner_options *options, struct error *err);
/** Safe on one whose init failed. */
void rule_runner_destroy(struct rule_runner *runner);
/** What runs ends soon, and nothing runs any more. Any thread. */
void rule_runner_cancel(struct rule_runner *runner);
/** Other rules are in force. */
void rule_runner_take_rules(struct rule_runner *runner, struct ruleset *set);
/** Runs a rule that has an interval, as of a time. */
void rule_runner_timer(struct rule_runner *runner, const struct rule *rule, int64_t due_ms);
/** Runs the rules that wait for an event; how many. */
size_t rule_runner_event(struct rule_runner *runner, const struct script_event *event);

#ifndef TIDE_CDEF
/** Pushes an event as tide.on's functions get it. */
void rule_push_event_raises(struct lua_State *L, const struct script_event *event);
#endif

#endif
