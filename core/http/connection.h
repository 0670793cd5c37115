/* connection.h - one connection: bytes from the socket to exchanges, and their answers back.
 *
 * One exchange at a time: pipelined requests wait in the input, so answers keep their order. An
 * idle connection owns no buffer. Belongs to its worker's thread. */
#ifndef TIDE_HTTP_CONNECTION_H
#define TIDE_HTTP_CONNECTION_H

#include "base/base.h"
#include "http/worker.h"

struct connection;

/** Takes the descriptor and the client over; adds itself to the worker's list. */
void connection_open(struct worker *worker, int fd, const struct peer *peer,
                     const struct listener *listener, struct client *client);
/** The job of its exchange has ended on the pool. */
void connection_job_done(struct connection *connection);
/** Cuts it off if its deadline has passed. */
void connection_check_deadline(struct connection *connection);
/** No further request; an idle one is closed at once, with `now` any. */
void connection_drain(struct connection *connection, bool now);
struct connection *connection_next(const struct connection *connection);
/** Frees the closed connections that no job uses. */
void connection_sweep(struct worker *worker);

#endif
