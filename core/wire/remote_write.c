/* remote_write.c - see remote_write.h; http-protocols.md section 9. */
#include "wire/remote_write.h"

#include "wire/label_pairs.h"
#include "wire/protobuf.h"

enum { REQUEST_TIMESERIES = 1, REQUEST_SOURCE = 2, REQUEST_METADATA = 3 };
/* Of version 2.0; reserved in 1.0. */
enum { REQUEST2_SYMBOLS = 4, REQUEST2_TIMESERIES = 5 };
enum { SERIES_LABEL = 1, SERIES_SAMPLE = 2, SERIES_EXEMPLAR = 3, SERIES_HISTOGRAM = 4 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { SAMPLE_VALUE = 1, SAMPLE_TIME = 2 };
enum { METADATA_TYPE = 1, METADATA_NAME = 2, METADATA_HELP = 4, METADATA_UNIT = 5 };

/* Tag bytes of the two fields of a Sample. */
#define TAG_SAMPLE_VALUE (SAMPLE_VALUE << 3 | PROTOBUF_FIXED64)
#define TAG_SAMPLE_TIME (SAMPLE_TIME << 3 | PROTOBUF_VARINT)

/* A varint of at most 8 bytes in a 64-bit load: 7 bits of each byte, joined by twos, fours and
 * eights. Returns its length; 0: it is longer. */
static inline size_t short_varint(uint64_t bytes, uint64_t *value)
{
    uint64_t ends = ~bytes & 0x8080808080808080u;

    if (TIDE_UNLIKELY(ends == 0))
        return 0;
    bytes &= ends ^ (ends - 1); /* up to the first byte that ends one */
    bytes = (bytes & 0x7f007f007f007f00u) >> 1 | (bytes & 0x007f007f007f007fu);
    bytes = (bytes & 0x3fff00003fff0000u) >> 2 | (bytes & 0x00003fff00003fffu);
    *value = (bytes & 0x0fffffff00000000u) >> 4 | (bytes & 0x0fffffffu);
    return (size_t)__builtin_ctzll(ends) / 8 + 1;
}

/* As nearly all senders write it: value, then time; any other order goes field by field. */
static bool decode_sample(const uint8_t *bytes, size_t len, int64_t *time_ms, double *value)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    uint64_t time = 0;
    int more;

    if (TIDE_LIKELY(len > 10 && bytes[0] == TAG_SAMPLE_VALUE && bytes[9] == TAG_SAMPLE_TIME) &&
        uvarint_get(bytes + 10, bytes + len, &time) == bytes + len) {
        *value = bits_double(get_le64(bytes + 1));
        *time_ms = (int64_t)time;
        return true;
    }
    *time_ms = 0;
    *value = 0;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, SAMPLE_VALUE, PROTOBUF_FIXED64))
            *value = bits_double(field.value);
        else if (protobuf_is(&field, SAMPLE_TIME, PROTOBUF_VARINT))
            *time_ms = (int64_t)field.value;
        else if (field.number <= SAMPLE_TIME)
            return false;
    }
    return more == 0;
}

/* The Label fields of a series that has something else between them, as one block. */
static const uint8_t *gather_labels(const uint8_t *bytes, size_t len, struct arena *arena,
                                    size_t *block_len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    uint8_t *block = arena_alloc(arena, len);
    const uint8_t *from = bytes;

    *block_len = 0;
    while (protobuf_next(&reader, &field) > 0) {
        if (protobuf_is(&field, SERIES_LABEL, PROTOBUF_BYTES)) {
            memcpy(block + *block_len, from, (size_t)(reader.at - from));
            *block_len += (size_t)(reader.at - from);
        }
        from = reader.at;
    }
    return block;
}

/* Most series begin with all their labels, each shorter than 128 bytes: those are stepped over
 * without looking inside. Returns where the first other field begins. */
static const uint8_t *skip_labels(const uint8_t *at, const uint8_t *end)
{
    const uint8_t label_tag = SERIES_LABEL << 3 | PROTOBUF_BYTES;

    while (end - at >= 2 && at[0] == label_tag && at[1] < 0x80 && end - at - 2 >= at[1])
        at += 2 + at[1];
    return at;
}

