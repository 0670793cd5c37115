/* decode.c - what decoding costs: nanoseconds of CPU per series, line or sample, best of rounds.
 *
 * Usage: decode [ROUNDS]. Bodies are made here; 1,000 series of 8 labels, one sample each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "wire/exposition.h"
#include "wire/influx.h"
#include "wire/json_lines.h"
#include "wire/protobuf.h"
#include "wire/remote_write.h"
#include "wire/remote_write2.h"
#include "wire/snappy_block.h"

#define SERIES 1000

static int64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

typedef int decoder(const uint8_t *data, size_t len, struct push *push, struct batch *batch,
                    struct append_result *result, struct error *err);

struct job {
    const char *name;
    const char *unit;
    struct buf body;
    size_t items; /* that one run decodes */
    void (*run)(struct job *job);
    decoder *decode; /* what run_decode calls */
    struct batch batch;
    struct buf scratch;
};

static void check(const struct job *job, int status, const struct append_result *result,
                  const struct error *err)
{
    if (status != 0 || append_result_refused(result) != 0 ||
        job->batch.sample_count != job->items) {
        fprintf(stderr, "%s: %s, %zu samples\n", job->name, status != 0 ? err->text : "refused",
                job->batch.sample_count);
        exit(1);
    }
}

static void run_decode(struct job *job)
{
    struct push push = {.now_ms = 1700000000000};
    struct append_result result;
    struct error err;
    int status;

    append_result_init(&result);
    batch_reset(&job->batch);
    status = job->decode(job->body.data, job->body.len, &push, &job->batch, &result, &err);
    check(job, status, &result, &err);
}

static int decode_influx(const uint8_t *data, size_t len, struct push *push, struct batch *batch,
                         struct append_result *result, struct error *err)
{
    return influx_decode(data, len, INFLUX_NANOSECONDS, push, batch, result, err);
}

static void add_label(struct buf *out, const char *name, const char *value)
{
    struct buf label = {0};

    protobuf_put_bytes(&label, 1, name, strlen(name));
    protobuf_put_bytes(&label, 2, value, strlen(value));
    protobuf_put_bytes(out, 1, label.data, label.len);
    buf_destroy(&label);
}

static const char *const names[] = {"__name__", "cluster", "code",   "env",
                                    "instance", "job",     "method", "path"};

static void fill_values(size_t i, char values[8][64])
{
    snprintf(values[0], 64, "http_request_duration_seconds_%zu", i % 20);
    snprintf(values[1], 64, "eu-west-1");
    snprintf(values[2], 64, "%zu", 200 + i % 5);
    snprintf(values[3], 64, "production");
    snprintf(values[4], 64, "10.0.%zu.%zu:9100", i / 200, i % 200);
    snprintf(values[5], 64, "api-server");
    snprintf(values[6], 64, "GET");
    snprintf(values[7], 64, "/api/v1/resource/%zu", i % 50);
}

static void make_remote_write(struct job *job)
{
    struct buf series = {0}, sample = {0};

    for (size_t i = 0; i < SERIES; i++) {
        char values[8][64];

        fill_values(i, values);
        series.len = 0;
        sample.len = 0;
        for (size_t l = 0; l < 8; l++)
            add_label(&series, names[l], values[l]);
        protobuf_put_double(&sample, 1, (double)i * 1.5);
        protobuf_put_number(&sample, 2, 1700000000000 + i);
        protobuf_put_bytes(&series, 2, sample.data, sample.len);
        protobuf_put_bytes(&job->body, 1, series.data, series.len);
    }
    job->items = SERIES;
    buf_destroy(&series);
    buf_destroy(&sample);
}

static void make_text(struct job *job)
{
    for (size_t i = 0; i < SERIES; i++) {
        char values[8][64];

        fill_values(i, values);
        buf_printf(&job->body, "%s{", values[0]);
        for (size_t l = 1; l < 8; l++)
            buf_printf(&job->body, "%s%s=\"%s\"", l > 1 ? "," : "", names[l], values[l]);
        buf_printf(&job->body, "} %.3f 1700000000%03zu\n", (double)i * 1.5, i);
    }
    job->items = SERIES;
}

/* What a new series costs beside: its labels are read once. */
static void run_text_labels(struct job *job)
{
    struct labels_builder labels;
    struct arena scratch = {0};
    struct error err;

    run_decode(job);
    labels_builder_init(&labels);
    for (size_t i = 0; i < job->batch.entry_count; i++) {
        labels_builder_reset(&labels, NULL);
        arena_reset(&scratch);
        if (job->batch.parse(job->batch.entries[i].block, job->batch.entries[i].block_len,
                             job->batch.parse_ctx, &scratch, &labels, &err) != 0)
            exit(1);
    }
    labels_builder_destroy(&labels);
    arena_destroy(&scratch);
}

