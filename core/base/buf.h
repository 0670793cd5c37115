/* buf.h - a growing byte buffer with one owner. A zeroed struct is an empty buffer.
 *
 * Not thread-safe. Growth doubles; appending never fails (mem_alloc's rule), so callers check
 * outside sizes before. */
#ifndef TIDE_BASE_BUF_H
#define TIDE_BASE_BUF_H

#include "base/base.h"
#include "base/mem.h"

struct buf {
    uint8_t *data; /* may be NULL when cap is 0 */
    size_t len;    /* bytes used */
    size_t cap;    /* bytes allocated */
};

/** Frees the memory and empties the buffer; safe on a zeroed or destroyed one. */
void buf_destroy(struct buf *buf);
/** Makes room for `extra` more bytes and returns where they go (len is not moved). */
uint8_t *buf_reserve(struct buf *buf, size_t extra);
/** Appends printf text (without the terminator). */
void buf_printf(struct buf *buf, const char *format, ...) TIDE_PRINTF(2, 3);
/** Appends a terminated string. */
void buf_puts(struct buf *buf, const char *text);

#ifndef TIDE_CDEF
/** buf_reserve, inline while there is room. */
static inline uint8_t *buf_room(struct buf *buf, size_t extra)
{
    return TIDE_LIKELY(buf->cap - buf->len >= extra) && buf->len != 0 ? buf->data + buf->len
                                                                      : buf_reserve(buf, extra);
}

static inline void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (TIDE_UNLIKELY(buf->cap - buf->len < len))
        buf_reserve(buf, len);
    if (len != 0)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
}

static inline void buf_putc(struct buf *buf, char c)
{
    if (TIDE_UNLIKELY(buf->cap == buf->len))
        buf_reserve(buf, 1);
    buf->data[buf->len++] = (uint8_t)c;
}
#endif

#endif
