/* routes_labels.h - /api/v1/series, /api/v1/labels, /api/v1/label/NAME/values (http-protocols 2.9,
 * 2.10). */
#ifndef TIDE_HTTP_ROUTES_LABELS_H
#define TIDE_HTTP_ROUTES_LABELS_H

#include "http/http_request.h"

/* Routes for the query pool. */
void route_series(struct http_request *request, struct http_reply *reply);
void route_labels(struct http_request *request, struct http_reply *reply);
/* The name is the first capture. */
void route_label_values(struct http_request *request, struct http_reply *reply);

#endif
