/* push_gateway.h - the paths of a Pushgateway: PUT, POST and DELETE /metrics/job/JOB/LABEL/VALUE...
 * (http-protocols 8).
 *
 * Samples are stored with the time of arrival (or their own) and the labels of the path. What a
 * push or DELETE takes out of its group gets staleness markers; ?ttl=30m does that later, unless
 * the group is pushed again. Answers are those of a Pushgateway, errors in plain text. */
#ifndef TIDE_HTTP_PUSH_GATEWAY_H
#define TIDE_HTTP_PUSH_GATEWAY_H

#include "base/error.h"
#include "http/http_reply.h"
#include "http/http_request.h"

struct gateway;
struct http_site;

/** PUT and POST: 200. DELETE: 202, whether there was such a group or not. */
void push_gateway(struct http_request *request, struct http_reply *reply);

/** The groups, and the thread that ends those whose time is over. @return NULL with err: IO */
TIDE_NODISCARD struct gateway *gateway_start(const struct http_site *site, struct error *err);
/** Takes NULL. */
void gateway_stop(struct gateway *gateway);

#endif
