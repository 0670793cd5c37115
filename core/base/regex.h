/* regex.h - fully anchored regular expressions of RE2 syntax, in linear time.
 *
 * A pattern P means ^(?s:P)$, as Prometheus 3 does. Compiled expressions are immutable,
 * reference-counted and thread-safe. */
#ifndef TIDE_BASE_REGEX_H
#define TIDE_BASE_REGEX_H

#include "base/base.h"
#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct regex;
struct regex_cache;

/**
 * Compiles, or takes from the cache.
 *
 * @param cache  may be NULL: then always compiled
 * @return owned reference (regex_unref), or NULL with err: ERR_INVALID (syntax; the text is Go's)
 */
TIDE_NODISCARD struct regex *regex_compile(struct regex_cache *cache, const char *pattern,
                                           size_t len, struct error *err);
struct regex *regex_ref(struct regex *regex);
void regex_unref(struct regex *regex);
bool regex_matches(const struct regex *regex, const char *text, size_t len);
/** Size of the compiled program in instructions of about 16 bytes: what a hostile pattern costs. */
size_t regex_cost(const struct regex *regex);
/** Number of capturing groups. */
int regex_groups(const struct regex *regex);
/**
 * Expands a Go template ($1, ${name}, $$) from a full match of `text`, for label_replace.
 *
 * @param out  owned, terminated text (mem_free); set only when it matches
 * @return true if the text matches
 */
bool regex_expand(const struct regex *regex, const char *text, size_t len,
                  const char *template_text, size_t template_len, char **out, size_t *out_len);

/**
 * The literal alternatives when the expression is nothing but those ("a|b|c", "abc"): an index
 * lookup then replaces a walk. NULL and 0 otherwise. Borrowed from the expression.
 */
const char *const *regex_literals(const struct regex *regex, size_t *count);

/** A cache of at most `max` compiled expressions; the oldest unused ones go first. */
struct regex_cache *regex_cache_new(size_t max);
void regex_cache_free(struct regex_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
