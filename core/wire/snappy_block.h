/* snappy_block.h - one block of raw snappy, as remote write and remote read send it.
 *
 * The declared length is checked against the bound before anything is allocated. Thread-safe. */
#ifndef TIDE_WIRE_SNAPPY_BLOCK_H
#define TIDE_WIRE_SNAPPY_BLOCK_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

/**
 * Decompresses a whole block into `out`, replacing what it held.
 *
 * @param max_bytes  the most that the result may take
 * @return 0, or -1 with err: INVALID (not a snappy block; framed snappy is named), LIMIT (declares
 *         more than max_bytes), NOMEM; then `out` is empty
 */
TIDE_NODISCARD int snappy_block_decode(const uint8_t *block, size_t len, size_t max_bytes,
                                       struct buf *out, struct error *err);
/** Appends `bytes` as one block. len < 4 GiB. */
void snappy_block_encode(const uint8_t *bytes, size_t len, struct buf *out);

#endif
