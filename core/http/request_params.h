/* request_params.h - parameters of a request: its query, and its body when that is a form. */
#ifndef TIDE_HTTP_REQUEST_PARAMS_H
#define TIDE_HTTP_REQUEST_PARAMS_H

#include "base/base.h"
#include "base/error.h"
#include "http/http_request.h"
#include "http/params.h"

/** -1 with err: INVALID. Texts live in the request's arena. */
TIDE_NODISCARD int request_params(const struct http_request *request, struct params *params,
                                  struct error *err);
/** A parameter that is "true", "1", "false", "0" or not there (*flag stays). -1 with err: INVALID
 */
TIDE_NODISCARD int params_flag(const struct params *params, const char *name, bool *flag,
                               struct error *err);

#endif
