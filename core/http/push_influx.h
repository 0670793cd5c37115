/* push_influx.h - what senders of InfluxDB's line protocol talk to: versions 1 and 2 of its write
 * API, and the little that Telegraf asks before (http-protocols 13).
 *
 * Success is exactly 204, every error has a JSON body in the version's own form: Telegraf retries
 * a batch for ever after anything else. */
#ifndef TIDE_HTTP_PUSH_INFLUX_H
#define TIDE_HTTP_PUSH_INFLUX_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** POST /write?db=&precision= (version 1): the database becomes the label "db". */
void push_influx_1(struct http_request *request, struct http_reply *reply);
/** POST /api/v2/write?bucket=&precision= (version 2): the bucket becomes the label "db". */
void push_influx_2(struct http_request *request, struct http_reply *reply);
/** GET and POST /query: CREATE DATABASE and SHOW DATABASES, which have nothing to do here. */
void influx_query(struct http_request *request, struct http_reply *reply);
/** GET /ping[?verbose=true] */
void influx_ping(struct http_request *request, struct http_reply *reply);

#endif
