/* router.c - from a path to its route (http_request.h). */
#include "http/http_request.h"
#include "http/params.h"

static bool starts_with(struct http_text text, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len >= len && memcmp(text.at, prefix, len) == 0;
}

/* Does the path fit the pattern? Captures are borrowed and raw. */
static bool path_fits(const char *pattern, struct http_text path,
                      struct http_text captures[HTTP_CAPTURES_MAX])
{
    const char *at = path.at, *end = path.at + path.len;
    size_t captured = 0;

    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '*' && pattern[1] == '*')
            return at < end;
        if (*pattern == '*') {
            const char *from = at;

            while (at < end && *at != '/')
                at++;
            if (at == from || captured == HTTP_CAPTURES_MAX)
                return false;
            captures[captured++] = (struct http_text){from, (size_t)(at - from)};
        } else if (at == end || *at++ != *pattern) {
            return false;
        }
    }
    return at == end;
}

const struct http_route *http_routes_find(const struct http_routes *routes, struct http_text path,
                                          unsigned verb, struct arena *arena,
                                          struct http_text captures[HTTP_CAPTURES_MAX],
                                          unsigned *allowed)
{
    static const char prefix[] = "/prometheus";

    *allowed = 0;
    if (starts_with(path, prefix) &&
        (path.len == sizeof(prefix) - 1 || path.at[sizeof(prefix) - 1] == '/')) {
        path.at += sizeof(prefix) - 1;
        path.len -= sizeof(prefix) - 1;
        if (path.len == 0)
            path = (struct http_text){"/", 1};
    }
    if (verb == HTTP_VERB_HEAD)
        verb = HTTP_VERB_GET;
    for (size_t i = 0; i < routes->count; i++) {
        const struct http_route *route = &routes->list[i];
        struct http_text raw[HTTP_CAPTURES_MAX] = {0};

        if (!path_fits(route->pattern, path, raw))
            continue;
        *allowed |= route->verbs;
        if ((route->verbs & verb) == 0)
            continue;
        for (size_t c = 0; c < HTTP_CAPTURES_MAX; c++)
            captures[c] = params_decode(raw[c], false, arena);
        return route;
    }
    return NULL;
}
