/* desk.h - consoles over HTTP: sessions (script/session.h) that the page talks to, a thread each.
 *
 * A line is sent by one request, whose answer streams what the line prints and ends with its
 * values, as server-sent events. The session stays for the user's next lines; one line runs at a
 * time. Who hangs up ends the line. Thread-safe. */
#ifndef TIDE_HTTP_DESK_H
#define TIDE_HTTP_DESK_H

#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "http/http_reply.h"

#define DESK_ID_BYTES 33

struct desks;
struct rulebook;

struct desks_options {
    struct rulebook *book;     /* of the sessions; outlives the desks */
    int64_t time_ms;           /* of one line */
    const struct clock *clock; /* borrowed */
    struct metrics *metrics;   /* may be NULL; borrowed */
};

struct desks *desks_new(const struct desks_options *options);
/** No line begins any more, and what runs ends soon. */
void desks_stop(struct desks *desks);
/** When no answer is under way. Takes NULL. Blocks. */
void desks_free(struct desks *desks);

/* Who asks; texts are borrowed. */
struct desk_asker {
    const char *user; /* NULL: unknown */
    const char *tenant;
    const char *remote;
};

/**
 * Begins to run a line.
 *
 * @param id      of the session; "": a new one
 * @param stream  out: the events, to be put into the reply
 * @return 0, or -1 with err: NOT_FOUND (no such session of this user), CONFLICT (its line before
 *         still runs), BUSY (too many sessions), IO (no thread)
 */
TIDE_NODISCARD int desk_run(struct desks *desks, const char *id, const struct desk_asker *asker,
                            const char *text, size_t len, struct http_stream *stream,
                            struct error *err);
/** Appends what could stand at the cursor, as session_complete; a new session if there is no id.
 * Blocks for up to some seconds. @return as desk_run */
TIDE_NODISCARD int desk_complete(struct desks *desks, const char *id,
                                 const struct desk_asker *asker, const char *text, size_t len,
                                 size_t cursor, struct buf *out, struct error *err);
/** Ends a session, and the line that runs. @return 0, or -1 with err: NOT_FOUND */
TIDE_NODISCARD int desk_close(struct desks *desks, const char *id, const struct desk_asker *asker,
                              struct error *err);

#endif
