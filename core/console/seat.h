/* seat.h - one connection of a console: its requests in order, its thread, its session.
 *
 * The server's thread reads (seat_read); the seat's own thread evaluates and writes. */
#ifndef TIDE_CONSOLE_SEAT_H
#define TIDE_CONSOLE_SEAT_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include <sys/types.h>

#include "console/console_server.h"

struct seat;

/**
 * Takes a connection over.
 *
 * @param wake_fd  an eventfd that is written when the seat has ended by itself
 * @return owned seat (seat_free), or NULL with err: IO; the descriptor is closed then
 */
TIDE_NODISCARD struct seat *seat_new(const struct console_options *options, int fd, uid_t user,
                                     int wake_fd, struct error *err);
/** The descriptor to wait for. */
int seat_fd(const struct seat *seat);
/** Takes what has come. @return false: the client has gone or does not speak our language */
bool seat_read(struct seat *seat);
/** Has it ended by itself (a client that reads nothing)? */
bool seat_ended(const struct seat *seat);
/** Cancels what runs, waits for the thread, closes. */
void seat_free(struct seat *seat);

#endif
#endif
