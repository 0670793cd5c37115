/* rule_stats.h - what became of a rule's calls: counted for /metrics, remembered over reloads.
 *
 * Kept by hook and title as long as the rulebook. Counting is atomic, from any thread. */
#ifndef TIDE_SCRIPT_RULE_STATS_H
#define TIDE_SCRIPT_RULE_STATS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "script/ruleset.h"
#include "store/intake.h"

struct rule_stats {
    enum rule_hook hook;
    char *title;
    uint64_t calls;              /* atomic, as all below */
    uint64_t errors;             /* Lua errors, stops, wrong answers */
    uint64_t nanoseconds;        /* spent in Lua */
    uint32_t errors_in_row;      /* since the last good answer or reload */
    uint64_t suspended_version;  /* of the ruleset in which it was suspended; 0: never */
    struct intake_counts intake; /* of transform and limit, which the store runs */
    struct lock lock;            /* guards last_error */
    char last_error[400];
    struct rule_stats *next;
};

/**
 * Finds or makes the counters of a rule and shows new ones in `metrics` (may be NULL).
 *
 * @param list  all there are; the caller's lock guards it
 */
struct rule_stats *rule_stats_of(struct rule_stats **list, enum rule_hook hook, const char *title,
                                 struct metrics *metrics);
void rule_stats_free_all(struct rule_stats *list);
bool rule_stats_suspended(const struct rule_stats *stats, uint64_t version);
void rule_stats_good(struct rule_stats *stats, int64_t took_ns);
/**
 * Counts and logs a failure; the `max_errors`th in a row suspends the rule.
 *
 * @param err  gets the rule's title, script and line in front
 */
void rule_stats_bad(const struct rule *rule, uint64_t version, uint32_t max_errors, int64_t took_ns,
                    struct error *err);
/* The numbers at one moment. */
struct rule_stats_view {
    uint64_t calls;
    uint64_t errors;
    uint64_t nanoseconds;
    bool suspended;
    char last_error[400]; /* "" for none */
};

struct rule_stats_view rule_stats_view(const struct rule *rule, uint64_t version);
/* What the store did by a transform or limit. */
struct rule_done {
    const char *what; /* "changed", "refused_series" ...: static */
    uint64_t count;
};
#define RULE_DONE_MAX 12

/** Fills in up to RULE_DONE_MAX; none for other rules. Returns how many. */
size_t rule_stats_done(const struct rule *rule, struct rule_done *done);
/** Appends one JSON object. */
void rule_stats_describe(const struct rule *rule, uint64_t version, struct buf *out);

#endif
