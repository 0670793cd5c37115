/* session.h - a console session: lines of Lua evaluated against the running server, completion,
 * cancelling. The console's socket and the page's console are two transports of it.
 *
 * What is evaluated sees `tide` with all that it can do (docs/lua-api.md, "The console"), and
 * globals that it sets stay for the session's next lines. It runs in a sandbox like all operator
 * code: no files, no processes, limits on time and memory. After a reload the session has the new
 * scripts' commands from its next line on; its globals stay.
 *
 * Threads: one at a time may call eval and complete (any, with SANDBOX_STACK_BYTES of stack);
 * session_cancel may be called by all. */
#ifndef TIDE_SCRIPT_SESSION_H
#define TIDE_SCRIPT_SESSION_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

struct rulebook;
struct session;

/* Zero it, then set what is wanted. */
struct session_options {
    struct rulebook *book; /* whose scripts, limits and store these are; the session is closed
                              before the store is */
    const char *user;      /* for the log and audit lines: "unix:1000", "ann"; copied */
    const char *tenant;    /* of tide.query(..., { as = "user" }); NULL: none; copied */
    int64_t time_ms;       /* of one evaluation; 0: 60 s */
    size_t memory_bytes;   /* of the session's state; 0: 64 MiB */
    size_t output_bytes;   /* longer answers are cut, with a line that says so; 0: 1 MiB */
    bool only_looks;       /* what acts is refused */
    /* Takes what print() writes, at once, on the evaluating thread; NULL: it is put in front of the
     * answer. */
    void (*print)(void *ctx, const char *text, size_t len);
    void *print_ctx;
};

enum session_outcome {
    SESSION_DONE,
    SESSION_INCOMPLETE, /* more lines are wanted: evaluate again with them behind */
    SESSION_FAILED,     /* the text says why */
    SESSION_CANCELLED,
};

/* Zero it before the first use; session_reply_destroy it at the end. Reused by the next call. */
struct session_reply {
    enum session_outcome outcome;
    struct buf text; /* for people: values as Lua, series and results as tables; or the error */
    struct buf json; /* for programs: {"values":[...]} or {"error":"..."}, "output":"..." in both */
};

void session_reply_destroy(struct session_reply *reply);

/** @return owned session (session_close), or NULL with err: NOMEM, or the scripts' error */
TIDE_NODISCARD struct session *session_open(const struct session_options *options,
                                            struct error *err);
/** Takes NULL. Nothing may be evaluated meanwhile. */
void session_close(struct session *session);

/**
 * Evaluates one or more lines: an expression (its values are the answer) or statements.
 *
 * @param reply  out: filled in any case
 */
void session_eval(struct session *session, const char *text, size_t len,
                  struct session_reply *reply);
/** Ends the evaluation under way, or the next one before it begins. Any thread. */
void session_cancel(struct session *session);
/** Forgets a cancel that came too late. By the thread that evaluates, before the next one. */
void session_uncancel(struct session *session);

/**
 * What could stand at `cursor` (bytes from the start of the text): names, fields, methods, and in
 * texts metric names, label names and label values.
 *
 * @param out  gets {"from":N,"items":["tide.query",...]}: each item may replace the text between
 *             `from` and the cursor. At most 200 items
 */
void session_complete(struct session *session, const char *text, size_t len, size_t cursor,
                      struct buf *out);

#endif
