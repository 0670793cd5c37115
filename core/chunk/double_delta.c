/* double_delta.c - encoding 1: each sample as its distance from the straight line through the
 * first two (format, section 10). */
#include "chunk/encoding.h"
#include "chunk/fields.h"

#define FIELDS_OF_ONE 21 /* bytes with one sample: no line yet */

static enum chunk_added added(struct chunk_head *head, size_t used, int64_t time_ms, double value)
{
    head->used = (uint16_t)used;
    head->last_ms = time_ms;
    head->last_value = value;
    return CHUNK_ADDED;
}

/* The second sample fixes the line; what cannot be on it makes the chunk absolute. */
static enum chunk_added add_second(struct chunk_head *head, enum chunk_mode mode, int64_t time_ms,
                                   double value)
{
    int64_t delta = (int64_t)((uint64_t)time_ms - (uint64_t)head->first_ms);
    double step = value - head->first_value;

    if (delta < 0)
        return CHUNK_REFUSES;
    if (head->time_width == 8 || width_of_unsigned(delta) == 8) {
        head->time_width = 8;
        head->slope.time_delta = time_ms;
    } else {
        head->slope.time_delta = delta;
    }
    if (head->value_width == 8 || !adds_up(mode, head->first_value, step, value)) {
        head->value_width = 8;
        head->flags = 0;
        head->slope.value_delta = value;
    } else {
        head->slope.value_delta = step;
    }
    return added(head, DOUBLE_DELTA_FIELDS, time_ms, value);
}

enum chunk_added double_delta_add(struct chunk_head *head, const struct chunk_writer *writer,
                                  int64_t time_ms, double value, struct chunk_form *form)
{
    uint8_t time_width = head->time_width, value_width;
    bool integer = head->flags == 1, was_integer = integer;
    size_t entry = (size_t)head->time_width + head->value_width, n;
    int64_t distance;
    double predicted;
    uint8_t *p;

    if (head->used == 0) {
        head->first_ms = time_ms;
        head->first_value = value;
        return added(head, FIELDS_OF_ONE, time_ms, value);
    }
    if (head->used == FIELDS_OF_ONE)
        return add_second(head, writer->mode, time_ms, value);
    if (CHUNK_BYTES - (size_t)head->used < entry)
        return CHUNK_OVERFLOWS;
    n = (uint32_t)(head->used - DOUBLE_DELTA_FIELDS) / (uint32_t)entry + 2;
    distance = (int64_t)((uint64_t)time_ms - (uint64_t)head->first_ms -
                         (uint64_t)n * (uint64_t)head->slope.time_delta);
    predicted = head->first_value + (double)n * head->slope.value_delta;
    value_width = needed_value_width(writer->mode, predicted, value, head->value_width, &integer);
    /* A change of kind leaves the time width for the new chunk to find. */
    if (integer == was_integer && (integer || value_width == head->value_width) && time_width < 8)
        time_width = TIDE_MAX(time_width, width_of_signed(distance));
    if (TIDE_UNLIKELY(time_width != head->time_width || value_width != head->value_width ||
                      integer != was_integer)) {
        if (2 * (size_t)head->used >= CHUNK_BYTES)
            return CHUNK_OVERFLOWS;
        *form = (struct chunk_form){time_width, value_width, integer && value_width < 8};
        return CHUNK_TRANSCODES;
    }
    chunk_head_reserve(head, writer, head->used - DOUBLE_DELTA_FIELDS + entry);
    p = head->bytes + (head->used - DOUBLE_DELTA_FIELDS);
    put_field(p, time_width, (uint64_t)(time_width == 8 ? time_ms : distance));
    put_field(p + time_width, value_width, value_field(predicted, value, value_width, integer));
    return added(head, head->used + entry, time_ms, value);
}

void double_delta_snapshot(const struct chunk_head *head, uint8_t *out)
{
    put_le16(out, head->used);
    out[2] = head->time_width;
    out[3] = head->value_width;
    out[4] = head->flags;
    put_le64(out + 5, (uint64_t)head->first_ms);
    put_le64(out + 13, double_bits(head->first_value));
    if (head->used < DOUBLE_DELTA_FIELDS)
        return;
    put_le64(out + 21, (uint64_t)head->slope.time_delta);
    put_le64(out + 29, double_bits(head->slope.value_delta));
    if (head->used > DOUBLE_DELTA_FIELDS)
        memcpy(out + DOUBLE_DELTA_FIELDS, head->bytes, head->used - DOUBLE_DELTA_FIELDS);
}

void double_delta_load(struct chunk_head *head, const struct chunk_writer *writer,
                       const uint8_t *payload)
{
    head->used = get_le16(payload);
    head->time_width = payload[2];
    head->value_width = payload[3];
    head->first_ms = (int64_t)get_le64(payload + 5);
    head->first_value = bits_double(get_le64(payload + 13));
    head->flags = payload[4];
    /* Widths that do not go together harm a reader only from the third sample on. */
    head->sealed = head->flags == 1 ? head->value_width == 8 : head->value_width < 4;
    if (head->used < DOUBLE_DELTA_FIELDS)
        return;
    head->slope.time_delta = (int64_t)get_le64(payload + 21);
    head->slope.value_delta = bits_double(get_le64(payload + 29));
    if (head->used == DOUBLE_DELTA_FIELDS)
        return;
    /* Half an entry at the end: whatever came behind it would be read askew. */
    if ((head->used - DOUBLE_DELTA_FIELDS) % (head->time_width + head->value_width) != 0)
        head->sealed = 1;
    chunk_head_reserve(head, writer, head->used - DOUBLE_DELTA_FIELDS);
    memcpy(head->bytes, payload + DOUBLE_DELTA_FIELDS, head->used - DOUBLE_DELTA_FIELDS);
}

