/* wal_value.c - one double in 1 to 9 bytes, all 64 bits kept (wal_record.h).
 *
 *     00..7f      the integer itself
 *     80..83      zigzag varint i; the value is i / 10^(byte - 80)
 *     90..98      so many bytes (byte - 90) of the bits, most significant first; the rest is zero
 *
 * Most samples are counters, or have a few decimals, or (powers of two, zero) end in zero bits. */
#include <math.h>

#include "base/bytes.h"
#include "disk/wal_record.h"

#define SMALL_MAX 0x7f
#define SCALED 0x80
#define RAW 0x90
#define SCALES 4

/* Beyond this an integer takes as many bytes as the raw bits. */
#define SCALED_LIMIT ((double)((int64_t)1 << 48))

static const double powers[SCALES] = {1, 10, 100, 1000};

/* The smallest scale that gives the bits back; -1 when none does. */
static int find_scale(double value, int64_t *scaled)
{
    for (int i = 0; i < SCALES; i++) {
        double shifted = value * powers[i];

        if (!(fabs(shifted) < SCALED_LIMIT))
            return -1;
        *scaled = llrint(shifted);
        if (double_bits((double)*scaled / powers[i]) == double_bits(value))
            return i;
    }
    return -1;
}

static size_t put_raw(uint8_t *out, uint64_t bits)
{
    size_t n = bits == 0 ? 0 : 8 - (size_t)__builtin_ctzll(bits) / 8;
    uint8_t bytes[8];

    put_be64(bytes, bits);
    out[0] = (uint8_t)(RAW + n);
    memcpy(out + 1, bytes, 8);
    return 1 + n;
}

size_t wal_value_put(uint8_t *out, double value)
{
    int64_t scaled = 0;
    int scale = find_scale(value, &scaled);

    if (scale < 0)
        return put_raw(out, double_bits(value));
    if (scale == 0 && scaled >= 0 && scaled <= SMALL_MAX) {
        out[0] = (uint8_t)scaled;
        return 1;
    }
    out[0] = (uint8_t)(SCALED + scale);
    return 1 + varint_put(out + 1, scaled);
}

const uint8_t *wal_value_get(const uint8_t *p, const uint8_t *end, double *value)
{
    uint8_t control;
    uint8_t bytes[8] = {0};
    int64_t scaled;

    if (p >= end)
        return NULL;
    control = *p++;
    if (control <= SMALL_MAX) {
        *value = control;
        return p;
    }
    if (control < SCALED + SCALES) {
        p = varint_get(p, end, &scaled);
        if (p != NULL)
            *value = (double)scaled / powers[control - SCALED];
        return p;
    }
    if (control < RAW || control > RAW + 8 || end - p < control - RAW)
        return NULL;
    memcpy(bytes, p, (size_t)(control - RAW));
    *value = bits_double(get_be64(bytes));
    return p + (control - RAW);
}
