/* matcher.h - one condition on one label: =, !=, =~, !~. A missing label has the value "".
 *
 * Immutable after init, thread-safe to use. */
#ifndef TIDE_MODEL_MATCHER_H
#define TIDE_MODEL_MATCHER_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/regex.h"
#include "model/labels.h"

enum matcher_type { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX };

struct matcher {
    enum matcher_type type;
    char *name; /* owned, terminated; may hold any UTF-8 */
    char *value;
    uint32_t name_len;
    uint32_t value_len;
    struct regex *regex; /* owned reference; NULL for = and != */
    bool matches_empty;  /* accepts series without the label */
};

/**
 * @param cache  compiled expressions are kept here; may be NULL
 * @return 0, or -1 with err: ERR_INVALID (bad regular expression); then nothing is owned
 */
TIDE_NODISCARD int matcher_init(struct matcher *matcher, enum matcher_type type, const char *name,
                                size_t name_len, const char *value, size_t value_len,
                                struct regex_cache *cache, struct error *err);
/** An independent copy (shares the compiled expression). */
void matcher_copy(struct matcher *copy, const struct matcher *from);
void matcher_destroy(struct matcher *matcher);
bool matcher_accepts(const struct matcher *matcher, const char *value, size_t len);
/** True when all matchers accept the label set. */
bool matchers_accept(const struct matcher *matchers, size_t count, const struct labels *labels);
/** The same of labels in any order; empty values are absent labels. */
bool matchers_accept_list(const struct matcher *matchers, size_t count, const struct label *list,
                          size_t label_count);
/** "=", "!=", "=~", "!~". */
const char *matcher_operator(enum matcher_type type);

#endif
