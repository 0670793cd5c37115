/* chunk.c - what all encodings share: names, sizes, reading, checking. */
#include "chunk/chunk.h"

#include "base/bytes.h"
#include "chunk/encoding.h"

#define CHECK_BLOCK 512

const char *chunk_encoding_name(int encoding)
{
    static const char *const names[] = {"delta", "double-delta", "varbit"};

    return encoding >= 0 && encoding < CHUNK_ENCODINGS ? names[encoding] : "unknown";
}

int chunk_reader_init(struct chunk_reader *reader, int encoding, const uint8_t *bytes, size_t len,
                      int64_t from_ms, int64_t to_ms, struct error *err)
{
    /* All but the copy. */
    memset(reader, 0, offsetof(struct chunk_reader, copy));
    reader->bytes = bytes;
    reader->encoding = (uint8_t)encoding;
    reader->from_ms = from_ms;
    reader->to_ms = to_ms;
    if (len > CHUNK_BYTES)
        len = CHUNK_BYTES;
    switch (encoding) {
    case CHUNK_DELTA:
        return delta_reader_init(reader, bytes, len, err);
    case CHUNK_DOUBLE_DELTA:
        return double_delta_reader_init(reader, bytes, len, err);
    case CHUNK_VARBIT:
        return varbit_reader_init(reader, bytes, len, err);
    default:
        return error_set(err, ERR_CORRUPT, "unknown chunk encoding %d", encoding);
    }
}

static int read_block(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap,
                      struct error *err)
{
    switch (reader->encoding) {
    case CHUNK_DELTA:
        return (int)delta_read(reader, times_ms, values, cap);
    case CHUNK_DOUBLE_DELTA:
        return (int)double_delta_read(reader, times_ms, values, cap);
    default:
        return varbit_read(reader, times_ms, values, cap, err);
    }
}

int chunk_reader_read(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap,
                      struct error *err)
{
    while (!reader->done) {
        int count =
            read_block(reader, times_ms, values, TIDE_MIN(cap, (size_t)CHUNK_MAX_SAMPLES), err);
        int begin = 0;

        if (count <= 0) {
            reader->done = count == 0;
            return count;
        }
        if (times_ms[count - 1] > reader->to_ms) {
            reader->done = 1;
            while (count > 0 && times_ms[count - 1] > reader->to_ms)
                count--;
        }
        while (begin < count && times_ms[begin] < reader->from_ms)
            begin++;
        if (begin == count)
            continue;
        if (begin > 0) {
            size_t kept = (size_t)(count - begin);

            memmove(times_ms, times_ms + begin, kept * sizeof(*times_ms));
            memmove(values, values + begin, kept * sizeof(*values));
        }
        return count - begin;
    }
    return 0;
}

int chunk_bounds(int encoding, const uint8_t *bytes, size_t len, int64_t *first_ms,
                 int64_t *last_ms, struct error *err)
{
    struct chunk_reader reader;
    double value;

    if (chunk_reader_init(&reader, encoding, bytes, len, TIDE_EARLIEST_MS, TIDE_LATEST_MS, err) !=
        0)
        return -1;
    if (encoding == CHUNK_VARBIT) {
        if (reader.end == 0)
            return error_set(err, ERR_CORRUPT, "varbit chunk without a sample");
        *first_ms = (int64_t)get_be64(bytes);
        *last_ms = (int64_t)get_be64(bytes + 16);
        return 0;
    }
    if (reader.count == 0)
        return error_set(err, ERR_CORRUPT, "%s chunk without a sample",
                         chunk_encoding_name(encoding));
    *first_ms = reader.time_ms;
    reader.index = reader.count - 1;
    return read_block(&reader, last_ms, &value, 1, err) == 1 ? 0 : -1;
}

/* Of a payload whose fixed fields were found good. */
static size_t used_bytes(int encoding, const uint8_t *bytes)
{
    switch (encoding) {
    case CHUNK_DELTA:
        return get_le16(bytes + DELTA_USED_AT);
    case CHUNK_DOUBLE_DELTA:
        return get_le16(bytes);
    default:
        return TIDE_MAX(((size_t)get_be16(bytes + VARBIT_END_AT) + 7) / 8, (size_t)VARBIT_FIELDS);
    }
}

int chunk_check_to_end(int encoding, const uint8_t *bytes, size_t len,
                       struct chunk_summary *summary, struct chunk_reader *reader,
                       struct error *err)
{
    int64_t times_ms[CHECK_BLOCK], first_ms, last_ms;
    double values[CHECK_BLOCK];
    int count;

    *summary = (struct chunk_summary){0};
    if (chunk_bounds(encoding, bytes, len, &first_ms, &last_ms, err) != 0 ||
        chunk_reader_init(reader, encoding, bytes, len, TIDE_EARLIEST_MS, TIDE_LATEST_MS, err) != 0)
        return -1;
    summary->bytes = used_bytes(encoding, bytes);
    while ((count = chunk_reader_read(reader, times_ms, values, CHECK_BLOCK, err)) > 0) {
        if (summary->samples == 0) {
            summary->first_ms = times_ms[0];
            summary->first_value = values[0];
        }
        for (int i = 0; i < count; i++) {
            if (summary->samples != 0 && times_ms[i] <= summary->last_ms)
                return error_set(
                    err, ERR_CORRUPT,
                    "%s chunk: sample %zu at %" PRId64 " ms is not after %" PRId64 " ms",
                    chunk_encoding_name(encoding), summary->samples, times_ms[i], summary->last_ms);
            summary->last_ms = times_ms[i];
            summary->samples++;
        }
        summary->last_value = values[count - 1];
    }
    if (count < 0)
        return -1;
    if (summary->first_ms != first_ms || summary->last_ms != last_ms)
        return error_set(err, ERR_CORRUPT,
                         "%s chunk: fields say %" PRId64 " to %" PRId64 " ms, samples %" PRId64
                         " to %" PRId64 " ms",
                         chunk_encoding_name(encoding), first_ms, last_ms, summary->first_ms,
                         summary->last_ms);
    return 0;
}

int chunk_check(int encoding, const uint8_t *bytes, size_t len, struct chunk_summary *summary,
                struct error *err)
{
    struct chunk_summary unused;
    struct chunk_reader reader;

    return chunk_check_to_end(encoding, bytes, len, summary != NULL ? summary : &unused, &reader,
                              err);
}
