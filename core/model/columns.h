/* columns.h - samples of one series as two columns: the form in which all of the house reads.
 *
 * A zeroed struct is empty. One owner, not thread-safe; reuse it (len = 0) to allocate nothing. */
#ifndef TIDE_MODEL_COLUMNS_H
#define TIDE_MODEL_COLUMNS_H

#include "base/base.h"

/* A staleness marker by its bits; never compare it as a double. */
#define SAMPLE_STALE_BITS 0x7ff0000000000002u
/* The NaN that text and arithmetic yield. */
#define SAMPLE_NAN_BITS 0x7ff8000000000001u

struct columns {
    int64_t *times_ms; /* strictly increasing */
    double *values;
    size_t len;
    size_t cap;
};

/** Makes room for `extra` more samples behind len. */
void columns_reserve(struct columns *columns, size_t extra);
void columns_append(struct columns *columns, int64_t time_ms, double value);
void columns_destroy(struct columns *columns);
/** Index of the first sample at or after `time_ms`; len when there is none. */
size_t columns_lower_bound(const struct columns *columns, int64_t time_ms);

#endif
