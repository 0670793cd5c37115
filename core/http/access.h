/* access.h - may this request go to its route? What the listener asks for, who asks, which roles
 * that gives, and whether a page of another origin is behind it. The refusal is written here. */
#ifndef TIDE_HTTP_ACCESS_H
#define TIDE_HTTP_ACCESS_H

#include "base/base.h"
#include "http/auth.h"
#include "http/cors.h"
#include "http/http_reply.h"
#include "http/http_request.h"

struct listener;

/* What is known of one request so far. Zero it. */
struct access {
    const struct listener *listener;
    uint64_t client;
    enum cors_origin origin;
    struct auth_claim claim;
    struct auth_identity identity;
    enum auth_verdict verdict;
};

enum access_result {
    ACCESS_GRANTED, /* the request has user and tenant, if there are any */
    ACCESS_REFUSED, /* the reply says why */
    ACCESS_SLOW,    /* call access_verify off the event loop, then access_finish */
};

/** Decides as far as that is quick. */
enum access_result access_check(struct access *access, struct http_request *request,
                                struct http_reply *reply);
/** Tries the password: tens of milliseconds. */
void access_verify(struct access *access, struct http_request *request);
/** The decision after access_verify: never ACCESS_SLOW. */
enum access_result access_finish(struct access *access, struct http_request *request,
                                 struct http_reply *reply);
/** Whether the listener wants credentials, with the users that are in force. */
bool access_is_guarded(const struct listener *listener, struct auth *auth);

#endif
