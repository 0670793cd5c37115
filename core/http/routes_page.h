/* routes_page.h - the page for people: what `make web` built, or a plain one (status.h). */
#ifndef TIDE_HTTP_ROUTES_PAGE_H
#define TIDE_HTTP_ROUTES_PAGE_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** GET / and /graph: the page, which reads what to show from the address; without one in the binary
 * the plain page, which says how to build it. */
void route_page(struct http_request *request, struct http_reply *reply);
/** GET /assets/NAME: a file of the page, with ETag; 404 when the binary has none of that name. */
void route_asset(struct http_request *request, struct http_reply *reply);

#endif
