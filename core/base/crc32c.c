/* crc32c.c - see crc32c.h. */
#include "base/crc32c.h"

#include "base/bytes.h"

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, reflected */
#define MASK_DELTA 0xa282ead8u

static uint32_t update_plain(uint32_t crc, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (POLYNOMIAL & (0 - (crc & 1)));
    }
    return crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2"))) static uint32_t update_fast(uint32_t crc, const uint8_t *p,
                                                              size_t len)
{
    uint64_t wide = crc;

    for (; len >= 8; p += 8, len -= 8)
        wide = __builtin_ia32_crc32di(wide, get_le64(p));
    crc = (uint32_t)wide;
    for (; len > 0; p++, len--)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}

#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t len)
{
    crc = ~crc;
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~update_fast(crc, bytes, len);
#endif
    return ~update_plain(crc, bytes, len);
}

uint32_t crc32c_mask(uint32_t crc)
{
    return ((crc >> 15) | (crc << 17)) + MASK_DELTA;
}

uint32_t crc32c_unmask(uint32_t masked)
{
    uint32_t rotated = masked - MASK_DELTA;

    return (rotated >> 17) | (rotated << 15);
}
