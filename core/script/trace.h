/* trace.h - what every rule says of one set of labels, step by step: for an operator who wonders.
 *
 * The rules that a series meets on its way in, while it is kept and when it is read are asked in
 * their order, by their own functions, with their limits; nothing is stored, dropped, refused or
 * counted. */
#ifndef TIDE_SCRIPT_TRACE_H
#define TIDE_SCRIPT_TRACE_H

#include "base/base.h"
#include "base/buf.h"
#include "model/labels.h"
#include "store/policy.h"

struct store;
struct rulebook;
struct ruleset;
struct rule;

struct trace_request {
    const struct series_view *series; /* labels as pushed, and what the store knows of it */
    const char *user;                 /* who would read; NULL: unknown */
    const char *tenant;
    int64_t now_ms;
    struct store *store; /* how full quotas are; NULL: not told. Borrowed */
};

struct trace_step {
    const struct rule *rule; /* of the trace's set */
    bool asked;              /* its function ran, or what it declares holds */
    bool failed;             /* so it counts as its hook's default */
    size_t text;             /* where its verdict begins in the trace's texts, terminated */
};

/* Zeroed is empty. */
struct trace {
    struct ruleset *set;   /* owned reference */
    struct labels *labels; /* as they are after the last step; owned reference */
    struct trace_step *steps;
    size_t count;
    struct buf texts;
};

/** Fills an empty trace; trace_destroy it. Thread-safe; the thread needs SANDBOX_STACK_BYTES of
 * stack, more than once if it runs Lua already. */
void rulebook_trace(struct rulebook *book, const struct trace_request *request,
                    struct trace *trace);
/** Appends a line for each rule of retention up to the one that decides: what it says of a series.
 * `ctx`: the rulebook (policy.h). */
void rulebook_explain_retention(void *ctx, const struct series_view *series, struct buf *out);
void trace_destroy(struct trace *trace);

#endif
