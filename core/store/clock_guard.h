/* clock_guard.h - nothing is deleted by age while the clock cannot be trusted.
 *
 * Retention compares times of samples with the wall clock. When that clock jumps against the
 * monotonic one, or is further ahead of the newest sample than `clock_slack_ms`, what would be
 * deleted is held back until somebody who knows says that the clock is right
 * (store_clock_confirm). So a folder of years ago, opened with the default retention, loses
 * nothing unasked.
 *
 * Held at the start or by a jump: until confirmed, also over restarts (the file `clock.state`).
 * Held because no samples came for longer than the slack while the clock ran evenly: until
 * confirmed, or until samples come again. */
#ifndef TIDE_STORE_CLOCK_GUARD_H
#define TIDE_STORE_CLOCK_GUARD_H

#include "base/base.h"
#include "base/error.h"
#include "store/store.h"

#define CLOCK_STATE_FILE "clock.state"
/* What it holds is confirmed by this name. */
#define CLOCK_HOLD_ID "clock"
/* For clock_slack_ms: the clock is never doubted. */
#define CLOCK_SLACK_OFF INT64_MAX

enum clock_doubt {
    CLOCK_TRUSTED,
    CLOCK_AHEAD,  /* far ahead of the newest sample when the folder was opened */
    CLOCK_JUMPED, /* against the monotonic clock */
    CLOCK_QUIET,  /* far ahead of the newest sample, for no more came */
};

struct store_clock {
    enum clock_doubt doubt; /* all but CLOCK_TRUSTED: deletions by age are held */
    int64_t since_ms;       /* wall clock; 0 if trusted */
    int64_t wall_ms;        /* now */
    int64_t newest_ms;      /* newest sample, as last seen; TIDE_EARLIEST_MS: none */
    int64_t confirmed_ms;   /* wall clock of the last confirmation; TIDE_EARLIEST_MS: none */
    int64_t slack_ms;       /* CLOCK_SLACK_OFF: never doubted */
};

/** Thread-safe. A store in memory always trusts its clock. */
void store_clock_get(struct store *store, struct store_clock *out);
/** "trusted", "ahead", "jumped", "quiet". Static. */
const char *clock_doubt_name(enum clock_doubt doubt);
/**
 * The clock is right as it is: what is held goes on. Survives a restart.
 *
 * @param by  who says so, for the log
 * @return 0, or -1 with err: IO (it holds until the next start), UNSUPPORTED (a store in memory)
 */
TIDE_NODISCARD int store_clock_confirm(struct store *store, const char *by, struct error *err);

#endif
