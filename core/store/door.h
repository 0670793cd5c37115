/* door.h - the inside of intake.h, for the files of this room only.
 *
 * A *door* is what the rules mean for some series: the transforms that apply and the quotas that
 * count. Series of equal meaning share one; a series in memory names it by id (series.door, 0:
 * none) and holds a reference. A *set* is the rules of one version with its doors and quotas; it
 * lives until the last of them has gone.
 *
 * Locks: intake.leaf_lock guards sets, doors, quotas and the events that wait, but for what says
 * otherwise; it is taken inside stripes. quota.rate_lock is a leaf of its own. */
#ifndef TIDE_STORE_DOOR_H
#define TIDE_STORE_DOOR_H

#include "base/base.h"
#include "base/text_map.h"
#include "base/thread.h"
#include "store/intake.h"

#ifndef TIDE_CDEF

struct series;

struct intake_set {
    struct intake_rules rules;
    uint32_t references;
    struct text_map doors;
    struct text_map quotas;
    uint32_t *quota_counts; /* by limit */
};

/* What one set of values of `by` has, of one rule. */
struct quota {
    const struct limit_rule *rule;
    struct labels *labels;
    char *key;
    size_t key_len;
    uint32_t doors;       /* that count here */
    uint64_t series;      /* in memory; atomic */
    uint32_t told_series; /* atomic: the soft bound was told */

    struct lock rate_lock; /* guards the rest */
    double tokens;         /* samples that may come now */
    int64_t filled_ns;
    int64_t window_ns; /* when the ten seconds began */
    uint64_t window_count;
    double rate; /* of the ten seconds before */
    bool told_rate;
    uint32_t turn;
};

struct door {
    uint32_t id;
    uint32_t references; /* atomic; the last one goes under the lock */
    struct intake_set *set;
    const struct transform_rule **transforms;
    size_t transform_count;
    struct quota **quotas;
    size_t quota_count;
    bool has_rates;
    bool has_intervals;
    char *key;
    size_t key_len;
};

/* A soft bound that was reached, on its way to the policy. */
struct soft_event {
    struct intake_set *set;
    const char *title;
    struct labels *labels;
    double number;
    double bound;
};

#define DOOR_SEGMENT 4096u
#define DOOR_SEGMENTS 2560u

struct intake {
    struct lock refresh_lock; /* one refresh at a time; before stripes */
    uint64_t version;         /* of the policy, as last seen; atomic */
    uint32_t room;            /* atomic: rises when a full quota gets room, and with each refresh */

    struct lock leaf_lock;  /* guards the rest */
    struct intake_set *set; /* in force; NULL: no rules. Read without the lock too (atomic) */
    bool counting;          /* a refresh counts: new series wait */
    struct cond counted;
    struct door **segments[DOOR_SEGMENTS]; /* by id; a segment never moves */
    uint32_t next_id;
    uint32_t *free_ids;
    size_t free_count;
    size_t free_cap;
    struct soft_event *due;
    size_t due_count; /* atomic */
};

void intake_init(struct intake *intake);
/** After all series are gone. */
void intake_destroy(struct intake *intake);

/* --- doors (door.c) ----------------------------------------------------------------------------
 */

/** The rules in force with a reference, NULL for none. Waits while a refresh counts. */
struct intake_set *intake_take_set(struct store *store);
/** The same without waiting. */
struct intake_set *intake_hold_set(struct intake *intake);
/** Whether these rules (NULL: none) are in force still. */
bool intake_is_current(const struct store *store, const struct intake_set *set);
/** Takes NULL. */
void intake_set_unref(struct intake *intake, struct intake_set *set);

/** What the rules mean for labels, in any order: an owned reference, or NULL: nothing. `key` is
 * scratch. Takes a NULL set. */
struct door *door_for(struct intake *intake, struct intake_set *set, const struct label *list,
                      size_t count, struct buf *key);
/** Takes NULL. */
void door_unref(struct intake *intake, struct door *door);

/* In series.door beside the id: its samples are looked at, not only the series counted. */
#define DOOR_SAMPLES 0x80000000u

static inline uint32_t door_name(const struct door *door)
{
    return door->id | (door->transform_count != 0 || door->has_rates ? DOOR_SAMPLES : 0);
}

/** The door that series.door names. */
static inline struct door *door_of_id(const struct intake *intake, uint32_t name)
{
    uint32_t id = name & ~DOOR_SAMPLES;

    return intake->segments[id / DOOR_SEGMENT][id % DOOR_SEGMENT];
}

/** A series that comes into memory by itself, under its stripe: counted without being asked. */
void door_attach_locked(struct store *store, struct series *series);
/** A series is leaving memory, under its stripe. */
void door_leave_locked(struct store *store, struct series *series);

/** Its part of a group key: the values of `by`. */
void quota_key(const struct limit_rule *rule, size_t index, const struct label *list, size_t count,
               struct buf *key);

/* --- quotas (quota.c) --------------------------------------------------------------------------
 */

struct quota *quota_new(const struct limit_rule *rule, const struct label *list, size_t count,
                        const struct buf *key);
void quota_free(struct quota *quota);
/**
 * Takes a place for a new series in all quotas of a door (NULL: there is none).
 *
 * @param overruled  by index of limit: that rule has had its say already; NULL: none has
 * @return NULL, or the first quota without a place; then none is taken
 */
struct quota *door_enter(struct intake *intake, struct door *door, const uint8_t *overruled);
/** The same whether or not there are any. */
void door_count_in(struct intake *intake, struct door *door);
void door_count_out(struct intake *intake, struct door *door);

enum rate_verdict {
    RATE_GOOD,
    RATE_SPARED,  /* over the rate, kept by sampling: takes no token */
    RATE_REFUSED, /* the sender is told */
    RATE_SKIPPED, /* left out by sampling */
};

/** One sample through the rates of a door; `rule`: who said no. */
enum rate_verdict door_charge(struct intake *intake, struct door *door, int64_t now_ns,
                              const struct limit_rule **rule);
/** So many that were charged are not stored after all. */
void door_give_back(struct door *door, uint64_t samples);
/** Samples a second of late. */
double quota_rate(struct quota *quota, int64_t now_ns);

/** Tells the policy of soft bounds that were reached; under no lock. */
void intake_tell(struct store *store);

/* --- transforms (transform.c) ------------------------------------------------------------------
 */

bool is_stale_marker(double value);

/* Where a series is when samples come. */
struct interval_state {
    int64_t newest_ms;
    int64_t late_ms; /* the late sample that was kept last */
    bool has_newest;
    bool newest_is_marker;
    bool has_late;
};

/** Does the sample follow the others by the rule's interval? Remembers it if so. */
bool interval_keeps(const struct transform_rule *rule, struct interval_state *state,
                    int64_t time_ms, double value);
/** What a rule does to values but for its interval: counts in its counters, moves what stays to
 * the front. Returns how many stay. */
size_t transform_values(const struct transform_rule *rule, int64_t *times_ms, double *values,
                        size_t count);
/** What a rule does, in words. */
void transform_describe(const struct transform_rule *rule, char *text, size_t size);

#endif
#endif
