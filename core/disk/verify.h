/* verify.h - reads a whole data folder and says what is wrong with it; changes nothing.
 *
 * Every chunk of every file is decoded, and everything that two files say of the same series is
 * compared. The indexes are read from copies, for LevelDB writes when it opens. The caller holds
 * the lock. One thread; memory: some 64 bytes a series and 8 bytes a label of it. */
#ifndef TIDE_DISK_VERIFY_H
#define TIDE_DISK_VERIFY_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"

enum verify_kind {
    VERIFY_DAMAGE, /* bytes that are not what the format says */
    VERIFY_DIFFER, /* files that contradict each other; after a crash that is normal: the next
                      start mends it */
};

struct verify_finding {
    enum verify_kind kind;
    const char *file; /* name in the folder; borrowed for the call, as the text */
    int64_t chunk;    /* index in a series file; -1: the file as a whole */
    const char *text; /* one line */
};

struct verify_options {
    /* A volume elsewhere for copies of the index folders; they are removed again. */
    struct volume *scratch;
    void *ctx;
    void (*finding)(void *ctx, const struct verify_finding *finding);
    /** Series files read, of those there are; now and then. May be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
};

struct verify_summary {
    uint64_t series_in_heads;
    uint64_t series_archived;
    uint64_t series_files;
    uint64_t files_touched; /* with another mtime than heads.db knows, and else as it says: the
                               folder was copied, say */
    uint64_t chunks;        /* in series files and heads.db */
    uint64_t samples;
    uint64_t mappings;
    uint64_t damages; /* findings, by kind */
    uint64_t differences;
};

/**
 * Verifies a folder of storage version 1.
 *
 * @param summary  out, also on failure
 * @return 0 whatever was found; -1 with err: UNSUPPORTED, NOT_FOUND (no store), IO, NOMEM
 * Cost: reads everything once.
 */
TIDE_NODISCARD int verify_volume(struct volume *volume, const struct verify_options *options,
                                 struct verify_summary *summary, struct error *err);

#endif
