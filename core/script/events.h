/* events.h - what has happened, on its way to the rules of tide.on: a bounded queue.
 *
 * Put from any thread, also from hot ones: what no rule waits for costs one load. When the queue is
 * full, the newest is left out and counted. Taken by the scripts thread. */
#ifndef TIDE_SCRIPT_EVENTS_H
#define TIDE_SCRIPT_EVENTS_H

#include "base/base.h"
#include "base/metrics.h"
#include "model/labels.h"

#define EVENTS_MAX 4096
#define EVENT_TEXT_BYTES 400

enum event_kind {
    EVENT_SERIES_NEW,   /* labels */
    EVENT_SERIES_GONE,  /* labels; text: why */
    EVENT_LIMIT_SOFT,   /* text: the limit's title; number: what there is; bound */
    EVENT_DAMAGE,       /* labels, if known; text: what is wrong */
    EVENT_DISK_LOW,     /* number: free bytes; bound: of so many */
    EVENT_SCRIPT_ERROR, /* text: the error */
    EVENT_KINDS,
};

/* "series_new" ...; static. */
const char *event_kind_name(enum event_kind kind);

struct script_event {
    enum event_kind kind;
    int64_t time_ms;             /* wall clock */
    const struct labels *labels; /* NULL: none */
    double number;
    double bound;
    char text[EVENT_TEXT_BYTES];
};

struct events;

/** @param metrics  shows tidemark_script_events_dropped_total; may be NULL */
struct events *events_new(struct metrics *metrics);
/** Takes NULL. */
void events_free(struct events *events);
/** Which kinds are waited for: bits 1 << kind. */
void events_want(struct events *events, unsigned kinds);
/** Whether anybody waits for it: ask before making one. Takes NULL. */
bool events_wanted(const struct events *events, enum event_kind kind);
/** Puts a copy (with its own reference to the labels) if it is wanted. Takes NULL. */
void events_put(struct events *events, const struct script_event *event);
/** Takes the oldest; its labels are the caller's. False: there is none. */
bool events_take(struct events *events, struct script_event *event);
/** Waits until there is one, for at most so long; or until events_wake. */
void events_wait(struct events *events, int64_t timeout_ns);
void events_wake(struct events *events);

#endif
