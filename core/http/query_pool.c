#include "http/query_pool.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/thread.h"
#include "http/coding.h"

#define LINES 64

struct line {
    struct query_job *first;
    struct query_job *last;
};

/* A part of a query that runs already, for an idle thread. */
struct errand {
    struct errand *next;
    void (*work)(void *arg);
    void *arg;
};

struct query_pool {
    struct lock jobs_lock; /* guards all below but the threads */
    struct cond arrived;
    struct line lines[LINES];
    size_t next_line; /* whose turn it is */
    struct errand *errands;
    size_t errand_count;
    size_t idle; /* threads that wait for work */
    uint64_t helps;
    size_t waiting;
    size_t running;
    size_t queue_max; /* immutable */
    bool stopping;

    struct thread *threads; /* owned by the starting thread */
    size_t thread_count;
};

/* The next job in turn; NULL when there is none. */
static struct query_job *take_job_locked(struct query_pool *pool)
{
    for (size_t i = 0; i < LINES; i++) {
        struct line *line = &pool->lines[(pool->next_line + i) % LINES];
        struct query_job *job = line->first;

        if (job == NULL)
            continue;
        line->first = job->next;
        if (line->first == NULL)
            line->last = NULL;
        pool->next_line = (pool->next_line + i + 1) % LINES;
        pool->waiting--;
        return job;
    }
    return NULL;
}

/* Does an errand, if there is one; the lock is held before and after. */
static bool run_errand_locked(struct query_pool *pool)
{
    struct errand *errand = pool->errands;

    if (errand == NULL)
        return false;
    pool->errands = errand->next;
    pool->errand_count--;
    lock_release(&pool->jobs_lock);
    errand->work(errand->arg);
    mem_free(errand);
    lock_acquire(&pool->jobs_lock);
    return true;
}

bool query_pool_help(struct query_pool *pool, void (*work)(void *arg), void *arg)
{
    struct errand *errand = NULL;

    lock_acquire(&pool->jobs_lock);
    if (pool->idle > pool->waiting + pool->errand_count) {
        errand = mem_alloc(sizeof(*errand));
        *errand = (struct errand){.next = pool->errands, .work = work, .arg = arg};
        pool->errands = errand;
        pool->errand_count++;
        pool->helps++;
        cond_signal(&pool->arrived);
    }
    lock_release(&pool->jobs_lock);
    return errand != NULL;
}

static void *run(void *arg)
{
    struct query_pool *pool = arg;
    struct coding *coding = coding_new();

    lock_acquire(&pool->jobs_lock);
    for (;;) {
        struct query_job *job;

        if (run_errand_locked(pool))
            continue;
        job = take_job_locked(pool);
        if (job == NULL) {
            if (pool->stopping)
                break;
            pool->idle++;
            cond_wait(&pool->arrived, &pool->jobs_lock);
            pool->idle--;
            continue;
        }
        pool->running++;
        lock_release(&pool->jobs_lock);
        job->run(job, coding);
        job->done(job);
        lock_acquire(&pool->jobs_lock);
        pool->running--;
    }
    lock_release(&pool->jobs_lock);
    coding_free(coding);
    return NULL;
}

struct query_pool *query_pool_start(const char *pool_name, size_t threads, size_t queue_max,
                                    struct error *err)
{
    struct query_pool *pool = mem_zalloc(1, sizeof(*pool));

    lock_init(&pool->jobs_lock);
    cond_init(&pool->arrived);
    pool->queue_max = queue_max;
    pool->threads = mem_zalloc(threads, sizeof(*pool->threads));
    for (; pool->thread_count < threads; pool->thread_count++) {
        char name[16];

        snprintf(name, sizeof(name), "%.8s-%zu", pool_name, pool->thread_count % 100000);
        if (thread_start(&pool->threads[pool->thread_count], name, 0, run, pool, err) != 0) {
            query_pool_stop(pool);
            return NULL;
        }
    }
    return pool;
}

bool query_pool_submit(struct query_pool *pool, struct query_job *job, bool again)
{
    struct line *line = &pool->lines[job->client % LINES];
    bool accepted;

    lock_acquire(&pool->jobs_lock);
    accepted = again || pool->waiting < pool->queue_max;
    if (accepted) {
        job->next = NULL;
        if (line->last != NULL)
            line->last->next = job;
        else
            line->first = job;
        line->last = job;
        pool->waiting++;
        cond_signal(&pool->arrived);
    }
    lock_release(&pool->jobs_lock);
    return accepted;
}

void query_pool_stop(struct query_pool *pool)
{
    if (pool == NULL)
        return;
    lock_acquire(&pool->jobs_lock);
    pool->stopping = true;
    cond_broadcast(&pool->arrived);
    lock_release(&pool->jobs_lock);
    for (size_t i = 0; i < pool->thread_count; i++)
        thread_join(&pool->threads[i]);
    cond_destroy(&pool->arrived);
    lock_destroy(&pool->jobs_lock);
    mem_free(pool->threads);
    mem_free(pool);
}

size_t query_pool_waiting(struct query_pool *pool)
{
    size_t count;

    lock_acquire(&pool->jobs_lock);
    count = pool->waiting;
    lock_release(&pool->jobs_lock);
    return count;
}

size_t query_pool_running(struct query_pool *pool)
{
    size_t count;

    lock_acquire(&pool->jobs_lock);
    count = pool->running;
    lock_release(&pool->jobs_lock);
    return count;
}

uint64_t query_pool_helps(struct query_pool *pool)
{
    uint64_t count;

    lock_acquire(&pool->jobs_lock);
    count = pool->helps;
    lock_release(&pool->jobs_lock);
    return count;
}
