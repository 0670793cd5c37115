/* xor_chunk.h - the XOR chunk of Prometheus 2 and 3, which streamed remote read carries.
 *
 * Layout: http-protocols.md section 18. Written only; nothing is stored this way. */
#ifndef TIDE_WIRE_XOR_CHUNK_H
#define TIDE_WIRE_XOR_CHUNK_H

#include "base/base.h"
#include "base/buf.h"

#define XOR_CHUNK_MAX_SAMPLES 65535

/** Appends one chunk of `count` (1 .. XOR_CHUNK_MAX_SAMPLES) samples in time order. */
void xor_chunk_put(struct buf *out, const int64_t *times_ms, const double *values, size_t count);

#endif
