/* fields.h - the byte-wide fields of encodings 0 and 1 (format, section 8.1). Pure, inline. */
#ifndef TIDE_CHUNK_FIELDS_H
#define TIDE_CHUNK_FIELDS_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/bytes.h"
#include "chunk/encoding.h"

/* Bytes for an unsigned time delta. */
static inline uint8_t width_of_unsigned(int64_t delta)
{
    if (delta > 4294967295)
        return 8;
    if (delta > 65535)
        return 4;
    return delta > 255 ? 2 : 1;
}

/* Bytes for a signed time delta. */
static inline uint8_t width_of_signed(int64_t delta)
{
    if (delta < INT32_MIN || delta > INT32_MAX)
        return 8;
    if (delta < INT16_MIN || delta > INT16_MAX)
        return 4;
    return delta < INT8_MIN || delta > INT8_MAX ? 2 : 1;
}

/* Bytes for an integral value delta. */
static inline uint8_t width_of_integral(double delta)
{
    if (delta < -2147483648.0 || delta > 2147483647.0)
        return 8;
    if (delta < -32768.0 || delta > 32767.0)
        return 4;
    if (delta < -128.0 || delta > 127.0)
        return 2;
    return delta != 0.0 ? 1 : 0;
}

static inline bool is_time_width(uint8_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static inline bool is_value_width(uint8_t width)
{
    return width == 0 || is_time_width(width);
}

static inline void put_field(uint8_t *p, uint8_t width, uint64_t field)
{
    switch (width) {
    case 1:
        *p = (uint8_t)field;
        break;
    case 2:
        put_le16(p, (uint16_t)field);
        break;
    case 4:
        put_le32(p, (uint32_t)field);
        break;
    case 8:
        put_le64(p, field);
        break;
    default:
        break;
    }
}

static inline uint64_t float_field(double value)
{
    float narrow = (float)value;
    uint32_t bits;

    memcpy(&bits, &narrow, sizeof(bits));
    return bits;
}

static inline double get_float(const uint8_t *p)
{
    float narrow;

    memcpy(&narrow, p, sizeof(narrow));
    return (double)narrow;
}

/* Does a reader that adds `step` to `base` get `value`? The original lets the sign of zero pass.
 * NaN never fits: its bits are kept as they are. */
static inline bool adds_up(enum chunk_mode mode, double base, double step, double value)
{
    double sum = base + step;

    return mode == CHUNK_ORIGINAL ? sum == value
                                  : sum == value && double_bits(sum) == double_bits(value);
}

/**
 * The value width that a delta needs in a chunk of this width and kind.
 *
 * @param base     what a reader adds the delta to
 * @param integer  in: the chunk has integer deltas; out: whether it still can
 */
static inline uint8_t needed_value_width(enum chunk_mode mode, double base, double value,
                                         uint8_t width, bool *integer)
{
    double delta = value - base;

    if (*integer) {
        uint8_t needed = is_int64(delta) ? width_of_integral(delta) : 4;

        needed = TIDE_MAX(needed, width);
        if (is_int64(delta) && (mode == CHUNK_ORIGINAL || needed == 8 ||
                                (needed == 0 ? double_bits(base) == double_bits(value)
                                             : adds_up(mode, base, (double)(int64_t)delta, value))))
            return needed;
        *integer = false;
        return 4;
    }
    if (width == 4 && !adds_up(mode, base, (double)(float)delta, value))
        return 8;
    return width;
}

/* The field of a value that fits. */
static inline uint64_t value_field(double base, double value, uint8_t width, bool integer)
{
    if (width == 8)
        return double_bits(value);
    if (width == 0)
        return 0;
    return integer ? (uint64_t)(int64_t)(value - base) : float_field(value - base);
}

#endif
#endif
