/* request_params.c - see request_params.h. */
#include "http/request_params.h"

int request_params(const struct http_request *request, struct params *params, struct error *err)
{
    struct http_text form = {0};

    if (params_is_form(request->head))
        form = (struct http_text){(const char *)request->body, request->body_len};
    return params_parse(request->head->query, form, request->arena, params, err);
}
