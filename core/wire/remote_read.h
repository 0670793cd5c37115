/* remote_read.h - remote read 1.0: the request, and its two kinds of answer.
 *
 * SAMPLES: one ReadResponse in one snappy block. STREAMED_XOR_CHUNKS: frames of uvarint length,
 * CRC-32C and a ChunkedReadResponse; series in order of labels, query by query. */
#ifndef TIDE_WIRE_REMOTE_READ_H
#define TIDE_WIRE_REMOTE_READ_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/columns.h"
#include "model/labels.h"
#include "model/matcher.h"

#define REMOTE_READ_MAX_QUERIES 1000
#define REMOTE_READ_MAX_MATCHERS 1000 /* of one query */
/* Samples of one chunk, as Prometheus writes them. */
#define REMOTE_READ_CHUNK_SAMPLES 120

/* Texts are borrowed from the body. */
struct remote_read_matcher {
    enum matcher_type type;
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

struct remote_read_query {
    int64_t start_ms; /* both inclusive */
    int64_t end_ms;
    struct remote_read_matcher *matchers;
    size_t matcher_count;
};

struct remote_read_request {
    struct remote_read_query *queries;
    size_t query_count;
    bool streamed; /* the first kind of answer that the asker accepts and we have */
};

/**
 * Reads a ReadRequest (after snappy). Hints are skipped.
 *
 * @param arena  where the arrays are made; must live as long as the request
 * @return 0, or -1 with err: INVALID (broken protobuf, no kind of answer that we have), LIMIT
 */
TIDE_NODISCARD int remote_read_decode(const uint8_t *body, size_t len, struct arena *arena,
                                      struct remote_read_request *request, struct error *err);

/** SAMPLES: appends one series to the QueryResult of its query. */
void remote_read_put_series(struct buf *result, const struct labels *labels,
                            const struct columns *samples);
/** SAMPLES: appends a finished QueryResult to the ReadResponse. */
void remote_read_put_result(struct buf *response, const struct buf *result);

/**
 * Streamed: appends the frames of one series; none when it has no samples.
 *
 * @param query        index of its query
 * @param frame_bytes  a frame is closed behind the chunk that passes this (Prometheus: 1 MiB)
 */
void remote_read_put_frames(struct buf *out, const struct labels *labels,
                            const struct columns *samples, size_t query, size_t frame_bytes);

#endif
