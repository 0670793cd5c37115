/* use_db.c - see use_db.h. */
#include "disk/use_db.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#define MAGIC "TMUSE001"
#define MAGIC_BYTES 8
#define RECORD_BYTES ((size_t)20)
#define BLOCK_RECORDS ((size_t)4096)
#define HEADER_BYTES ((size_t)8)
#define BLOCK_BYTES (HEADER_BYTES + BLOCK_RECORDS * RECORD_BYTES)

/* --- writing -----------------------------------------------------------------------------------
 */

int use_db_begin(struct use_db_writer *writer, struct volume *volume, struct error *err)
{
    *writer = (struct use_db_writer){.file = volume->replace(volume, USE_FILE, err)};
    if (writer->file == NULL)
        return -1;
    if (writer->file->write(writer->file, MAGIC, MAGIC_BYTES, err) == 0)
        return 0;
    use_db_discard(writer);
    return -1;
}

static int write_block(struct use_db_writer *writer, struct error *err)
{
    struct buf *records = &writer->records;
    uint8_t header[HEADER_BYTES];

    put_le32(header, (uint32_t)(records->len / RECORD_BYTES));
    put_le32(header + 4, crc32c(crc32c(0, header, 4), records->data, records->len));
    if (writer->file->write(writer->file, header, HEADER_BYTES, err) != 0 ||
        writer->file->write(writer->file, records->data, records->len, err) != 0)
        return -1;
    records->len = 0;
    return 0;
}

int use_db_put(struct use_db_writer *writer, const struct use_record *record, struct error *err)
{
    uint8_t *at = buf_reserve(&writer->records, RECORD_BYTES);

    put_le64(at, record->fp);
    put_le32(at + 8, record->known);
    put_le32(at + 12, record->last_s);
    put_le32(at + 16, record->reads);
    writer->records.len += RECORD_BYTES;
    return writer->records.len == BLOCK_RECORDS * RECORD_BYTES ? write_block(writer, err) : 0;
}

int use_db_finish(struct use_db_writer *writer, struct error *err)
{
    struct volume_writer *file = writer->file;

    if ((writer->records.len != 0 && write_block(writer, err) != 0) ||
        file->finish(file, true, err) != 0) {
        use_db_discard(writer);
        return -1;
    }
    buf_destroy(&writer->records);
    return file->publish(file, true, NULL, err);
}

void use_db_discard(struct use_db_writer *writer)
{
    buf_destroy(&writer->records);
    writer->file->discard(writer->file);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static void tell_records(const struct use_db_visitor *visitor, const uint8_t *at, size_t count)
{
    for (size_t i = 0; i < count && visitor->record != NULL; i++, at += RECORD_BYTES)
        visitor->record(visitor->ctx, &(struct use_record){.fp = get_le64(at),
                                                           .known = get_le32(at + 8),
                                                           .last_s = get_le32(at + 12),
                                                           .reads = get_le32(at + 16)});
}

/* The block at *offset, which goes behind it; 1: there is none any more. */
static int read_block(struct volume *volume, const struct use_db_visitor *visitor, uint64_t *offset,
                      uint64_t *damaged, struct error *err)
{
    uint8_t block[BLOCK_BYTES];
    uint32_t records;
    size_t len, got;

    if (volume->read(volume, USE_FILE, *offset, block, BLOCK_BYTES, &got, err) != 0)
        return -1;
    if (got == 0)
        return 1;
    records = got >= HEADER_BYTES ? get_le32(block) : 0;
    len = records * RECORD_BYTES;
    if (records == 0 || records > BLOCK_RECORDS || got < HEADER_BYTES + len)
        return error_set(err, ERR_CORRUPT, "it ends within a block, at byte %" PRIu64, *offset);
    *offset += HEADER_BYTES + len;
    if (crc32c(crc32c(0, block, 4), block + HEADER_BYTES, len) == get_le32(block + 4))
        tell_records(visitor, block + HEADER_BYTES, records);
    else
        ++*damaged;
    return 0;
}

int use_db_read(struct volume *volume, const struct use_db_visitor *visitor, uint64_t *damaged,
                struct error *err)
{
    char magic[MAGIC_BYTES];
    uint64_t offset = MAGIC_BYTES;
    size_t got;
    int status;

    *damaged = 0;
    if (volume->read(volume, USE_FILE, 0, magic, MAGIC_BYTES, &got, err) != 0)
        return -1;
    if (got != MAGIC_BYTES || memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
        return error_set(err, ERR_CORRUPT, "it does not begin as such a file");
    do
        status = read_block(volume, visitor, &offset, damaged, err);
    while (status == 0);
    return status < 0 ? -1 : 0;
}
