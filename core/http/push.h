/* push.h - what a worker needs to take pushes: a decoded batch and an appender, reused. */
#ifndef TIDE_HTTP_PUSH_H
#define TIDE_HTTP_PUSH_H

#include "base/base.h"
#include "http/http_reply.h"
#include "http/http_request.h"

struct pusher;
struct store;

/** One owner, not thread-safe; must be freed before the store is closed. */
struct pusher *pusher_new(struct store *store);
/** Takes NULL. */
void pusher_free(struct pusher *pusher);

/** POST /api/v1/write: remote write 1.0. */
void push_remote_write(struct http_request *request, struct http_reply *reply);
/** POST /api/v1/import/prometheus: text 0.0.4, or OpenMetrics by Content-Type. */
void push_exposition(struct http_request *request, struct http_reply *reply);

#endif
