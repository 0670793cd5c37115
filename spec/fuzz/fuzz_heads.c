/* fuzz_heads.c - heads.db and mappings.db: any bytes are read or refused, never followed.
 *
 * The bytes are given through a volume in memory. What is visited is in bounds: chunks and
 * numbers in range. */
#include <stdlib.h>

#include "base/mem.h"
#include "disk/heads.h"
#include "disk/mappings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory_volume {
    struct volume volume;
    const uint8_t *data;
    size_t size;
};

static int memory_read(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                       size_t len, size_t *got, struct error *err)
{
    const struct memory_volume *self = (const struct memory_volume *)(void *)volume;
    size_t left = offset < self->size ? self->size - (size_t)offset : 0;

    (void)name;
    (void)err;
    *got = left < len ? left : len;
    if (*got > 0)
        memcpy(bytes, self->data + offset, *got);
    return 0;
}

static int memory_stat(struct volume *volume, const char *name, struct volume_stat *stat,
                       struct error *err)
{
    (void)name;
    (void)err;
    *stat = (struct volume_stat){.size = ((struct memory_volume *)(void *)volume)->size};
    return 0;
}

static int visit(void *ctx, const struct heads_series *series, struct error *err)
{
    uint64_t *sum = ctx;
    size_t i;

    (void)err;
    if (series->count == 0 || series->watermark < 0 ||
        (uint64_t)series->watermark > series->count || series->offset < HEADS_OFFSET_UNKNOWN)
        abort();
    *sum += labels_count(series->labels);
    for (i = 0; i < series->count; i++) {
        const struct heads_chunk *chunk = &series->chunks[i];

        if ((chunk->payload == NULL) != (i < (size_t)series->watermark))
            abort();
        if (chunk->payload != NULL)
            *sum += chunk->payload[0] + chunk->payload[1023];
    }
    return 0;
}

static int read_heads(struct memory_volume *memory, enum heads_mode mode, uint64_t *series)
{
    uint64_t sum = 0;
    struct heads_visitor visitor = {.ctx = &sum, .series = visit};
    struct heads_result result;
    struct error err;
    int status = heads_read(&memory->volume, HEADS_FILE, mode, &visitor, &result, &err);

    if (status != 0 && err.code != ERR_CORRUPT)
        abort();
    *series = result.series_read;
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_volume memory = {{.read = memory_read, .stat = memory_stat}, data, size};
    struct mappings mappings = {0};
    uint64_t strict, salvaged;
    struct error err;

    (void)read_heads(&memory, HEADS_STRICT, &strict);
    (void)read_heads(&memory, HEADS_SALVAGE, &salvaged);
    if (mappings_decode(&mappings, data, size, &err) == 0) {
        struct buf again = {0};
        struct mappings copy = {0};

        mappings_encode(&mappings, &again);
        if (mappings_decode(&copy, again.data, again.len, &err) != 0 ||
            copy.count != mappings.count)
            abort();
        mappings_destroy(&copy);
        buf_destroy(&again);
    }
    mappings_destroy(&mappings);
    return 0;
}
