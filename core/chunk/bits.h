/* bits.h - bit strings in memory, most significant bit first (format, section 11.1). Pure, inline.
 *
 * A position is a bit number from the start of a buffer. Reading looks at 9 bytes from the
 * position's byte on, writing stores up to 9: the caller keeps that much room behind. */
#ifndef TIDE_CHUNK_BITS_H
#define TIDE_CHUNK_BITS_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/bytes.h"

/* Room that reading and writing need behind the position's byte. */
#define BITS_ROOM 9

/** The 64 bits from `position` on. */
static inline uint64_t bits_window(const uint8_t *bytes, uint32_t position)
{
    const uint8_t *p = bytes + (position >> 3);
    unsigned shift = position & 7;

    return get_be64(p) << shift | (uint64_t)p[8] >> (8 - shift);
}

/** The top 1 to 64 bits of a window as a signed number. */
static inline int64_t bits_signed(uint64_t window, unsigned count)
{
    return (int64_t)window >> (64 - count);
}

/**
 * Writes the `count` (1 to 64) low bits of `field` and clears what follows, up to 9 bytes on.
 *
 * @return the position behind them
 */
static inline uint32_t bits_put(uint8_t *bytes, uint32_t position, uint64_t field, unsigned count)
{
    uint8_t *p = bytes + (position >> 3);
    unsigned shift = position & 7;
    uint64_t top = field << (64 - count);
    uint64_t kept = (uint64_t)(*p & (0xff00 >> shift)) << 56;

    put_be64(p, kept | top >> shift);
    p[8] = (uint8_t)(top << (8 - shift));
    return position + count;
}

#endif
#endif
