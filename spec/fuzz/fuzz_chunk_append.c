/* fuzz_chunk_append.c - samples made of the input, appended and read again: in exact mode every
 * one comes back bit for bit, from complete chunks and from snapshots. */
#include "fuzz_chunk_common.h"

#define SAMPLES_MAX 4000

struct written {
    int64_t times_ms[SAMPLES_MAX];
    double values[SAMPLES_MAX];
    size_t count; /* appended */
    size_t read;  /* seen again */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next samples of the chunk are the next ones written. */
static void compare(struct written *written, int encoding, const uint8_t *bytes, size_t len,
                    size_t at, size_t *end)
{
    struct chunk_reader reader;
    struct error err;
    int64_t times_ms[100];
    double values[100];
    int n;

    fuzz_require(chunk_check(encoding, bytes, len, NULL, &err) == 0);
    fuzz_require(chunk_reader_init(&reader, encoding, bytes, len, INT64_MIN, INT64_MAX, &err) == 0);
    while ((n = chunk_reader_read(&reader, times_ms, values, 100, &err)) > 0)
        for (int i = 0; i < n; i++, at++) {
            fuzz_require(at < written->count);
            fuzz_require(times_ms[i] == written->times_ms[at]);
            fuzz_require(double_bits(values[i]) == double_bits(written->values[at]));
        }
    fuzz_require(n == 0);
    *end = at;
}

static void take(void *ctx, const struct chunk_complete *chunk)
{
    struct written *written = ctx;

    fuzz_require(chunk->first_ms == written->times_ms[written->read]);
    compare(written, (int)chunk->encoding, chunk->payload, CHUNK_BYTES, written->read,
            &written->read);
    fuzz_require(chunk->last_ms == written->times_ms[written->read - 1]);
}

/* One step of the input: a byte says how time and value go on, some bytes say how far. */
static size_t next_sample(const uint8_t *data, size_t size, int64_t *time_ms, double *value)
{
    uint8_t raw[8] = {0};
    size_t width = (size_t)1 << (data[0] >> 6), used = TIDE_MIN(width, size - 1);
    uint64_t number;

    memcpy(raw, data + 1, used);
    number = get_le64(raw);
    switch (data[0] & 7) {
    case 0:
        break;
    case 1:
        *value += (double)(int8_t)raw[0];
        break;
    case 2:
        *value += 0.1 * (double)raw[0];
        break;
    case 3:
        *value = bits_double(number);
        break;
    case 4:
        *value = -*value;
        break;
    case 5:
        *value = (double)(int64_t)number;
        break;
    case 6:
        *value = bits_double(double_bits(*value) ^ number << 40);
        break;
    default:
        *value = (double)(float)(*value + (double)raw[0] / 3);
        break;
    }
    switch (data[0] >> 3 & 7) {
    case 0:
        *time_ms += 1 + (int64_t)(number & 0xffff);
        break;
    case 1:
        *time_ms += 1 + (int64_t)(number & 0x3ffffff);
        break;
    case 2:
        *time_ms += 1 + (int64_t)(number & 0xfffffffffff);
        break;
    default:
        *time_ms += 15000;
        break;
    }
    return 1 + used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct written written;
    struct chunk_writer writer = {CHUNK_VARBIT, CHUNK_EXACT, &written, chunk_resize_heap, take};
    struct chunk_head head;
    struct error err;
    uint8_t bytes[CHUNK_BYTES];
    int64_t time_ms = 1500000000000;
    double value = 0;
    size_t end;

    if (size < 2)
        return 0;
    written.count = 0;
    written.read = 0;
    chunk_head_init(&head, (enum chunk_encoding)(data[0] % 3));
    writer.default_encoding = (enum chunk_encoding)(data[0] / 3 % 3);
    data++;
    size--;
    while (size > 0 && written.count + 40 < SAMPLES_MAX) {
        unsigned repeat = (data[0] & 7) == 0 ? 32 : 1;
        size_t used = next_sample(data, size, &time_ms, &value);

        for (unsigned i = 0; i < repeat; i++, time_ms += 15000) {
            written.times_ms[written.count] = time_ms;
            written.values[written.count++] = value;
            fuzz_require(chunk_head_append(&head, &writer, time_ms, value, &err) >= 0);
        }
        data += used;
        size -= used;
    }
    compare(&written, head.encoding, bytes, chunk_head_snapshot(&head, bytes), written.read, &end);
    fuzz_require(end == written.count);
    chunk_head_payload(&head, bytes);
    compare(&written, head.encoding, bytes, CHUNK_BYTES, written.read, &end);
    fuzz_require(end == written.count);
    chunk_head_destroy(&head, &writer);
    return 0;
}
