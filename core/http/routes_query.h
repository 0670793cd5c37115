/* routes_query.h - /api/v1/query and /api/v1/query_range (http-protocols 2.4 to 2.7). */
#ifndef TIDE_HTTP_ROUTES_QUERY_H
#define TIDE_HTTP_ROUTES_QUERY_H

#include "http/http_request.h"

/* Routes for the query pool; the answer is streamed series by series. */
void route_query(struct http_request *request, struct http_reply *reply);
void route_query_range(struct http_request *request, struct http_reply *reply);

#endif
