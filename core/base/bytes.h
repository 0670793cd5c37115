/* bytes.h - fixed-width numbers in byte order, and varints (format, section 12). Pure, inline.
 *
 * get_* read from memory the caller has checked; varint readers take the end and never pass it. */
#ifndef TIDE_BASE_BYTES_H
#define TIDE_BASE_BYTES_H

#include "base/base.h"

#ifndef TIDE_CDEF

static inline uint16_t get_le16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t get_le32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t get_le64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint16_t get_be16(const uint8_t *p)
{
    return __builtin_bswap16(get_le16(p));
}

static inline uint32_t get_be32(const uint8_t *p)
{
    return __builtin_bswap32(get_le32(p));
}

static inline uint64_t get_be64(const uint8_t *p)
{
    return __builtin_bswap64(get_le64(p));
}

static inline void put_le16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
    put_le16(p, __builtin_bswap16(v));
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
    put_le32(p, __builtin_bswap32(v));
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
    put_le64(p, __builtin_bswap64(v));
}

/* The 64 bits of a double, and back; NaN payloads pass unharmed. */
static inline uint64_t double_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline double bits_double(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

#define VARINT_MAX_BYTES 10

/** Writes u as an unsigned varint to p (VARINT_MAX_BYTES of room); returns the bytes written. */
static inline size_t uvarint_put(uint8_t *p, uint64_t u)
{
    size_t n = 0;

    while (u >= 0x80) {
        p[n++] = (uint8_t)(u | 0x80);
        u >>= 7;
    }
    p[n++] = (uint8_t)u;
    return n;
}

/** Reads an unsigned varint from [p, end); returns behind it, NULL if cut off or over 64 bits. */
static inline const uint8_t *uvarint_get(const uint8_t *p, const uint8_t *end, uint64_t *u)
{
    uint64_t value = 0;
    unsigned shift;

    for (shift = 0; shift < 70 && p < end; shift += 7) {
        uint8_t byte = *p++;

        if (shift == 63 && byte > 1)
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *u = value;
            return p;
        }
    }
    return NULL;
}

static inline uint64_t zigzag(int64_t i)
{
    return ((uint64_t)i << 1) ^ (i < 0 ? UINT64_MAX : 0);
}

static inline int64_t unzigzag(uint64_t u)
{
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

/** The signed (zigzag) kind, which most length fields of the format are. */
static inline size_t varint_put(uint8_t *p, int64_t i)
{
    return uvarint_put(p, zigzag(i));
}

static inline const uint8_t *varint_get(const uint8_t *p, const uint8_t *end, int64_t *i)
{
    uint64_t u;
    const uint8_t *next = uvarint_get(p, end, &u);

    if (next != NULL)
        *i = unzigzag(u);
    return next;
}

#endif
#endif
