/* series_union.h - the series that any of some selectors find, each once, in order of labels; and
 * their samples piece by piece.
 *
 * Belongs to one thread at a time. */
#ifndef TIDE_HTTP_SERIES_UNION_H
#define TIDE_HTTP_SERIES_UNION_H

#include "base/base.h"
#include "base/error.h"
#include "model/columns.h"
#include "store/querier.h"

struct union_series {
    const struct labels *labels; /* of the selection */
    struct selection *selection;
    size_t index; /* in it */
};

struct series_union {
    const struct querier *querier; /* outlives it */
    struct selection **selections;
    size_t selection_count;
    struct union_series *list;
    size_t count;
};

/** @return 0, or -1 with err: LIMIT, CANCELLED, IO, BUSY; then nothing is to be closed */
TIDE_NODISCARD int series_union_open(struct series_union *all, const struct querier *querier,
                                     const struct select_request *sets, size_t set_count,
                                     struct error *err);
/** Safe on a zeroed one. */
void series_union_close(struct series_union *all);

/* Reads a series in pieces of bounded memory: a window of time that follows the density of its
 * samples moves over it. */
struct series_cursor {
    const struct series_union *all;
    const struct union_series *series;
    int64_t next_ms;
    int64_t to_ms;
    int64_t window_ms;
    bool ended;
};

void series_cursor_init(struct series_cursor *cursor, const struct series_union *all, size_t i,
                        int64_t from_ms, int64_t to_ms);
/**
 * Appends at least `samples` more (when there are so many) to `out`; usually not many times more.
 *
 * @return 0 (look at cursor->ended), or -1 with err: IO, CORRUPT, CANCELLED
 */
TIDE_NODISCARD int series_cursor_read(struct series_cursor *cursor, size_t samples,
                                      struct columns *out, struct error *err);

#endif
