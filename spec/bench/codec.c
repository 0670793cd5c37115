/* codec.c - what a sample costs in each chunk encoding: CPU nanoseconds to append and to decode
 * into columns, bytes stored; then appends to many heads in turn, which are not in the cache.
 *
 * Usage: codec [SAMPLES [HEADS]]     best of five rounds each */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "chunk/chunk.h"

#define ROUNDS 5
#define COLD_SCRAPES 60

struct samples {
    int64_t *times_ms;
    double *values;
    size_t count;
};

struct stored {
    uint8_t *payloads;
    uint8_t *encodings;
    size_t count;
    size_t cap;
};

struct kind {
    const char *name;
    void (*fill)(struct samples *samples);
};

static uint64_t state = 1;

static uint64_t random_bits(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static double unit(void)
{
    return (double)(random_bits() >> 11) / 9007199254740992.0;
}

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int64_t tick(size_t i, unsigned jitter)
{
    int64_t time_ms = 1500000000000 + (int64_t)i * 15000;

    return jitter == 0 ? time_ms : time_ms + (int64_t)(random_bits() % jitter);
}

static void fill_regular_counter(struct samples *s)
{
    double value = 0;

    for (size_t i = 0; i < s->count; i++) {
        s->times_ms[i] = tick(i, 0);
        s->values[i] = value += (double)(random_bits() % 40);
    }
}

static void fill_jittered_counter(struct samples *s)
{
    double value = 0;

    for (size_t i = 0; i < s->count; i++) {
        s->times_ms[i] = tick(i, 12);
        s->values[i] = value += (double)(random_bits() % 1000);
    }
}

static void fill_gauge(struct samples *s)
{
    double value = 50;

    for (size_t i = 0; i < s->count; i++) {
        s->times_ms[i] = tick(i, 0);
        s->values[i] = value += unit() - 0.5;
    }
}

static void fill_decimals(struct samples *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->times_ms[i] = tick(i, 12);
        s->values[i] = round(1000 * (20 + 5 * sin((double)i / 300)) + 10 * unit()) / 1000;
    }
}

static void fill_steps(struct samples *s)
{
    double value = 0.5;

    for (size_t i = 0; i < s->count; i++) {
        if (random_bits() % 20 == 0)
            value = unit();
        s->times_ms[i] = tick(i, 0);
        s->values[i] = value;
    }
}

static void fill_constant(struct samples *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->times_ms[i] = tick(i, 0);
        s->values[i] = 1;
    }
}

static void fill_integers(struct samples *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->times_ms[i] = tick(i, 0);
        s->values[i] = (double)(random_bits() % 200);
    }
}

static void fill_random(struct samples *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->times_ms[i] = tick(i, 12);
        s->values[i] = unit();
    }
}

static const struct kind kinds[] = {
    {"counter, regular", fill_regular_counter},
    {"counter, jitter", fill_jittered_counter},
    {"gauge, walk", fill_gauge},
    {"gauge, 3 decimals", fill_decimals},
    {"gauge, steps", fill_steps},
    {"constant", fill_constant},
    {"small integers", fill_integers},
    {"random floats", fill_random},
};

static void keep(void *ctx, const struct chunk_complete *chunk)
{
    struct stored *stored = ctx;

    if (stored->count == stored->cap) {
        stored->cap = stored->cap == 0 ? 1024 : 2 * stored->cap;
        stored->payloads = mem_realloc(stored->payloads, stored->cap * CHUNK_BYTES);
        stored->encodings = mem_realloc(stored->encodings, stored->cap);
    }
    memcpy(stored->payloads + stored->count * CHUNK_BYTES, chunk->payload, CHUNK_BYTES);
    stored->encodings[stored->count++] = (uint8_t)chunk->encoding;
}

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "codec: %s: %s\n", what, err->text);
    exit(1);
}

static double append_all(const struct samples *s, enum chunk_encoding encoding,
                         struct stored *stored)
{
    struct chunk_writer writer = {encoding, CHUNK_EXACT, stored, chunk_resize_heap, keep};
    struct chunk_head head;
    struct error err;
    uint8_t payload[CHUNK_BYTES];
    struct chunk_complete last;
    double begin;

    stored->count = 0;
    chunk_head_init(&head, encoding);
    begin = now_ns();
    if (chunk_head_append_all(&head, &writer, s->times_ms, s->values, s->count, &err) != s->count)
        die("append", &err);
    begin = now_ns() - begin;
    chunk_head_payload(&head, payload);
    last = (struct chunk_complete){encoding, head.first_ms, head.last_ms, payload};
    keep(stored, &last);
    chunk_head_destroy(&head, &writer);
    return begin / (double)s->count;
}

