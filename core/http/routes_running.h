/* routes_running.h - the queries under way and the slow ones: list them, kill one. */
#ifndef TIDE_HTTP_ROUTES_RUNNING_H
#define TIDE_HTTP_ROUTES_RUNNING_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** GET /api/v1/status/queries: {"running": [...], "slow": [...]}. */
void route_queries(struct http_request *request, struct http_reply *reply);
/** POST /api/v1/admin/queries/kill with `id`: 404 when no such query runs. */
void route_kill_query(struct http_request *request, struct http_reply *reply);

#endif
