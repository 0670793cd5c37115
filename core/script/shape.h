/* shape.h - reads before they run: the operator's rules narrow or refuse what a client may see.
 *
 * The one choke point: whatever path a client reads by (queries, label values, federation, remote
 * read, exports, statistics) fills a read_request, calls rulebook_shape, and then reads through a
 * narrowed querier (narrow.h). A rule can narrow and never widen. */
#ifndef TIDE_SCRIPT_SHAPE_H
#define TIDE_SCRIPT_SHAPE_H

#include "base/base.h"
#include "base/error.h"
#include "model/matcher.h"

struct query_tree;
struct rulebook;

enum read_kind {
    READ_QUERY,
    READ_QUERY_RANGE,
    READ_SERIES,
    READ_LABELS,
    READ_LABEL_VALUES,
    READ_FEDERATE,
    READ_EXPORT,
    READ_REMOTE_READ,
    READ_STATUS,
    READ_KINDS,
};

/* "query_range", "series" ...; static. */
const char *read_kind_name(enum read_kind kind);

/* Zero it, fill the first part, destroy it at the end. Texts are borrowed; NULL is unknown. */
struct read_request {
    enum read_kind kind;
    const char *user;
    const char *tenant;
    const char *remote; /* address of the client */
    const char *dashboard;
    const char *panel;
    struct query_tree *tree; /* of a query; ranges in it may be clamped. NULL: other reads */
    int64_t start_ms;        /* in and out: rules may only narrow, */
    int64_t end_ms;          /* so may start_ms > end_ms afterwards: then nothing is read */
    int64_t step_ms;         /* 0: an instant; rules may only lengthen */
    int64_t timeout_ms;      /* rules may only lower this and the next */
    int64_t max_samples;
    int64_t max_series;
    int64_t max_points;
    uint64_t (*count_series)(void *ctx); /* how many the selectors find; may be NULL: unknown */
    void *count_ctx;

    /* Out. They hold for all that is read, also for names and values of labels: narrow.h sees to
     * it. The tree has none of them, so that absent() and the like answer as if there were nothing
     * else in the store. */
    struct matcher *restrictions;
    size_t restriction_count;
    bool times_cut; /* a rule moved start_ms or end_ms */
    int status;     /* of a refusal: HTTP, 400 .. 599 */
};

/**
 * Asks all query rules, in file order; the first refusal ends it. A broken or suspended rule
 * refuses with 503, for it may hide what is forbidden. Thread-safe; the thread needs
 * SANDBOX_STACK_BYTES of stack.
 *
 * @return 0, or -1 with err and request->status: nothing may be read. ERR_DENIED: a rule said so;
 *         ERR_BUSY: a rule is broken. The text is for the client and shows no script.
 */
TIDE_NODISCARD int rulebook_shape(struct rulebook *book, struct read_request *request,
                                  struct error *err);
/** Frees what rulebook_shape made; safe on a zeroed one. Not the tree. */
void read_request_destroy(struct read_request *request);

#endif
