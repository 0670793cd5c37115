/* request_params.c - see request_params.h. */
#include "http/request_params.h"

int request_params(const struct http_request *request, struct params *params, struct error *err)
{
    struct http_text form = {0};

    if (params_is_form(request->head))
        form = (struct http_text){(const char *)request->body, request->body_len};
    return params_parse(request->head->query, form, request->arena, params, err);
}

int params_flag(const struct params *params, const char *name, bool *flag, struct error *err)
{
    struct http_text text = params_get(params, name);

    if (text.at == NULL || strcmp(text.at, "false") == 0 || strcmp(text.at, "0") == 0)
        return 0;
    if (strcmp(text.at, "true") != 0 && strcmp(text.at, "1") != 0)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"%s\": \"%.40s\" is neither true nor false", name,
                         text.at);
    *flag = true;
    return 0;
}
