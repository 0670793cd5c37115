/* push_remote_write.h - remote write 1.0 and 2.0 (http-protocols 9, 10). */
#ifndef TIDE_HTTP_PUSH_REMOTE_WRITE_H
#define TIDE_HTTP_PUSH_REMOTE_WRITE_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** POST /api/v1/write: the message by its Content-Type. */
void push_remote_write(struct http_request *request, struct http_reply *reply);

#endif
