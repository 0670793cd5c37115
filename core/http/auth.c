#include "http/auth.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"

/* Passwords that are remembered: sets of a few slots each. */
#define SETS 256
#define WAYS 4
/* A wrong password is tried again after so long. */
#define WRONG_NS INT64_C(10000000000)
/* Guesses of an address: one each second, and so many at once. */
#define GUESS_NS INT64_C(1000000000)
#define GUESSES 20
#define BRAKES 4096

/* One password that was tried. */
struct memory {
    uint8_t key[AUTH_DIGEST_BYTES];
    uint64_t generation; /* of the users; 0: empty */
    int64_t used_ns;
    int64_t until_ns;
    bool right;
};

/* Of an address: when all its guesses are paid for. */
struct brake {
    uint64_t client;
    int64_t paid_ns;
};

struct auth {
    const struct clock *clock;
    uint8_t secret[AUTH_DIGEST_BYTES]; /* immutable: of this process */

    struct lock users_lock; /* guards the next two, not what `users` points to */
    struct auth_users *users;
    uint64_t generations;

    struct lock cache_lock; /* guards the next two */
    struct memory memories[SETS][WAYS];
    struct brake brakes[BRAKES];
};

struct auth *auth_new(struct auth_users *users, const struct clock *clock)
{
    struct auth *auth = mem_zalloc(1, sizeof(*auth));

    auth->clock = clock;
    lock_init(&auth->users_lock);
    lock_init(&auth->cache_lock);
    auth_replace(auth, users);
    TIDE_ASSERT(RAND_bytes(auth->secret, sizeof(auth->secret)) == 1);
    return auth;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    auth_users_unref(auth->users);
    lock_destroy(&auth->users_lock);
    lock_destroy(&auth->cache_lock);
    OPENSSL_cleanse(auth, sizeof(*auth));
    mem_free(auth);
}

void auth_replace(struct auth *auth, struct auth_users *users)
{
    struct auth_users *old;

    lock_acquire(&auth->users_lock);
    old = auth->users;
    users->generation = ++auth->generations;
    auth->users = users;
    lock_release(&auth->users_lock);
    auth_users_unref(old);
}

/* A reference to the users in force. */
static struct auth_users *take_users(struct auth *auth)
{
    struct auth_users *users;

    lock_acquire(&auth->users_lock);
    users = auth->users;
    auth_users_ref(users);
    lock_release(&auth->users_lock);
    return users;
}

bool auth_has_users(struct auth *auth)
{
    bool any;

    lock_acquire(&auth->users_lock);
    any = auth->users->count > 0;
    lock_release(&auth->users_lock);
    return any;
}

/* --- what was tried before ---------------------------------------------------------------------
 */

/* HMAC-SHA256 of user and password under the process's secret: the cache holds no password, and
 * nobody can aim at one of its sets. */
static void key_of(const struct auth *auth, const struct auth_claim *claim,
                   uint8_t key[AUTH_DIGEST_BYTES])
{
    size_t user_len = strlen(claim->user) + 1, secret_len = strlen(claim->secret);
    uint8_t text[2 * AUTH_HEADER_MAX_BYTES + 2];
    unsigned len = AUTH_DIGEST_BYTES;

    TIDE_ASSERT(user_len + secret_len <= sizeof(text));
    memcpy(text, claim->user, user_len);
    memcpy(text + user_len, claim->secret, secret_len);
    HMAC(EVP_sha256(), auth->secret, sizeof(auth->secret), text, user_len + secret_len, key, &len);
    OPENSSL_cleanse(text, user_len + secret_len);
}

enum recall { RECALL_NOTHING, RECALL_RIGHT, RECALL_WRONG };

static enum recall recall(struct auth *auth, const uint8_t key[AUTH_DIGEST_BYTES],
                          uint64_t generation)
{
    int64_t now_ns = clock_mono_ns(auth->clock);
    enum recall found = RECALL_NOTHING;

    lock_acquire(&auth->cache_lock);
    for (size_t way = 0; way < WAYS; way++) {
        struct memory *memory = &auth->memories[key[0] % SETS][way];

        if (memory->generation != generation || now_ns >= memory->until_ns ||
            CRYPTO_memcmp(memory->key, key, AUTH_DIGEST_BYTES) != 0)
            continue;
        memory->used_ns = now_ns;
        found = memory->right ? RECALL_RIGHT : RECALL_WRONG;
    }
    lock_release(&auth->cache_lock);
    return found;
}

/* Which slot is given up: an empty or outdated one, then a wrong password, then the oldest. */
static bool is_better_victim(const struct memory *memory, const struct memory *best,
                             uint64_t generation, int64_t now_ns)
{
    bool stale = memory->generation != generation || now_ns >= memory->until_ns;
    bool best_stale = best->generation != generation || now_ns >= best->until_ns;

    if (stale != best_stale)
        return stale;
    if (memory->right != best->right)
        return !memory->right;
    return memory->used_ns < best->used_ns;
}

