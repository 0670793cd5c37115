/* fuzz_chunk_common.h - one payload through every function that takes outside bytes. */
#ifndef TIDE_FUZZ_CHUNK_COMMON_H
#define TIDE_FUZZ_CHUNK_COMMON_H

#include <stdlib.h>

#include "base/bytes.h"
#include "chunk/chunk.h"

/* How many samples a reader may return from 1024 bytes before it runs in circles. */
#define FUZZ_SAMPLES_MAX 1200000

static inline void fuzz_require(bool condition)
{
    if (!condition)
        abort();
}

static inline void fuzz_count_complete(void *ctx, const struct chunk_complete *chunk)
{
    (void)chunk;
    ++*(size_t *)ctx;
}

/* Reads bytes of exactly `len`, so that the sanitizer sees any access behind them.
 * @return samples, or -1 */
static inline long fuzz_read(int encoding, const uint8_t *bytes, size_t len, int64_t from_ms,
                             int64_t to_ms, size_t room)
{
    struct chunk_reader reader;
    struct error err;
    int64_t times_ms[300];
    double values[300];
    long total = 0;
    int n;

    if (chunk_reader_init(&reader, encoding, bytes, len, from_ms, to_ms, &err) != 0) {
        fuzz_require(err.text[0] != 0);
        return -1;
    }
    while ((n = chunk_reader_read(&reader, times_ms, values, room, &err)) > 0) {
        total += n;
        fuzz_require((size_t)n <= room && total < FUZZ_SAMPLES_MAX);
    }
    return n < 0 ? -1 : total;
}

/* A payload that passes the check can be opened, goes on, and still reads. */
static inline void fuzz_open_and_append(int encoding, const uint8_t *payload)
{
    size_t completed = 0;
    struct chunk_writer writer = {CHUNK_VARBIT, CHUNK_EXACT, &completed, chunk_resize_heap,
                                  fuzz_count_complete};
    struct chunk_summary summary;
    struct chunk_head head;
    struct error err;
    uint8_t bytes[CHUNK_BYTES];

    chunk_head_init(&head, (enum chunk_encoding)encoding);
    if (chunk_head_load(&head, &writer, encoding, payload, &err) != 0) {
        fuzz_require(chunk_head_is_empty(&head));
        fuzz_require(chunk_check(encoding, payload, CHUNK_BYTES, NULL, &err) != 0);
        return;
    }
    for (int i = 1; i < 40; i++) {
        int64_t time_ms;

        chunk_head_payload(&head, bytes);
        fuzz_require(chunk_check(head.encoding, bytes, CHUNK_BYTES, &summary, &err) == 0);
        fuzz_require(summary.last_ms == head.last_ms);
        if (__builtin_add_overflow(head.last_ms, 1000 * i, &time_ms))
            break;
        if (chunk_head_append(&head, &writer, time_ms, i % 7 == 0 ? 0.1 * i : i, &err) < 0)
            break;
        fuzz_require(head.last_ms == time_ms);
    }
    chunk_head_destroy(&head, &writer);
}

/* The input is a payload or a part of one. */
static inline void fuzz_decoder(int encoding, const uint8_t *data, size_t size)
{
    uint8_t payload[CHUNK_BYTES] = {0};
    struct error err;
    int64_t first_ms, last_ms;
    long all;

    if (size > CHUNK_BYTES)
        size = CHUNK_BYTES;
    all = fuzz_read(encoding, data, size, INT64_MIN, INT64_MAX, 300);
    fuzz_require(fuzz_read(encoding, data, size, INT64_MIN, INT64_MAX, 7) == all);
    (void)fuzz_read(encoding, data, size, 1000, 100000, 100);
    (void)chunk_bounds(encoding, data, size, &first_ms, &last_ms, &err);
    if (size != 0)
        memcpy(payload, data, size);
    fuzz_open_and_append(encoding, payload);
}

#endif
