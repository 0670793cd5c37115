/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#define BUF_MIN_CAP 64

void buf_destroy(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}

uint8_t *buf_reserve(struct buf *buf, size_t extra)
{
    if (buf->cap - buf->len < extra) {
        size_t need = buf->len + extra;
        size_t cap = buf->cap * 2 > BUF_MIN_CAP ? buf->cap * 2 : BUF_MIN_CAP;

        TIDE_ASSERT(need >= extra);
        buf->cap = cap > need ? cap : need;
        buf->data = mem_realloc(buf->data, buf->cap);
    }
    return buf->len != 0 ? buf->data + buf->len : buf->data; /* NULL has no place to add to */
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    TIDE_ASSERT(len >= 0);
    va_start(args, format);
    vsnprintf((char *)buf_reserve(buf, (size_t)len + 1), (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}
