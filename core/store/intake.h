/* intake.h - what is declared for samples on their way in: transforms of values, and quotas.
 *
 * Rules are matched once for each series: when it comes into memory, and again after a reload. What
 * they mean for it is its *door* (door.h); a series to which none applies has no door and costs
 * nothing. Log replay and recovery apply none of this: the log holds what was stored.
 *
 * Staleness markers (the NaN of Prometheus) pass every transform as they are. */
#ifndef TIDE_STORE_INTAKE_H
#define TIDE_STORE_INTAKE_H

#include "base/base.h"
#include "base/buf.h"
#include "base/metrics.h"
#include "model/labels.h"
#include "model/matcher.h"

struct store;

/* What became of a rule; all atomic, shared by all versions of the rule. */
struct intake_counts {
    struct counter changed;          /* samples stored with another value */
    struct counter dropped_nan;      /* samples */
    struct counter dropped_interval; /* samples */
    struct counter refused_series;   /* times that a label block was refused by a quota */
    struct counter refused_samples;  /* over a rate */
    struct counter stripped;         /* label blocks whose labels were taken away */
    struct counter skipped_series;   /* label blocks that sampling left out */
    struct counter skipped_samples;  /* samples that it left out */
    struct counter shortened;        /* label blocks that got the label of short retention */
    struct counter soft;             /* times that a soft bound was reached */
    struct counter failed;           /* series let in unchanged, for there are too many groups */
    uint64_t groups;                 /* gauge: quotas with series now */
    uint64_t full;                   /* gauge: of these, how many have all their series */
};

/* Applied in this order. */
struct transform_rule {
    const char *title;
    const struct matcher *matchers; /* all must accept */
    size_t matcher_count;
    bool drops_nan;
    bool scales; /* value * scale + offset */
    bool clamps; /* min <= value <= max */
    bool rounds; /* to multiples of 1 / unit, ties up, as PromQL's round */
    bool coarse; /* to multiples of unit instead */
    double scale;
    double offset;
    double min;
    double max;
    double unit;         /* a power of ten, from 1 */
    int64_t interval_ms; /* a sample follows the one before it by at least so much; 0: any */
    struct intake_counts *counts;
};

/* What becomes of a series, or of samples, over a quota. */
enum limit_over {
    LIMIT_DROP,   /* refused; the sender is told */
    LIMIT_STRIP,  /* series: labels are taken away, so that series merge */
    LIMIT_SAMPLE, /* one in `one_in` is kept: of series by fingerprint, of samples by turn */
    LIMIT_SHORT,  /* series: gets LIMIT_LABEL, by which a retention rule knows it */
};

/* The label of series over a quota with short retention; its value is the rule's title. */
#define LIMIT_LABEL "over_limit"
/* Quotas of one rule that are kept at once; a series beyond is let in unchanged. */
#define LIMIT_GROUPS_MAX 100000u

struct limit_rule {
    const char *title;
    const struct matcher *matchers;
    size_t matcher_count;
    const char *const *by; /* label names: each set of values has a quota of its own */
    size_t by_count;       /* 0: one quota for all */
    bool has_series;
    uint64_t series;           /* that may be in memory at once */
    double samples_per_second; /* 0: any; imports are not held to it */
    double burst_seconds;      /* so many seconds' worth may come at once */
    double soft;               /* share of a bound at which an event is told; 0: never */
    enum limit_over over;
    const char *const *strip;
    size_t strip_count;
    uint32_t one_in;
    struct intake_counts *counts;
};

/* All rules in force, in file order; lent by the policy. */
struct intake_rules {
    const struct transform_rule *transforms;
    size_t transform_count;
    const struct limit_rule *limits;
    size_t limit_count;
    void *owner;
    void (*release)(void *owner); /* NULL: nothing to do */
};

/**
 * Puts the policy's rules in force, if they are others than before: matches and counts all series
 * in memory anew. New series wait meanwhile; samples of known ones do not. After a reload; the
 * background does it too. Thread-safe.
 * Cost: about a microsecond a series in memory, nothing while there are no such rules.
 */
void store_refresh_rules(struct store *store);

/* What the rules mean for a series, as store_explain_intake says. */
enum intake_outcome {
    INTAKE_NO_MATCH,
    INTAKE_APPLIES, /* a transform */
    INTAKE_ROOM,    /* a quota with room for a new series */
    INTAKE_FULL,    /* a quota without */
};

struct intake_line {
    const char *hook;  /* "transform" or "limit" */
    const char *title; /* of the rule; readable while `owner` is held */
    enum intake_outcome outcome;
    char text[200]; /* what the rule does with such a series */
};

struct intake_explanation {
    struct intake_line *lines; /* of each rule, transforms first, in file order */
    size_t count;
    void *owner;
};

/** What every rule says about a series with these labels, were it new. Thread-safe. */
void store_explain_intake(struct store *store, const struct labels *labels,
                          struct intake_explanation *out);
void intake_explanation_destroy(struct intake_explanation *explanation);

/* One quota at one moment. */
struct quota_view {
    const char *title;     /* of the rule */
    struct labels *labels; /* of `by` */
    uint64_t series;
    uint64_t series_bound; /* 0: none */
    double rate;           /* samples a second, of the last ten seconds */
    double rate_bound;     /* 0: none */
};

struct quota_list {
    struct quota_view *quotas; /* the fullest first */
    size_t count;
    void *owner;
};

/** The `limit` fullest quotas. Thread-safe. */
void store_quotas_get(struct store *store, size_t limit, struct quota_list *out);
void quota_list_destroy(struct quota_list *list);

#endif
