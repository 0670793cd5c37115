/* status.h - routes that tell about the server itself. */
#ifndef TIDE_HTTP_STATUS_H
#define TIDE_HTTP_STATUS_H

#include "http/http_reply.h"
#include "http/http_request.h"

void status_healthy(struct http_request *request, struct http_reply *reply);
/** 200, or 503 with what an opening store is at. */
void status_ready(struct http_request *request, struct http_reply *reply);
void status_health(struct http_request *request, struct http_reply *reply);
void status_metrics(struct http_request *request, struct http_reply *reply);
void status_buildinfo(struct http_request *request, struct http_reply *reply);
/** The plain page of a build without web/dist (routes_page.h). */
void status_page(struct http_request *request, struct http_reply *reply);

#endif
