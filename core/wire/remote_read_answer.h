/* remote_read_answer.h - remote read 1.0 as its client: what is asked, and both kinds of answer
 * (http-protocols.md section 18).
 *
 * Frames of STREAMED_XOR_CHUNKS are decoded as they come, SAMPLES from the whole body. Memory: one
 * frame and its samples. One owner, not thread-safe. Histograms are counted, not read. */
#ifndef TIDE_WIRE_REMOTE_READ_ANSWER_H
#define TIDE_WIRE_REMOTE_READ_ANSWER_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/columns.h"
#include "model/labels.h"
#include "model/matcher.h"

/* The largest frame that is taken: what Prometheus' own client takes. */
#define REMOTE_READ_FRAME_MAX ((size_t)50000000)

/** Appends one query to a ReadRequest; times inclusive, in milliseconds. */
void remote_read_put_query(struct buf *request, int64_t start_ms, int64_t end_ms,
                           const struct matcher *matchers, size_t count);
/** Ends a ReadRequest: streamed chunks are wanted, SAMPLES are taken too. */
void remote_read_put_accepted(struct buf *request);

/* Zero it and set the first two. */
struct remote_read_answer {
    /**
     * Takes samples of one series, in order of time; both are borrowed for the call. A long series
     * comes in several calls that follow each other.
     *
     * @return 0, or -1 with err: then so does what called it
     */
    int (*take)(void *ctx, const struct labels *labels, const struct columns *samples,
                struct error *err);
    void *ctx;
    uint64_t histograms; /* out: chunks and samples that are none of floats */

    struct buf rest; /* the beginning of a frame */
    struct columns samples;
    struct labels_builder builder;
};

/** The next bytes of a streamed answer. @return 0, or -1 with err: CORRUPT, or as take */
TIDE_NODISCARD int remote_read_answer_feed(struct remote_read_answer *answer, const uint8_t *bytes,
                                           size_t len, struct error *err);
/** The streamed answer is over. @return 0, or -1 with err: CORRUPT (within a frame) */
TIDE_NODISCARD int remote_read_answer_end(struct remote_read_answer *answer, struct error *err);
/** A whole SAMPLES answer, after snappy. @return as remote_read_answer_feed */
TIDE_NODISCARD int remote_read_answer_samples(struct remote_read_answer *answer,
                                              const uint8_t *body, size_t len, struct error *err);
/** Safe on a zeroed one. */
void remote_read_answer_destroy(struct remote_read_answer *answer);

#endif
