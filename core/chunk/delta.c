/* delta.c - encoding 0: each sample as its difference to the first (format, section 9). */
#include "chunk/encoding.h"
#include "chunk/fields.h"

static inline bool is_integer(const struct chunk_head *head)
{
    return head->flags == 1;
}

enum chunk_added delta_add(struct chunk_head *head, const struct chunk_writer *writer,
                           int64_t time_ms, double value, struct chunk_form *form)
{
    uint8_t time_width = head->time_width, value_width;
    bool integer = is_integer(head), was_integer = integer;
    size_t entry = (size_t)head->time_width + head->value_width;
    int64_t delta;
    uint8_t *p;

    if (head->used == 0) {
        head->first_ms = time_ms;
        head->first_value = value;
        head->last_ms = time_ms;
        head->last_value = value;
        head->used = DELTA_FIELDS;
    }
    if (CHUNK_BYTES - (size_t)head->used < entry)
        return CHUNK_OVERFLOWS;
    delta = (int64_t)((uint64_t)time_ms - (uint64_t)head->first_ms);
    if (TIDE_UNLIKELY(delta < 0))
        return CHUNK_REFUSES;
    value_width =
        needed_value_width(writer->mode, head->first_value, value, head->value_width, &integer);
    /* A change of kind leaves the time width for the new chunk to find. */
    if (integer == was_integer && (integer || value_width == head->value_width) && time_width < 8)
        time_width = TIDE_MAX(time_width, width_of_unsigned(delta));
    if (TIDE_UNLIKELY(time_width != head->time_width || value_width != head->value_width ||
                      integer != was_integer)) {
        if (2 * (size_t)head->used >= CHUNK_BYTES)
            return CHUNK_OVERFLOWS;
        *form = (struct chunk_form){time_width, value_width, integer && value_width < 8};
        return CHUNK_TRANSCODES;
    }
    chunk_head_reserve(head, writer, head->used - DELTA_FIELDS + entry);
    p = head->bytes + (head->used - DELTA_FIELDS);
    put_field(p, time_width, (uint64_t)(time_width == 8 ? time_ms : delta));
    put_field(p + time_width, value_width,
              value_field(head->first_value, value, value_width, integer));
    head->used = (uint16_t)(head->used + entry);
    head->last_ms = time_ms;
    head->last_value = value;
    return CHUNK_ADDED;
}

void delta_snapshot(const struct chunk_head *head, uint8_t *out)
{
    out[0] = head->time_width;
    out[1] = head->value_width;
    out[2] = head->flags;
    put_le64(out + 3, (uint64_t)head->first_ms);
    put_le64(out + 11, double_bits(head->first_value));
    put_le16(out + DELTA_USED_AT, head->used);
    if (head->used > DELTA_FIELDS)
        memcpy(out + DELTA_FIELDS, head->bytes, head->used - DELTA_FIELDS);
}

void delta_load(struct chunk_head *head, const struct chunk_writer *writer, const uint8_t *payload)
{
    head->time_width = payload[0];
    head->value_width = payload[1];
    head->flags = payload[2];
    head->first_ms = (int64_t)get_le64(payload + 3);
    head->first_value = bits_double(get_le64(payload + 11));
    head->used = get_le16(payload + DELTA_USED_AT);
    /* Half an entry at the end: whatever came behind it would be read askew. */
    head->sealed = (head->used - DELTA_FIELDS) % (head->time_width + head->value_width) != 0;
    chunk_head_reserve(head, writer, head->used - DELTA_FIELDS);
    memcpy(head->bytes, payload + DELTA_FIELDS, head->used - DELTA_FIELDS);
}

int delta_reader_init(struct chunk_reader *reader, const uint8_t *bytes, size_t len,
                      struct error *err)
{
    size_t used;

    if (len < DELTA_FIELDS)
        return error_set(err, ERR_CORRUPT, "delta chunk of %zu bytes: its header has %d", len,
                         DELTA_FIELDS);
    used = get_le16(bytes + DELTA_USED_AT);
    reader->time_width = bytes[0];
    reader->value_width = bytes[1];
    reader->integer = bytes[2] == 1;
    if (used < DELTA_FIELDS || used > len)
        return error_set(err, ERR_CORRUPT, "delta chunk: used length %zu is not in %d to %zu", used,
                         DELTA_FIELDS, len);
    if (!is_time_width(reader->time_width) || !is_value_width(reader->value_width))
        return error_set(err, ERR_CORRUPT, "delta chunk: widths %u and %u are not known",
                         reader->time_width, reader->value_width);
    if (reader->integer ? reader->value_width == 8 : reader->value_width < 4)
        return error_set(err, ERR_CORRUPT, "delta chunk: %s deltas of %u bytes",
                         reader->integer ? "integer" : "float", reader->value_width);
    reader->count =
        (uint32_t)((used - DELTA_FIELDS) / ((size_t)reader->time_width + reader->value_width));
    reader->time_ms = (int64_t)get_le64(bytes + 3);
    reader->value = bits_double(get_le64(bytes + 11));
    return 0;
}

static void read_times(const struct chunk_reader *reader, const uint8_t *p, int64_t *times_ms,
                       size_t count)
{
    size_t entry = (size_t)reader->time_width + reader->value_width;
    uint64_t base = (uint64_t)reader->time_ms;
    size_t i;

    switch (reader->time_width) {
    case 1:
        for (i = 0; i < count; i++, p += entry)
            times_ms[i] = (int64_t)(base + *p);
        break;
    case 2:
        for (i = 0; i < count; i++, p += entry)
            times_ms[i] = (int64_t)(base + get_le16(p));
        break;
    case 4:
        for (i = 0; i < count; i++, p += entry)
            times_ms[i] = (int64_t)(base + get_le32(p));
        break;
    default:
        for (i = 0; i < count; i++, p += entry)
            times_ms[i] = (int64_t)get_le64(p);
        break;
    }
}

static void read_values(const struct chunk_reader *reader, const uint8_t *p, double *values,
                        size_t count)
{
    size_t entry = (size_t)reader->time_width + reader->value_width;
    double base = reader->value;
    size_t i;

    p += reader->time_width;
    switch (reader->value_width) {
    case 0:
        for (i = 0; i < count; i++)
            values[i] = base;
        break;
    case 1:
        for (i = 0; i < count; i++, p += entry)
            values[i] = base + (double)(int8_t)*p;
        break;
    case 2:
        for (i = 0; i < count; i++, p += entry)
            values[i] = base + (double)(int16_t)get_le16(p);
        break;
    case 4:
        if (reader->integer)
            for (i = 0; i < count; i++, p += entry)
                values[i] = base + (double)(int32_t)get_le32(p);
        else
            for (i = 0; i < count; i++, p += entry)
                values[i] = base + get_float(p);
        break;
    default:
        for (i = 0; i < count; i++, p += entry)
            values[i] = bits_double(get_le64(p));
        break;
    }
}

size_t delta_read(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap)
{
    size_t entry = (size_t)reader->time_width + reader->value_width;
    size_t count = TIDE_MIN(cap, (size_t)(reader->count - reader->index));
    const uint8_t *p = reader->bytes + DELTA_FIELDS + reader->index * entry;

    read_times(reader, p, times_ms, count);
    read_values(reader, p, values, count);
    reader->index += (uint32_t)count;
    return count;
}
