/* varbit_read.c - encoding 2: reading samples (format, sections 11.3 to 11.6).
 *
 * The reader works on a copy with zeros behind it: a sample's codes take at most 26 + 77 bits, and
 * every sample begins at or before the end, so no load leaves the copy whatever the bytes say. A
 * sample that ends behind the end is corruption. */
#include "base/bytes.h"
#include "chunk/bits.h"
#include "chunk/encoding.h"

#define VARBIT_START 304
#define VARBIT_BITS 8192

enum { VALUE_ZERO = 0, VALUE_INTEGER = 1, VALUE_XOR = 2, VALUE_DIRECT = 3 };

/* What comes next. */
enum { STEP_FIRST, STEP_SECOND, STEP_BODY, STEP_LAST, STEP_END };

int varbit_reader_init(struct chunk_reader *reader, const uint8_t *bytes, size_t len,
                       struct error *err)
{
    static const uint16_t least[4] = {312, 336, 305, 368};
    uint32_t end;
    unsigned encoding;
    size_t used;

    if (len < VARBIT_FIELDS)
        return error_set(err, ERR_CORRUPT, "varbit chunk of %zu bytes: its header has %d", len,
                         VARBIT_FIELDS);
    end = get_be16(bytes + VARBIT_END_AT);
    encoding = bytes[35] & 3;
    reader->closed = (bytes[35] & VARBIT_CLOSED) != 0;
    if (end > VARBIT_BITS || (end < least[encoding] && end != VARBIT_START && end > 1) ||
        (end == 0 && reader->closed))
        return error_set(err, ERR_CORRUPT,
                         "varbit chunk: next bit offset %u does not fit value encoding %u%s", end,
                         encoding, reader->closed ? " (closed)" : "");
    used = end > VARBIT_START ? ((size_t)end + 7) / 8 : VARBIT_FIELDS;
    if (used > len)
        return error_set(err, ERR_CORRUPT, "varbit chunk: %zu bytes are there, %zu are used", len,
                         used);
    memcpy(reader->copy, bytes, used);
    memset(reader->copy + used, 0, sizeof(reader->copy) - CHUNK_BYTES);
    reader->bytes = reader->copy;
    reader->end = end;
    reader->value_encoding = (uint8_t)encoding;
    reader->step = end == 0 ? STEP_END : STEP_FIRST;
    return 0;
}

/* Value codes: the value that follows in the stream, with the position behind it. The state is
 * passed in locals of the loops, which are made for each value encoding by inlining. */
struct stream {
    const uint8_t *bytes;
    uint32_t position;
    double value;
    uint64_t value_bits; /* XOR */
    int64_t value_delta; /* integers */
    unsigned leading;
    unsigned significant;
};

__attribute__((always_inline)) static inline void next_integer(struct stream *s)
{
    uint64_t window = bits_window(s->bytes, s->position);

    if (TIDE_LIKELY((window >> 63) == 0)) {
        s->position += 1;
    } else if ((window >> 62) == 2) {
        s->value_delta += bits_signed(window << 2, 6);
        s->position += 8;
    } else if ((window >> 61) == 6) {
        s->value_delta += bits_signed(window << 3, 13);
        s->position += 16;
    } else if ((window >> 60) == 14) {
        s->value_delta += bits_signed(window << 4, 20);
        s->position += 24;
    } else {
        s->value_delta += bits_signed(window << 4, 33);
        s->position += 37;
    }
    s->value += (double)s->value_delta;
}

/* The caller has seen a 1 bit; false: more than 64 bits. */
__attribute__((always_inline)) static inline bool next_xor(struct stream *s)
{
    uint64_t window = bits_window(s->bytes, s->position);
    unsigned bits;

    if ((window >> 63) == 0) {
        s->position += 1;
        return true;
    }
    if ((window >> 62) == 3) {
        s->leading = (unsigned)(window >> 57) & 31;
        s->significant = ((unsigned)(window >> 51) & 63) + 1;
        s->position += 13;
        if (s->leading + s->significant > 64)
            return false;
    } else {
        s->position += 2;
    }
    bits = s->significant;
    window = bits_window(s->bytes, s->position) >> (64 - bits);
    s->value_bits ^= window << (64 - s->leading - bits);
    s->position += bits;
    return true;
}

