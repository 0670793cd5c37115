/* crc32c.h - CRC-32C (Castagnoli): the log, LevelDB's blocks, remote read's frames.
 *
 * Pure, thread-safe; uses the processor's instruction where there is one. */
#ifndef TIDE_BASE_CRC32C_H
#define TIDE_BASE_CRC32C_H

#include "base/base.h"

/** Of `len` bytes; `crc` is 0, or the result for the bytes before them. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);
/** LevelDB's mask, for a checksum that is stored beside data which may hold checksums itself. */
uint32_t crc32c_mask(uint32_t crc);
uint32_t crc32c_unmask(uint32_t masked);

#endif