/* The same labels and values as make_remote_write, through one table of symbols. */
static void make_remote_write2(struct job *job)
{
    struct buf series = {0}, sample = {0};

    protobuf_put_bytes(&job->body, 4, "", 0);
    for (size_t l = 0; l < 8; l++)
        protobuf_put_bytes(&job->body, 4, names[l], strlen(names[l]));
    for (size_t i = 0; i < SERIES; i++) {
        char values[8][64];

        fill_values(i, values);
        series.len = 0;
        sample.len = 0;
        for (size_t l = 0; l < 8; l++) {
            protobuf_put_bytes(&job->body, 4, values[l], strlen(values[l]));
            protobuf_put_uvarint(&sample, l + 1);
            protobuf_put_uvarint(&sample, i * 8 + l + 9);
        }
        protobuf_put_bytes(&series, 1, sample.data, sample.len);
        sample.len = 0;
        protobuf_put_double(&sample, 1, (double)i * 1.5);
        protobuf_put_number(&sample, 2, 1700000000000 + i);
        protobuf_put_bytes(&series, 2, sample.data, sample.len);
        protobuf_put_bytes(&job->body, 5, series.data, series.len);
    }
    job->items = SERIES;
    buf_destroy(&series);
    buf_destroy(&sample);
}

static void make_influx(struct job *job)
{
    for (size_t i = 0; i < SERIES; i++) {
        char values[8][64];

        fill_values(i, values);
        buf_puts(&job->body, values[0]);
        for (size_t l = 1; l < 8; l++)
            buf_printf(&job->body, ",%s=%s", names[l], values[l]);
        buf_printf(&job->body, " value=%.3f 1700000000%03zu000000\n", (double)i * 1.5, i);
    }
    job->items = SERIES;
}

static void make_json_lines(struct job *job)
{
    for (size_t i = 0; i < SERIES; i++) {
        char values[8][64];

        fill_values(i, values);
        for (size_t l = 0; l < 8; l++)
            buf_printf(&job->body, "%s\"%s\":\"%s\"", l > 0 ? "," : "{\"metric\":{", names[l],
                       values[l]);
        buf_printf(&job->body, "},\"values\":[%.3f],\"timestamps\":[1700000000%03zu]}\n",
                   (double)i * 1.5, i);
    }
    job->items = SERIES;
}

static void make_snappy(struct job *job)
{
    struct buf plain;

    make_remote_write(job);
    plain = job->body;
    job->body = (struct buf){0};
    snappy_block_encode(plain.data, plain.len, &job->body);
    buf_destroy(&plain);
}

static void run_snappy(struct job *job)
{
    struct error err;

    if (snappy_block_decode(job->body.data, job->body.len, 1 << 25, &job->scratch, &err) != 0)
        exit(1);
}

static void measure(struct job *job, int rounds)
{
    double best = INFINITY;

    for (int round = 0; round < rounds; round++) {
        int64_t start = cpu_ns(), spent;
        size_t runs = 0;

        do {
            job->run(job);
            runs++;
            spent = cpu_ns() - start;
        } while (spent < 50 * 1000000);
        best = fmin(best, (double)spent / (double)(runs * job->items));
    }
    printf("%-24s %8.1f ns per %s (%.0f bytes each)\n", job->name, best, job->unit,
           (double)job->body.len / (double)job->items);
    batch_destroy(&job->batch);
    buf_destroy(&job->body);
    buf_destroy(&job->scratch);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    struct {
        const char *name, *unit;
        void (*make)(struct job *job);
        void (*run)(struct job *job);
        decoder *decode;
    } jobs[] = {
        {"snappy", "series", make_snappy, run_snappy, NULL},
        {"remote_write", "series", make_remote_write, run_decode, remote_write_decode},
        {"remote_write 2.0", "series", make_remote_write2, run_decode, remote_write2_decode},
        {"influx", "line", make_influx, run_decode, decode_influx},
        {"json lines", "line", make_json_lines, run_decode, json_lines_decode},
        {"text 0.0.4", "line", make_text, run_decode, exposition_decode_text},
        {"text, all labels new", "line", make_text, run_text_labels, exposition_decode_text},
    };

    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        struct job job = {.name = jobs[i].name,
                          .unit = jobs[i].unit,
                          .run = jobs[i].run,
                          .decode = jobs[i].decode};

        jobs[i].make(&job);
        measure(&job, rounds > 0 ? rounds : 1);
    }
    return 0;
}
