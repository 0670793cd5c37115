/* pass_guard.h - a pass of retention that would drop too much waits until somebody confirms it.
 *
 * What expires because time goes on is no surprise: chunks that were not too old at the last pass
 * (or, under other rules than that pass had, six hours ago). Anything else that would go, since
 * rules changed or answer something else now, or nobody knows when the last pass was, is counted
 * before any of it goes, in a survey. If that is more than `hold_share` of all chunks of the store,
 * and at least `hold_least_bytes`, it is held under an id: the series that it concerns keep all of
 * their samples, the others expire day by day as ever. A confirmation is for the rules that were
 * surveyed and for a tenth more than was counted; what goes beyond is surveyed, and held, anew.
 *
 * `retention.state` beside the store remembers under which rules and configuration the last whole
 * pass was done, what is held and what is confirmed. The first pass under others goes through the
 * trash (trash.h). */
#ifndef TIDE_STORE_PASS_GUARD_H
#define TIDE_STORE_PASS_GUARD_H

#include "base/base.h"
#include "base/error.h"
#include "store/store.h"

#define PASS_STATE_FILE "retention.state"
/* 16 digits and a terminator. */
#define HOLD_ID_BYTES 17

/* What a survey found. */
struct store_hold {
    char id[HOLD_ID_BYTES]; /* "": nothing is held */
    int64_t since_ms;       /* wall clock */
    uint64_t rules;         /* names rules and configuration in force then */
    uint64_t series;        /* that would lose chunks unexpectedly */
    uint64_t chunks;        /* that they would lose */
    uint64_t bytes;         /* that these take on disk */
    uint64_t all_chunks;    /* of the whole store */
    int64_t first_ms;       /* of these chunks; above last_ms: none */
    int64_t last_ms;
};

/** Thread-safe. In a store in memory nothing is ever held. */
void store_hold_get(struct store *store, struct store_hold *hold);
/**
 * What is held under the id may go. Survives a restart.
 *
 * @param by  who says so, for log and audit
 * @return 0, or -1 with err: NOT_FOUND (nothing is held under it: it may have changed), IO (it
 *         holds until the next start), UNSUPPORTED (a store in memory)
 */
TIDE_NODISCARD int store_hold_confirm(struct store *store, const char *id, const char *by,
                                      struct error *err);

#endif
