/* pass_parts.h - passes of retention between maintenance, drops, plan and trash. For this room
 * only; all of it under background_lock. */
#ifndef TIDE_STORE_PASS_PARTS_H
#define TIDE_STORE_PASS_PARTS_H

#include "store/duty.h"
#include "store/folder.h"

/* --- pass_guard.c: what may go
 * ----------------------------------------------------------------------- */

int pass_guard_open(struct store *store, struct error *err);
/** Writes down what only memory knows; before the folder closes. */
void pass_guard_close(struct store *store);
/** Around all stripes, one after the other; a pass that ends whole, with nothing put off, is
 * remembered. */
void pass_guard_begin(struct store *store);
void pass_guard_end(struct store *store);
/** Something was not done: this pass is not whole. */
void pass_guard_spoil(struct store *store);
/** Chunks of a series that end before that are no surprise if they go: what ends later became too
 * old since the last whole pass. TIDE_LATEST_MS: all would be one. */
int64_t pass_guard_known_ms(const struct store *store, uint64_t rules, int64_t from_ms);
/** May these chunks go? If so they are counted. `surprising`: how many of them are a surprise. */
bool pass_guard_allows(struct store *store, uint64_t rules, uint64_t surprising, uint64_t chunks);
/** Would a survey that found this many hold the pass? Takes what is open into account. */
bool pass_guard_would_hold(struct store *store, uint64_t rules, uint64_t chunks,
                           uint64_t all_chunks);
/** Is this the first pass under these rules and this configuration? */
bool pass_guard_is_first(const struct store *store, uint64_t rules);
/** Is there something to survey? */
bool pass_guard_wants_survey(struct store *store);
/** Surveys so many more stripes, if that is wanted; after the last one it is judged. */
int pass_guard_survey(struct store *store, uint32_t stripes, struct error *err);

/* --- retention.c: drops
 * ------------------------------------------------------------------------------ */

/* What a drop takes, or would take. */
struct drop_count {
    struct removal removed; /* series 0: nothing */
    uint64_t surprising;    /* chunks of it */
};

/** What is to go of one series, as decided. */
struct drop_order {
    uint64_t fp;
    int64_t before_ms; /* chunks that end before that */
    uint64_t rules;
    char by[REMOVAL_BY_BYTES];
};

struct drop_order drop_order_of(const struct duty *duty, const struct duty_verdict *verdict);
/** Drops what is ordered from the series' files, where it is worth a rewrite and may go; into the
 * trash first, when the rules are new. -1 with err: IO */
int retention_drop_all(struct store *store, const struct drop_order *orders, size_t count,
                       struct error *err);
/** Counts what that would take, by the same steps. `samples`: read the chunks for their samples.
 * -1 with err: IO, or CORRUPT (the file is damaged). */
int retention_count(struct store *store, const struct drop_order *order, bool samples,
                    struct drop_count *count, struct error *err);

/* --- pass_trash.c: what the first pass under new rules drops or thins out
 * ----------------------------------------------- */

/* The first chunks of a series file. */
struct pass_trash_chunks {
    uint64_t fp;
    uint64_t count;
    bool all; /* there are no others */
    int64_t first_ms;
    int64_t last_ms;
};

/** Copies what will go. Not durable before the seal. */
int pass_trash_add(struct store *store, enum pass_trash_kind kind,
                   const struct pass_trash_chunks *chunks, struct error *err);
/** Makes durable what was added: now it may go. */
int pass_trash_seal(struct store *store, enum pass_trash_kind kind, struct error *err);
/** What really went. */
void pass_trash_count(struct store *store, enum pass_trash_kind kind,
                      const struct removal *dropped);
/** Where it is; "": nowhere. */
const char *pass_trash_id(const struct store *store, enum pass_trash_kind kind);
/** Nothing more is added to the entry of this id, if it is one of a pass at work. */
void pass_trash_leave(struct store *store, const char *id);
/** Closes what is open, until there is more. At the end of a piece of work. */
void pass_trash_rest(struct store *store);
/** Nothing more is added to any. */
void pass_trash_end(struct store *store);

/* --- kept.c: series that an undelete brought back
 * ---------------------------------------------------------- */

int kept_open(struct store *store, struct error *err);
/** Does retention leave this series alone? */
bool kept_holds(const struct store *store, uint64_t fp, uint64_t rules);
/** Retention leaves these alone under the rules in force, for undelete_hold_ms. Durable. */
int kept_add(struct store *store, const uint64_t *fps, size_t count, struct error *err);

#endif