static double decode_all(const struct samples *s, const struct stored *stored,
                         struct samples *columns)
{
    struct chunk_reader reader;
    struct error err;
    double begin = now_ns();
    size_t total = 0, i;

    for (i = 0; i < stored->count; i++) {
        const uint8_t *payload = stored->payloads + i * CHUNK_BYTES;
        size_t count = 0;
        int n;

        if (chunk_reader_init(&reader, stored->encodings[i], payload, CHUNK_BYTES, INT64_MIN,
                              INT64_MAX, &err) != 0)
            die("decode", &err);
        /* Columns of a query stay in the cache for about so many samples. */
        while ((n = chunk_reader_read(&reader, columns->times_ms + count, columns->values + count,
                                      columns->count - count, &err)) > 0) {
            count += (size_t)n;
            total += (size_t)n;
            if (count == columns->count)
                count = 0;
        }
        if (n < 0)
            die("decode", &err);
    }
    begin = now_ns() - begin;
    if (total != s->count) {
        fprintf(stderr, "codec: %zu samples put in, %zu came out\n", s->count, total);
        exit(1);
    }
    return begin / (double)s->count;
}

static void bench_kind(const struct kind *kind, struct samples *s, struct samples *columns)
{
    kind->fill(s);
    for (int encoding = 0; encoding < CHUNK_ENCODINGS; encoding++) {
        struct stored stored = {0};
        double append = INFINITY, decode = INFINITY;

        for (int round = 0; round < ROUNDS; round++) {
            append = fmin(append, append_all(s, (enum chunk_encoding)encoding, &stored));
            decode = fmin(decode, decode_all(s, &stored, columns));
        }
        printf("%-18s %-13s %7.1f %7.1f %8.2f\n", kind->name, chunk_encoding_name(encoding), append,
               decode, (double)stored.count * CHUNK_BYTES / (double)s->count);
        mem_free(stored.payloads);
        mem_free(stored.encodings);
    }
}

static void drop(void *ctx, const struct chunk_complete *chunk)
{
    (void)chunk;
    ++*(size_t *)ctx;
}

/* One sample for each of many heads, scrape after scrape. */
static void bench_cold(size_t heads_count)
{
    size_t completed = 0, bytes = 0;
    struct chunk_writer writer = {CHUNK_VARBIT, CHUNK_EXACT, &completed, chunk_resize_heap, drop};
    struct chunk_head *heads = aligned_alloc(64, heads_count * sizeof(*heads));
    double spent = 0;
    struct error err;

    if (heads == NULL)
        exit(1);
    for (size_t i = 0; i < heads_count; i++)
        chunk_head_init(&heads[i], CHUNK_VARBIT);
    for (size_t scrape = 0; scrape < COLD_SCRAPES; scrape++) {
        double begin = now_ns();

        for (size_t i = 0; i < heads_count; i++) {
            double value = (double)(scrape * (i % 50)) + (i % 3 == 0 ? 0.1 * (double)scrape : 0.0);

            if (chunk_head_append(&heads[i], &writer, tick(scrape, 0) + (int64_t)(i % 1000), value,
                                  &err) < 0)
                die("append", &err);
        }
        spent += now_ns() - begin;
    }
    for (size_t i = 0; i < heads_count; i++) {
        bytes += sizeof(heads[i]) + (size_t)heads[i].room_32 * CHUNK_ROOM_UNIT;
        chunk_head_destroy(&heads[i], &writer);
    }
    printf("\n%zu heads in turn, varbit, %d samples each: %.1f ns a sample, %.0f bytes a head\n",
           heads_count, COLD_SCRAPES, spent / (double)(heads_count * COLD_SCRAPES),
           (double)bytes / (double)heads_count);
    free(heads);
}

int main(int argc, char **argv)
{
    struct samples s = {0}, columns = {0};
    size_t heads = argc > 2 ? strtoul(argv[2], NULL, 10) : 200000;

    s.count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    columns.count = 2000;
    s.times_ms = mem_alloc(s.count * sizeof(*s.times_ms));
    s.values = mem_alloc(s.count * sizeof(*s.values));
    columns.times_ms = mem_alloc(columns.count * sizeof(*columns.times_ms));
    columns.values = mem_alloc(columns.count * sizeof(*columns.values));
    printf("%-18s %-13s %7s %7s %8s   (CPU ns and bytes per sample)\n", "data", "encoding",
           "append", "decode", "stored");
    for (size_t i = 0; i < TIDE_COUNT(kinds); i++)
        bench_kind(&kinds[i], &s, &columns);
    bench_cold(heads);
    mem_free(s.times_ms);
    mem_free(s.values);
    mem_free(columns.times_ms);
    mem_free(columns.values);
    return 0;
}
