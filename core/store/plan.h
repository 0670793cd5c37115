/* plan.h - what the next pass of maintenance would drop and thin out, and by which rule; nothing is
 * changed.
 *
 * It decides and counts by the functions of the pass itself (duty.h), so with the same rules, data
 * and time a pass that follows does exactly that; late samples that are still pending are not in
 * what rules see of a series' size. Samples are exact: the chunks that would go are read. */
#ifndef TIDE_STORE_PLAN_H
#define TIDE_STORE_PLAN_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "store/audit.h"
#include "store/policy.h"
#include "store/store.h"

#define PLAN_EXAMPLES 10
#define PLAN_EXPLAINED 100
/* A title of 100 bytes and its terminator. */
#define PLAN_RULE_BYTES 101

enum plan_kind {
    PLAN_RULE,          /* a rule decided */
    PLAN_CONFIGURATION, /* no rule had an opinion: storage.retention */
    PLAN_BROKEN,        /* a rule that should have decided is broken: all is kept */
};

struct plan_example {
    struct labels *labels; /* owned */
    uint64_t chunks;       /* that would go */
};

struct plan_rule {
    enum plan_kind kind;
    char title[PLAN_RULE_BYTES]; /* of a rule; otherwise "configuration" or "broken rule" */
    uint64_t decides;            /* series that it decides for */
    struct removal removed;      /* counts and times; first_ms above last_ms: nothing would go */
    struct plan_example examples[PLAN_EXAMPLES];
    size_t example_count;
};

/* One series. */
struct plan_explained {
    struct labels *labels; /* owned */
    enum plan_kind kind;
    char title[PLAN_RULE_BYTES];
    struct buf asked; /* a line for each rule that was asked, with what it says; owned */
    int64_t keep_ms;  /* RETENTION_FOREVER: no sample is too old */
    int64_t from_ms;  /* chunks that end earlier are too old */
    bool undeleted;   /* an undelete brought some back: nothing goes for a while (kept.c) */
    bool surprising;  /* more than what is too old since the last pass: it may be held */
    bool archived;
    int64_t first_ms; /* of the series; TIDE_EARLIEST_MS: unknown */
    int64_t last_ms;
    uint64_t all_chunks;    /* complete ones */
    struct removal removed; /* that would go: the pass leaves a few, rather than rewrite a file */
};

struct store_plan {
    bool held;           /* the clock is doubted: a pass now would drop nothing */
    int64_t time_ms;     /* as of when */
    uint64_t rules_name; /* names rules and configuration (pass_guard.h) */
    bool first;          /* the first pass under these: what goes is put into the trash */
    bool waits; /* so much of it is a surprise that it is held until confirmed (pass_guard.h) */
    struct removal surprising; /* that: counts and times */
    uint64_t chunks;           /* of all that was looked at */
    uint64_t series;           /* that were looked at */
    uint64_t damaged;          /* with files that cannot be read: nothing of theirs is counted */
    struct plan_rule *rules;   /* in order of first decision; owned */
    size_t rule_count;
    struct plan_rule *thinned; /* by rules that downsample, likewise; after what retention drops */
    size_t thinned_count;
    uint64_t disk_free_bytes;
    uint64_t disk_low_bytes;          /* 0: no bound */
    struct plan_rule *pressed;        /* what would go to make room; NULL: nothing. Owned */
    struct plan_explained *explained; /* owned */
    size_t explained_count;
};

struct plan_request {
    const struct policy *policy;    /* whose rules; NULL: those in force */
    const struct matcher *matchers; /* only such series, each explained; borrowed */
    size_t matcher_count;           /* 0: all, none explained */
    const int *cancelled;           /* atomic; may be NULL */
};

/**
 * @param plan  out: store_plan_destroy it, after a failure, too
 * @return 0; -1 with err: CANCELLED, UNSUPPORTED (a store in memory drops nothing), IO
 * Thread-safe; blocks, and other work in the background waits for stripes of it. Not on an event
 * loop. Cost: a question and a read of the file's headers for each series that has old samples.
 */
TIDE_NODISCARD int store_plan(struct store *store, const struct plan_request *request,
                              struct store_plan *plan, struct error *err);
void store_plan_destroy(struct store_plan *plan);

#endif
