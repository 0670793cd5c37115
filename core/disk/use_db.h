/* use_db.h - use.db as bytes: since when each series is known and how often clients read it. The
 * original ignores the file; who counts is store/use_table.h.
 *
 * "TMUSE001", then blocks: number of records (1 to 4,096), CRC-32C of that number and the records
 * (both uint32), records of fingerprint (uint64), known since, last read, reads (uint32 each); all
 * little-endian. A damaged block is left out; bytes that are none end the reading. One thread. */
#ifndef TIDE_DISK_USE_DB_H
#define TIDE_DISK_USE_DB_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "disk/volume.h"

#ifndef TIDE_CDEF

#define USE_FILE "use.db"

struct use_record {
    uint64_t fp;
    uint32_t known;  /* seconds since 1970, even; odd: known since then, but it may be older */
    uint32_t last_s; /* seconds since 1970; 0: never read */
    uint32_t reads;
};

struct use_db_writer {
    struct volume_writer *file;
    struct buf records; /* of the block that is being filled */
};

/** Begins a new file in the place of the old one, which stays until use_db_finish. */
TIDE_NODISCARD int use_db_begin(struct use_db_writer *writer, struct volume *volume,
                                struct error *err);
/** -1 with err: IO; then only use_db_discard may follow. */
TIDE_NODISCARD int use_db_put(struct use_db_writer *writer, const struct use_record *record,
                              struct error *err);
/** Syncs and publishes; the writer is gone, also after -1 with err: IO. */
TIDE_NODISCARD int use_db_finish(struct use_db_writer *writer, struct error *err);
void use_db_discard(struct use_db_writer *writer);

struct use_db_visitor {
    void *ctx;
    void (*record)(void *ctx, const struct use_record *record); /* NULL: only looked at */
};

/**
 * Reads all sound blocks.
 *
 * @param damaged  out: blocks whose checksum is wrong
 * @return 0, or -1 with err: NOT_FOUND, CORRUPT (no such file, or cut off: what came before was
 *         told), IO
 */
TIDE_NODISCARD int use_db_read(struct volume *volume, const struct use_db_visitor *visitor,
                               uint64_t *damaged, struct error *err);

#endif
#endif
