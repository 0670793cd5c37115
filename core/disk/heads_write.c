/* Writing heads.db: heads.h, first half. */
#include "base/bytes.h"
#include "base/mem.h"
#include "disk/codable.h"
#include "disk/heads.h"
#include "disk/heads_format.h"
#include "disk/series_file.h"

/* Records are gathered up to this before they are written. */
#define WRITE_BYTES ((size_t)256 << 10)

void heads_record_put(struct buf *out, const struct heads_series *series)
{
    size_t i;

    TIDE_ASSERT(series->count > 0 && series->watermark >= 0 &&
                (uint64_t)series->watermark <= series->count && series->offset >= 0);
    buf_putc(out, 0);
    codable_put_fingerprint(out, series->fp);
    codable_put_metric(out, series->labels);
    codable_put_varint(out, series->watermark);
    codable_put_varint(out, series->mtime_ns);
    codable_put_varint(out, series->offset);
    codable_put_varint(out, series->saved_first_ms);
    codable_put_varint(out, (int64_t)series->count);
    for (i = 0; i < series->count; i++) {
        const struct heads_chunk *chunk = &series->chunks[i];

        if (i < (size_t)series->watermark) {
            codable_put_time_range(out, chunk->first_ms, chunk->last_ms);
        } else {
            buf_putc(out, (char)chunk->encoding);
            buf_append(out, chunk->payload, SERIES_PAYLOAD_BYTES);
        }
    }
}

struct heads_writer {
    struct volume *volume;
    struct volume_writer *file;
    struct buf pending;
    uint64_t count;
};

struct heads_writer *heads_writer_begin(struct volume *volume, struct error *err)
{
    struct heads_writer *writer;
    struct volume_writer *file = volume->replace(volume, HEADS_FILE, err);

    if (file == NULL)
        return NULL;
    writer = mem_zalloc(1, sizeof(*writer));
    writer->volume = volume;
    writer->file = file;
    buf_append(&writer->pending, HEADS_MAGIC, HEADS_MAGIC_BYTES);
    codable_put_varint(&writer->pending, HEADS_VERSION_2);
    TIDE_ASSERT(writer->pending.len == HEADS_COUNT_AT);
    put_be64(buf_reserve(&writer->pending, 8), 0);
    writer->pending.len += 8;
    return writer;
}

static int flush(struct heads_writer *writer, struct error *err)
{
    if (writer->pending.len > 0 &&
        writer->file->write(writer->file, writer->pending.data, writer->pending.len, err) != 0)
        return -1;
    writer->pending.len = 0;
    return 0;
}

int heads_writer_add(struct heads_writer *writer, const void *records, size_t len, uint64_t count,
                     struct error *err)
{
    writer->count += count;
    if (len >= WRITE_BYTES) {
        if (flush(writer, err) != 0)
            return -1;
        return writer->file->write(writer->file, records, len, err);
    }
    buf_append(&writer->pending, records, len);
    return writer->pending.len >= WRITE_BYTES ? flush(writer, err) : 0;
}

int heads_writer_finish(struct heads_writer *writer, bool sync, struct error *err)
{
    uint8_t count[8];

    put_be64(count, writer->count);
    if (flush(writer, err) != 0 ||
        writer->file->patch(writer->file, HEADS_COUNT_AT, count, sizeof(count), err) != 0)
        return -1;
    return writer->file->finish(writer->file, sync, err);
}

struct volume_stat heads_writer_stat(const struct heads_writer *writer)
{
    return writer->file->stat;
}

static void free_writer(struct heads_writer *writer)
{
    buf_destroy(&writer->pending);
    mem_free(writer);
}

int heads_writer_publish(struct heads_writer *writer, bool keep_old, struct volume_stat *stat,
                         struct error *err)
{
    struct volume_writer *file = writer->file;
    struct volume *volume = writer->volume;
    struct error unused;

    free_writer(writer);
    /* At the first checkpoint there is none to keep; without links it is not worth a failure. */
    if (keep_old)
        (void)volume->share(volume, HEADS_FILE, HEADS_OLD_FILE, &unused);
    return file->publish(file, true, stat, err);
}

void heads_writer_discard(struct heads_writer *writer)
{
    if (writer == NULL)
        return;
    writer->file->discard(writer->file);
    free_writer(writer);
}
