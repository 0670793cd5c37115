/* act.h - what operator code may do to the server, where it may do more than decide: in timers,
 * events, console commands and console lines (never in a rule's decision).
 *
 * Values that Lua tables are built from belong to the actor, since building may raise. Samples of
 * tide.push are gathered and appended when the function has returned well: a failed one pushes
 * nothing. */
#ifndef TIDE_SCRIPT_ACT_H
#define TIDE_SCRIPT_ACT_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/value.h"
#include "promql/annotations.h"
#include "promql/running.h"
#include "script/functions.h"
#include "script/host.h"
#include "script/look.h"
#include "script/narrow.h"
#include "store/append.h"
#include "store/batch.h"
#include "store/querier.h"
#include "store/store.h"

struct lua_State;

/* Zero it, set the first part; one owner, one thread at a time. */
struct actor {
    struct rulebook *book;
    const char *user;   /* who acts, for lists and logs: "rule \"x\"", "unix:1000" */
    const char *tenant; /* for { as = "user" }; NULL: none */
    int *cancelled;     /* atomic; of the queries; never NULL */
    int64_t time_ms;    /* what "now" is for queries and pushes; 0: the clock's */
    void (*print)(void *ctx, const char *text, size_t len); /* NULL: print is not there */
    void *print_ctx;
    bool operates;   /* a console: tide.server, too */
    bool only_looks; /* what acts is refused (act_allow_raises) */

    /* The rest is its own. */
    struct script_host host; /* as long as it acts; host.store NULL: none */
    struct batch pushes;
    struct batch imports; /* samples of any age */
    struct appender *appender;
    struct value value;
    struct annotations annotations;
    struct query_tree *tree;
    struct rule_functions functions;
    struct read_request read;
    struct selection *selection;
    const struct querier *querier; /* whose selection it is */
    struct text_list texts;
    struct text_count_list counts;
    struct running_list queries;
    struct look look;

    struct labels *looked_at; /* NULL: none */
    struct intake_explanation explanation;
    struct quota_list quotas;
    struct buf text;
};

/** Gives what Lua has been built from back; before and after each act. */
void actor_clear(struct actor *actor);
/** Appends what was pushed, with the store's verdict on it. @return 0 (look at result), or -1 with
 * err */
TIDE_NODISCARD int actor_append(struct actor *actor, struct append_result *result,
                                struct error *err);
/** Appends what was pushed and imported, or forgets it; waits for what imports have to rewrite.
 * @return 0, or -1 with err */
TIDE_NODISCARD int actor_commit(struct actor *actor, struct error *err);
void actor_forget(struct actor *actor);
void actor_destroy(struct actor *actor);

/** One query, as now; the result is in actor->value. For record and alert rules, too. */
TIDE_NODISCARD int actor_query(struct actor *actor, const char *text, size_t len, int64_t start_ms,
                               int64_t end_ms, int64_t step_ms, int64_t timeout_ms, bool as_user,
                               struct error *err);
/** Adds a sample to what is to be pushed. @return 0, or -1 with err: LIMIT (too many at once) */
TIDE_NODISCARD int actor_push(struct actor *actor, const struct label *labels, size_t count,
                              int64_t time_ms, double value, struct error *err);
/** The same for samples of any age; what is stored for a time already stays. All are of one series.
 * @return 0, or -1 with err: LIMIT */
TIDE_NODISCARD int actor_import(struct actor *actor, const struct label *labels, size_t count,
                                const int64_t *times_ms, const double *values, size_t len,
                                struct error *err);

#ifndef TIDE_CDEF
/** Raises with the place in the script, not in the library that lies between; luaL_error's text. */
int act_blame_raises(struct lua_State *L, const char *format, ...);
/** Raises if the actor only looks; `what`: the function that acts. */
void act_allow_raises(struct lua_State *L, const struct actor *actor, const char *what);
/** Pushes a table of labels by name. */
void act_push_labels_raises(struct lua_State *L, const struct labels *labels);
/** Adds the functions to `native`, whose table is on top of the stack. */
void act_open_raises(struct lua_State *L);
#endif

#endif
