/* params.h - parameters of a request, from its query and its form body, and how their texts are
 * read: times, durations, label names (http-protocols 1.1 to 1.4).
 *
 * Decoded texts live in the request's arena and are terminated (an encoded NUL stays inside).
 * Pure otherwise, thread-safe. */
#ifndef TIDE_HTTP_PARAMS_H
#define TIDE_HTTP_PARAMS_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "http/http_head.h"

#define PARAMS_MAX 4096

struct param {
    struct http_text name;
    struct http_text value;
};

/* Those of the form body come first: for a single value the first one wins. */
struct params {
    struct param *list; /* in the arena */
    size_t count;
};

/**
 * Reads two url-encoded texts.
 *
 * @param form  empty when the body is no form
 * @return 0, or -1 with err: INVALID (a broken escape, more than PARAMS_MAX)
 */
TIDE_NODISCARD int params_parse(struct http_text query, struct http_text form, struct arena *arena,
                                struct params *params, struct error *err);
/** Does the body hold parameters, by its Content-Type? */
bool params_is_form(const struct http_head *head);
/** The first value of a name; at is NULL when there is none. */
struct http_text params_get(const struct params *params, const char *name);
/** %XX (and + when `plus`) decoded into the arena; a broken escape stays as it is. */
struct http_text params_decode(struct http_text text, bool plus, struct arena *arena);

/** Unix seconds or RFC 3339, to milliseconds; beyond int64 is the end of time. False: neither. */
bool params_parse_time(struct http_text text, int64_t *ms);
/** Seconds as a decimal, or a Prometheus duration (1h30m), to milliseconds. False: neither. */
bool params_parse_duration(struct http_text text, int64_t *ms);
/** A label's name in a path: U__ escapes resolved (http-protocols 1.4). */
struct http_text params_label_name(struct http_text text, struct arena *arena);

/**
 * Optional parameters by name; what is absent leaves *ms or *value as it was.
 *
 * @return 0, or -1 with err: INVALID, `invalid parameter "start": cannot parse "x" to ...`
 */
TIDE_NODISCARD int params_time(const struct params *params, const char *name, int64_t *ms,
                               struct error *err);
TIDE_NODISCARD int params_duration(const struct params *params, const char *name, int64_t *ms,
                                   struct error *err);
/** A number >= 0. */
TIDE_NODISCARD int params_count(const struct params *params, const char *name, size_t *value,
                                struct error *err);

#endif
