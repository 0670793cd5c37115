/* engine.h - answers one PromQL query: parse, plan, evaluate in columns (promql.md 9-21).
 *
 * Reads through a struct querier, so it knows no store. Each call stands alone: nothing is kept
 * between queries, any number of threads may execute queries at once.
 *
 * What fails, and the HTTP status that it means:
 *   ERR_INVALID    400 bad_data   parse and type errors, duration expressions, a range query of a
 *                                 type that has none; the text is upstream's
 *   ERR_LIMIT      422 execution  too many samples or series
 *   ERR_EXECUTION  422 execution  duplicate label sets, bad parameters at run time
 *   ERR_TIMEOUT    503 timeout    the deadline passed
 *   ERR_CANCELLED  499 canceled   *cancelled became nonzero (QUERY_KILLED: "query was killed")
 *   ERR_IO, ERR_CORRUPT, ERR_BUSY, ERR_NOMEM: the querier's, with "expanding series: " in front
 * With an error there is no value, and the annotations should not be sent. */
#ifndef TIDE_PROMQL_ENGINE_H
#define TIDE_PROMQL_ENGINE_H

#include "base/base.h"
#include "base/error.h"
#include "model/value.h"
#include "promql/annotations.h"
#include "promql/parse.h"
#include "store/querier.h"

#define PROMQL_DEFAULT_LOOKBACK_MS ((int64_t)5 * 60 * 1000)
#define PROMQL_DEFAULT_SUBQUERY_STEP_MS ((int64_t)60 * 1000)
#define PROMQL_DEFAULT_MAX_SAMPLES ((size_t)50 * 1000 * 1000)

/* Functions besides the built-in ones: the parser knows their rows (promql_options.functions),
 * this computes them. Called for each window of a range vector argument, or each sample of an
 * instant vector; the other arguments are scalars. */
struct added_functions {
    void *ctx;
    /* times and values are borrowed for the call. @return 1 with *result, 0 for no sample, or -1
     * with err: ERR_EXECUTION. Called on the evaluating thread. */
    int (*call)(void *ctx, const struct function_row *function, const int64_t *times_ms,
                const double *values, size_t len, const double *scalars, size_t scalar_count,
                double *result, struct error *err);
};

/* Values of promql_query.cancelled but 0: why the query is to stop. */
enum query_stop {
    QUERY_GONE = 1,   /* nobody waits for the answer any more */
    QUERY_KILLED = 2, /* somebody wants it to end (running.h) */
};

/* How far an evaluation is: written by it every few milliseconds, read by anybody. Atomic. */
struct query_progress {
    uint64_t samples_read;
    uint64_t series_read;
    uint64_t memory_bytes; /* about: samples held, labels and plan */
    uint64_t peak_bytes;
};

/* Threads that have nothing else to do. */
struct query_helpers {
    void *ctx;
    size_t max; /* how many to ask for at most */
    /* Has work(arg) called once on another thread, soon; false when none is idle. Thread-safe. */
    bool (*call)(void *ctx, void (*work)(void *arg), void *arg);
};

/* What all queries hold together, and what waits of their answers. Shared by them. */
struct query_pot {
    size_t held; /* atomic: samples */
    size_t most; /* immutable: beyond, whoever notices it fails */
};

/* What to evaluate, and within which bounds. Borrowed for the call, changed by nobody but
 * *cancelled. Checks of the request (end before start, points per series) are the asker's. */
struct promql_query {
    const char *text; /* as sent: error and annotation positions refer to it */
    size_t len;
    int64_t start_ms; /* the time of an instant query */
    int64_t end_ms;   /* range queries only, inclusive, not before start */
    int64_t step_ms;  /* 0: instant query at start_ms; else > 0 */

    int64_t lookback_ms;             /* 0: the default */
    int64_t subquery_step_ms;        /* of [5m:]; 0: the default */
    size_t max_samples;              /* held at once, promql.md 19; 0: the default */
    struct query_pot *pot;           /* may be NULL: queries know nothing of each other */
    size_t max_series;               /* of one selector; 0: no bound */
    int64_t deadline_ns;             /* on clock_system()'s monotonic clock; 0: none */
    const int *cancelled;            /* atomic; enum query_stop; looked at every few milliseconds */
    struct query_progress *progress; /* may be NULL */

    const struct promql_options *options; /* what is refused; NULL: nothing */
    const struct added_functions *added;  /* may be NULL */
    const struct querier *querier;
    struct regex_cache *regexes;         /* may be NULL */
    const struct query_helpers *helpers; /* asked when there is much to do; may be NULL */
    bool count_samples;                  /* fill query_stats.samples (stats=) */
    bool per_step;                       /* that, and samples_per_step (stats=all) */
};

/* What the query cost. Times in nanoseconds of the monotonic clock. */
struct query_stats {
    int64_t prepare_ns;    /* parse and plan */
    int64_t eval_ns;       /* read and evaluate */
    int64_t sort_ns;       /* put the result in order */
    uint64_t samples;      /* if asked for: upstream's totalQueryableSamples, that is samples that
                              entered windows */
    uint64_t samples_read; /* decoded by the querier */
    uint64_t series_read;
    uint64_t peak_samples;      /* held at once */
    uint64_t *samples_per_step; /* owned; NULL unless asked for */
    size_t steps;
};

void query_stats_destroy(struct query_stats *stats);

/**
 * Parses and evaluates.
 *
 * Instant queries answer any type; a range query always a matrix, series in order of labels.
 * Vectors are in order of labels unless the query orders them (sort, topk, ...).
 *
 * @param out          zeroed by the caller; owned (value_destroy); VALUE_NONE on failure
 * @param annotations  zeroed by the caller; owned (annotations_destroy)
 * @param stats        zeroed by the caller; owned (query_stats_destroy); may be NULL
 * @return 0, or -1 with err as listed on top
 * Blocks on the querier's reads. Memory: bounded by max_samples (about 16 bytes each).
 */
TIDE_NODISCARD int promql_execute(const struct promql_query *query, struct value *out,
                                  struct annotations *annotations, struct query_stats *stats,
                                  struct error *err);
/**
 * Evaluates a tree: one that scripts may have reshaped. query->text is not looked at; positions of
 * annotations are those of the tree's nodes in the text that it was parsed from.
 *
 * The tree is not changed and may be evaluated again.
 */
TIDE_NODISCARD int promql_execute_tree(const struct promql_query *query,
                                       const struct query_tree *tree, struct value *out,
                                       struct annotations *annotations, struct query_stats *stats,
                                       struct error *err);

#endif
