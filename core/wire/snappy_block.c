/* snappy_block.c - see snappy_block.h. */
#include "wire/snappy_block.h"

#include <snappy-c.h>

#include "base/bytes.h"
#include "base/mem.h"

/* A copy element of three bytes makes 64: no honest block declares much more than 22 times its
 * size. Small blocks get some room for their preamble. */
#define SNAPPY_MAX_RATIO 22
#define SNAPPY_SLACK_BYTES 64

static bool is_framed(const uint8_t *block, size_t len)
{
    static const uint8_t magic[] = {0xff, 0x06, 0x00, 0x00, 's', 'N', 'a', 'P', 'p', 'Y'};

    return len >= sizeof(magic) && memcmp(block, magic, sizeof(magic)) == 0;
}

static int check_declared(const uint8_t *block, size_t len, size_t max_bytes, size_t *declared,
                          struct error *err)
{
    uint64_t size;

    if (is_framed(block, len))
        return error_set(err, ERR_INVALID,
                         "this is framed snappy; remote write takes the block format");
    if (uvarint_get(block, block + len, &size) == NULL || size > UINT32_MAX)
        return error_set(err, ERR_INVALID, "not a snappy block: its length cannot be read");
    if (size > max_bytes)
        return error_set(err, ERR_LIMIT, "decompressed body of %" PRIu64 " bytes is over %zu", size,
                         max_bytes);
    if (size / SNAPPY_MAX_RATIO > len + SNAPPY_SLACK_BYTES)
        return error_set(err, ERR_INVALID, "%zu bytes of snappy cannot hold %" PRIu64, len, size);
    *declared = (size_t)size;
    return 0;
}

int snappy_block_decode(const uint8_t *block, size_t len, size_t max_bytes, struct buf *out,
                        struct error *err)
{
    size_t declared = 0, written;

    out->len = 0;
    if (check_declared(block, len, max_bytes, &declared, err) != 0)
        return -1;
    if (out->cap < declared) {
        uint8_t *data = mem_try_alloc(declared);

        if (data == NULL)
            return error_set(err, ERR_NOMEM, "no memory for a body of %zu bytes", declared);
        buf_destroy(out);
        *out = (struct buf){.data = data, .cap = declared};
    }
    if (out->cap == 0)
        buf_reserve(out, 1);
    written = out->cap;
    if (snappy_uncompress((const char *)block, len, (char *)out->data, &written) != SNAPPY_OK ||
        written != declared)
        return error_set(err, ERR_INVALID, "broken snappy block of %zu bytes", len);
    out->len = written;
    return 0;
}

void snappy_block_encode(const uint8_t *bytes, size_t len, struct buf *out)
{
    size_t room = snappy_max_compressed_length(len);
    char *at = (char *)buf_reserve(out, room);
    snappy_status status = snappy_compress((const char *)bytes, len, at, &room);

    TIDE_ASSERT(status == SNAPPY_OK);
    out->len += room;
}
