/* varbit_write.c - encoding 2: adding samples, making payloads (format, sections 11.2 to 11.9).
 *
 * The buffer of a head holds the payload from byte 38 on; positions below are those of the
 * payload, so the buffer's bit is `position - VARBIT_START`. The counter of the zero run that goes
 * on is kept in the head and written into the buffer when the run ends: appends in a run touch
 * neither the counter's byte nor, if the value takes no bits, the buffer at all. */
#include "base/bytes.h"
#include "chunk/bits.h"
#include "chunk/encoding.h"

#define VARBIT_START 304      /* first bit of the payload behind the fixed fields */
#define VARBIT_THRESHOLD 8120 /* first bit of the footer */
#define VARBIT_BITS 8192
#define VARBIT_HALF 4096
#define VARBIT_FOOTER_BYTE 1015
#define DELTA_LIMIT_ORIGINAL 16777216 /* does not fit 24 bits: a quirk (section 11.9) */
#define DELTA_LIMIT 16777215
#define COUNTER_MAX 127
/* A new long XOR entry is better than a short one that wastes so many bits. */
#define XOR_WASTE 10
#define XOR_LEADING_MAX 31
/* Two XORs of more bits together are better stored directly. The original turns to 64 bits a value
 * early; a window that is used again takes two bits beside its own, so XOR stays smaller up to 61
 * bits each. */
#define XOR_BITS_MAX_ORIGINAL 100
#define XOR_BITS_MAX 122

enum { VALUE_ZERO = 0, VALUE_INTEGER = 1, VALUE_XOR = 2, VALUE_DIRECT = 3 };

/* The most bits that a sample can take, by value encoding. */
static const uint8_t worst_case[4] = {27, 65, 104, 91};

static inline bool same_bits(double a, double b)
{
    return double_bits(a) == double_bits(b);
}

/* Are two values the same for encoding 0? */
static bool is_same(const struct chunk_writer *writer, double a, double b)
{
    return writer->mode == CHUNK_ORIGINAL ? a == b : same_bits(a, b);
}

/* Can `next` be stored as an integer difference to `last`? */
static inline bool is_integer_step(const struct chunk_writer *writer, double last, double next)
{
    double step = next - last;

    if (!is_int32(step))
        return false;
    return writer->mode == CHUNK_ORIGINAL || same_bits(last + (double)(int32_t)step, next);
}

struct xor_window {
    unsigned leading;
    unsigned significant; /* 0: the XOR is 0 */
};

static inline struct xor_window window_of(uint64_t difference)
{
    struct xor_window window = {0, 0};

    if (difference == 0)
        return window;
    window.leading = (unsigned)__builtin_clzll(difference);
    window.significant = 64 - window.leading - (unsigned)__builtin_ctzll(difference);
    if (window.leading > XOR_LEADING_MAX) {
        window.significant += window.leading - XOR_LEADING_MAX;
        window.leading = XOR_LEADING_MAX;
    }
    return window;
}

/* Room for a time code and a value code from `position` on. */
static inline void reserve(struct chunk_head *head, const struct chunk_writer *writer,
                           uint32_t position)
{
    chunk_head_reserve(head, writer, ((position - VARBIT_START + 39) >> 3) + BITS_ROOM);
}

static inline uint32_t put(struct chunk_head *head, uint32_t position, uint64_t field,
                           unsigned count)
{
    return bits_put(head->bytes, position - VARBIT_START, field, count) + VARBIT_START;
}

/* Writes the counter of the run into the 7 bits kept for it (a loaded payload has it there). */
static void flush_counter(uint8_t *bytes, uint32_t position, unsigned counter)
{
    uint8_t *p = bytes + (position >> 3);
    unsigned shift = 9 - (position & 7);
    unsigned field = counter << shift, mask = 0x7fu << shift;

    p[0] = (uint8_t)((p[0] & ~(mask >> 8)) | field >> 8);
    if ((mask & 0xff) != 0)
        p[1] = (uint8_t)((p[1] & ~mask) | field);
}

