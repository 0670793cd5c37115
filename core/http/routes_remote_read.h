/* routes_remote_read.h - POST /api/v1/read: remote read 1.0 (http-protocols 18). */
#ifndef TIDE_HTTP_ROUTES_REMOTE_READ_H
#define TIDE_HTTP_ROUTES_REMOTE_READ_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** All samples in one block, or streamed chunks, as the asker prefers. */
void route_remote_read(struct http_request *request, struct http_reply *reply);

#endif
