/* push_text.h - what exporters print, by POST: text 0.0.4, or by its Content-Type OpenMetrics or
 * the client model in protobuf. */
#ifndef TIDE_HTTP_PUSH_TEXT_H
#define TIDE_HTTP_PUSH_TEXT_H

#include "http/http_reply.h"
#include "http/http_request.h"
#include "http/push.h"

/** POST /api/v1/import/prometheus[?timestamp=MS]: the time of samples without one. */
void push_exposition(struct http_request *request, struct http_reply *reply);
/** The decoder of a body by its Content-Type; UNSUPPORTED for OpenMetrics 2. For push_form. */
TIDE_NODISCARD int push_text_decode(struct push_job *job, struct error *err);

#endif
