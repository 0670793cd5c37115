/* tenant.h - the label that keeps tenants apart (tenants.label): stamped on what a credential's
 * tenant pushes, and required of what it reads. The tenant "*" is all of them: it pushes labels as
 * they come, and reads everything. */
#ifndef TIDE_HTTP_TENANT_H
#define TIDE_HTTP_TENANT_H

#include "base/base.h"
#include "base/error.h"
#include "http/http_request.h"
#include "model/labels.h"

/**
 * @param label  out: texts borrowed from options and request
 * @return 1 the label holds, 0 no label is needed, -1 with err: DENIED (nobody's request)
 */
TIDE_NODISCARD int tenant_label(const struct http_request *request, struct label *label,
                                struct error *err);
/** Whether the request is one tenant's, of those that are kept apart. */
bool tenant_is_one(const struct http_request *request);
/** What concerns all of the store is not for the credential of one tenant: -1 with err: DENIED. */
TIDE_NODISCARD int tenant_may_all(const struct http_request *request, struct error *err);

#endif