static inline uint32_t put_time(struct chunk_head *head, uint32_t position, int64_t change)
{
    struct chunk_head *h = head;

    if (change == 0) {
        if (h->varbit.counter_at != 0 && h->varbit.counter < COUNTER_MAX) {
            h->varbit.counter++;
            return position;
        }
        if (h->varbit.counter_at != 0)
            flush_counter(h->bytes, h->varbit.counter_at - VARBIT_START, h->varbit.counter);
        if (position + 1 + 7 <= VARBIT_THRESHOLD) {
            h->varbit.counter_at = (uint16_t)(position + 1);
            h->varbit.counter = 0;
        }
        return put(h, position, 0, 8);
    }
    if (h->varbit.counter_at != 0) {
        if (h->varbit.counter != 0)
            flush_counter(h->bytes, h->varbit.counter_at - VARBIT_START, h->varbit.counter);
        h->varbit.counter_at = 0;
        h->varbit.counter = 0;
    }
    if (change >= -32 && change <= 31)
        return put(h, position, 0x2u << 6 | ((uint64_t)change & 0x3f), 8);
    if (change >= -65536 && change <= 65535)
        return put(h, position, 0x6u << 17 | ((uint64_t)change & 0x1ffff), 20);
    return put(h, position, 0x7u << 23 | ((uint64_t)change & 0x7fffff), 26);
}

static inline uint32_t put_integer(struct chunk_head *head, uint32_t position, double value)
{
    int64_t delta = (int64_t)(value - head->last_value);
    int64_t change = delta - (int32_t)head->varbit.last_code;

    head->varbit.last_code = (uint32_t)delta;
    if (change == 0)
        return put(head, position, 0, 1);
    if (change >= -32 && change <= 31)
        return put(head, position, 0x2u << 6 | ((uint64_t)change & 0x3f), 8);
    if (change >= -4096 && change <= 4095)
        return put(head, position, 0x6u << 13 | ((uint64_t)change & 0x1fff), 16);
    if (change >= -524288 && change <= 524287)
        return put(head, position, 0xeu << 20 | ((uint64_t)change & 0xfffff), 24);
    return put(head, position, 0xfull << 33 | ((uint64_t)change & 0x1ffffffff), 37);
}

static inline uint32_t put_xor(struct chunk_head *head, uint32_t position, double from, double to)
{
    uint64_t difference = double_bits(to) ^ double_bits(from);
    struct xor_window now = window_of(difference);
    unsigned leading = head->varbit.last_code >> 24;
    unsigned significant = head->varbit.last_code >> 16 & 0xff;

    if (difference == 0)
        return put(head, position, 0, 1);
    if (now.leading >= leading && now.leading + now.significant <= leading + significant &&
        significant < now.significant + XOR_WASTE) {
        position = put(head, position, 0x2, 2);
        return put(head, position, difference >> (64 - leading - significant), significant);
    }
    head->varbit.last_code = now.leading << 24 | now.significant << 16;
    position = put(head, position, 0x3u << 11 | now.leading << 6 | (now.significant - 1), 13);
    return put(head, position, difference >> (64 - now.leading - now.significant), now.significant);
}

/* The third sample decides how values are encoded (section 11.8). */
static void choose_encoding(struct chunk_head *head, const struct chunk_writer *writer,
                            double value)
{
    double first = head->first_value, last = head->last_value;
    unsigned encoding = head->flags & 3;
    uint32_t position = VARBIT_START;

    if (encoding == VALUE_ZERO && is_same(writer, last, first) && is_same(writer, last, value))
        return;
    reserve(head, writer, position + 64);
    if (encoding <= VALUE_INTEGER && is_integer_step(writer, first, last)) {
        encoding = VALUE_INTEGER;
        head->varbit.last_code = (uint32_t)(int32_t)(last - first);
        position = put(head, position, head->varbit.last_code, 32);
    } else if (window_of(double_bits(first) ^ double_bits(last)).significant +
                   window_of(double_bits(last) ^ double_bits(value)).significant >
               (writer->mode == CHUNK_ORIGINAL ? XOR_BITS_MAX_ORIGINAL : XOR_BITS_MAX)) {
        encoding = VALUE_DIRECT;
        position = put(head, position, double_bits(last), 64);
    } else {
        encoding = VALUE_XOR;
        position = put_xor(head, position, first, last);
    }
    head->flags = (uint8_t)encoding;
    head->used = (uint16_t)position;
}

static enum chunk_added close_with(struct chunk_head *head, int64_t time_ms, double value)
{
    head->last_ms = time_ms;
    head->last_value = value;
    head->flags |= VARBIT_CLOSED;
    return CHUNK_ADDED;
}

