/* status.h - routes that tell about the server itself. */
#ifndef TIDE_HTTP_STATUS_H
#define TIDE_HTTP_STATUS_H

#include "http/http_reply.h"
#include "http/http_request.h"

struct http_site;

/** 503 of a server that starts or stops, with what the opening store is at. Any thread. */
void status_put_unready(const struct http_site *site, struct http_reply *reply);

void status_healthy(struct http_request *request, struct http_reply *reply);
/** 200, or status_put_unready. */
void status_ready(struct http_request *request, struct http_reply *reply);
void status_health(struct http_request *request, struct http_reply *reply);
void status_metrics(struct http_request *request, struct http_reply *reply);
void status_buildinfo(struct http_request *request, struct http_reply *reply);
/** The plain page of a build without web/dist (routes_page.h). */
void status_page(struct http_request *request, struct http_reply *reply);

#endif
