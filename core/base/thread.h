/* thread.h - mutexes that clang can check, condition variables, threads with a name. */
#ifndef TIDE_BASE_THREAD_H
#define TIDE_BASE_THREAD_H

#include "base/base.h"
#include "base/error.h"

#ifndef TIDE_CDEF

#include <pthread.h>

struct TIDE_CAPABILITY("lock") lock {
    pthread_mutex_t mutex;
};

struct cond {
    pthread_cond_t cond; /* on the monotonic clock */
};

struct thread {
    pthread_t id;
    bool started;
};

void lock_init(struct lock *lock);
void lock_destroy(struct lock *lock);

static inline void lock_acquire(struct lock *lock) TIDE_ACQUIRE(*lock) TIDE_NO_LOCK_CHECK
{
    pthread_mutex_lock(&lock->mutex);
}

static inline void lock_release(struct lock *lock) TIDE_RELEASE(*lock) TIDE_NO_LOCK_CHECK
{
    pthread_mutex_unlock(&lock->mutex);
}

void cond_init(struct cond *cond);
void cond_destroy(struct cond *cond);
/** Waits for a signal; may wake without one. */
void cond_wait(struct cond *cond, struct lock *lock) TIDE_REQUIRES(*lock);
/** The same for at most `timeout_ns`; false when the time is over. */
bool cond_wait_for(struct cond *cond, struct lock *lock, int64_t timeout_ns) TIDE_REQUIRES(*lock);
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

/**
 * Starts a thread.
 *
 * @param name         at most 15 bytes, seen in ps and gdb
 * @param stack_bytes  0 for the system's default
 * @return 0, or -1 with err: ERR_IO. All signals are blocked in the new thread.
 */
TIDE_NODISCARD int thread_start(struct thread *thread, const char *name, size_t stack_bytes,
                                void *(*run)(void *), void *arg, struct error *err);
/** Waits for its end; nothing happens on a thread that was not started. */
void thread_join(struct thread *thread);

#endif
#endif
