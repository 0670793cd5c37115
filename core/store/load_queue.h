/* load_queue.h - series of heads.db on their way from the thread that reads and checks them to the
 * one that builds them: a start takes two cores.
 *
 * One putting thread. Series are built in the order of the file, in batches that are copies. */
#ifndef TIDE_STORE_LOAD_QUEUE_H
#define TIDE_STORE_LOAD_QUEUE_H

#include "base/base.h"
#include "base/error.h"

#ifndef TIDE_CDEF

#include "disk/heads.h"

struct load_queue;

/** Called on the queue's thread for each series; all is borrowed for the call. */
typedef void load_builder(void *ctx, const struct heads_series *series);

/** Starts the thread. NULL with err: IO. */
TIDE_NODISCARD struct load_queue *load_queue_start(load_builder *build, void *ctx,
                                                   struct error *err);
/** Copies a series; waits while the builder is far behind. */
void load_queue_put(struct load_queue *queue, const struct heads_series *series);
/** Waits until all is built, and frees the queue. */
void load_queue_finish(struct load_queue *queue);

#endif
#endif
