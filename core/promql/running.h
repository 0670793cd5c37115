/* running.h - the queries under way: who asked what, how far it is; and how to stop one.
 *
 * A query is in the list from running_query_begin to running_query_end. The evaluator writes how
 * far it is into the query's progress (engine.h); anybody may list and kill. Queries that took
 * longer than the operator wants are remembered when they end, the newest RUNNING_SLOW_KEPT of
 * them.
 *
 * Thread-safe. Memory: what runs at once (the query pool bounds it), and the slow ones, with texts
 * of at most RUNNING_TEXT_MAX bytes. */
#ifndef TIDE_PROMQL_RUNNING_H
#define TIDE_PROMQL_RUNNING_H

#include "base/base.h"
#include "base/error.h"
#include "promql/engine.h"

#define RUNNING_SLOW_KEPT 64
#define RUNNING_TEXT_MAX ((size_t)16 << 10)

struct running_queries;

/* What is asked, by whom. Borrowed for the call. */
struct running_ask {
    const char *text;
    size_t len;
    const char *client; /* "10.0.0.7:51234", or whatever names the asker; NULL: unknown */
    const char *user;   /* who signed in; NULL: nobody */
    int64_t start_ms;   /* the time of an instant query */
    int64_t end_ms;
    int64_t step_ms;  /* 0: an instant query */
    int64_t asked_ns; /* when the question came, monotonic */
    int *cancelled;   /* atomic; the query's, good until running_query_end */
};

/* One query as it was when it was listed. Texts are the list's. */
struct running_info {
    uint64_t id;
    const char *text;
    size_t len;
    const char *client; /* "" when unknown */
    const char *user;
    int64_t start_ms, end_ms, step_ms;
    int64_t began_ms;      /* wall clock, when it was asked */
    int64_t age_ns;        /* since it was asked, waiting included; of a slow one: until its end */
    uint64_t samples;      /* read so far */
    uint64_t series;       /* read so far */
    uint64_t memory_bytes; /* held now; of a slow one: at most */
    bool killed;
    enum error_code error; /* of a slow one: how it ended; ERR_NONE: well */
};

struct running_list {
    struct running_info *items; /* oldest first; slow ones newest first */
    size_t count;
    void *texts;
};

/** @param slower_than_ns  queries from this age on are remembered and logged when they end; 0: none
 */
struct running_queries *running_queries_new(int64_t slower_than_ns);
/** Nothing may run. Takes NULL. */
void running_queries_free(struct running_queries *queries);
/** Changes the limit of slow queries, for those that end from now on. */
void running_queries_set_slow(struct running_queries *queries, int64_t slower_than_ns);

struct running_query;

/** @return owned (running_query_end). Takes a NULL list: then the answer is NULL, too. */
struct running_query *running_query_begin(struct running_queries *queries,
                                          const struct running_ask *ask);
/** Where the evaluator tells how far it is: for promql_query.progress. NULL for NULL. */
struct query_progress *running_query_progress(struct running_query *query);
/**
 * The query has ended: out of the list, into the log when it was slow. Takes NULL.
 *
 * @param outcome  ERR_NONE, or why it failed
 */
void running_query_end(struct running_query *query, enum error_code outcome);

/* A NULL `queries` has none. */
/** What runs now, oldest first. The caller destroys it. */
void running_queries_list(struct running_queries *queries, struct running_list *out);
/** Slow ones that have ended, newest first. The caller destroys it. */
void running_queries_slow(struct running_queries *queries, struct running_list *out);
void running_list_destroy(struct running_list *list);
/** "success", or the name of the error's code. Static. */
const char *running_outcome(enum error_code error);
/**
 * Stops a query: it ends within milliseconds with ERR_CANCELLED, "query was killed".
 *
 * @param by  for the log: who wanted it
 * @return 0, or -1 with err: ERR_NOT_FOUND (no such query; it may have ended)
 */
TIDE_NODISCARD int running_queries_kill(struct running_queries *queries, uint64_t id,
                                        const char *by, struct error *err);

#endif
