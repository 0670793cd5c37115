#include "http/auth_header.h"

#include <string.h>

#include "base/base64.h"
#include "http/params.h"

static const struct auth_claim broken = {.scheme = AUTH_BROKEN};

/* What follows a scheme's name, in any letter case, and blanks; at is NULL: another scheme. */
static struct http_text after_scheme(struct http_text value, const char *name)
{
    size_t len = strlen(name);
    struct http_text rest = {value.at + len, value.len - len};

    if (value.len <= len || !http_text_is((struct http_text){value.at, len}, name) ||
        *rest.at != ' ')
        return (struct http_text){NULL, 0};
    while (rest.len > 0 && *rest.at == ' ') {
        rest.at++;
        rest.len--;
    }
    return rest;
}

static bool is_text(const char *bytes, size_t len)
{
    return len > 0 && memchr(bytes, '\0', len) == NULL;
}

/* "user:password"; the password may have colons and may be empty. */
static struct auth_claim split(char *text, size_t len)
{
    char *colon = memchr(text, ':', len);

    if (colon == NULL || colon == text || !is_text(text, len))
        return broken;
    *colon = '\0';
    return (struct auth_claim){AUTH_PASSWORD, text, colon + 1};
}

static struct auth_claim basic(struct http_text encoded, struct arena *arena)
{
    char *text = arena_dup(arena, encoded.at, encoded.len);
    size_t len = encoded.len;

    if (!base64_decode(text, &len, BASE64_STANDARD))
        return broken;
    text[len] = '\0'; /* never longer than what it came from */
    return split(text, len);
}

static struct auth_claim token(struct http_text text, struct arena *arena)
{
    if (!is_text(text.at, text.len))
        return broken;
    return (struct auth_claim){AUTH_TOKEN, NULL, arena_dup(arena, text.at, text.len)};
}

struct auth_claim auth_header_parse(struct http_text value, struct arena *arena)
{
    struct http_text rest;

    if (value.len > AUTH_HEADER_MAX_BYTES)
        return broken;
    rest = after_scheme(value, "Basic");
    if (rest.at != NULL)
        return basic(rest, arena);
    rest = after_scheme(value, "Bearer");
    if (rest.at != NULL)
        return token(rest, arena);
    rest = after_scheme(value, "Token");
    if (rest.at == NULL)
        return broken;
    if (rest.len > 0 && memchr(rest.at, ':', rest.len) != NULL)
        return split(arena_dup(arena, rest.at, rest.len), rest.len);
    return token(rest, arena);
}

static struct auth_claim claim_of_parameters(struct http_text query, struct arena *arena)
{
    struct params params;
    struct http_text user, password;
    struct error err;

    if (params_parse(query, (struct http_text){"", 0}, arena, &params, &err) != 0)
        return (struct auth_claim){.scheme = AUTH_NOTHING};
    user = params_get(&params, "u");
    password = params_get(&params, "p");
    if (user.at == NULL || password.at == NULL)
        return (struct auth_claim){.scheme = AUTH_NOTHING};
    if (!is_text(user.at, user.len) || user.len > AUTH_HEADER_MAX_BYTES ||
        password.len > AUTH_HEADER_MAX_BYTES ||
        (password.len > 0 && !is_text(password.at, password.len)))
        return broken;
    return (struct auth_claim){AUTH_PASSWORD, arena_dup(arena, user.at, user.len),
                               arena_dup(arena, password.at, password.len)};
}

struct auth_claim auth_claim_of(const struct http_head *head, bool parameters, struct arena *arena)
{
    const struct http_field *field = NULL;

    for (size_t i = 0; i < head->field_count; i++) {
        if (!http_text_is(head->fields[i].name, "Authorization"))
            continue;
        if (field != NULL) /* whose is it? */
            return broken;
        field = &head->fields[i];
    }
    if (field != NULL)
        return auth_header_parse(field->value, arena);
    if (parameters)
        return claim_of_parameters(head->query, arena);
    return (struct auth_claim){.scheme = AUTH_NOTHING};
}
