#include "disk/series_look.h"

#include <stdio.h>

#include "base/mem.h"
#include "chunk/chunk.h"

void series_look_at(const uint8_t *record, struct series_look *look)
{
    struct chunk_summary summary = {0};
    struct error problem;

    *look = (struct series_look){.record = series_record_get(record)};
    if (look->record.encoding >= CHUNK_ENCODINGS) {
        snprintf(look->problem, sizeof(look->problem), "no encoding has the number %u",
                 look->record.encoding);
        return;
    }
    if (chunk_check(look->record.encoding, record + SERIES_HEADER_BYTES, CHUNK_BYTES, &summary,
                    &problem) != 0)
        snprintf(look->problem, sizeof(look->problem), "%.159s", problem.text);
    else if (summary.first_ms != look->record.first_ms || summary.last_ms != look->record.last_ms)
        snprintf(look->problem, sizeof(look->problem),
                 "its header says %" PRId64 " to %" PRId64 " ms, its samples %" PRId64
                 " to %" PRId64 " ms",
                 look->record.first_ms, look->record.last_ms, summary.first_ms, summary.last_ms);
    look->samples = summary.samples;
    look->bytes = summary.bytes;
}

/* Whole records from `index` on; fewer than wanted at the end of the file. */
static int read_records(struct volume *volume, const char *name, uint64_t index, uint8_t *records,
                        size_t *count, struct error *err)
{
    size_t got;

    if (volume->read(volume, name, index * SERIES_RECORD_BYTES, records,
                     (size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES, &got, err) != 0)
        return -1;
    *count = got / SERIES_RECORD_BYTES;
    return 0;
}

static int walk(struct volume *volume, const char *name, uint64_t index, uint8_t *records,
                const struct series_visitor *visitor, struct error *err)
{
    size_t count;

    do {
        if (read_records(volume, name, index, records, &count, err) != 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            int result =
                visitor->record(visitor->ctx, index + i, records + i * SERIES_RECORD_BYTES, err);

            if (result != 0)
                return TIDE_MIN(result, 0);
        }
        index += count;
    } while (count == SERIES_BATCH_RECORDS);
    return 0;
}

int series_look_walk(struct volume *volume, const char *name, uint64_t from,
                     const struct series_visitor *visitor, struct series_file_stat *stat,
                     struct error *err)
{
    struct volume_stat file;
    uint8_t *records;
    int result;

    if (volume->stat(volume, name, &file, err) != 0)
        return -1;
    if (file.is_folder)
        return error_set(err, ERR_NOT_FOUND, "%s is a folder", name);
    stat->chunks = file.size / SERIES_RECORD_BYTES;
    stat->rest_bytes = (uint32_t)(file.size % SERIES_RECORD_BYTES);
    stat->mtime_ns = file.mtime_ns;
    if (from >= stat->chunks)
        return 0;
    records = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
    result = walk(volume, name, from, records, visitor, err);
    mem_free(records);
    return result;
}
