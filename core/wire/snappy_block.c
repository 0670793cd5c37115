/* snappy_block.c - see snappy_block.h. Reading is ours, since the library's calls of memmove for
 * each element cost twice as much; the format: format_description.txt of snappy. */
#include "wire/snappy_block.h"

#include <snappy-c.h>

#include "base/bytes.h"
#include "base/mem.h"

/* A copy element of three bytes makes 64: no honest block declares much more than 22 times its
 * size. Small blocks get some room for their preamble. */
#define SNAPPY_MAX_RATIO 22
#define SNAPPY_SLACK_BYTES 64

/* What the result's buffer has behind it: a copy always writes 64 bytes. */
#define COPY_BYTES ((size_t)64)

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

/* --- the elements of a block --------------------------------------------------------------------
 */

enum { TAG_LITERAL, TAG_COPY_1, TAG_COPY_2, TAG_COPY_4 };

/* Literals longer than this have their length in 1 to 4 bytes behind the tag. */
#define LITERAL_SHORT 60u

/* What is left to read and to write. */
struct elements {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t *begin; /* of the result */
    uint8_t *to;
    uint8_t *to_end;
};

static inline void copy16(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, 16);
}

static bool read_literal(struct elements *e, size_t len)
{
    size_t extra = len > LITERAL_SHORT ? len - LITERAL_SHORT : 0;

    if (TIDE_LIKELY(len <= 16 && e->end - e->at >= 16 && len <= (size_t)(e->to_end - e->to))) {
        copy16(e->to, e->at);
        e->at += len;
        e->to += len;
        return true;
    }
    if (extra != 0) {
        if (extra > (size_t)(e->end - e->at))
            return false;
        len = 1;
        for (size_t i = 0; i < extra; i++)
            len += (size_t)e->at[i] << 8 * i;
        e->at += extra;
    }
    if (len > (size_t)(e->end - e->at) || len > (size_t)(e->to_end - e->to))
        return false;
    memcpy(e->to, e->at, len);
    e->at += len;
    e->to += len;
    return true;
}

/* The last `len` (at most 64) bytes from `back` bytes before the end of the result, again. Pieces
 * of 16 from front to back are right for whatever is so far back. */
static bool copy_back(struct elements *e, size_t back, size_t len)
{
    const uint8_t *from = e->to - back;

    if (TIDE_UNLIKELY(back - 1 >= (size_t)(e->to - e->begin) || len > (size_t)(e->to_end - e->to)))
        return false;
    if (TIDE_LIKELY(back >= 16)) {
        copy16(e->to, from);
        copy16(e->to + 16, from + 16);
        copy16(e->to + 32, from + 32);
        copy16(e->to + 48, from + 48);
    } else {
        for (size_t i = 0; i < len; i++)
            e->to[i] = from[i];
    }
    e->to += len;
    return true;
}

/* The whole block behind its length; `out` has COPY_BYTES more than `size`. */
static bool read_elements(const uint8_t *at, const uint8_t *end, uint8_t *out, size_t size)
{
    struct elements e = {at, end, out, out, out + size};

    while (e.at < e.end) {
        uint8_t tag = *e.at++;
        size_t len = (size_t)(tag >> 2) + 1;
        unsigned bytes = (unsigned)tag & 3; /* of the offset, but for TAG_COPY_4 */
        size_t back;

        if (bytes == TAG_LITERAL) {
            if (!read_literal(&e, len))
                return false;
            continue;
        }
        bytes = bytes == TAG_COPY_4 ? 4 : bytes;
        if (bytes > (size_t)(e.end - e.at))
            return false;
        if (bytes == 1) {
            len = 4 + (tag >> 2 & 7);
            back = (size_t)(tag >> 5) << 8 | e.at[0];
        } else {
            back = bytes == 2 ? get_le16(e.at) : get_le32(e.at);
        }
        e.at += bytes;
        if (!copy_back(&e, back, len))
            return false;
    }
    return e.to == e.to_end;
}

/* --- the door -----------------------------------------------------------------------------------
 */

int snappy_block_decode(const uint8_t *block, size_t len, size_t max_bytes, struct buf *out,
                        struct error *err)
{
    size_t declared = 0;
    uint64_t size;

    out->len = 0;
    if (check_declared(block, len, max_bytes, &declared, err) != 0)
        return -1;
    if (out->cap < declared + COPY_BYTES) {
        uint8_t *data = mem_try_alloc(declared + COPY_BYTES);

        if (data == NULL)
            return error_set(err, ERR_NOMEM, "no memory for a body of %zu bytes", declared);
        buf_destroy(out);
        *out = (struct buf){.data = data, .cap = declared + COPY_BYTES};
    }
    if (!read_elements(uvarint_get(block, block + len, &size), block + len, out->data, declared))
        return error_set(err, ERR_INVALID, "broken snappy block of %zu bytes", len);
    out->len = declared;
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