__attribute__((always_inline)) static inline bool next_value(struct stream *s, int encoding)
{
    switch (encoding) {
    case VALUE_INTEGER:
        next_integer(s);
        return true;
    case VALUE_XOR:
        return next_xor(s);
    case VALUE_DIRECT:
        s->value_bits = bits_window(s->bytes, s->position);
        s->position += 64;
        return true;
    default:
        return true;
    }
}

static inline double current_value(const struct stream *s, int encoding)
{
    return encoding == VALUE_XOR || encoding == VALUE_DIRECT ? bits_double(s->value_bits)
                                                             : s->value;
}

static inline void stream_load(struct stream *s, const struct chunk_reader *reader)
{
    s->bytes = reader->bytes;
    s->position = reader->position;
    s->value = reader->value;
    s->value_bits = double_bits(reader->value);
    s->value_delta = reader->value_delta;
    s->leading = reader->leading;
    s->significant = reader->significant;
}

static inline void stream_store(const struct stream *s, struct chunk_reader *reader, int encoding)
{
    reader->position = s->position;
    reader->value = current_value(s, encoding);
    reader->value_delta = s->value_delta;
    reader->leading = (uint8_t)s->leading;
    reader->significant = (uint8_t)s->significant;
}

/* A time code at s->position: the change of the delta, or the length of a run less 1. */
static inline int64_t next_time(struct stream *s, uint32_t *run, uint32_t *counter_at)
{
    uint64_t window = bits_window(s->bytes, s->position);

    if ((window >> 63) == 0) {
        *counter_at = s->position + 1;
        *run = (uint32_t)(window >> 56);
        s->position += 8;
        return 0;
    }
    *counter_at = 0;
    if ((window >> 62) == 2) {
        s->position += 8;
        return bits_signed(window << 2, 6);
    }
    if ((window >> 61) == 6) {
        s->position += 20;
        return bits_signed(window << 3, 17);
    }
    s->position += 26;
    return bits_signed(window << 3, 23);
}

/* A run's samples [0, count), which lie `delta` apart: how many there are before the end or damage.
 * A function of its own for each encoding, or the loop's state would not fit the registers. */
__attribute__((always_inline)) static inline size_t read_run(struct stream *stream, uint32_t end,
                                                             uint64_t time, uint64_t delta,
                                                             int64_t *times_ms, double *values,
                                                             size_t count, int encoding)
{
    struct stream s = *stream;
    size_t n = 0;

    for (; n < count; n++) {
        if (encoding != VALUE_ZERO && TIDE_UNLIKELY(!next_value(&s, encoding) || s.position > end))
            break;
        time += delta;
        times_ms[n] = (int64_t)time;
        values[n] = current_value(&s, encoding);
    }
    *stream = s;
    return n;
}

__attribute__((noinline)) static size_t run_integer(struct stream *stream, uint32_t end,
                                                    uint64_t time, uint64_t delta,
                                                    int64_t *times_ms, double *values, size_t count)
{
    return read_run(stream, end, time, delta, times_ms, values, count, VALUE_INTEGER);
}

__attribute__((noinline)) static size_t run_xor(struct stream *stream, uint32_t end, uint64_t time,
                                                uint64_t delta, int64_t *times_ms, double *values,
                                                size_t count)
{
    return read_run(stream, end, time, delta, times_ms, values, count, VALUE_XOR);
}

static inline size_t any_run(struct stream *s, uint32_t end, uint64_t time, uint64_t delta,
                             int64_t *times_ms, double *values, size_t count, int encoding)
{
    switch (encoding) {
    case VALUE_INTEGER:
        return run_integer(s, end, time, delta, times_ms, values, count);
    case VALUE_XOR:
        return run_xor(s, end, time, delta, times_ms, values, count);
    default:
        return read_run(s, end, time, delta, times_ms, values, count, encoding);
    }
}

/* Samples of the payload, up to `cap`. Stops early at the end and at damage: then the next call
 * finds the position at or behind the end. */
