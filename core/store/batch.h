/* batch.h - a decoded push: raw label blocks and their samples, before any label is parsed.
 *
 * core/wire fills it without copying (blocks point into the request body or the batch's arena),
 * core/store appends it. One owner, not thread-safe; reset and reuse it to allocate nothing. */
#ifndef TIDE_STORE_BATCH_H
#define TIDE_STORE_BATCH_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "model/labels.h"

/* How a block is written; part of the label cache's key together with the batch's salt. */
enum label_format {
    LABEL_FORMAT_REMOTE_WRITE, /* protobuf Label messages of one TimeSeries, as they came */
    LABEL_FORMAT_TEXT,         /* name{...} of the text formats */
    LABEL_FORMAT_PAIRS,    /* uvarint length + bytes, name and value in turn (made by decoders) */
    LABEL_FORMAT_INFLUX,   /* measurement,tags + field */
    LABEL_FORMAT_GRAPHITE, /* path;tags */
    LABEL_FORMAT_JSON,     /* {"name":"value",...} */
};

/**
 * Parses a block into labels (bytes may be borrowed from block and scratch).
 *
 * @return 0, or -1 with err: ERR_INVALID (names and values are checked by the store, not here)
 */
typedef int label_parser(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                         struct labels_builder *out, struct error *err);

/**
 * The pair that a block of LABEL_FORMAT_PAIRS goes on with; its texts are borrowed.
 *
 * @return behind it, or NULL: the block is cut off, or a text has 4 GiB
 */
const uint8_t *label_pair_next(const uint8_t *at, const uint8_t *end, struct label *pair);
/** The parser of LABEL_FORMAT_PAIRS for blocks that we made of label sets; needs no ctx. What comes
 * from senders goes through label_pairs_parse (core/wire), which refuses names that stand twice. */
int label_parse_pairs(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                      struct labels_builder *out, struct error *err);

struct batch_entry {
    const uint8_t *block; /* borrowed until the batch is reset */
    uint32_t block_len;
    uint32_t first_sample; /* index into times_ms and values */
    uint32_t sample_count; /* in the order they came; 0: labels only (nothing is stored) */
    uint32_t line;         /* of the body, from 1; 0 where lines mean nothing */
};

struct batch {
    enum label_format format;
    label_parser *parse;
    const void *parse_ctx; /* borrowed; what it adds to labels must be in the salt too */
    const uint8_t *salt;   /* extra key bytes (URL labels, tenant); borrowed; may be NULL */
    size_t salt_len;

    struct batch_entry *entries;
    size_t entry_count;
    size_t entry_cap;

    int64_t *times_ms;
    double *values;
    size_t sample_count;
    size_t sample_cap;

    struct arena arena; /* blocks that had to be made */
};

void batch_destroy(struct batch *batch);
/** Empties it, keeping its memory. */
void batch_reset(struct batch *batch);
/** Begins an entry whose samples follow by batch_add_sample. */
void batch_add_entry(struct batch *batch, const uint8_t *block, size_t len, uint32_t line);
/** Adds a sample to the entry begun last. */
void batch_add_sample(struct batch *batch, int64_t time_ms, double value);

#ifndef TIDE_CDEF
/** The same, inline while there is room. */
static inline void batch_put_sample(struct batch *batch, int64_t time_ms, double value)
{
    if (TIDE_UNLIKELY(batch->sample_count == batch->sample_cap)) {
        batch_add_sample(batch, time_ms, value);
        return;
    }
    batch->times_ms[batch->sample_count] = time_ms;
    batch->values[batch->sample_count++] = value;
    batch->entries[batch->entry_count - 1].sample_count++;
}
#endif

#endif
