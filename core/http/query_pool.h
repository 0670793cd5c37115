/* query_pool.h - a fixed number of threads that run queries off the event loops.
 *
 * Jobs wait in a bounded queue that is fair among clients: each has its own line (by a hash of its
 * user's name or its address), and lines are served in turn, so one dashboard that asks a hundred
 * questions does not make others wait for all of them. */
#ifndef TIDE_HTTP_QUERY_POOL_H
#define TIDE_HTTP_QUERY_POOL_H

#include "base/base.h"
#include "base/error.h"

struct coding;
struct query_pool;

/* Embedded in what is to be run; owned by the pool from submit until `done` was called. */
struct query_job {
    void (*run)(struct query_job *job, struct coding *coding); /* on a thread of the pool */
    void (*done)(struct query_job *job); /* there too, last: hands the job back */
    uint64_t client;                     /* the line it waits in */
    struct query_job *next;              /* the pool's */
};

/**
 * @param name  of its threads: "query" makes query-0 and so on
 * @return owned pool (query_pool_stop), or NULL with err: IO
 */
TIDE_NODISCARD struct query_pool *query_pool_start(const char *name, size_t threads,
                                                   size_t queue_max, struct error *err);
/**
 * @param again  a job that was accepted before (the next piece of a stream): never refused
 * @return false when the queue is full; the job is the caller's then
 */
bool query_pool_submit(struct query_pool *pool, struct query_job *job, bool again);
/**
 * Has work(arg) called on a thread that has nothing to do, before anything that waits.
 *
 * @return false when there is no such thread
 */
bool query_pool_help(struct query_pool *pool, void (*work)(void *arg), void *arg);
/** Runs what is queued, joins the threads and frees. Takes NULL. Nothing may be submitted then. */
void query_pool_stop(struct query_pool *pool);

/** Jobs that wait, and that run. */
size_t query_pool_waiting(struct query_pool *pool);
size_t query_pool_running(struct query_pool *pool);
/** Calls of query_pool_help that found a thread, ever. */
uint64_t query_pool_helps(struct query_pool *pool);

#endif
