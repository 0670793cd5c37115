/* duty.h - what retention decides for one series: one path for the pass (maintenance.c), which
 * acts on it, and for the plan (plan.c), which tells it. */
#ifndef TIDE_STORE_DUTY_H
#define TIDE_STORE_DUTY_H

#include "base/base.h"
#include "model/labels.h"
#include "store/audit.h"
#include "store/policy.h"
#include "store/store.h"

struct series;

/* A series as it was under its stripe. */
struct duty {
    uint64_t fp;
    uint32_t id;
    struct labels *labels; /* owned reference; NULL: no policy is asked */
    int64_t first_ms;      /* TIDE_EARLIEST_MS: unknown */
    int64_t last_ms;
    uint64_t chunks;
    bool archived;
    bool idle; /* archive it */
};

/* Those of one stripe. Zeroed is empty. */
struct duties {
    struct duty *items;
    size_t count;
    size_t cap;
};

void duties_add(struct duties *duties, const struct duty *duty);
void duties_destroy(struct duties *duties);

/* What is decided. */
struct duty_verdict {
    int64_t keep_ms;  /* never RETENTION_DEFAULT */
    int64_t from_ms;  /* what ends before that may go; TIDE_EARLIEST_MS: nothing */
    bool due;         /* the series may have such samples */
    bool by_default;  /* nobody said anything: the configuration's retention */
    const char *rule; /* borrowed until the next verdict; NULL: the default, or a broken rule, for
                         which all is kept */
};

/** Asks `policy` (NULL or one without retention: the default holds). Outside all stripes. */
struct duty_verdict duty_decide(const struct store *store, const struct policy *policy,
                                const struct duty *duty);

/** What a rule may know of it. */
struct series_view duty_view(const struct store *store, const struct duty *duty);

/** Whether a policy has a say in retention. */
bool policy_decides(const struct policy *policy);

/** Counts what retention_drop would take, by the same steps; changes nothing.
 * *dropped: zeroed `series`: nothing. -1 with err: IO, or CORRUPT (the file is damaged). */
int retention_count(struct store *store, uint64_t fp, int64_t before_ms, struct removal *dropped,
                    struct error *err);

/* plan_thin.c: the part of a plan that is about downsampling. */
struct store_plan;
/** Adds what a pass would thin out of a series of which retention would drop `dropped` first. As
 * retention_count fails. */
int plan_thin_series(struct store *store, const struct policy *policy, const struct duty *duty,
                     const struct removal *dropped, struct store_plan *plan, struct error *err);
/** Frees that part, and the one about a disk that is nearly full. */
void plan_thin_destroy(struct store_plan *plan);

#endif
