/* push_otlp.h - OTLP metrics over HTTP, in protobuf (http-protocols 14). */
#ifndef TIDE_HTTP_PUSH_OTLP_H
#define TIDE_HTTP_PUSH_OTLP_H

#include "http/http_reply.h"
#include "http/http_request.h"

/**
 * POST /v1/metrics and its kin: 200 with an ExportMetricsServiceResponse, which says how many
 * points were rejected and why; failures as google.rpc.Status. JSON bodies get 415.
 */
void push_otlp(struct http_request *request, struct http_reply *reply);

#endif
