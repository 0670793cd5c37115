/* pressure.h - room on a disk that is nearly full, by rules of the policy: one path for the tick,
 * which drops, and for the plan, which tells. For the files of this room only.
 *
 * When less than `disk_low_bytes` are free, the policy ranks candidates: the series that take most,
 * and those that ended first. In that order each loses the older half of what it has (all of it, if
 * it ended before the age that is kept), until a tenth more than the bound is free, at most
 * PRESSURE_SERIES in a pass. Nothing goes while the clock is doubted, or by a rule that is broken.
 * What goes is not in the trash, where it would free nothing; the audit has a line. */
#ifndef TIDE_STORE_PRESSURE_H
#define TIDE_STORE_PRESSURE_H

#include "store/engine.h"
#include "store/plan.h"

#define PRESSURE_CANDIDATES 1000
#define PRESSURE_SERIES 256
#define PRESSURE_KEEP_MS ((int64_t)24 * 3600 * 1000)

/** Looks at the disk, now and then, and makes room. Under background_lock. -1 with err: IO */
int pressure_tick(struct store *store, struct error *err);
/** Fills in what a pass would drop now. Under background_lock. */
int pressure_plan(struct store *store, const struct policy *policy, struct store_plan *plan,
                  struct error *err);

/* retention.c */
/** Drops the chunks of a series' file that end before a time, however few; `dry`: counts them. As
 * retention_drop. */
int retention_make_room(struct store *store, uint64_t fp, int64_t before_ms, bool dry,
                        struct removal *dropped, struct error *err);

#endif
