/* scheduler.h - the scripts thread: runs timers, recording and alerting rules when they are due,
 * and rules on events; off all hot paths.
 *
 * Times are the rulebook's clock's. A rule is due at the multiples of its interval (so samples of
 * recording rules lie on a grid); what was missed while another one ran is not made up for. */
#ifndef TIDE_SCRIPT_SCHEDULER_H
#define TIDE_SCRIPT_SCHEDULER_H

#include "base/base.h"
#include "base/error.h"
#include "base/metrics.h"

struct rulebook;
struct scheduler;

struct scheduler_options {
    struct rulebook *book;      /* attached to a store already; outlives the scheduler */
    int64_t time_ms;            /* of one run of a timer or event rule; 0: 10 s */
    const char *webhooks;       /* URLs of Alertmanagers with commas between; "" or NULL: none */
    int64_t webhook_timeout_ms; /* 0: 10 s */
    int64_t resend_ms;          /* firing alerts are told again after so long; 0: 1 min */
    const char *source_url;     /* of this server, for generatorURL; NULL: "" */
    struct metrics *metrics;    /* may be NULL */
    bool no_thread;             /* nothing runs by itself: scheduler_run_due */
};

/** @return owned (scheduler_stop), or NULL with err: IO (no thread) */
TIDE_NODISCARD struct scheduler *scheduler_start(const struct scheduler_options *options,
                                                 struct error *err);
/** Ends what runs (it is cancelled) and frees. Takes NULL. */
void scheduler_stop(struct scheduler *scheduler);
/** Runs what is due by the clock, and what events are there; with no_thread only. Returns how many
 * rules ran. */
size_t scheduler_run_due(struct scheduler *scheduler);
/** When the next timed rule is due, by the rules that the last scheduler_run_due knew; INT64_MAX:
 * never. With no_thread only. */
int64_t scheduler_next_due_ms(const struct scheduler *scheduler);

#endif