static inline size_t read_body(struct chunk_reader *reader, int64_t *times_ms, double *values,
                               size_t cap, int encoding)
{
    struct stream s;
    uint32_t end = reader->end, run = reader->run, counter_at = reader->counter_at;
    uint64_t time = (uint64_t)reader->time_ms, delta = (uint64_t)reader->delta_ms;
    size_t n = 0;
    bool damaged = false;

    stream_load(&s, reader);
    while (n < cap) {
        if (run > 0) {
            size_t wanted = TIDE_MIN(cap - n, (size_t)run);
            size_t got = any_run(&s, end, time, delta, times_ms + n, values + n, wanted, encoding);

            n += got;
            run -= (uint32_t)got;
            time += delta * got;
            damaged = got != wanted;
            if (TIDE_UNLIKELY(damaged))
                break;
            continue;
        }
        if (s.position >= end)
            break;
        delta += (uint64_t)next_time(&s, &run, &counter_at);
        if (TIDE_UNLIKELY(!next_value(&s, encoding) || s.position > end)) {
            damaged = true;
            break;
        }
        time += delta;
        times_ms[n] = (int64_t)time;
        values[n++] = current_value(&s, encoding);
    }
    stream_store(&s, reader, encoding);
    reader->time_ms = (int64_t)time;
    reader->delta_ms = (int64_t)delta;
    reader->run = damaged ? 0 : run;
    reader->counter_at = counter_at;
    if (damaged)
        reader->position = VARBIT_BITS + 1;
    return n;
}

/* Sample 1, whose value begins the payload. */
static void read_second(struct chunk_reader *reader)
{
    struct stream s;
    bool good = true;

    reader->delta_ms = (int64_t)(get_be32(reader->bytes + 32) >> 8);
    reader->time_ms = (int64_t)((uint64_t)reader->time_ms + (uint64_t)reader->delta_ms);
    reader->position = VARBIT_START;
    reader->significant = 1;
    stream_load(&s, reader);
    switch (reader->value_encoding) {
    case VALUE_ZERO:
        break;
    case VALUE_INTEGER:
        s.value_delta = (int32_t)get_be32(reader->bytes + VARBIT_FIELDS);
        s.value += (double)s.value_delta;
        s.position += 32;
        break;
    case VALUE_XOR:
    case VALUE_DIRECT:
        good = next_value(&s, reader->value_encoding);
        break;
    }
    stream_store(&s, reader, reader->value_encoding);
    if (!good)
        reader->position = VARBIT_BITS + 1;
}

static size_t body(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap)
{
    switch (reader->value_encoding) {
    case VALUE_ZERO:
        return read_body(reader, times_ms, values, cap, VALUE_ZERO);
    case VALUE_INTEGER:
        return read_body(reader, times_ms, values, cap, VALUE_INTEGER);
    case VALUE_XOR:
        return read_body(reader, times_ms, values, cap, VALUE_XOR);
    default:
        return read_body(reader, times_ms, values, cap, VALUE_DIRECT);
    }
}

static size_t emit(struct chunk_reader *reader, int64_t *times_ms, double *values, int64_t time_ms,
                   double value)
{
    reader->time_ms = time_ms;
    reader->value = value;
    *times_ms = time_ms;
    *values = value;
    return 1;
}

int varbit_read(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap,
                struct error *err)
{
    const uint8_t *bytes = reader->bytes;
    size_t n = 0;

    while (n < cap && reader->step != STEP_END) {
        switch (reader->step) {
        case STEP_FIRST:
            n += emit(reader, times_ms + n, values + n, (int64_t)get_be64(bytes),
                      bits_double(get_be64(bytes + 8)));
            if (reader->end > 1)
                reader->step = STEP_SECOND;
            else
                reader->step = reader->closed ? STEP_LAST : STEP_END;
            break;
        case STEP_SECOND:
            if (reader->end == VARBIT_START && !reader->closed) {
                reader->step = STEP_LAST;
                break;
            }
            read_second(reader);
            reader->step = STEP_BODY;
            if (reader->position <= reader->end)
                n += emit(reader, times_ms + n, values + n, reader->time_ms, reader->value);
            break;
        case STEP_BODY:
            n += body(reader, times_ms + n, values + n, cap - n);
            if (n == cap)
                break;
            if (reader->position > reader->end) {
                if (n > 0)
                    return (int)n;
                return error_set(err, ERR_CORRUPT,
                                 "varbit chunk: a sample runs over the end at bit %u", reader->end);
            }
            reader->step = reader->closed ? STEP_LAST : STEP_END;
            break;
        default:
            n += emit(reader, times_ms + n, values + n, (int64_t)get_be64(bytes + 16),
                      bits_double(get_be64(bytes + 24)));
            reader->step = STEP_END;
            break;
        }
    }
    return (int)n;
}
