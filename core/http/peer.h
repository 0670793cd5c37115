/* peer.h - the other end of a connection: its address as text, and as a number that says which
 * client it is. Immutable; any thread. */
#ifndef TIDE_HTTP_PEER_H
#define TIDE_HTTP_PEER_H

#include "base/base.h"

struct sockaddr_storage;

struct peer {
    uint64_t client;  /* a hash of the address; that of an IPv6 client is its network's, a /64 */
    char address[46]; /* "192.0.2.1", "2001:db8::1", "unix" */
};

/** @param name  as accept4 filled it */
void peer_from_address(struct peer *peer, const struct sockaddr_storage *name);
/** Who waits in one line: a user, else an address. @param user  NULL: unknown */
uint64_t peer_line(const struct peer *peer, const char *user);

#endif
