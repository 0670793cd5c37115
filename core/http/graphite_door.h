/* graphite_door.h - Graphite's plaintext over TCP or a Unix socket: lines in, no answers.
 *
 * One thread. A bad line is counted and logged, the connection stays open. What a connection holds
 * is a line that is not whole yet. When the store is busy, its connections are not read for a
 * moment: senders wait, nothing is lost. */
#ifndef TIDE_HTTP_GRAPHITE_DOOR_H
#define TIDE_HTTP_GRAPHITE_DOOR_H

#include "base/base.h"
#include "base/error.h"

struct graphite_door;
struct http_site;

/**
 * Listens; connections are read once the site has its store.
 *
 * @return NULL with err: CONFLICT (address in use), INVALID (not an address), IO
 */
TIDE_NODISCARD struct graphite_door *graphite_door_open(const struct http_site *site,
                                                        const char *address, struct error *err);
/** What was read is stored; the rest is cut off. Takes NULL. */
void graphite_door_close(struct graphite_door *door);

#endif
