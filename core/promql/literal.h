/* literal.h - values of number, duration and string tokens (promql.md 3.3, 3.5), and back to text.
 */
#ifndef TIDE_PROMQL_LITERAL_H
#define TIDE_PROMQL_LITERAL_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "promql/ast.h"

#define NS_PER_SECOND ((int64_t)1000000000)
#define NS_PER_MS ((int64_t)1000000)

/** A number token: Go's base-0 integers first, then floats. -1 with err: upstream's text. */
TIDE_NODISCARD int literal_number(const char *text, size_t len, double *value, struct error *err);
/** A duration token ("1h30m") in nanoseconds. -1 with err: upstream's text. */
TIDE_NODISCARD int literal_duration(const char *text, size_t len, int64_t *ns, struct error *err);
/** The bytes of a string token, which the lexer has checked, with its quotes. Arena memory. */
struct query_text literal_string(struct arena *arena, const char *text, size_t len);
/** Nanoseconds as seconds, as Go's Duration.Seconds. */
double literal_seconds(int64_t ns);
/** Seconds as nanoseconds, rounded; false when they do not fit (about 292 years), or are NaN. */
bool literal_seconds_to_ns(double seconds, int64_t *ns);
/** Milliseconds as duration text: 1h30m, 1w, 8d, 0s; negative ones with a sign. */
void literal_print_duration(int64_t ms, struct buf *out);
/** 8.3's quoting of a string. */
void literal_print_string(const char *bytes, size_t len, struct buf *out);

#endif
