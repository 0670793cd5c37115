/* host.h - the server as scripts may act on it: its store, and the bounds of what they ask.
 *
 * Given to a rulebook when the store is open (rulebook_attach) and taken away before it closes.
 * Functions that act (tide.query, tide.push ...) fail in between, and always in rules that only
 * decide. */
#ifndef TIDE_SCRIPT_HOST_H
#define TIDE_SCRIPT_HOST_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

struct alert;
struct running_queries;
struct script_event;
struct store;

/* Pointers are borrowed until the host is taken away. */
struct script_host {
    struct store *store;
    struct running_queries *running; /* queries of scripts are listed here; may be NULL */
    int64_t lookback_ms;
    int64_t query_timeout_ms;
    size_t query_max_samples;
    size_t query_max_series;
    /* Reads configuration and scripts again; NULL: it cannot be asked. Any thread. */
    int (*reload)(void *ctx, struct error *err);
    /* Appends the configuration in force, a line for each key: key, value, origin, with tabs
     * between; no secrets. Any thread; may be NULL. */
    void (*tell_config)(void *ctx, struct buf *out);
    void *reload_ctx; /* of both */
    bool by_hand;     /* the store has no threads: what waits for them does their work instead */
    const char *data_dir; /* whose disk space disk_low watches; NULL: none */
};

/* Where what scripts tell goes instead of the log and the webhooks. Called on the thread that runs
 * them. */
struct script_sink {
    void (*log)(void *ctx, int level, const char *text, size_t len); /* tide.log's lines */
    /* An alert that webhooks would get, as of a time; borrowed. */
    void (*alert)(void *ctx, const struct alert *alert, int64_t time_ms);
    void (*event)(void *ctx,
                  const struct script_event *event); /* any, also what no rule waits for */
    void *ctx;
};

#endif
