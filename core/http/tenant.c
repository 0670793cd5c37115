/* tenant.c - see tenant.h. */
#include "http/tenant.h"

#include "http/http_site.h"

int tenant_label(const struct http_request *request, struct label *label, struct error *err)
{
    const char *name = request->site->options.tenant_label;

    if (name == NULL || name[0] == '\0')
        return 0;
    if (request->tenant == NULL || request->tenant[0] == '\0')
        return error_set(err, ERR_DENIED,
                         "this server keeps tenants apart: sign in with a credential of one");
    if (strcmp(request->tenant, "*") == 0)
        return 0;
    *label = (struct label){.name = name,
                            .name_len = (uint32_t)strlen(name),
                            .value = request->tenant,
                            .value_len = (uint32_t)strlen(request->tenant)};
    return 1;
}

bool tenant_is_one(const struct http_request *request)
{
    struct label label;
    struct error err;

    return tenant_label(request, &label, &err) == 1;
}

int tenant_may_all(const struct http_request *request, struct error *err)
{
    struct label label;
    int bound = tenant_label(request, &label, err);

    if (bound > 0)
        return error_set(err, ERR_DENIED,
                         "this concerns all tenants, and the credential is of one");
    return bound;
}
