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

/* --- reading ------------------------------------------------------------------------------------
 */

struct bit_reader {
    const uint8_t *bytes;
    size_t position; /* in bits */
    size_t end;
    bool cut_off; /* more was read than there is: zeroes */
};

static uint64_t get_bits(struct bit_reader *reader, unsigned count)
{
    uint64_t bits = 0;

    if (count > reader->end - reader->position) {
        reader->cut_off = true;
        return 0;
    }
    while (count > 0) {
        unsigned left = 8 - (unsigned)(reader->position & 7), take = TIDE_MIN(count, left);
        uint8_t byte = reader->bytes[reader->position >> 3];

        bits = bits << take | (byte >> (left - take) & ((1u << take) - 1));
        reader->position += take;
        count -= take;
    }
    return bits;
}

/* The change of a distance in time; the positive bound of each width is inclusive. */
static uint64_t get_time(struct bit_reader *reader)
{
    static const unsigned widths[] = {0, 14, 17, 20, 64};
    unsigned ones = 0, width;
    uint64_t bits;

    while (ones < 4 && get_bits(reader, 1) != 0)
        ones++;
    width = widths[ones];
    bits = get_bits(reader, width);
    if (width != 0 && width != 64 && bits > (uint64_t)1 << (width - 1))
        bits -= (uint64_t)1 << width;
    return bits;
}

static uint64_t get_value(struct bit_reader *reader, struct window *window)
{
    unsigned significant;

    if (get_bits(reader, 1) == 0)
        return 0;
    if (get_bits(reader, 1) != 0) {
        window->leading = (unsigned)get_bits(reader, 5);
        significant = (unsigned)get_bits(reader, 6);
        significant = significant == 0 ? 64 : significant;
        if (window->leading + significant > 64)
            reader->cut_off = true;
        window->trailing = reader->cut_off ? 0 : 64 - window->leading - significant;
    } else if (window->leading == 255) {
        reader->cut_off = true; /* of a window that was never set */
    }
    if (reader->cut_off)
        return 0;
    return get_bits(reader, 64 - window->leading - window->trailing) << window->trailing;
}

int xor_chunk_get(const uint8_t *bytes, size_t len, struct columns *samples, struct error *err)
{
    struct window window = {.leading = 255};
    struct bit_reader reader = {.bytes = bytes, .end = len * 8};
    const uint8_t *at, *end;
    uint64_t bits, distance = 0;
    int64_t time_ms;
    size_t count;

    if (len < 2)
        return error_set(err, ERR_CORRUPT, "an XOR chunk of %zu bytes", len);
    at = bytes + 2;
    end = bytes + len;
    count = get_be16(bytes);
    if (count == 0)
        return 0;
    at = varint_get(at, end, &time_ms);
    if (at == NULL || end - at < 8)
        return error_set(err, ERR_CORRUPT, "an XOR chunk of %zu bytes is cut off", len);
    bits = get_be64(at);
    at += 8;
    columns_append(samples, time_ms, bits_double(bits));
    if (count > 1 && (at = uvarint_get(at, end, &distance)) == NULL)
        return error_set(err, ERR_CORRUPT, "an XOR chunk of %zu bytes is cut off", len);
    reader.position = (size_t)(at - bytes) * 8;
    for (size_t i = 1; i < count; i++) {
        if (i > 1)
            distance += get_time(&reader);
        time_ms = (int64_t)((uint64_t)time_ms + distance);
        bits ^= get_value(&reader, &window);
        if (reader.cut_off)
            return error_set(err, ERR_CORRUPT, "an XOR chunk of %zu bytes is cut off", len);
        columns_append(samples, time_ms, bits_double(bits));
    }
    return 0;
}
