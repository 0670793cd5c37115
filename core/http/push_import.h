/* push_import.h - JSON lines of any size, stored as they come (http-protocols 17). */
#ifndef TIDE_HTTP_PUSH_IMPORT_H
#define TIDE_HTTP_PUSH_IMPORT_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** The sink of POST /api/v1/import: decodes and stores whole lines of each piece. */
bool push_import_take(struct http_request *request, const uint8_t *bytes, size_t len,
                      struct http_reply *reply);
/** Its end: the last line, and the answer for all of them. */
void push_import(struct http_request *request, struct http_reply *reply);

#endif
