/* door_counts.h - how many series, labels and values a reader may see: the numbers of
 * /api/v1/status/tsdb.
 *
 * To whom rules hide nothing the store tells them from its index; for others the series that the
 * door shows are selected and counted, with labels as they see them. Belongs to its thread. */
#ifndef TIDE_HTTP_DOOR_COUNTS_H
#define TIDE_HTTP_DOOR_COUNTS_H

#include "base/text_map.h"
#include "http/read_door.h"
#include "store/store.h"

struct door_counts {
    uint64_t series;
    uint64_t label_pairs;
    uint64_t chunks;     /* in memory; unknown if `counted` */
    int64_t min_time_ms; /* over max_time_ms: there is nothing */
    int64_t max_time_ms;
    bool counted; /* what the door shows, not what is in the store */

    /* Inside. */
    const struct read_door *door;
    struct text_map pairs; /* name, 0, value -> series (as a number) */
};

/**
 * Counts for a door that was passed.
 *
 * @return 0, or -1 with err as querier.select: LIMIT (more series than one read may select), BUSY
 *         (a result rule is broken); there is nothing to destroy then. The door outlives them
 */
TIDE_NODISCARD int door_counts_init(struct door_counts *counts, const struct read_door *door,
                                    struct error *err);
/** The `limit` largest (store_top_get), into an empty list; equal ones in order of their texts. */
void door_counts_top(const struct door_counts *counts, enum store_top what, size_t limit,
                     struct text_count_list *out);
void door_counts_destroy(struct door_counts *counts);

#endif