int double_delta_reader_init(struct chunk_reader *reader, const uint8_t *bytes, size_t len,
                             struct error *err)
{
    size_t used;

    if (len < FIELDS_OF_ONE)
        return error_set(err, ERR_CORRUPT, "double-delta chunk of %zu bytes: its header has %d",
                         len, FIELDS_OF_ONE);
    used = get_le16(bytes);
    reader->time_width = bytes[2];
    reader->value_width = bytes[3];
    reader->integer = bytes[4] == 1;
    if ((used != FIELDS_OF_ONE && used < DOUBLE_DELTA_FIELDS) || used > len)
        return error_set(err, ERR_CORRUPT,
                         "double-delta chunk: used length %zu is not %d or in %d to %zu", used,
                         FIELDS_OF_ONE, DOUBLE_DELTA_FIELDS, len);
    if (!is_time_width(reader->time_width) || !is_value_width(reader->value_width))
        return error_set(err, ERR_CORRUPT, "double-delta chunk: widths %u and %u are not known",
                         reader->time_width, reader->value_width);
    reader->time_ms = (int64_t)get_le64(bytes + 5);
    reader->value = bits_double(get_le64(bytes + 13));
    reader->count = 1;
    if (used == FIELDS_OF_ONE)
        return 0;
    reader->value_delta = (int64_t)get_le64(bytes + 21);
    reader->value_slope = bits_double(get_le64(bytes + 29));
    reader->count = 2 + (uint32_t)((used - DOUBLE_DELTA_FIELDS) /
                                   ((size_t)reader->time_width + reader->value_width));
    if (reader->count > 2 && (reader->integer ? reader->value_width == 8 : reader->value_width < 4))
        return error_set(err, ERR_CORRUPT, "double-delta chunk: %s deltas of %u bytes",
                         reader->integer ? "integer" : "float", reader->value_width);
    return 0;
}

/* Samples from the third on: `first` is the index of the first one. */
static void read_times(const struct chunk_reader *reader, const uint8_t *p, size_t first,
                       int64_t *times_ms, size_t count)
{
    size_t entry = (size_t)reader->time_width + reader->value_width;
    uint64_t step = (uint64_t)reader->value_delta;
    uint64_t line = (uint64_t)reader->time_ms + (uint64_t)first * step;
    size_t i;

    switch (reader->time_width) {
    case 1:
        for (i = 0; i < count; i++, p += entry, line += step)
            times_ms[i] = (int64_t)(line + (uint64_t)(int8_t)*p);
        break;
    case 2:
        for (i = 0; i < count; i++, p += entry, line += step)
            times_ms[i] = (int64_t)(line + (uint64_t)(int16_t)get_le16(p));
        break;
    case 4:
        for (i = 0; i < count; i++, p += entry, line += step)
            times_ms[i] = (int64_t)(line + (uint64_t)(int32_t)get_le32(p));
        break;
    default:
        for (i = 0; i < count; i++, p += entry)
            times_ms[i] = (int64_t)get_le64(p);
        break;
    }
}

static void read_values(const struct chunk_reader *reader, const uint8_t *p, size_t first,
                        double *values, size_t count)
{
    size_t entry = (size_t)reader->time_width + reader->value_width;
    double base = reader->value, slope = reader->value_slope;
    uint32_t n = (uint32_t)first;
    size_t i;

    p += reader->time_width;
    switch (reader->value_width) {
    case 0:
        for (i = 0; i < count; i++, n++)
            values[i] = base + (double)(int32_t)n * slope;
        break;
    case 1:
        for (i = 0; i < count; i++, n++, p += entry)
            values[i] = base + (double)(int32_t)n * slope + (double)(int8_t)*p;
        break;
    case 2:
        for (i = 0; i < count; i++, n++, p += entry)
            values[i] = base + (double)(int32_t)n * slope + (double)(int16_t)get_le16(p);
        break;
    case 4:
        if (reader->integer)
            for (i = 0; i < count; i++, n++, p += entry)
                values[i] = base + (double)(int32_t)n * slope + (double)(int32_t)get_le32(p);
        else
            for (i = 0; i < count; i++, n++, p += entry)
                values[i] = base + (double)(int32_t)n * slope + get_float(p);
        break;
    default:
        for (i = 0; i < count; i++, p += entry)
            values[i] = bits_double(get_le64(p));
        break;
    }
}

static void read_early(const struct chunk_reader *reader, int64_t *time_ms, double *value)
{
    *time_ms = reader->time_ms;
    *value = reader->value;
    if (reader->index == 0)
        return;
    *time_ms = reader->value_delta;
    *value = reader->value_slope;
    if (reader->time_width != 8)
        *time_ms = (int64_t)((uint64_t)reader->time_ms + (uint64_t)reader->value_delta);
    if (reader->value_width != 8)
        *value = reader->value + reader->value_slope;
}

size_t double_delta_read(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap)
{
    size_t entry = (size_t)reader->time_width + reader->value_width;
    size_t n = 0, count;
    const uint8_t *p;

    for (; n < cap && reader->index < 2 && reader->index < reader->count; n++) {
        read_early(reader, times_ms + n, values + n);
        reader->index++;
    }
    count = TIDE_MIN(cap - n, (size_t)(reader->count - reader->index));
    if (count == 0)
        return n;
    p = reader->bytes + DOUBLE_DELTA_FIELDS + (reader->index - 2) * entry;
    read_times(reader, p, reader->index, times_ms + n, count);
    read_values(reader, p, reader->index, values + n, count);
    reader->index += (uint32_t)count;
    return n + count;
}
