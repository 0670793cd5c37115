/* auth_users.h - the credentials in force: who has which secret, roles and tenant. Immutable once
 * made, shared by reference counts. Passwords are hashes, tokens are digests. */
#ifndef TIDE_HTTP_AUTH_USERS_H
#define TIDE_HTTP_AUTH_USERS_H

#include "base/base.h"
#include "base/error.h"

struct config_user;

#define AUTH_DIGEST_BYTES 32

struct auth_user {
    char *name;
    char *tenant;
    unsigned roles;                   /* enum config_role */
    char *hash;                       /* of its password, for crypt_r; NULL: it has a token */
    uint8_t token[AUTH_DIGEST_BYTES]; /* SHA-256 */
};

struct auth_users {
    int references;      /* atomic */
    uint64_t generation; /* another one for each set; auth.c's */
    size_t count;
    struct auth_user *list;
};

/**
 * Makes a set of what the configuration says; reads the files that it names (at most 4 KiB, blanks
 * around the secret do not count) and warns of those that everybody may read.
 *
 * @return 0 with one reference in *users, or -1 with err: IO, INVALID (a file's secret is none)
 */
TIDE_NODISCARD int auth_users_new(const struct config_user *list, size_t count,
                                  struct auth_users **users, struct error *err);
void auth_users_ref(struct auth_users *users);
/** Takes NULL. */
void auth_users_unref(struct auth_users *users);

/** The user of a token; compares with all, in a time that says nothing. NULL: nobody's. */
const struct auth_user *auth_users_by_token(const struct auth_users *users, const char *token);
/** The user of a name who has a password; NULL: there is none. */
const struct auth_user *auth_users_by_name(const struct auth_users *users, const char *name);
/**
 * Is it the password? Takes tens of milliseconds of CPU. `user` NULL takes as long and says no.
 */
bool auth_users_try(const struct auth_users *users, const struct auth_user *user,
                    const char *password);

#endif
