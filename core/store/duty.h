/* duty.h - what retention decides for one series: one path for the pass (maintenance.c), which
 * acts on it, and for the plan (plan.c), which tells it. Under background_lock. */
#ifndef TIDE_STORE_DUTY_H
#define TIDE_STORE_DUTY_H

#include "base/base.h"
#include "model/labels.h"
#include "store/audit.h"
#include "store/policy.h"
#include "store/store.h"

struct series;
struct stripe;

/* A series as it was under its stripe. */
struct duty {
    uint64_t fp;
    uint32_t id;
    uint32_t generation;
    struct labels *labels; /* owned reference; NULL: nobody is asked about it */
    int64_t first_ms;      /* TIDE_EARLIEST_MS: unknown */
    int64_t last_ms;
    uint64_t chunks; /* complete ones; without those of the file if `uncounted` */
    bool uncounted;  /* how many are in the file is not known */
    bool archived;
    bool idle;                     /* archive it */
    bool answered;                 /* by the rules in force, and that holds still: */
    struct retention_verdict said; /* its rule lives until the policy's next version */
};

/* Those of one stripe. Zeroed is empty. */
struct duties {
    struct duty *items;
    size_t count;
    size_t cap;
};

void duties_add(struct duties *duties, const struct duty *duty);
void duties_destroy(struct duties *duties);

/** The series as rules see it, without its labels; under its stripe. */
struct duty duty_of(const struct store *store, const struct series *series);
/** Before the series of a stripe are looked at: takes the time, forgets answers of older rules. */
void duty_begin(struct store *store);
/** Fetches what duty_of and duty_recall will read for the slots of a stripe behind `at`. */
void duty_prefetch(const struct store *store, const struct stripe *stripe, uint32_t at);
/** Fills `answered` and `said`, if the rules in force have spoken. Under its stripe. */
void duty_recall(struct store *store, struct duty *duty);

/* What is decided. */
struct duty_verdict {
    int64_t keep_ms;  /* never RETENTION_DEFAULT */
    int64_t from_ms;  /* what ends before that may go; TIDE_EARLIEST_MS: nothing */
    bool due;         /* the series may have such samples */
    bool kept;        /* it may, but an undelete brought some back: they stay (kept.c) */
    bool by_default;  /* nobody said anything: the configuration's retention */
    const char *rule; /* borrowed until the next verdict; NULL: the default, or a broken rule, for
                         which all is kept */
    uint64_t rules;   /* rules and configuration that said so: retention_name */
};

/** Asks `policy` (NULL or one without retention: the default holds), unless the duty knows what the
 * one in force says. Outside all stripes. */
struct duty_verdict duty_decide(struct store *store, const struct policy *policy,
                                const struct duty *duty);

/** What a rule may know of it. */
struct series_view duty_view(struct store *store, const struct duty *duty);

/** Whether a policy has a say in retention. */
bool policy_decides(const struct policy *policy);

/** Names rules (as in struct retention_verdict) together with the configuration; never 0. */
uint64_t retention_name(const struct store *store, uint64_t rules);
/** The name of what is in force now. */
uint64_t retention_name_now(const struct store *store);

/** Chunks in a series' file, by its size; 0 when it cannot be asked. */
uint64_t duty_count_file(const struct store *store, uint64_t fp);

/* plan_thin.c: the part of a plan that is about downsampling. */
struct store_plan;
/** Adds what a pass would thin out of a series of which retention would drop `dropped` first. As
 * retention_count fails. */
int plan_thin_series(struct store *store, const struct policy *policy, const struct duty *duty,
                     const struct removal *dropped, struct store_plan *plan, struct error *err);
/** Frees that part, and the one about a disk that is nearly full. */
void plan_thin_destroy(struct store_plan *plan);

#endif
