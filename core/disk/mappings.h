/* mappings.h - mappings.db: metrics whose raw fingerprint was taken, and their numbers.
 *
 * Layout: format, section 6. The list is for reading and writing the file and for recovery; the map
 * that appends ask is core/store's. */
#ifndef TIDE_DISK_MAPPINGS_H
#define TIDE_DISK_MAPPINGS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "disk/volume.h"

#define MAPPINGS_FILE "mappings.db"

struct mappings_item {
    uint64_t raw;
    uint64_t fp;
    uint8_t *unique; /* owned by the list: fingerprint_unique_string */
    size_t unique_len;
};

/* Zeroed is empty. One owner, not thread-safe. */
struct mappings {
    struct mappings_item *items;
    size_t count;
    size_t cap;
    size_t sorted;    /* so many of them, from the first on, are in order: internal */
    uint64_t highest; /* largest number in it; 0: none */
};

void mappings_destroy(struct mappings *mappings);
/** Adds one (the string is copied); the same twice is written once. */
void mappings_add(struct mappings *mappings, uint64_t raw, const uint8_t *unique, size_t unique_len,
                  uint64_t fp);
/** The number of a metric; false when it has none. Sorts the list when it must. */
bool mappings_find(struct mappings *mappings, uint64_t raw, const uint8_t *unique,
                   size_t unique_len, uint64_t *fp);

/** Sorts, removes doubles, and appends the file's bytes: the same list gives the same bytes. */
void mappings_encode(struct mappings *mappings, struct buf *out);
/** Adds what the bytes hold; on failure nothing was added. @return 0, or -1 with err: CORRUPT */
TIDE_NODISCARD int mappings_decode(struct mappings *mappings, const uint8_t *bytes, size_t len,
                                   struct error *err);

/** Adds what the file holds; a missing one is empty. -1 with err: CORRUPT, IO, NOMEM. */
TIDE_NODISCARD int mappings_read(struct volume *volume, struct mappings *mappings,
                                 struct error *err);
/** Replaces the file, durably. -1 with err: IO. */
TIDE_NODISCARD int mappings_write(struct volume *volume, struct mappings *mappings,
                                  struct error *err);

#endif