/* The first two samples are in the fixed fields only. */
static enum chunk_added add_early(struct chunk_head *head, int64_t limit, int64_t time_ms,
                                  double value)
{
    if (head->used == 0) {
        head->first_ms = time_ms;
        head->first_value = value;
        head->used = 1;
    } else {
        int64_t delta = (int64_t)((uint64_t)time_ms - (uint64_t)head->first_ms);

        if (delta < 0)
            return CHUNK_REFUSES;
        if (delta > limit)
            return close_with(head, time_ms, value);
        head->varbit.first_delta = (uint32_t)delta & 0xffffff;
        head->varbit.last_delta = (uint32_t)delta & 0xffffff;
        head->used = VARBIT_START;
    }
    head->last_ms = time_ms;
    head->last_value = value;
    return CHUNK_ADDED;
}

/* The value does not fit the encoding: a wider one, of the initial value encoding given. */
static enum chunk_added widen(const struct chunk_head *head, unsigned encoding,
                              struct chunk_form *form)
{
    if (head->used > VARBIT_HALF)
        return CHUNK_OVERFLOWS;
    *form = (struct chunk_form){.flags = (uint8_t)encoding};
    return CHUNK_TRANSCODES;
}

enum chunk_added varbit_add(struct chunk_head *head, const struct chunk_writer *writer,
                            int64_t time_ms, double value, struct chunk_form *form)
{
    int64_t limit = writer->mode == CHUNK_ORIGINAL ? DELTA_LIMIT_ORIGINAL : DELTA_LIMIT;
    int64_t delta, change;
    uint32_t position;
    unsigned encoding;

    if (TIDE_UNLIKELY((head->flags & VARBIT_CLOSED) != 0))
        return CHUNK_OVERFLOWS;
    if (TIDE_UNLIKELY(head->used > VARBIT_THRESHOLD))
        return close_with(head, time_ms, value);
    if (TIDE_UNLIKELY(head->used <= 1))
        return add_early(head, limit, time_ms, value);
    delta = (int64_t)((uint64_t)time_ms - (uint64_t)head->last_ms);
    if (TIDE_UNLIKELY(delta < 0))
        return CHUNK_REFUSES;
    if (TIDE_UNLIKELY(head->used == VARBIT_START))
        choose_encoding(head, writer, value);
    position = head->used;
    encoding = head->flags & 3;
    change = delta - (int64_t)head->varbit.last_delta;
    if (TIDE_UNLIKELY(delta > limit || position + worst_case[encoding] > VARBIT_BITS))
        return close_with(head, time_ms, value);
    if (encoding == VALUE_ZERO && TIDE_UNLIKELY(!is_same(writer, head->last_value, value)))
        return widen(head,
                     is_integer_step(writer, head->last_value, value) ? VALUE_INTEGER : VALUE_XOR,
                     form);
    if (encoding == VALUE_INTEGER &&
        TIDE_UNLIKELY(!is_integer_step(writer, head->last_value, value)))
        return widen(head, VALUE_XOR, form);
    if (TIDE_UNLIKELY(change < -4194304 || change > 4194303))
        return close_with(head, time_ms, value);

    reserve(head, writer, position);
    head->varbit.last_delta = (uint32_t)delta & 0xffffff;
    position = put_time(head, position, change);
    if (encoding == VALUE_INTEGER)
        position = put_integer(head, position, value);
    else if (encoding == VALUE_XOR)
        position = put_xor(head, position, head->last_value, value);
    else if (encoding == VALUE_DIRECT)
        position = put(head, position, double_bits(value), 64);
    head->used = (uint16_t)position;
    head->last_ms = time_ms;
    head->last_value = value;
    return CHUNK_ADDED;
}

size_t varbit_bytes(const struct chunk_head *head)
{
    if (head->used <= VARBIT_START)
        return VARBIT_FIELDS;
    return ((size_t)head->used + 7) / 8;
}

void varbit_snapshot(const struct chunk_head *head, uint8_t *out)
{
    put_be64(out, (uint64_t)head->first_ms);
    put_be64(out + 8, double_bits(head->first_value));
    put_be64(out + 16, (uint64_t)head->last_ms);
    put_be64(out + 24, double_bits(head->last_value));
    put_be32(out + 32, head->varbit.first_delta << 8 | head->flags);
    put_be16(out + VARBIT_END_AT, head->used);
    if (head->used <= VARBIT_START)
        return;
    memcpy(out + VARBIT_FIELDS, head->bytes, varbit_bytes(head) - VARBIT_FIELDS);
    if (head->varbit.counter != 0)
        flush_counter(out, head->varbit.counter_at, head->varbit.counter);
}

