/* auth_header.h - what a request says to prove who asks (http-protocols 1.7). Pure functions over
 * hostile bytes, thread-safe, fuzzed. */
#ifndef TIDE_HTTP_AUTH_HEADER_H
#define TIDE_HTTP_AUTH_HEADER_H

#include "base/arena.h"
#include "base/base.h"
#include "http/http_head.h"

enum auth_scheme {
    AUTH_NOTHING,  /* no credential at all */
    AUTH_PASSWORD, /* a user and a password */
    AUTH_TOKEN,    /* a token alone */
    AUTH_BROKEN,   /* something that is neither */
};

/* Texts are terminated, live in the arena and hold no zero byte. */
struct auth_claim {
    enum auth_scheme scheme;
    const char *user;   /* AUTH_PASSWORD */
    const char *secret; /* the password or the token */
};

/* Longer values of Authorization, and longer parts of it, prove nothing. */
#define AUTH_HEADER_MAX_BYTES 4096

/**
 * Reads a value of Authorization: Basic, Bearer, and Token as InfluxDB's clients send it (what has
 * a colon in it there is a user and a password).
 */
struct auth_claim auth_header_parse(struct http_text value, struct arena *arena);
/**
 * The request's claim: of its one Authorization field, else of the parameters u and p in the
 * address, which InfluxDB 1.x clients send.
 *
 * @param parameters  look at u and p
 */
struct auth_claim auth_claim_of(const struct http_head *head, bool parameters, struct arena *arena);

#endif