static void remember(struct auth *auth, const uint8_t key[AUTH_DIGEST_BYTES], uint64_t generation,
                     bool right)
{
    int64_t now_ns = clock_mono_ns(auth->clock);
    struct memory *set = auth->memories[key[0] % SETS], *victim = &set[0];

    lock_acquire(&auth->cache_lock);
    for (size_t way = 1; way < WAYS; way++) {
        if (is_better_victim(&set[way], victim, generation, now_ns))
            victim = &set[way];
    }
    memcpy(victim->key, key, AUTH_DIGEST_BYTES);
    victim->generation = generation;
    victim->used_ns = now_ns;
    victim->until_ns = right ? INT64_MAX : now_ns + WRONG_NS;
    victim->right = right;
    lock_release(&auth->cache_lock);
}

/* --- the brake ---------------------------------------------------------------------------------
 */

/* May this address have a guess? It is charged for it (`ns` > 0), gets it back (< 0), or only asks.
 */
static bool charge(struct auth *auth, uint64_t client, int64_t ns)
{
    int64_t now_ns = clock_mono_ns(auth->clock);
    struct brake *brake = &auth->brakes[client % BRAKES];
    bool free;

    lock_acquire(&auth->cache_lock);
    if (brake->client != client && brake->paid_ns <= now_ns)
        *brake = (struct brake){.client = client};
    brake->paid_ns = TIDE_MAX(brake->paid_ns, now_ns);
    free = ns < 0 || brake->paid_ns + GUESS_NS <= now_ns + GUESSES * GUESS_NS;
    if (free)
        brake->paid_ns += ns;
    lock_release(&auth->cache_lock);
    return free;
}

/* --- questions ---------------------------------------------------------------------------------
 */

static enum auth_verdict know(const struct auth_user *user, struct arena *arena,
                              struct auth_identity *identity)
{
    if (user == NULL)
        return AUTH_UNKNOWN;
    identity->user = arena_dup(arena, user->name, strlen(user->name));
    identity->tenant = arena_dup(arena, user->tenant, strlen(user->tenant));
    identity->roles = user->roles;
    return AUTH_KNOWN;
}

/* Clients that can only say user and password may say a token for the password. */
static const struct auth_user *user_of_token(const struct auth_users *users,
                                             const struct auth_claim *claim)
{
    const struct auth_user *user = auth_users_by_token(users, claim->secret);

    if (user != NULL && claim->user != NULL && strcmp(user->name, claim->user) != 0)
        return NULL;
    return user;
}

/* Tries a password that nobody has tried lately. */
static enum auth_verdict try(struct auth *auth, const struct auth_users *users,
                             const struct auth_claim *claim, uint64_t client,
                             const uint8_t key[AUTH_DIGEST_BYTES], struct arena *arena,
                             struct auth_identity *identity)
{
    const struct auth_user *user = auth_users_by_name(users, claim->user);
    bool right;

    if (!charge(auth, client, GUESS_NS))
        return AUTH_THROTTLED;
    right = auth_users_try(users, user, claim->secret);
    remember(auth, key, users->generation, right);
    if (!right)
        return AUTH_UNKNOWN;
    charge(auth, client, -GUESS_NS);
    return know(user, arena, identity);
}

static enum auth_verdict decide(struct auth *auth, const struct auth_users *users,
                                const struct auth_claim *claim, uint64_t client, bool may_try,
                                struct arena *arena, struct auth_identity *identity)
{
    const struct auth_user *user;
    uint8_t key[AUTH_DIGEST_BYTES];

    if (claim->scheme == AUTH_NOTHING || claim->scheme == AUTH_BROKEN)
        return AUTH_UNKNOWN;
    user = user_of_token(users, claim);
    if (user != NULL || claim->scheme == AUTH_TOKEN)
        return know(user, arena, identity);
    key_of(auth, claim, key);
    switch (recall(auth, key, users->generation)) {
    case RECALL_RIGHT:
        return know(auth_users_by_name(users, claim->user), arena, identity);
    case RECALL_WRONG:
        return AUTH_UNKNOWN;
    case RECALL_NOTHING:
        break;
    }
    if (!charge(auth, client, 0))
        return AUTH_THROTTLED;
    return may_try ? try(auth, users, claim, client, key, arena, identity) : AUTH_SLOW;
}

enum auth_verdict auth_identify(struct auth *auth, const struct auth_claim *claim, uint64_t client,
                                struct arena *arena, struct auth_identity *identity)
{
    struct auth_users *users = take_users(auth);
    enum auth_verdict verdict = decide(auth, users, claim, client, false, arena, identity);

    auth_users_unref(users);
    return verdict;
}

enum auth_verdict auth_verify(struct auth *auth, const struct auth_claim *claim, uint64_t client,
                              struct arena *arena, struct auth_identity *identity)
{
    struct auth_users *users = take_users(auth);
    enum auth_verdict verdict = decide(auth, users, claim, client, true, arena, identity);

    auth_users_unref(users);
    return verdict;
}
