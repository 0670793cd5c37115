#include "http/cors.h"

#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "script/config.h"

/* Longer ones are nobody's. */
#define ORIGIN_MAX_BYTES 512

struct cors {
    struct lock origins_lock; /* guards the rest */
    char **list;
    size_t count;
};

static void clear_locked(struct cors *cors)
{
    for (size_t i = 0; i < cors->count; i++)
        mem_free(cors->list[i]);
    mem_free(cors->list);
    cors->list = NULL;
    cors->count = 0;
}

void cors_replace(struct cors *cors, const struct config_origin *list, size_t count)
{
    lock_acquire(&cors->origins_lock);
    clear_locked(cors);
    cors->list = mem_zalloc(count + 1, sizeof(*cors->list));
    for (; cors->count < count; cors->count++)
        cors->list[cors->count] = mem_dup(list[cors->count].text, strlen(list[cors->count].text));
    lock_release(&cors->origins_lock);
}

struct cors *cors_new(const struct config_origin *list, size_t count)
{
    struct cors *cors = mem_zalloc(1, sizeof(*cors));

    lock_init(&cors->origins_lock);
    cors_replace(cors, list, count);
    return cors;
}

void cors_free(struct cors *cors)
{
    if (cors == NULL)
        return;
    clear_locked(cors);
    lock_destroy(&cors->origins_lock);
    mem_free(cors);
}

/* --- origins -----------------------------------------------------------------------------------
 */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* The same in any letter case? `entry` is in lower case. */
static bool same(const char *entry, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (entry[i] == '\0' || lower(at[i]) != entry[i])
            return false;
    }
    return true;
}

bool cors_fits(const char *entry, struct http_text origin)
{
    size_t len = strlen(entry), before, after;
    const char *star = strstr(entry, "://*.");

    if (strcmp(entry, "*") == 0)
        return true;
    if (star == NULL)
        return origin.len == len && same(entry, origin.at, len);
    /* A star for a host: the scheme, at least one more label, then the rest. */
    before = (size_t)(star - entry) + 3;
    after = len - before - 1;
    if (origin.len <= before + after || !same(entry, origin.at, before) ||
        !same(entry + before + 1, origin.at + origin.len - after, after))
        return false;
    for (size_t i = before; i < origin.len - after; i++) {
        char c = lower(origin.at[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_')
            return false;
    }
    return true;
}

/* Is it http(s)://HOST with the Host of the request? */
static bool is_own(struct http_text origin, const struct http_head *head)
{
    const struct http_field *host = http_head_field(head, "Host");
    size_t from = origin.len >= 8 && same("https://", origin.at, 8)  ? 8
                  : origin.len >= 7 && same("http://", origin.at, 7) ? 7
                                                                     : 0;

    return from > 0 && host != NULL && host->value.len == origin.len - from &&
           strncasecmp(host->value.at, origin.at + from, host->value.len) == 0;
}

/* A browser's word that a page of another origin is behind a request without Origin: a picture, a
 * link. */
static bool is_elsewhere(const struct http_head *head)
{
    const struct http_field *site = http_head_field(head, "Sec-Fetch-Site");

    return site != NULL && !http_text_is(site->value, "same-origin") &&
           !http_text_is(site->value, "none");
}

enum cors_origin cors_judge(struct cors *cors, const struct http_head *head)
{
    const struct http_field *field = http_head_field(head, "Origin");
    enum cors_origin result = CORS_FOREIGN;

    if (field == NULL)
        return is_elsewhere(head) ? CORS_FOREIGN : CORS_NO_PAGE;
    if (field->value.len > ORIGIN_MAX_BYTES)
        return CORS_FOREIGN;
    if (is_own(field->value, head))
        return CORS_OWN;
    lock_acquire(&cors->origins_lock);
    for (size_t i = 0; i < cors->count && result != CORS_NAMED; i++) {
        if (cors_fits(cors->list[i], field->value))
            result = strcmp(cors->list[i], "*") == 0 ? CORS_ANY : CORS_NAMED;
    }
    lock_release(&cors->origins_lock);
    return result;
}

/* An address, or localhost: no name that somebody else may have pointed here. */
static bool is_own_for_sure(const struct http_head *head)
{
    const struct http_field *host = http_head_field(head, "Host");
    struct http_text name = host != NULL ? host->value : (struct http_text){"", 0};
    const char *colon = memrchr(name.at, ':', name.len);

    if (name.len > 0 && name.at[0] == '[')
        return true;
    if (colon != NULL)
        name.len = (size_t)(colon - name.at);
    if (http_text_is(name, "localhost"))
        return true;
    for (size_t i = 0; i < name.len; i++) {
        if ((name.at[i] < '0' || name.at[i] > '9') && name.at[i] != '.')
            return false;
    }
    return name.len > 0;
}

bool cors_may_change(enum cors_origin origin, const struct http_head *head, bool guarded)
{
    if (origin == CORS_OWN)
        return guarded || is_own_for_sure(head);
    return origin == CORS_NO_PAGE || origin == CORS_NAMED;
}

void cors_put(enum cors_origin origin, const struct http_head *head, struct buf *out)
{
    const struct http_field *field = http_head_field(head, "Origin");

    if (field == NULL || (origin != CORS_NAMED && origin != CORS_ANY))
        return;
    buf_puts(out, "Access-Control-Allow-Origin: ");
    if (origin == CORS_NAMED)
        buf_append(out, field->value.at, field->value.len);
    else
        buf_putc(out, '*');
    buf_puts(out, origin == CORS_NAMED
                      ? "\r\nAccess-Control-Allow-Methods: GET, POST, PUT, DELETE, OPTIONS\r\n"
                      : "\r\nAccess-Control-Allow-Methods: GET, POST, OPTIONS\r\n");
    buf_puts(out, "Access-Control-Allow-Headers: Accept, Authorization, Content-Type, Origin\r\n"
                  "Access-Control-Expose-Headers: Date\r\n");
    if (head->verb == HTTP_VERB_OPTIONS)
        buf_puts(out, "Access-Control-Max-Age: 3600\r\n");
}
