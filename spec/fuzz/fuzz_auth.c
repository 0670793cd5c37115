/* fuzz_auth.c - what strangers say about themselves: Authorization, parameters u and p, Origin. The
 * input is three lines: a value of Authorization, a query, an entry of http.cors_origins and an
 * origin with a blank between. */
#include "base/arena.h"
#include "base/base.h"
#include "base/mem.h"
#include "http/auth_header.h"
#include "http/cors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, or part of one; what is left of the rest. */
static struct http_text next_part(struct http_text *rest, char end)
{
    const char *found = memchr(rest->at, end, rest->len);
    struct http_text part = {rest->at, found != NULL ? (size_t)(found - rest->at) : rest->len};

    rest->at += TIDE_MIN(part.len + 1, rest->len);
    rest->len -= TIDE_MIN(part.len + 1, rest->len);
    return part;
}

static void check_claim(const struct auth_claim *claim)
{
    if (claim->scheme == AUTH_PASSWORD)
        TIDE_ASSERT(claim->user[0] != '\0' &&
                    strlen(claim->user) + strlen(claim->secret) <= 2 * AUTH_HEADER_MAX_BYTES);
    else if (claim->scheme == AUTH_TOKEN)
        TIDE_ASSERT(claim->user == NULL && claim->secret[0] != '\0');
    else
        TIDE_ASSERT(claim->user == NULL && claim->secret == NULL);
}

/* An origin that fits has what stands before the entry's star and its end, and no more of a path.
 */
static void check_origin(const char *entry, struct http_text origin)
{
    const char *star = strstr(entry, "://*.");
    size_t before = star != NULL ? (size_t)(star - entry) + 3 : strlen(entry);

    if (!cors_fits(entry, origin) || strcmp(entry, "*") == 0)
        return;
    TIDE_ASSERT(origin.len >= before && strncasecmp(entry, origin.at, before) == 0);
    if (star == NULL)
        TIDE_ASSERT(origin.len == before);
    else
        TIDE_ASSERT(memchr(origin.at + before, '/', origin.len - before - strlen(star + 4)) ==
                    NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_text rest = {(const char *)data, size};
    struct http_text value = next_part(&rest, '\n'), query = next_part(&rest, '\n');
    struct http_text entry = next_part(&rest, ' ');
    struct http_head head = {.query = query};
    struct arena arena = {0};
    struct auth_claim claim = auth_header_parse(value, &arena);
    char *text = mem_dup(entry.at, entry.len);

    check_claim(&claim);
    claim = auth_claim_of(&head, true, &arena);
    check_claim(&claim);
    head.fields[head.field_count++] =
        (struct http_field){.name = {"authorization", 13}, .value = value};
    claim = auth_claim_of(&head, true, &arena);
    check_claim(&claim);
    check_origin(text, rest);
    arena_destroy(&arena);
    mem_free(text);
    return 0;
}
