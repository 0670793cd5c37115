/* acceptor.h - the thread that takes connections and deals each to the worker that has the fewest.
 *
 * Over the limit it answers 503 itself and closes; out of descriptors it waits a moment. */
#ifndef TIDE_HTTP_ACCEPTOR_H
#define TIDE_HTTP_ACCEPTOR_H

#include "base/base.h"
#include "base/error.h"
#include "http/listener.h"
#include "http/worker.h"

struct acceptor;

/**
 * @param listeners  borrowed until acceptor_stop
 * @param workers    borrowed likewise
 */
TIDE_NODISCARD struct acceptor *acceptor_start(struct http_site *site, struct listener *listeners,
                                               size_t listener_count, struct worker **workers,
                                               size_t worker_count, struct error *err);
/** No connection is dealt after it. Takes NULL. The listeners stay open. */
void acceptor_stop(struct acceptor *acceptor);

#endif
