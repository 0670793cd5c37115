/* media_type.h - a Content-Type, or one element of an Accept: name and parameters.
 *
 * `application/x-protobuf; proto="io.prometheus.write.v2.Request"`: any blanks around ';', values
 * with or without quotes. Texts are borrowed. Pure, thread-safe. */
#ifndef TIDE_HTTP_MEDIA_TYPE_H
#define TIDE_HTTP_MEDIA_TYPE_H

#include "base/base.h"
#include "http/http_head.h"

struct media_type {
    struct http_text name; /* compare it with http_text_is */
    struct http_text rest; /* behind the first ';' */
};

void media_type_parse(struct http_text text, struct media_type *type);
/** The value of a parameter without its quotes; len 0 when it is absent or empty. */
struct http_text media_type_parameter(const struct media_type *type, const char *name);
/** The next element of a comma-separated list; *list moves behind it. False at the end. */
bool media_type_next(struct http_text *list, struct media_type *type);
/** Is the Content-Type of a request this one, whatever its parameters? */
bool media_type_is(const struct http_head *head, const char *name);

#endif
