/* rulebook.h - the operator's rules in force: loads and reloads scripts, answers the store's
 * questions.
 *
 * Each thread that asks gets its own Lua state, made at its first question and renewed after a
 * reload; it ends with the thread. Such threads need SANDBOX_STACK_BYTES of stack.
 *
 * What a broken, stopped or suspended rule means (docs/lua-api.md): retention keeps everything,
 * admit goes on as if the rule had changed nothing, quarantine quarantines. No failure deletes
 * data. */
#ifndef TIDE_SCRIPT_RULEBOOK_H
#define TIDE_SCRIPT_RULEBOOK_H

#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "model/matcher.h"
#include "store/policy.h"

struct read_request;
struct rulebook;
struct script_host;
struct script_sink;

struct rulebook_options {
    const char *folder;             /* "": no scripts; copied */
    const char *only;               /* NULL: all of the folder; else as ruleset_read; copied */
    const struct script_sink *sink; /* NULL: log and webhooks; borrowed */
    int64_t time_ms;                /* of one rule's answer; 0: 250 */
    int64_t load_ms;                /* of the load of all scripts; 0: 2 s */
    size_t memory_bytes;            /* of one state; 0: 16 MiB */
    uint32_t max_errors;       /* in a row, then a rule is suspended until the next reload; 0: 10 */
    const struct clock *clock; /* NULL: the system's; borrowed */
    struct metrics *metrics;   /* may be NULL; borrowed, not to be printed after the close */
};

/**
 * Loads the scripts.
 *
 * @return owned rulebook, or NULL with err: IO (folder), INVALID (a script does not load: text
 *         with file and line), LIMIT, TIMEOUT
 */
TIDE_NODISCARD struct rulebook *rulebook_open(const struct rulebook_options *options,
                                              struct error *err);
/** Another folder's rules within the bounds and by the clock of `book`, to try them: without
 * metrics, and with nothing to act on. As rulebook_open. */
TIDE_NODISCARD struct rulebook *rulebook_open_beside(const struct rulebook *book,
                                                     const char *folder, struct error *err);
/** When no thread asks any more. Takes NULL. */
void rulebook_close(struct rulebook *book);

/** The answers for the store; lives as long as the rulebook. */
const struct policy *rulebook_policy(const struct rulebook *book);

/**
 * Reads the folder again and puts all of it in force, or nothing: after a failure the old scripts
 * stay, with their version. Questions under way end with the rules that they began with.
 * Thread-safe. @return 0, or -1 with err as rulebook_open
 */
TIDE_NODISCARD int rulebook_reload(struct rulebook *book, struct error *err);
/** 1 at first, one more after each successful reload. */
uint64_t rulebook_version(const struct rulebook *book);

/** What scripts may act on, from now on (the store is open); NULL: nothing any more, and nobody
 * acts still. Copied. */
void rulebook_attach(struct rulebook *book, const struct script_host *host);

/**
 * Appends {"groups":[...]} and {"alerts":[...]} as Prometheus' API has them, as far as a shaped
 * read (shape.h) may see them, with labels as result rules show them. Thread-safe.
 *
 * @return 0, or -1 with err: BUSY (a result rule is broken); nothing was appended then
 */
TIDE_NODISCARD int rulebook_put_rules(struct rulebook *book, struct read_request *read,
                                      bool alerting, bool recording, struct buf *out,
                                      struct error *err);
TIDE_NODISCARD int rulebook_put_alerts(struct rulebook *book, struct read_request *read,
                                       struct buf *out, struct error *err);

/** Bytes that the calling thread's Lua state holds when its garbage is collected; 0: it has none.
 */
size_t rulebook_state_bytes(struct rulebook *book);

/** Appends the rules as a JSON array: hook, title, script, line, calls, errors, seconds, suspended,
 * last_error. Thread-safe. */
void rulebook_describe(struct rulebook *book, struct buf *out);

/**
 * Loads a folder for its mistakes only (`tidemark check`): syntax, names that do not exist, rules
 * that are never asked. Appends a line for each, with file and line; likewise one that begins with
 * "warning: " for each rule that may not be what was wanted.
 *
 * @param lookback_ms  query.lookback: rules that leave samples further apart are warned of
 * @return how many mistakes there are (0: fine), or -1 with err: IO (no such folder)
 */
TIDE_NODISCARD int rulebook_check(const char *folder, int64_t lookback_ms, struct buf *out,
                                  struct error *err);

#endif
