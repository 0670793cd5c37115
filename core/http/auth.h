/* auth.h - who asks, by what the request claims: the users in force, a cache of passwords that were
 * tried, and a brake on guesses.
 *
 * Tokens are answered at once. A password's hash is made to be slow: auth_identify says AUTH_SLOW
 * and auth_verify is called off the event loops; what it finds is cached under a keyed digest, so a
 * client that asks often costs a microsecond. Wrong passwords are remembered for 10 s, and an
 * address that keeps guessing is put off (20 at once, then one a second). Names that nobody has
 * cost what others cost. Thread-safe. */
#ifndef TIDE_HTTP_AUTH_H
#define TIDE_HTTP_AUTH_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "http/auth_header.h"
#include "http/auth_users.h"

struct auth;

enum auth_verdict {
    AUTH_KNOWN,     /* the identity is filled */
    AUTH_UNKNOWN,   /* nothing, or nothing that anybody has */
    AUTH_SLOW,      /* ask auth_verify, not on an event loop */
    AUTH_THROTTLED, /* too many guesses from this address */
};

/* Texts live in the caller's arena. */
struct auth_identity {
    const char *user;
    const char *tenant;
    unsigned roles; /* enum config_role */
};

/** @param users  taken over (a reference) */
struct auth *auth_new(struct auth_users *users, const struct clock *clock);
void auth_free(struct auth *auth);
/** Other users from now on; what was cached of the old ones is not asked any more. */
void auth_replace(struct auth *auth, struct auth_users *users);
/** Are there users at all? */
bool auth_has_users(struct auth *auth);

/** @param client  a hash of the address, for the brake */
enum auth_verdict auth_identify(struct auth *auth, const struct auth_claim *claim, uint64_t client,
                                struct arena *arena, struct auth_identity *identity);
/** The same, trying the password where it must be: never AUTH_SLOW. Tens of milliseconds. */
enum auth_verdict auth_verify(struct auth *auth, const struct auth_claim *claim, uint64_t client,
                              struct arena *arena, struct auth_identity *identity);

#endif
