#include "http/auth_users.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/hex.h"
#include "base/logger.h"
#include "base/mem.h"
#include "script/config.h"

#define FILE_MAX_BYTES 4096
#define DIGEST_PREFIX "sha256:"
#define TOKEN_MIN_BYTES 16

/* --- secrets -----------------------------------------------------------------------------------
 */

/* The text of a file without blanks at its ends; at most FILE_MAX_BYTES. Cleanse `out`. */
static int read_secret(const char *path, char out[FILE_MAX_BYTES + 1], struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0, from = 0;
    ssize_t got = -1;
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0)
        goto failed;
    if (info.st_mode & S_IROTH)
        log_warn("everybody may read a file with a secret", "path=\"%s\"", path);
    while (len < FILE_MAX_BYTES && (got = read(fd, out + len, FILE_MAX_BYTES - len)) > 0)
        len += (size_t)got;
    if (got < 0)
        goto failed;
    close(fd);
    while (len > 0 && strchr(" \t\r\n", out[len - 1]) != NULL)
        len--;
    while (from < len && strchr(" \t\r\n", out[from]) != NULL)
        from++;
    memmove(out, out + from, len - from);
    out[len - from] = '\0';
    return 0;
failed:
    error_set_errno(err, "http.users: cannot read %s", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* "sha256:..." is the digest itself. */
static int set_token(struct auth_user *user, const char *text, struct error *err)
{
    const char *digits = text + strlen(DIGEST_PREFIX);

    if (strncmp(text, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) != 0) {
        if (strlen(text) < TOKEN_MIN_BYTES)
            return error_set(err, ERR_INVALID,
                             "http.users: a token of %s is too short (at least %d characters)",
                             user->name, TOKEN_MIN_BYTES);
        SHA256((const uint8_t *)text, strlen(text), user->token);
        return 0;
    }
    if (strlen(digits) != AUTH_DIGEST_BYTES * 2)
        goto invalid;
    for (size_t i = 0; i < AUTH_DIGEST_BYTES; i++) {
        int byte = hex_byte(digits + 2 * i);

        if (byte < 0)
            goto invalid;
        user->token[i] = (uint8_t)byte;
    }
    return 0;
invalid:
    return error_set(err, ERR_INVALID, "http.users: sha256: of %s wants 64 hexadecimal digits",
                     user->name);
}

static int set_hash(struct auth_user *user, const char *text, struct error *err)
{
    int kind = crypt_checksalt(text);

    if (text[0] != '$' || (kind != CRYPT_SALT_OK && kind != CRYPT_SALT_TOO_CHEAP))
        return error_set(err, ERR_INVALID,
                         "http.users: the password of %s is no hash that crypt(3) knows (make one "
                         "with tidemark password)",
                         user->name);
    user->hash = mem_dup(text, strlen(text));
    return 0;
}

static int fill_user(struct auth_user *user, const struct config_user *from, struct error *err)
{
    bool is_password = from->password[0] != '\0' || from->password_file[0] != '\0';
    const char *path = is_password ? from->password_file : from->token_file;
    const char *text = is_password ? from->password : from->token;
    char secret[FILE_MAX_BYTES + 1];
    int result;

    user->name = mem_dup(from->user, strlen(from->user));
    user->tenant = mem_dup(from->tenant, strlen(from->tenant));
    user->roles = (unsigned)from->roles;
    if (path[0] != '\0') {
        if (read_secret(path, secret, err) != 0)
            return -1;
        text = secret;
    }
    result = is_password ? set_hash(user, text, err) : set_token(user, text, err);
    if (result != 0 && path[0] != '\0')
        error_note(err, "%s", path);
    OPENSSL_cleanse(secret, sizeof(secret));
    return result;
}

/* --- life --------------------------------------------------------------------------------------
 */

int auth_users_new(const struct config_user *list, size_t count, struct auth_users **users,
                   struct error *err)
{
    struct auth_users *made = mem_zalloc(1, sizeof(*made));

    made->references = 1;
    made->list = mem_zalloc(count + 1, sizeof(*made->list));
    for (; made->count < count; made->count++) {
        if (fill_user(&made->list[made->count], &list[made->count], err) != 0) {
            made->count++; /* what it has is freed */
            auth_users_unref(made);
            return -1;
        }
    }
    *users = made;
    return 0;
}

void auth_users_ref(struct auth_users *users)
{
    __atomic_add_fetch(&users->references, 1, __ATOMIC_RELAXED);
}

void auth_users_unref(struct auth_users *users)
{
    if (users == NULL || __atomic_sub_fetch(&users->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < users->count; i++) {
        mem_free(users->list[i].name);
        mem_free(users->list[i].tenant);
        mem_free(users->list[i].hash);
    }
    mem_free(users->list);
    mem_free(users);
}

/* --- questions ---------------------------------------------------------------------------------
 */

const struct auth_user *auth_users_by_token(const struct auth_users *users, const char *token)
{
    uint8_t digest[AUTH_DIGEST_BYTES];
    const struct auth_user *found = NULL;

    SHA256((const uint8_t *)token, strlen(token), digest);
    for (size_t i = 0; i < users->count; i++) {
        const struct auth_user *user = &users->list[i];

        if (user->hash == NULL && CRYPTO_memcmp(user->token, digest, sizeof(digest)) == 0)
            found = user;
    }
    return found;
}

const struct auth_user *auth_users_by_name(const struct auth_users *users, const char *name)
{
    for (size_t i = 0; i < users->count; i++) {
        if (users->list[i].hash != NULL && strcmp(users->list[i].name, name) == 0)
            return &users->list[i];
    }
    return NULL;
}

/* The hash of some user, NULL if nobody has one: so that a name that nobody has costs what others
 * cost. */
static const char *a_hash(const struct auth_users *users)
{
    for (size_t i = 0; i < users->count; i++) {
        if (users->list[i].hash != NULL)
            return users->list[i].hash;
    }
    return NULL;
}

bool auth_users_try(const struct auth_users *users, const struct auth_user *user,
                    const char *password)
{
    const char *hash = user != NULL ? user->hash : a_hash(users);
    struct crypt_data *scratch;
    const char *made;
    size_t len;
    bool same;

    if (hash == NULL)
        return false;
    scratch = mem_zalloc(1, sizeof(*scratch)); /* 32 KiB */
    made = crypt_r(password, hash, scratch);
    len = strlen(hash);
    same = made != NULL && strlen(made) == len && CRYPTO_memcmp(made, hash, len) == 0;

    OPENSSL_cleanse(scratch, sizeof(*scratch));
    mem_free(scratch);
    return same && user != NULL;
}