/* A series of labels, each shorter than 128 bytes, and then samples as nearly all senders write
 * them, value and then time. False: something else is in it, and nothing was done. `readable` is
 * where the body ends: looked at, never believed, behind the series. */
static bool decode_plain_series(const uint8_t *bytes, size_t len, const uint8_t *readable,
                                struct batch *batch)
{
    const uint8_t sample_tag = SERIES_SAMPLE << 3 | PROTOBUF_BYTES;
    const uint8_t *end = bytes + len, *labels_end = skip_labels(bytes, end);
    size_t first = batch->sample_count;

    batch_add_entry(batch, bytes, (size_t)(labels_end - bytes), 0);
    for (const uint8_t *at = labels_end; at < end; at += 2 + at[1]) {
        uint64_t time;
        size_t time_len;

        if (TIDE_LIKELY(readable - at >= 20 && at[0] == sample_tag && at[1] >= 11 && at[1] <= 18 &&
                        end - at - 2 >= at[1] && at[2] == TAG_SAMPLE_VALUE &&
                        at[11] == TAG_SAMPLE_TIME)) {
            time_len = short_varint(get_le64(at + 12), &time);
            if (TIDE_LIKELY(time_len + 10 == at[1])) {
                batch_put_sample(batch, (int64_t)time, bits_double(get_le64(at + 3)));
                continue;
            }
        }
        batch->entry_count--;
        batch->sample_count = first;
        return false;
    }
    return true;
}

/* One TimeSeries into the batch; false (the caller takes the entry back) when it is broken. */
static bool decode_series(const uint8_t *bytes, size_t len, struct push *push, struct batch *batch)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    const uint8_t *labels = bytes, *labels_end = skip_labels(bytes, bytes + len);
    const uint8_t *from = labels_end;
    struct batch_entry *entry;
    bool scattered = false;
    size_t block_len;
    int64_t time_ms;
    double value;
    int more;

    reader.at = labels_end;
    batch_add_entry(batch, NULL, 0, 0);
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, SERIES_LABEL, PROTOBUF_BYTES)) {
            if (labels == labels_end)
                labels = from;
            else if (labels_end != from)
                scattered = true;
            labels_end = reader.at;
        } else if (protobuf_is(&field, SERIES_SAMPLE, PROTOBUF_BYTES)) {
            if (!decode_sample(field.bytes, field.len, &time_ms, &value))
                return false;
            batch_add_sample(batch, time_ms, value);
        } else if (protobuf_is(&field, SERIES_EXEMPLAR, PROTOBUF_BYTES)) {
            push->skipped.exemplars++;
        } else if (protobuf_is(&field, SERIES_HISTOGRAM, PROTOBUF_BYTES)) {
            push->skipped.histograms++;
        } else if (field.number <= SERIES_HISTOGRAM) {
            return false; /* ours, with another wire type */
        }
        from = reader.at;
    }
    if (more < 0)
        return false;
    block_len = (size_t)(labels_end - labels);
    if (TIDE_UNLIKELY(scattered))
        labels = gather_labels(bytes, len, &batch->arena, &block_len);
    entry = &batch->entries[batch->entry_count - 1];
    entry->block = labels;
    entry->block_len = (uint32_t)block_len;
    return true;
}

static void decode_metadata(const uint8_t *bytes, size_t len, struct push *push)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    struct metadata metadata = {.has_type = true};
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, METADATA_TYPE, PROTOBUF_VARINT)) {
            metadata.type =
                field.value < METADATA_TYPES ? (enum metadata_type)field.value : METADATA_UNKNOWN;
        } else if (protobuf_is(&field, METADATA_NAME, PROTOBUF_BYTES)) {
            metadata.name = (const char *)field.bytes;
            metadata.name_len = field.len;
        } else if (protobuf_is(&field, METADATA_HELP, PROTOBUF_BYTES)) {
            metadata.help = (const char *)field.bytes;
            metadata.help_len = field.len;
        } else if (protobuf_is(&field, METADATA_UNIT, PROTOBUF_BYTES)) {
            metadata.unit = (const char *)field.bytes;
            metadata.unit_len = field.len;
        }
    }
    if (more == 0 && metadata.name_len != 0 && push->on_metadata != NULL)
        push->on_metadata(push->metadata_ctx, &metadata);
}

