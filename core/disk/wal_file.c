/* wal_file.c - see wal_file.h. */
#include "disk/wal_file.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define MAGIC "TIDEWAL1"
#define VERSION 1
#define CRC_AT (WAL_HEADER_BYTES - 4)
#define NUMBER_DIGITS 16

void wal_file_name(char *name, uint64_t segment)
{
    snprintf(name, WAL_NAME_BYTES, WAL_FOLDER "/%016" PRIx64 ".wal", segment);
}

bool wal_file_parse(const char *name, uint64_t *segment)
{
    uint64_t number = 0;

    if (strlen(name) != NUMBER_DIGITS + 4 || strcmp(name + NUMBER_DIGITS, ".wal") != 0)
        return false;
    for (int i = 0; i < NUMBER_DIGITS; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, name[i]);

        if (digit == NULL)
            return false;
        number = number << 4 | (uint64_t)(digit - digits);
    }
    *segment = number;
    return true;
}

void wal_header_write(uint8_t *out, const struct wal_header *header)
{
    memset(out, 0, WAL_HEADER_BYTES);
    memcpy(out, MAGIC, 8);
    put_le32(out + 8, VERSION);
    put_le64(out + 16, header->store_id);
    put_le64(out + 24, header->segment);
    put_le64(out + 32, header->first_record);
    put_le64(out + 40, header->mark.segment);
    put_le64(out + 48, header->mark.heads_size);
    put_le64(out + 56, (uint64_t)header->mark.heads_mtime_ns);
    put_le32(out + CRC_AT, crc32c_mask(crc32c(0, out, CRC_AT)));
}

bool wal_header_read(const uint8_t *bytes, size_t len, struct wal_header *header)
{
    if (len < WAL_HEADER_BYTES || memcmp(bytes, MAGIC, 8) != 0 || get_le32(bytes + 8) != VERSION ||
        get_le32(bytes + CRC_AT) != crc32c_mask(crc32c(0, bytes, CRC_AT)))
        return false;
    header->store_id = get_le64(bytes + 16);
    header->segment = get_le64(bytes + 24);
    header->first_record = get_le64(bytes + 32);
    header->mark.segment = get_le64(bytes + 40);
    header->mark.heads_size = get_le64(bytes + 48);
    header->mark.heads_mtime_ns = (int64_t)get_le64(bytes + 56);
    return true;
}

int wal_file_append(struct volume *volume, uint64_t segment, uint64_t expected_len,
                    const uint8_t *bytes, size_t len, struct error *err)
{
    char name[WAL_NAME_BYTES];
    struct volume_part part = {bytes, len};

    wal_file_name(name, segment);
    return volume->append(volume, name, expected_len, &part, 1, false, NULL, err);
}

int wal_file_sync(struct volume *volume, uint64_t segment, struct error *err)
{
    char name[WAL_NAME_BYTES];

    wal_file_name(name, segment);
    return volume->sync(volume, name, err);
}
