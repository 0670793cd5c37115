/* parked.h - answers of a worker that wait until the log is as durable as they promise.
 *
 * First in, first out: answers leave in the order in which their pushes were applied. Belongs to
 * the worker's thread, but for parked_wants_news. */
#ifndef TIDE_HTTP_PARKED_H
#define TIDE_HTTP_PARKED_H

#include "base/base.h"

struct exchange;
struct worker;

struct parked {
    struct exchange *first;
    struct exchange *last;
    int waiting; /* atomic: there are some, and no news is in the mail yet */
};

/** Parks the exchange if its reply has to wait. False: the answer may leave (a failure by now, if
 * the log has failed). */
bool parked_put(struct worker *worker, struct exchange *exchange);
/** Hands back what is durable, or has failed or waited too long; with `all`, everything. */
void parked_release(struct worker *worker, bool all);
/** Any thread: should the worker be told that the log has moved? At most one yes until the next
 * parked_release. */
bool parked_wants_news(struct parked *parked);

#endif
