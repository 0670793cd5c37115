/* xor_chunk.c - see xor_chunk.h. */
#include "wire/xor_chunk.h"

#include "base/bytes.h"

/* Bits are filled from the most significant one of each byte. */
struct bit_writer {
    struct buf *out;
    unsigned left; /* free bits of the last byte */
};

static void put_bits(struct bit_writer *writer, uint64_t bits, unsigned count)
{
    while (count > 0) {
        unsigned take;

        if (writer->left == 0) {
            buf_putc(writer->out, 0);
            writer->left = 8;
        }
        take = TIDE_MIN(count, writer->left);
        writer->out->data[writer->out->len - 1] |=
            (uint8_t)((bits >> (count - take) & ((1u << take) - 1)) << (writer->left - take));
        writer->left -= take;
        count -= take;
    }
}

/* How the difference of two distances in time is written: prefix, then the low bits. The positive
 * bound of each width is inclusive. */
static void put_time(struct bit_writer *writer, int64_t change)
{
    static const struct {
        unsigned prefix, prefix_bits, bits;
    } widths[] = {{2, 2, 14}, {6, 3, 17}, {14, 4, 20}};

    if (change == 0) {
        put_bits(writer, 0, 1);
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        int64_t half = (int64_t)1 << (widths[i].bits - 1);

        if (change >= 1 - half && change <= half) {
            put_bits(writer, widths[i].prefix, widths[i].prefix_bits);
            put_bits(writer, (uint64_t)change & (((uint64_t)1 << widths[i].bits) - 1),
                     widths[i].bits);
            return;
        }
    }
    put_bits(writer, 15, 4);
    put_bits(writer, (uint64_t)change, 64);
}

/* The window of the last value that was written with one; leading 255: none yet. */
struct window {
    unsigned leading, trailing;
};

static void put_value(struct bit_writer *writer, struct window *window, uint64_t change)
{
    unsigned leading, trailing, significant;

    if (change == 0) {
        put_bits(writer, 0, 1);
        return;
    }
    put_bits(writer, 1, 1);
    leading = TIDE_MIN((unsigned)__builtin_clzll(change), 31u);
    trailing = (unsigned)__builtin_ctzll(change);
    if (window->leading != 255 && leading >= window->leading && trailing >= window->trailing) {
        put_bits(writer, 0, 1);
        put_bits(writer, change >> window->trailing, 64 - window->leading - window->trailing);
        return;
    }
    significant = 64 - leading - trailing;
    put_bits(writer, 1, 1);
    put_bits(writer, leading, 5);
    put_bits(writer, significant & 63, 6);
    put_bits(writer, change >> trailing, significant);
    *window = (struct window){leading, trailing};
}

/* Differences wrap around as the original's integers do. */
static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

void xor_chunk_put(struct buf *out, const int64_t *times_ms, const double *values, size_t count)
{
    struct bit_writer writer = {.out = out};
    struct window window = {.leading = 255};
    uint8_t *at = buf_reserve(out, 2 + 2 * (VARINT_MAX_BYTES + 8));
    int64_t distance = 0;

    put_be16(at, (uint16_t)count);
    at += 2;
    at += varint_put(at, times_ms[0]);
    put_be64(at, double_bits(values[0]));
    at += 8;
    if (count > 1) {
        distance = minus(times_ms[1], times_ms[0]);
        at += uvarint_put(at, (uint64_t)distance);
    }
    out->len = (size_t)(at - out->data);
    for (size_t i = 1; i < count; i++) {
        if (i > 1) {
            int64_t next = minus(times_ms[i], times_ms[i - 1]);

            put_time(&writer, minus(next, distance));
            distance = next;
        }
        put_value(&writer, &window, double_bits(values[i]) ^ double_bits(values[i - 1]));
    }
}
