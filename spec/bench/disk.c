/* disk.c - what the disk room costs: series files appended, read, dropped; heads.db written, read.
 *
 * Usage: disk FOLDER [SERIES]. Prints CPU (not wall) per operation; FOLDER is left empty. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/heads.h"
#include "disk/series_file.h"
#include "model/fingerprint.h"

#define CHUNKS 12

struct bench {
    struct volume *volume;
    size_t series;
    uint64_t *fps;
    uint8_t payload[CHUNK_BYTES];
    struct series_chunk chunks[2 * CHUNKS];
};

static void die(const struct error *err)
{
    fprintf(stderr, "disk: %s\n", err->text);
    exit(1);
}

static void report(const char *what, int64_t begin_ns, size_t count)
{
    printf("%-34s %8.2f us CPU\n", what,
           (double)(clock_process_cpu_ns() - begin_ns) / 1000.0 / (double)count);
}

static void fill_chunk(void *ctx, const struct chunk_complete *chunk)
{
    memcpy(ctx, chunk->payload, CHUNK_BYTES);
}

/* One real varbit chunk serves for all: only its times in the header differ. */
static void prepare(struct bench *bench)
{
    struct chunk_writer writer = {.default_encoding = CHUNK_VARBIT,
                                  .ctx = bench->payload,
                                  .resize = chunk_resize_heap,
                                  .complete = fill_chunk};
    struct chunk_head head;
    struct error err;
    int64_t t = 0;
    size_t i;

    chunk_head_init(&head, CHUNK_VARBIT);
    while (chunk_head_append(&head, &writer, t * 15000, (double)((t * t) % 977), &err) == 0)
        t++;
    chunk_head_destroy(&head, &writer);
    for (i = 0; i < 2 * CHUNKS; i++)
        bench->chunks[i] = (struct series_chunk){.first_ms = (int64_t)i * 1000000,
                                                 .last_ms = (int64_t)i * 1000000 + 999000,
                                                 .payload = bench->payload,
                                                 .encoding = CHUNK_VARBIT};
    bench->fps = mem_alloc(bench->series * sizeof(*bench->fps));
    for (i = 0; i < bench->series; i++)
        bench->fps[i] = (i + 1) * 0x9e3779b97f4a7c15;
}

static void bench_files(struct bench *bench)
{
    uint8_t *records = mem_alloc((size_t)CHUNKS * SERIES_RECORD_BYTES);
    struct series_record *list;
    struct series_drop drop;
    struct error err;
    int64_t begin;
    size_t i, count;

    begin = clock_process_cpu_ns();
    for (i = 0; i < bench->series; i++)
        if (series_file_append(bench->volume, bench->fps[i], 0, bench->chunks, CHUNKS - 1, false,
                               NULL, &err) != 0)
            die(&err);
    report("new file of 11 chunks", begin, bench->series);
    begin = clock_process_cpu_ns();
    for (i = 0; i < bench->series; i++)
        if (series_file_append(bench->volume, bench->fps[i], CHUNKS - 1, bench->chunks + CHUNKS - 1,
                               1, false, NULL, &err) != 0)
            die(&err);
    report("append of one chunk", begin, bench->series);
    begin = clock_process_cpu_ns();
    for (i = 0; i < bench->series; i++)
        if (series_file_read(bench->volume, bench->fps[i], 0, CHUNKS, records, &err) != 0)
            die(&err);
    report("read of 12 chunks", begin, bench->series);
    begin = clock_process_cpu_ns();
    for (i = 0; i < bench->series; i++) {
        if (series_file_load(bench->volume, bench->fps[i], 0, SERIES_CHUNKS_ANY, &list, &count,
                             &err) != 0)
            die(&err);
        mem_free(list);
    }
    report("load of 12 headers", begin, bench->series);
    begin = clock_process_cpu_ns();
    for (i = 0; i < bench->series; i++)
        if (series_file_drop(bench->volume, bench->fps[i], CHUNKS, 6000000, 0.1,
                             bench->chunks + CHUNKS, 1, false, &drop, &err) != 0)
            die(&err);
    report("drop of 6 of 12, append of one", begin, bench->series);
    mem_free(records);
}

static int count_series(void *ctx, const struct heads_series *series, struct error *err)
{
    (void)series;
    (void)err;
    ++*(size_t *)ctx;
    return 0;
}

static void read_heads(struct bench *bench, enum heads_mode mode, const char *what)
{
    size_t seen = 0;
    struct heads_visitor visitor = {.ctx = &seen, .series = count_series};
    struct heads_result result;
    struct error err;
    int64_t begin = clock_process_cpu_ns();

    if (heads_read(bench->volume, HEADS_FILE, mode, &visitor, &result, &err) != 0)
        die(&err);
    report(what, begin, bench->series);
    if (seen != bench->series || result.damages != 0) {
        fprintf(stderr, "disk: %zu series read, damages %zu\n", seen, (size_t)result.damages);
        exit(1);
    }
}

static void bench_heads(struct bench *bench)
{
    struct heads_chunk chunk = {.payload = bench->payload, .encoding = CHUNK_VARBIT};
    struct heads_writer *writer;
    struct buf record = {0};
    char number[24];
    struct error err;
    int64_t begin = clock_process_cpu_ns();
    size_t i;

    writer = heads_writer_begin(bench->volume, &err);
    if (writer == NULL)
        die(&err);
    for (i = 0; i < bench->series; i++) {
        struct label list[3] = {{"__name__", "bench_metric_total", 8, 18},
                                {"instance", number, 8, 0},
                                {"job", "disk", 3, 4}};
        struct labels *labels;

        list[1].value_len = (uint32_t)snprintf(number, sizeof(number), "host-%zu", i);
        labels = labels_new_sorted(list, 3);
        record.len = 0;
        heads_record_put(&record, &(struct heads_series){.fp = fingerprint_of(labels),
                                                         .labels = labels,
                                                         .mtime_ns = -1,
                                                         .chunks = &chunk,
                                                         .count = 1});
        labels_unref(labels);
        if (heads_writer_add(writer, record.data, record.len, 1, &err) != 0)
            die(&err);
    }
    if (heads_writer_finish(writer, true, &err) != 0 ||
        heads_writer_publish(writer, false, NULL, &err) != 0)
        die(&err);
    report("heads.db written, a series", begin, bench->series);
    buf_destroy(&record);
    read_heads(bench, HEADS_STRICT, "heads.db read, a series");
    read_heads(bench, HEADS_SALVAGE, "the same with salvage");
}

int main(int argc, char **argv)
{
    struct bench bench = {.series = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 20000};
    struct error err;
    size_t i;

    if (argc < 2 || bench.series == 0) {
        fprintf(stderr, "usage: disk FOLDER [SERIES]\n");
        return 2;
    }
    bench.volume = volume_posix_open(argv[1], true, &err);
    if (bench.volume == NULL)
        die(&err);
    prepare(&bench);
    bench_files(&bench);
    bench_heads(&bench);
    for (i = 0; i < bench.series; i++)
        if (series_file_delete(bench.volume, bench.fps[i], &err) != 0)
            die(&err);
    if (bench.volume->remove(bench.volume, HEADS_FILE, &err) != 0)
        die(&err);
    bench.volume->close(bench.volume);
    mem_free(bench.fps);
    return 0;
}
