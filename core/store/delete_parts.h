/* delete_parts.h - a delete at work, for delete*.c. */
#ifndef TIDE_STORE_DELETE_PARTS_H
#define TIDE_STORE_DELETE_PARTS_H

#include "store/append.h"
#include "store/delete.h"
#include "store/snapshot_parts.h"

struct delete_work {
    struct store *store;
    const struct delete_request *request;
    struct removal *removed;
    uint64_t *fps; /* ascending */
    size_t count;
    uint32_t *sums; /* snapshot_memory_sum of what the trash has, by index */
    struct append_ticket ticket;
    bool begun; /* something may be deleted */

    /* A slice. */
    uint64_t *gone; /* fingerprints of which nothing is left */
    size_t gone_count;
    struct heads_capture changed; /* records that are not as in the trash any more */
};

/** delete_count.c: adds what a series has in the range to the counts. */
int delete_count_series(struct delete_work *work, uint64_t fp, struct error *err);
/** delete_apply.c: the delete itself, once the trash is complete; under background_lock. */
int delete_apply(struct delete_work *work, struct error *err);

#endif
