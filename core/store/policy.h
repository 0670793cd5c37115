/* policy.h - the questions that the store asks: how long to keep, whom to admit, what to do with
 * damage. core/script answers them; the store knows no Lua.
 *
 * Any function may be NULL, and a store without a policy is fine: then the configuration's default
 * holds (retention_ms of the options, everything admitted, damage is quarantined). The functions
 * are called outside all locks of the store, from several threads at once unless the line says
 * otherwise, each call with `ctx`. A policy decides, the store acts: none of them may call back
 * into store_append or a maintenance function. */
#ifndef TIDE_STORE_POLICY_H
#define TIDE_STORE_POLICY_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/labels.h"
#include "store/intake.h"

/* Keep for ever: no age is too old. */
#define RETENTION_FOREVER INT64_MAX
/* No opinion: the configuration's retention holds. */
#define RETENTION_DEFAULT INT64_MIN

/* Of reads: it was older when its reads began to be counted. */
#define USE_READS_UNKNOWN ((int64_t)-1)

/* How a series is used by clients. Milliseconds since 1970. */
struct series_use {
    int64_t created_ms;   /* since when it is known; 0: unknown */
    int64_t last_read_ms; /* by a client; 0: never since it is known, or unknown */
    int64_t reads;        /* since it was made, or USE_READS_UNKNOWN */
};

struct use_table;

/* What a rule may know of a series; borrowed for the call. */
struct series_view {
    const struct labels *labels;
    uint64_t fp;
    int64_t first_ms; /* oldest stored sample, may be too old; TIDE_EARLIEST_MS: unknown */
    int64_t last_ms;  /* newest stored sample */
    uint64_t chunks;  /* in memory and on disk, but for those that count_file counts */
    uint64_t bytes;   /* that these take on disk */
    bool archived;
    const struct use_table *uses; /* with `id`, for series_view_use; NULL: its use is unknown */
    uint32_t id;
    /* Of a series whose file nobody looked at yet: asked when a rule wants to know, for it costs a
     * look at the file's size. NULL: `chunks` has all. */
    uint64_t (*count_file)(void *count_ctx, uint64_t fp);
    void *count_ctx;
};

/** How it is used; looked up at each call. */
struct series_use series_view_use(const struct series_view *view);

struct retention_verdict {
    int64_t keep_ms;        /* age up to which samples stay; RETENTION_FOREVER, RETENTION_DEFAULT */
    int64_t valid_until_ms; /* wall clock; ask again then. TIDE_LATEST_MS: never changes */
    const char *rule;       /* who said so, for the audit; borrowed until the thread's next
                               question; NULL: nobody, the default holds */
    uint64_t rules;         /* names the rules that were asked: as retention_rules */
    bool by_use;            /* a rule looked at last_read or reads: ask again after a read */
};

/* What the samples of a window become (reduce.h). Those but the first two are put at the window's
 * end, and a window that holds one sample there already is left as it is. */
enum downsample_method {
    DOWNSAMPLE_LAST,    /* the last sample, as it is */
    DOWNSAMPLE_COUNTER, /* the last one, and those around resets: increases stay the same */
    DOWNSAMPLE_AVG,
    DOWNSAMPLE_MIN,
    DOWNSAMPLE_MAX,
    DOWNSAMPLE_SUM,
    DOWNSAMPLE_COUNT,
    DOWNSAMPLE_FUNCTION, /* policy's downsample_window */
};

#define DOWNSAMPLE_TIERS 8
/* A title of 100 bytes and its terminator. */
#define POLICY_RULE_BYTES 101

struct downsample_tier {
    int64_t after_ms; /* what is older than that, by the wall clock */
    int64_t every_ms; /* width of a window; windows end at its multiples, which belong to them */
    enum downsample_method method;
    char rule[POLICY_RULE_BYTES];
};

struct downsample_verdict {
    struct downsample_tier tiers[DOWNSAMPLE_TIERS]; /* the oldest first: after_ms falls */
    size_t count;                                   /* 0: all stays as it is */
    uint64_t rules; /* names the rules that were asked: as retention_rules */
};

/* A series that may lose its oldest chunks, for the disk is nearly full. */
struct pressure_candidate {
    struct series_view view;
    int64_t keep_ms; /* in: the default; out: what is younger than that stays. RETENTION_FOREVER */
};

enum admit_verdict {
    ADMIT_AS_IS,
    ADMIT_CHANGED, /* the builder's labels are others than before the call */
    ADMIT_DROP,    /* refused by a script (REFUSED_BY_POLICY): not an error of the sender */
    ADMIT_LIMIT,   /* refused by a limit (REFUSED_SERIES_LIMIT) */
};

