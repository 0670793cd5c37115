/* delete.h - deleting series and time ranges on request, and bringing them back.
 *
 * What is deleted goes to the trash first (trash.h), whole and durable; then it is gone for every
 * reader at once: series of which nothing is left with their files and labels, others by marks over
 * their chunks, which a merge rewrites behind (edits.h). The delete is in the write-ahead log, and
 * ordered against pushes: what was pushed before it in the range is gone, what comes later stays.
 *
 * Thread-safe; one at a time does its work. Both block: not on an event loop, not in a hook. */
#ifndef TIDE_STORE_DELETE_H
#define TIDE_STORE_DELETE_H

#include "base/base.h"
#include "base/error.h"
#include "store/audit.h"
#include "store/querier.h"
#include "store/store.h"

struct delete_request {
    const struct select_request *sets; /* series that match any of these; borrowed */
    size_t set_count;
    int64_t from_ms; /* both inclusive */
    int64_t to_ms;
    const char *by;       /* who asks: for audit.jsonl and the trash */
    bool dry_run;         /* only count */
    const int *cancelled; /* atomic; may be NULL; heeded until the first series is touched */
};

/**
 * Deletes samples, or counts those that would be deleted.
 *
 * @param removed  out: counts; its id is "" for a dry run, and when there was nothing to delete
 * @return 0 when it is as durable as wal.sync promises; -1 with err: INVALID (no set, from > to),
 *         CANCELLED, BUSY (the log does not follow), UNSUPPORTED (a store in memory), IO. After a
 *         failure half way the id in `removed` says where the deleted part is.
 * Cost: reads what it deletes, to count it; a link a series. Pushes wait for slices of 500 series.
 */
TIDE_NODISCARD int store_delete(struct store *store, const struct delete_request *request,
                                struct removal *removed, struct error *err);
/**
 * Brings a delete back, also into series that went on: where a sample exists now, that one stays.
 * Then the id is gone from the trash.
 *
 * @param restored  out: series and samples that were in the trash
 * @return 0; -1 with err: NOT_FOUND (no such id, or its time is over), INVALID (no id), BUSY
 *         (another undelete is at work), LIMIT (series or labels that limits refuse now), IO. The
 *         trash is as it was then: try again.
 */
TIDE_NODISCARD int store_undelete(struct store *store, const char *id, const char *by,
                                  struct removal *restored, struct error *err);

#endif
