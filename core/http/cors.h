/* cors.h - pages of other origins: whose may read answers, and whose may change anything.
 *
 * A browser sends requests of any page anywhere, also to a server on its own machine that asks
 * nobody for credentials; it tells the page's origin, and hides the answer unless the server names
 * it. Reading is granted as http.cors_origins says. Changing (roles push and admin) wants an origin
 * that is named there itself, or the server's own. Thread-safe. */
#ifndef TIDE_HTTP_CORS_H
#define TIDE_HTTP_CORS_H

#include "base/base.h"
#include "base/buf.h"
#include "http/http_head.h"

struct config_origin;
struct cors;

enum cors_origin {
    CORS_NO_PAGE, /* no Origin: not a page, or its own server's */
    CORS_OWN,     /* the one that the request was sent to */
    CORS_NAMED,
    CORS_ANY, /* granted by "*" only */
    CORS_FOREIGN,
};

struct cors *cors_new(const struct config_origin *list, size_t count);
void cors_free(struct cors *cors);
/** Other origins from now on. */
void cors_replace(struct cors *cors, const struct config_origin *list, size_t count);

/** Where the page is from that sends this request. */
enum cors_origin cors_judge(struct cors *cors, const struct http_head *head);
/** May such a page push and administer? `guarded`: credentials are asked for. */
bool cors_may_change(enum cors_origin origin, const struct http_head *head, bool guarded);
/** Appends the header lines that tell the browser. */
void cors_put(enum cors_origin origin, const struct http_head *head, struct buf *out);

/** Does an origin fit an entry of the configuration? Pure; for fuzzing. */
bool cors_fits(const char *entry, struct http_text origin);

#endif
