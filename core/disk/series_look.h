/* series_look.h - a file of records chunk by chunk, sound or not: what can be read, where it
 * breaks.
 *
 * For any name, so for files in orphaned/ too. Changes nothing. Thread-safe; a file that is
 * rewritten meanwhile may be seen half as it was. */
#ifndef TIDE_DISK_SERIES_LOOK_H
#define TIDE_DISK_SERIES_LOOK_H

#include "base/base.h"
#include "base/error.h"
#include "disk/series_file.h"
#include "disk/volume.h"

/* A record as it is. */
struct series_look {
    struct series_record record; /* as its header says */
    size_t samples;    /* that can be read: of a damaged one, those in front of the damage */
    size_t bytes;      /* of the payload that mean something; 0: not known */
    char problem[160]; /* "": sound */
};

/** Looks at a record of SERIES_RECORD_BYTES. Pure. Cost: decodes it, some 10 ns a sample. */
void series_look_at(const uint8_t *record, struct series_look *look);

struct series_visitor {
    void *ctx;
    /** A record, not decoded yet (series_look_at). 1: enough; -1 with err: stops with it. */
    int (*record)(void *ctx, uint64_t index, const uint8_t *record, struct error *err);
};

/**
 * Visits the records of a file in order, read by the dozen.
 *
 * @param from   index of the first
 * @param stat   out: of the file
 * @return 0, or -1 with err: NOT_FOUND, IO, or the visitor's
 */
TIDE_NODISCARD int series_look_walk(struct volume *volume, const char *name, uint64_t from,
                                    const struct series_visitor *visitor,
                                    struct series_file_stat *stat, struct error *err);

#endif
