/* routes_export.h - stored samples out of the server, streamed: JSON lines and federation. */
#ifndef TIDE_HTTP_ROUTES_EXPORT_H
#define TIDE_HTTP_ROUTES_EXPORT_H

#include "http/http_reply.h"
#include "http/http_request.h"

/**
 * GET, POST /api/v1/export?match[]=&start=&end=&max_rows_per_line=: JSON lines (http-protocols 17)
 * in order of labels. Staleness markers are left out, but with stale_markers=1.
 */
void route_export(struct http_request *request, struct http_reply *reply);
/**
 * GET /federate?match[]=: the newest sample of each series within the lookback, as text or
 * OpenMetrics by Accept (http-protocols 4).
 */
void route_federate(struct http_request *request, struct http_reply *reply);

#endif
