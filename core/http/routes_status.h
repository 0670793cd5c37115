/* routes_status.h - the server about itself, in the forms of Prometheus' status API
 * (http-protocols 2.11, 2.12). */
#ifndef TIDE_HTTP_ROUTES_STATUS_H
#define TIDE_HTTP_ROUTES_STATUS_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** GET /api/v1/metadata?metric=&limit=: types, helps and units that pushes told. */
void route_metadata(struct http_request *request, struct http_reply *reply);
/** GET /api/v1/status/tsdb?limit=: what is in memory, and the largest cardinalities by metric,
 * label name and pair, from the index. Refused (403) to whom rules hide some series. */
void route_tsdb(struct http_request *request, struct http_reply *reply);
void route_runtimeinfo(struct http_request *request, struct http_reply *reply);
/** What is configured under Prometheus' names of flags; all of it is in status/config. */
void route_flags(struct http_request *request, struct http_reply *reply);
/** The effective configuration as Lua, in the field "yaml". */
void route_config(struct http_request *request, struct http_reply *reply);
/** How far the start is; answers before readiness. */
void route_walreplay(struct http_request *request, struct http_reply *reply);
/** What a server that scrapes nothing has to say about targets, rules and exemplars: nothing. */
void route_nothing(struct http_request *request, struct http_reply *reply);

#endif