/* Decodes a series, or takes it back and counts it as refused. */
static void take_series(const struct protobuf_field *field, size_t nth, const uint8_t *readable,
                        struct push *push, struct batch *batch, struct append_result *result)
{
    size_t samples = batch->sample_count;
    struct push_skipped skipped = push->skipped;
    size_t lost;

    if (TIDE_LIKELY(decode_plain_series(field->bytes, field->len, readable, batch)) ||
        decode_series(field->bytes, field->len, push, batch)) {
        if (TIDE_UNLIKELY(batch->sample_count == samples)) {
            batch->entry_count--;
            push->skipped.empty += memcmp(&skipped, &push->skipped, sizeof(skipped)) == 0;
        }
        return;
    }
    lost = batch->sample_count - samples + 1;
    batch->entry_count--;
    batch->sample_count = samples;
    push->skipped = skipped;
    append_result_refuse(result, REFUSED_MALFORMED, lost, (uint32_t)batch->entry_count, 0,
                         "series %zu of the request is broken protobuf", nth);
}

/* Only fields that a WriteRequest has not: read as one it would be empty, and its data lost. */
static int refuse_stranger(uint32_t field, struct error *err)
{
    if (field == REQUEST2_SYMBOLS || field == REQUEST2_TIMESERIES)
        return error_set(err, ERR_INVALID,
                         "this is a remote write 2.0 request; its Content-Type must say so");
    return error_set(err, ERR_INVALID, "not a remote write request: nothing but field %" PRIu32,
                     field);
}

int remote_write_decode(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                        struct append_result *result, struct error *err)
{
    struct protobuf_reader reader = protobuf_open(body, len);
    struct protobuf_field field;
    uint32_t stranger = 0;
    size_t nth = 0, known = 0;
    int more;

    batch->format = LABEL_FORMAT_REMOTE_WRITE;
    batch->parse = remote_write_parse_labels;
    batch->parse_ctx = NULL;
    if (len > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "body of %zu bytes is over 4 GiB", len);
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, REQUEST_TIMESERIES, PROTOBUF_BYTES))
            take_series(&field, ++nth, body + len, push, batch, result);
        else if (protobuf_is(&field, REQUEST_METADATA, PROTOBUF_BYTES))
            decode_metadata(field.bytes, field.len, push);
        else if (field.number == REQUEST_TIMESERIES || field.number == REQUEST_METADATA)
            break;
        else if (field.number != REQUEST_SOURCE)
            stranger = field.number;
        known += field.number <= REQUEST_METADATA;
    }
    if (more == 0 && known == 0 && stranger != 0)
        return refuse_stranger(stranger, err);
    if (more != 0)
        return error_set(err, ERR_INVALID,
                         "not a remote write request: broken protobuf at byte %zu of %zu",
                         (size_t)(reader.at - body), len);
    return 0;
}

static int parse_label(const struct protobuf_field *label, struct labels_builder *out,
                       struct error *err)
{
    struct protobuf_reader reader = protobuf_open(label->bytes, label->len);
    struct protobuf_field field;
    const char *name = "", *value = "";
    size_t name_len = 0, value_len = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, LABEL_NAME, PROTOBUF_BYTES)) {
            name = (const char *)field.bytes;
            name_len = field.len;
        } else if (protobuf_is(&field, LABEL_VALUE, PROTOBUF_BYTES)) {
            value = (const char *)field.bytes;
            value_len = field.len;
        } else if (field.number <= LABEL_VALUE) {
            break;
        }
    }
    if (more != 0)
        return error_set(err, ERR_INVALID, "label is broken protobuf");
    return label_add_unique(out, name, name_len, value, value_len, err);
}

int remote_write_parse_labels(const uint8_t *block, size_t len, const void *ctx,
                              struct arena *scratch, struct labels_builder *out, struct error *err)
{
    struct protobuf_reader reader = protobuf_open(block, len);
    struct protobuf_field field;
    int more;

    (void)ctx;
    (void)scratch;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, SERIES_LABEL, PROTOBUF_BYTES) && parse_label(&field, out, err) != 0)
            return -1;
    }
    if (more < 0)
        return error_set(err, ERR_INVALID, "label is broken protobuf");
    return 0;
}
