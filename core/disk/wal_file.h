/* wal_file.h - names and headers of the log's segments, and their bytes through the volume. */
#ifndef TIDE_DISK_WAL_FILE_H
#define TIDE_DISK_WAL_FILE_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"
#include "disk/wal_body.h"

/* "TIDEWAL1", u32 version 1, u32 0, u64 store id, u64 segment, u64 first record, the checkpoint
 * that was the last when it was begun (u64 segment, u64 size, i64 mtime of heads.db), zeros, u32
 * CRC-32C (masked) of the bytes before it. Little-endian. */
#define WAL_FOLDER "wal"
#define WAL_HEADER_BYTES 80
#define WAL_NAME_BYTES 32
/* A larger file is no segment of ours. */
#define WAL_SEGMENT_MAX ((uint64_t)4 << 30)

struct wal_header {
    uint64_t store_id;
    uint64_t segment;
    uint64_t first_record; /* number of its first record */
    struct wal_mark mark;
};

/** "wal/0000000000000001.wal" into `name`, which has WAL_NAME_BYTES. */
void wal_file_name(char *name, uint64_t segment);
/** The number in such a file's name without its folder; false when it is another name. */
bool wal_file_parse(const char *name, uint64_t *segment);

void wal_header_write(uint8_t *out, const struct wal_header *header);
/** False when it is damaged or of another version. */
bool wal_header_read(const uint8_t *bytes, size_t len, struct wal_header *header);

/** Appends at the expected length; a short write is cut back. -1 with err: IO. */
TIDE_NODISCARD int wal_file_append(struct volume *volume, uint64_t segment, uint64_t expected_len,
                                   const uint8_t *bytes, size_t len, struct error *err);
TIDE_NODISCARD int wal_file_sync(struct volume *volume, uint64_t segment, struct error *err);

#endif
