#include "http/access.h"

#include <stdio.h>

#include "http/http_site.h"
#include "http/listener.h"
#include "http/tenant.h"
#include "script/config.h"

#define ALL_ROLES ((unsigned)(CONFIG_ROLE_PUSH | CONFIG_ROLE_READ | CONFIG_ROLE_ADMIN))

static unsigned bit_of(enum http_role role)
{
    switch (role) {
    case HTTP_ROLE_PUSH:
        return CONFIG_ROLE_PUSH;
    case HTTP_ROLE_READ:
        return CONFIG_ROLE_READ;
    case HTTP_ROLE_ADMIN:
        return CONFIG_ROLE_ADMIN;
    case HTTP_ROLE_NONE:
        break;
    }
    return 0;
}

static const char *name_of(enum http_role role)
{
    static const char *const names[] = {"none", "push", "read", "admin"};

    return names[role];
}

bool access_is_guarded(const struct listener *listener, struct auth *auth)
{
    return listener->auth == CONFIG_AUTH_REQUIRED ||
           (listener->auth == CONFIG_AUTH_DEFAULT && auth_has_users(auth));
}

/* The most that anybody may do at this listener. */
static unsigned roles_of(const struct listener *listener, bool guarded)
{
    if (listener->roles != 0)
        return listener->roles;
    return guarded || listener->local ? ALL_ROLES : CONFIG_ROLE_PUSH | CONFIG_ROLE_READ;
}

/* --- refusals ----------------------------------------------------------------------------------
 */

static enum access_result refuse_unknown(const struct access *access, struct http_reply *reply)
{
    static const char *const texts[] = {
        [AUTH_NOTHING] = "credentials are needed",
        [AUTH_PASSWORD] = "unknown user or wrong password",
        [AUTH_TOKEN] = "unknown token",
        [AUTH_BROKEN] = "the Authorization field is none that is understood here",
    };

    http_reply_error(reply, 401, "unauthorized", "%s", texts[access->claim.scheme]);
    http_reply_field(reply, "WWW-Authenticate", "Basic realm=\"tidemark\", charset=\"UTF-8\"");
    http_reply_field(reply, "WWW-Authenticate", "Bearer realm=\"tidemark\"");
    return ACCESS_REFUSED;
}

/* Senders throw away what gets 429 and send again what gets 503 (http-protocols 12). */
static enum access_result refuse_guesses(const struct http_request *request,
                                         struct http_reply *reply)
{
    bool pushes = request->route->role == HTTP_ROLE_PUSH;

    http_reply_error(reply, pushes ? 503 : 429, pushes ? "unavailable" : "too_many_requests",
                     "too many wrong passwords from this address: try again later");
    http_reply_field(reply, "Retry-After", "2");
    return ACCESS_REFUSED;
}

static enum access_result refuse_role(const struct access *access,
                                      const struct http_request *request, unsigned allowed,
                                      struct http_reply *reply)
{
    const char *role = name_of(request->route->role);

    if ((allowed & bit_of(request->route->role)) == 0)
        http_reply_error(reply, 403, "forbidden",
                         "this needs the role %s, which the listener %s does not give to anybody",
                         role, access->listener->address);
    else
        http_reply_error(reply, 403, "forbidden",
                         "this needs the role %s, which the user %s does not have", role,
                         request->user);
    return ACCESS_REFUSED;
}

static enum access_result refuse_tenant(struct http_reply *reply)
{
    http_reply_error(reply, 403, "forbidden",
                     "this concerns all tenants, and the credential is of one");
    return ACCESS_REFUSED;
}

static enum access_result refuse_page(const struct http_request *request, struct http_reply *reply)
{
    http_reply_error(reply, 403, "forbidden",
                     "a page of another origin may not use the role %s: http.cors_origins would "
                     "have to name it",
                     name_of(request->route->role));
    return ACCESS_REFUSED;
}

/* --- decisions ---------------------------------------------------------------------------------
 */

/* With an identity, or without one at a listener that wants none. */
static enum access_result grant(const struct access *access, struct http_request *request,
                                unsigned roles, bool guarded, struct http_reply *reply)
{
    unsigned needed = bit_of(request->route->role);
    unsigned allowed = roles_of(access->listener, guarded);

    if (needed != 0 && (roles & allowed & needed) == 0)
        return refuse_role(access, request, allowed, reply);
    if (needed == CONFIG_ROLE_ADMIN && (request->route->flags & HTTP_ROUTE_TENANT) == 0 &&
        tenant_is_one(request))
        return refuse_tenant(reply);
    if ((needed & (CONFIG_ROLE_PUSH | CONFIG_ROLE_ADMIN)) != 0 &&
        !cors_may_change(access->origin, request->head, guarded))
        return refuse_page(request, reply);
    return ACCESS_GRANTED;
}

enum access_result access_finish(struct access *access, struct http_request *request,
                                 struct http_reply *reply)
{
    if (access->verdict == AUTH_THROTTLED)
        return refuse_guesses(request, reply);
    if (access->verdict != AUTH_KNOWN)
        return refuse_unknown(access, reply);
    request->user = access->identity.user;
    request->tenant = access->identity.tenant;
    return grant(access, request, access->identity.roles, true, reply);
}

enum access_result access_check(struct access *access, struct http_request *request,
                                struct http_reply *reply)
{
    struct auth *auth = request->site->auth;
    bool guarded = access_is_guarded(access->listener, auth);

    if (request->route->role == HTTP_ROLE_NONE)
        return ACCESS_GRANTED;
    if (!guarded)
        return grant(access, request, ALL_ROLES, false, reply);
    access->claim = auth_claim_of(
        request->head, (request->route->flags & HTTP_ROUTE_URL_LOGIN) != 0, request->arena);
    access->verdict =
        auth_identify(auth, &access->claim, access->client, request->arena, &access->identity);
    return access->verdict == AUTH_SLOW ? ACCESS_SLOW : access_finish(access, request, reply);
}

void access_verify(struct access *access, struct http_request *request)
{
    access->verdict = auth_verify(request->site->auth, &access->claim, access->client,
                                  request->arena, &access->identity);
}
