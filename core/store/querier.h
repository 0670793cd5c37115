/* querier.h - how the floors above read: select series by matchers, read one into columns.
 *
 * A struct of function pointers, so that PromQL and the protocols are tested without a store
 * (and a store without them). core/store implements it over memory and disk. */
#ifndef TIDE_STORE_QUERIER_H
#define TIDE_STORE_QUERIER_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "model/columns.h"
#include "model/labels.h"
#include "model/matcher.h"

struct selection;

/* What is asked for. Both ends of the time range are inclusive. */
struct select_request {
    const struct matcher *matchers; /* all must accept; borrowed for the call */
    size_t matcher_count;
    int64_t from_ms;
    int64_t to_ms;
    size_t max_series;    /* more is ERR_LIMIT; 0: no bound */
    const int *cancelled; /* atomic; may be NULL; nonzero: ERR_CANCELLED soon */
    int64_t deadline_ns;  /* monotonic, clock_system()'s; 0: none; later: ERR_TIMEOUT soon */
    bool metadata_only;   /* labels are wanted, samples will not be read */
};

struct selected_series {
    const struct labels *labels; /* owned by the selection; labels_ref to keep it longer */
    uint64_t fp;                 /* mapped fingerprint: unique in the store */
    int64_t first_ms;            /* of all stored samples; may be too old, never too young */
    int64_t last_ms;             /* newest stored sample */
    double last_value;           /* value at last_ms, if last_value_known */
    bool last_value_known;
};

/* The result of a select: series in no promised order, pinned until selection_free. */
struct selection {
    struct selected_series *series;
    size_t count;
    void *impl; /* the implementation's own */
};

/* Sorted unique texts (label names or values), in one arena. */
struct text_list {
    struct label *items; /* only value/value_len are set; terminated */
    size_t count;
    struct arena arena;
};

/* Label names or values: of series that match any of the sets (0 sets: of all series). */
struct label_request {
    const char *name; /* label_values only */
    size_t name_len;
    const struct select_request *sets;
    size_t set_count;
    int64_t from_ms;
    int64_t to_ms;
    size_t limit; /* stop after so many + 1, 0: none */
};

struct querier {
    void *ctx;

    /* Finds the series. @return 0 with *out owned (free with selection_free), or -1 with err:
     * LIMIT, CANCELLED, TIMEOUT, IO, BUSY. Thread-safe. */
    int (*select)(void *ctx, const struct select_request *request, struct selection **out,
                  struct error *err);

    /* Appends all samples of series i with from_ms <= time <= to_ms to *out, in time order
     * (staleness markers included). Different i may be read by different threads at once.
     * @return 0, or -1 with err: IO, CORRUPT, CANCELLED. */
    int (*read)(struct selection *selection, size_t i, int64_t from_ms, int64_t to_ms,
                struct columns *out, struct error *err);

    void (*selection_free)(void *ctx, struct selection *selection);

    /* Into an empty list; the caller destroys it (text_list_destroy). */
    int (*label_names)(void *ctx, const struct label_request *request, struct text_list *out,
                       struct error *err);
    int (*label_values)(void *ctx, const struct label_request *request, struct text_list *out,
                        struct error *err);
};

void text_list_destroy(struct text_list *list);

#endif
