/* push.h - what all decoders of this room have in common.
 *
 * A decoder is a pure function over the bytes of a whole, decompressed body:
 *
 *     int FORMAT_decode(body, len, [options,] push, batch, result, err)
 *
 * It resets nothing: the caller resets batch and result. Into `batch` go the good samples, with
 * label blocks that point into the body or into the batch's arena: both must live until the batch
 * was appended. Into `result` go the items that could not be read (REFUSED_MALFORMED, with line
 * and reason). It returns 0 even when every item was refused; -1 (ERR_INVALID) only when the body
 * as a whole cannot be trusted (cut off, another format): then nothing of the batch should be
 * appended. Decoders share nothing, so any number of threads may decode at once. */
#ifndef TIDE_WIRE_PUSH_H
#define TIDE_WIRE_PUSH_H

#include "base/base.h"
#include "base/error.h"
#include "store/append.h"
#include "store/batch.h"

/* The types of metadata, with the numbers that remote write 1.0 gives them. */
enum metadata_type {
    METADATA_UNKNOWN = 0,
    METADATA_COUNTER,
    METADATA_GAUGE,
    METADATA_HISTOGRAM,
    METADATA_GAUGE_HISTOGRAM,
    METADATA_SUMMARY,
    METADATA_INFO,
    METADATA_STATESET,
    METADATA_TYPES, /* how many there are */
};

/** "counter", "gaugehistogram", "unknown" ...: as /api/v1/metadata prints it. Static. */
const char *metadata_type_name(enum metadata_type type);
/** The type of such a name ("untyped" is METADATA_UNKNOWN too); false when it is none. */
bool metadata_type_parse(const char *name, size_t len, enum metadata_type *type);

/* What a body says about a metric family. Texts are borrowed for the call, not terminated; what
 * is not said is NULL (or has_type is false). The text formats tell each part on its own. */
struct metadata {
    const char *name;
    size_t name_len;
    const char *help; /* escapes resolved */
    size_t help_len;
    const char *unit;
    size_t unit_len;
    enum metadata_type type;
    bool has_type;
};

typedef void metadata_sink(void *ctx, const struct metadata *metadata);

/* Understood, but not stored: counted so that nobody has to guess. */
struct push_skipped {
    uint64_t exemplars;
    uint64_t histograms; /* native (and exponential) histograms, one a data point */
    uint64_t created;    /* OpenMetrics' start times */
    uint64_t texts;      /* values that are no numbers (Influx strings) */
    uint64_t empty;      /* series without samples; points without a value */
};

/* One push: what the decoder is told, and what it tells beside batch and result. */
struct push {
    int64_t now_ms;             /* the time of samples that carry none */
    bool keep_created;          /* store OpenMetrics' _created samples too */
    metadata_sink *on_metadata; /* may be NULL */
    void *metadata_ctx;
    struct push_skipped skipped; /* added to */
};

/**
 * The most that the blocks which a decoder makes may take together, for a body of this size:
 * formats that refer to shared label texts could ask for thousands of times their own size.
 */
size_t push_block_budget(size_t body_len);

#endif
