/* wal_segments.h - which segments of the log are there. */
#ifndef TIDE_DISK_WAL_SEGMENTS_H
#define TIDE_DISK_WAL_SEGMENTS_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"

struct wal_segments {
    struct wal_segment_entry {
        uint64_t number;
        uint64_t size;
    } * items; /* in order of number; owned */
    size_t count;
    size_t cap;
    uint64_t bytes;
};

/** Into a zeroed list; no folder is no segments. -1 with err: IO. */
TIDE_NODISCARD int wal_segments_list(struct volume *volume, struct wal_segments *list,
                                     struct error *err);
void wal_segments_destroy(struct wal_segments *list);
/** A whole segment into memory (mem_free). NULL with err: IO, NOMEM. */
uint8_t *wal_segment_read(struct volume *volume, const struct wal_segment_entry *entry, size_t *len,
                          struct error *err);
/** Removes those before `segment`, oldest first, and makes it durable. -1 with err: IO. */
TIDE_NODISCARD int wal_segments_remove(struct volume *volume, uint64_t segment, struct error *err);

#endif
