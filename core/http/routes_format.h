/* routes_format.h - /api/v1/format_query and /api/v1/parse_query (http-protocols 2.12). */
#ifndef TIDE_HTTP_ROUTES_FORMAT_H
#define TIDE_HTTP_ROUTES_FORMAT_H

#include "http/http_request.h"

/** The query, laid out. */
void route_format_query(struct http_request *request, struct http_reply *reply);
/** The query's tree. */
void route_parse_query(struct http_request *request, struct http_reply *reply);

#endif