void varbit_put_footer(const struct chunk_head *head, uint8_t *payload)
{
    uint8_t footer[9];
    size_t from = VARBIT_FOOTER_BYTE, i;

    put_be16(footer, head->varbit.counter_at);
    put_be32(footer + 2, head->varbit.last_delta << 8);
    put_be32(footer + 5, head->varbit.last_code);
    /* Samples that have grown into the footer win over it, bit by bit at their end. */
    if (head->used > VARBIT_THRESHOLD) {
        from = head->used / 8;
        if (head->used % 8 != 0) {
            payload[from] |=
                (uint8_t)(footer[from - VARBIT_FOOTER_BYTE] & (0xff >> (head->used % 8)));
            from++;
        }
    }
    for (i = from; i < CHUNK_BYTES; i++)
        payload[i] = footer[i - VARBIT_FOOTER_BYTE];
}

/* Do the fields that only the writer uses fit what the samples say? */
static bool footer_fits(const struct chunk_head *head, const struct chunk_reader *at_end)
{
    unsigned encoding = head->flags & 3;
    uint32_t counter_at = head->varbit.counter_at;
    unsigned leading = head->varbit.last_code >> 24;
    unsigned significant = head->varbit.last_code >> 16 & 0xff;

    /* Nothing in the payload yet, so nothing to remember of it. */
    if (head->used <= VARBIT_START && (counter_at != 0 || head->varbit.last_code != 0))
        return false;
    if (head->used < VARBIT_START)
        return true;
    if (head->used == VARBIT_START)
        return head->varbit.first_delta == head->varbit.last_delta &&
               (uint64_t)head->last_ms - (uint64_t)head->first_ms == head->varbit.first_delta;
    if (head->last_ms != at_end->time_ms || !same_bits(head->last_value, at_end->value) ||
        (int64_t)head->varbit.last_delta != at_end->delta_ms)
        return false;
    if (counter_at != at_end->counter_at)
        return false;
    if (encoding == VALUE_INTEGER)
        return (int32_t)head->varbit.last_code == at_end->value_delta;
    if (encoding == VALUE_XOR)
        return significant == 0 ||
               (leading == at_end->leading && significant == at_end->significant);
    return true;
}

void varbit_load(struct chunk_head *head, const struct chunk_writer *writer, const uint8_t *payload,
                 const struct chunk_reader *at_end)
{
    uint32_t fields = get_be32(payload + 32);

    head->first_ms = (int64_t)get_be64(payload);
    head->first_value = bits_double(get_be64(payload + 8));
    head->last_ms = (int64_t)get_be64(payload + 16);
    head->last_value = bits_double(get_be64(payload + 24));
    head->varbit.first_delta = fields >> 8;
    head->flags = (uint8_t)fields;
    head->used = get_be16(payload + VARBIT_END_AT);
    head->varbit.counter_at = get_be16(payload + VARBIT_FOOTER_BYTE);
    head->varbit.last_delta = get_be32(payload + VARBIT_FOOTER_BYTE + 2) >> 8;
    head->varbit.last_code = get_be32(payload + VARBIT_FOOTER_BYTE + 5);
    if (head->used > VARBIT_START) {
        size_t bytes = varbit_bytes(head) - VARBIT_FIELDS;
        unsigned tail = head->used % 8;

        chunk_head_reserve(head, writer, bytes + BITS_ROOM);
        memcpy(head->bytes, payload + VARBIT_FIELDS, bytes);
        if (tail != 0)
            head->bytes[bytes - 1] &= (uint8_t)(0xff00 >> tail);
    }
    /* Closed, or with samples in its footer: nothing is encoded any more. */
    if ((head->flags & VARBIT_CLOSED) != 0 || head->used > VARBIT_THRESHOLD)
        return;
    if (!footer_fits(head, at_end))
        head->sealed = 1;
    else if (head->varbit.counter_at != 0)
        head->varbit.counter = (uint8_t)(bits_window(payload, head->varbit.counter_at) >> 57);
}
