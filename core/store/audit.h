/* audit.h - what was removed, by whom, and the file that tells it for good: `audit.jsonl`.
 *
 * One line of JSON for each delete, undelete, expiry of the trash and pass of retention. The file
 * only grows; at AUDIT_MAX_BYTES it becomes audit.jsonl.old and a new one begins. Thread-safe. A
 * line that cannot be written is an error in the log with all of its content: the removal stays. */
#ifndef TIDE_STORE_AUDIT_H
#define TIDE_STORE_AUDIT_H

#include "base/base.h"
#include "base/buf.h"

#define AUDIT_FILE "audit.jsonl"
#define AUDIT_OLD_FILE "audit.jsonl.old"
#define AUDIT_MAX_BYTES ((uint64_t)64 << 20)

/* "20261128T180000Z-6b1f0a2c44d1e9b7" and its terminator. */
#define REMOVAL_ID_BYTES 40
#define REMOVAL_BY_BYTES 96

/* Samples that went, or would go. */
struct removal {
    char id[REMOVAL_ID_BYTES]; /* of the trash they are in; "": none */
    char by[REMOVAL_BY_BYTES]; /* who asked, or which rule */
    int64_t time_ms;           /* when */
    int64_t from_ms;           /* what was asked for, both inclusive */
    int64_t to_ms;
    int64_t first_ms; /* of the samples that went; above last_ms if there were none */
    int64_t last_ms;
    uint64_t series;      /* that lost samples */
    uint64_t series_gone; /* of these, nothing was left */
    uint64_t chunks;      /* that held some of it, in files or in memory */
    uint64_t samples;
    uint64_t bytes;   /* these chunks take as records of series files */
    uint64_t rules;   /* of retention: names rules and configuration; 0: none */
    bool by_pass;     /* in the trash: a pass of maintenance took it, no delete */
    bool thinned;     /* by_pass, and it was downsampling */
    bool interrupted; /* in a list: a crash came between the copy and the end of the delete */
};

struct store;

/** {"time":...,"action":"delete",...} without a line end. `action` is plain text. */
void removal_put_json(struct buf *out, const char *action, const struct removal *removal);
/** What put it into the trash: "delete", "retention", "downsample". */
const char *removal_action(const struct removal *removal);
/** Adds counts, and widens the times of the samples. */
void removal_add(struct removal *sum, const struct removal *dropped);
/** Reads what removal_put_json wrote (its numbers and `by`); false: it is not that. */
bool removal_parse_json(const char *text, struct removal *removal);
/** Adds a line. `action`: "delete", "undelete", "expire", "retention", "confirm", "damage",
 * "downsample", "disk_pressure". */
void audit_write(struct store *store, const char *action, const struct removal *removal);

/* --- passes of maintenance: one line for each rule, not for each chunk
 * ----------------------------
 */

#define AUDIT_RULES 32

/* Under background_lock. Zeroed is empty. */
struct audit_pass {
    struct removal rules[AUDIT_RULES]; /* by `by`; the last one takes what finds no room */
    size_t count;
    int64_t began_mono_ns;
};

/** Adds chunks that a rule dropped: `by`, `rules` and `id` (of the trash) say where. */
void audit_pass_add(struct store *store, const struct removal *dropped);
/** The same for samples that a rule thinned out. */
void audit_thin_add(struct store *store, const char *by, const struct removal *removed);
/** Writes the lines of what was gathered, if `now` or for an hour. */
void audit_pass_flush(struct store *store, bool now);

#endif
