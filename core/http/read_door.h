/* read_door.h - the one door that every read of series passes, whatever route it comes by.
 *
 * A route tells what it is about to read, the operator's query rules narrow or refuse it
 * (script/shape.h), and the route reads through the door's querier, which shows only what is left.
 * Nothing else in this room may ask store_querier: spec/http/read_door_spec.lua looks.
 *
 *     struct read_door door;
 *
 *     read_door_init(&door, request, READ_SERIES);
 *     door.read.start_ms = ...                      what is narrower than all
 *     if (read_door_pass(&door, reply)) {
 *         querier = door.querier; ...               and door.read's times and bounds
 *     }
 *     read_door_destroy(&door);
 *
 * Belongs to the thread that runs the route. It must not move after it was passed, and outlives all
 * selections; a route that streams keeps it beside them. */
#ifndef TIDE_HTTP_READ_DOOR_H
#define TIDE_HTTP_READ_DOOR_H

#include "base/base.h"
#include "http/http_reply.h"
#include "http/http_request.h"
#include "script/narrow.h"
#include "script/shape.h"
#include "store/store.h"

struct read_door {
    struct read_request read;      /* before: what is asked; afterwards: what may be read */
    const struct querier *querier; /* after it was passed; reads nothing else than that */

    /* What is selected, for rules that count (q.selects); borrowed; may be left empty. Those of
     * read.tree are found by themselves. */
    const struct select_request *sets;
    size_t set_count;

    const struct http_request *request;
    struct narrowed narrowed;
};

/** Who asks, all of time, no tree, the server's bounds. The request outlives the door. */
void read_door_init(struct read_door *door, const struct http_request *request,
                    enum read_kind kind);
/**
 * Asks the rules; once. The store must be open.
 *
 * @return false: nothing may be read, and the reply says so
 */
TIDE_NODISCARD bool read_door_pass(struct read_door *door, struct http_reply *reply);
/** Whether rules left no time in which anything could be: start_ms > end_ms. */
bool read_door_is_empty(const struct read_door *door);
/** Whether rules left out some series, or hide labels: what counts all would tell too much. */
bool read_door_is_restricted(const struct read_door *door);
/** Whether rules left out nothing at all. */
bool read_door_shows_all(const struct read_door *door);
/** The largest cardinalities (store_top_get) of a door that was passed and shows all. */
void read_door_top(const struct read_door *door, enum store_top what, size_t limit,
                   struct text_count_list *out);
/** Safe on one that was refused. */
void read_door_destroy(struct read_door *door);

#endif
