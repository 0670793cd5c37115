/* xor_chunk.h - the XOR chunk of Prometheus 2 and 3, which streamed remote read carries.
 *
 * Layout: http-protocols.md section 18. Nothing is stored this way. Pure, thread-safe. */
#ifndef TIDE_WIRE_XOR_CHUNK_H
#define TIDE_WIRE_XOR_CHUNK_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/columns.h"

#define XOR_CHUNK_MAX_SAMPLES 65535

/** Appends one chunk of `count` (1 .. XOR_CHUNK_MAX_SAMPLES) samples in time order. */
void xor_chunk_put(struct buf *out, const int64_t *times_ms, const double *values, size_t count);
/**
 * Reads a chunk, any bytes, and appends its samples.
 *
 * @return 0, or -1 with err: CORRUPT (cut off); then some of its samples may have been appended
 */
TIDE_NODISCARD int xor_chunk_get(const uint8_t *bytes, size_t len, struct columns *samples,
                                 struct error *err);

#endif