enum damage_verdict {
    DAMAGE_QUARANTINE, /* move the file to orphaned/, with a hint */
    DAMAGE_SALVAGE,    /* keep what is sound */
    DAMAGE_DELETE,
};

/* What was found broken; borrowed for the call. */
struct damage {
    const char *file; /* relative to the data folder */
    const char *text; /* what is wrong, one line */
    uint64_t offset;  /* of the first bad byte, or of its record */
    uint64_t chunks_sound;
    uint64_t chunks_bad;
};

/* What scripts may wait for. */
enum store_event_kind {
    STORE_EVENT_SERIES_NEW,
    STORE_EVENT_SERIES_GONE, /* its last sample went */
    STORE_EVENT_DAMAGE,      /* with what is wrong as text */
    STORE_EVENT_LIMIT_SOFT,  /* a quota is nearly used up; told by limit_soft */
};

struct policy {
    void *ctx;

    /* One call at a time: by the maintenance thread, or by the thread that plans (plan.h). The
     * answer is cached until valid_until_ms, a new version or, with by_use, the next read. */
    struct retention_verdict (*retention_of)(void *ctx, const struct series_view *series);

    /* Appends a line for each rule that retention_of would ask, with what it says; nothing is
     * counted. May be NULL. */
    void (*explain_retention)(void *ctx, const struct series_view *series, struct buf *out);

    /* Whether old samples are to be thinned out, and how; like retention_of. `downsamples`: is
     * there any such rule? Quick; the others are called only if so. */
    bool (*downsamples)(void *ctx);
    void (*downsample_of)(void *ctx, const struct series_view *series,
                          struct downsample_verdict *verdict);
    /* A window for DOWNSAMPLE_FUNCTION. 1: *value is what becomes of it; 0: it stays as it is; -1
     * with err: the series stays as it is. */
    int (*downsample_window)(void *ctx, const char *rule, const int64_t *times_ms,
                             const double *values, size_t len, int64_t end_ms, double *value,
                             struct error *err);

    /* Which candidates lose their oldest chunks first when the disk is nearly full: `order` (room
     * for all) gets indexes of `list`; those that it leaves out lose nothing. One call at a time,
     * as retention_of. `makes_room`: is there any such rule? Quick. 1: decided by `rule`; 0: nobody
     * has an opinion; -1: a rule is broken. 0, -1: nothing goes. */
    bool (*makes_room)(void *ctx);
    int (*rank)(void *ctx, struct pressure_candidate *list, size_t count, uint32_t *order,
                size_t *ordered, char rule[POLICY_RULE_BYTES]);
    /* The disk has less free than it should; now and then, while that is so. */
    void (*disk_low)(void *ctx, uint64_t free_bytes, uint64_t bound_bytes);

    /* A label block was seen for the first time (or again, after its cache entry went). `labels` is
     * validated, unsorted, without empty values, and may be changed in place; new bytes must live
     * until the next call on the same thread. `why` takes a line for the sender's answer.
     * Not called in recovery or log replay. */
    enum admit_verdict (*admit)(void *ctx, struct labels_builder *labels, char *why,
                                size_t why_size);

    enum damage_verdict (*quarantine)(void *ctx, const struct series_view *series,
                                      const struct damage *damage);

    /* Something has happened; quick, from any thread, no lock is held. `labels` and `text` are
     * borrowed, and may be NULL. Asked for only if event_wanted says so. */
    void (*event)(void *ctx, enum store_event_kind kind, const struct labels *labels,
                  const char *text);
    bool (*event_wanted)(void *ctx, enum store_event_kind kind);

    /* A quota's soft bound was reached: `labels` are those of `by`, of which there are `number` of
     * `bound`; as event. */
    void (*limit_soft)(void *ctx, const struct labels *labels, const char *title, double number,
                       double bound);
    /* What is declared for the way in (intake.h), into a zeroed struct; asked when the store opens
     * and after each rise of the version. What it lends stays until its `release` was called. */
    void (*intake)(void *ctx, struct intake_rules *rules);

    /* Names the rules of retention and downsampling in force: of the same scripts the same, over
     * restarts and reloads; 0: there are none. */
    uint64_t (*retention_rules)(void *ctx);

    /* Rises with each reload of the scripts: cached answers of older versions are asked again. */
    uint64_t (*version)(void *ctx);
};

#endif
