/* clients.h - how much each address has open: connections, and queries that wait or run. Holds the
 * addresses that have a connection, no others. Thread-safe. */
#ifndef TIDE_HTTP_CLIENTS_H
#define TIDE_HTTP_CLIENTS_H

#include "base/base.h"

struct clients;
struct client;

struct clients *clients_new(void);
/** All have left. Takes NULL. */
void clients_free(struct clients *clients);
/**
 * Another connection of an address.
 *
 * @param number  of the address: peer.h
 * @param most    connections of one; 0: no limit
 * @return its client (clients_leave it), or NULL: it has as many already
 */
struct client *clients_enter(struct clients *clients, uint64_t number, size_t most);
/** Takes NULL. */
void clients_leave(struct clients *clients, struct client *client);
/** Another query, unless there are `most` already. */
bool client_begin_query(struct client *client, size_t most);
void client_end_query(struct client *client);

#endif
