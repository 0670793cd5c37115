/* epoch.h - ids are used again only when no reader is left that may have seen their last owner.
 *
 * A reader enters before it copies ids out of sets and leaves when it is done with them. An id that
 * was retired in epoch n is free when epoch n + 2 has begun. struct epoch is thread-safe, its lock
 * is a leaf; a queue belongs to whoever guards the ids. */
#ifndef TIDE_STORE_EPOCH_H
#define TIDE_STORE_EPOCH_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/thread.h"

struct epoch {
    struct lock leaf_lock; /* guards all of it */
    uint64_t now;
    uint64_t readers[2]; /* by parity of the epoch they entered in */
};

struct retired_id {
    uint32_t id;
    uint64_t epoch;
};

/* First in, first out. A zeroed struct is empty. */
struct retired_queue {
    struct retired_id *items; /* a ring */
    size_t head;
    size_t count;
    size_t cap; /* a power of two */
};

void epoch_init(struct epoch *epoch);
void epoch_destroy(struct epoch *epoch);
/** Returns what epoch_leave wants. */
unsigned epoch_enter(struct epoch *epoch);
void epoch_leave(struct epoch *epoch, unsigned ticket);

/** The id's last owner is out of all sets. */
void retired_push(struct retired_queue *queue, struct epoch *epoch, uint32_t id);
/** An id that may be used again; false when there is none yet. */
bool retired_pop(struct retired_queue *queue, struct epoch *epoch, uint32_t *id);
void retired_destroy(struct retired_queue *queue);

#endif
#endif
