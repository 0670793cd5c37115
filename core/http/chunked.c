#include "http/chunked.h"

#include "base/hex.h"

enum state {
    AT_SIZE,
    IN_SIZE,
    IN_EXTENSION,
    AT_SIZE_FEED,
    IN_DATA,
    AT_DATA_RETURN,
    AT_DATA_FEED,
    AT_TRAILER,
    IN_TRAILER,
    AT_TRAILER_FEED,
    AT_END_FEED,
    AT_END,
};

/* A byte of the line with the size; false when it does not belong there. */
static bool take_size(struct chunked *chunked, uint8_t c)
{
    int digit = hex_digit((char)c);

    if (digit >= 0 && chunked->state != IN_EXTENSION) {
        if (chunked->digits == 15)
            return false;
        chunked->size = chunked->size << 4 | (uint64_t)digit;
        chunked->digits++;
        chunked->state = IN_SIZE;
        return true;
    }
    if (chunked->digits == 0)
        return false;
    if (c == '\r') {
        chunked->state = AT_SIZE_FEED;
        return true;
    }
    if (chunked->state == IN_SIZE && c != ';')
        return false;
    chunked->state = IN_EXTENSION;
    return (c >= ' ' || c == '\t') && c != 0x7f && ++chunked->skipped <= CHUNKED_SKIP_MAX;
}

/* A byte of anything but data; false when it does not belong there. */
static bool take_byte(struct chunked *chunked, uint8_t c)
{
    switch ((enum state)chunked->state) {
    case AT_SIZE:
    case IN_SIZE:
    case IN_EXTENSION:
        return take_size(chunked, c);
    case AT_SIZE_FEED:
        chunked->state = chunked->size == 0 ? AT_TRAILER : IN_DATA;
        return c == '\n';
    case AT_DATA_RETURN:
        chunked->state = AT_DATA_FEED;
        return c == '\r';
    case AT_DATA_FEED:
        chunked->state = AT_SIZE;
        chunked->digits = 0;
        chunked->size = 0;
        return c == '\n';
    case AT_TRAILER:
        chunked->state = c == '\r' ? AT_END_FEED : IN_TRAILER;
        return c == '\r' || (c > ' ' && c != 0x7f && ++chunked->skipped <= CHUNKED_SKIP_MAX);
    case IN_TRAILER:
        if (c == '\r')
            chunked->state = AT_TRAILER_FEED;
        else if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
        return ++chunked->skipped <= CHUNKED_SKIP_MAX;
    case AT_TRAILER_FEED:
        chunked->state = AT_TRAILER;
        return c == '\n';
    case AT_END_FEED:
        chunked->state = AT_END;
        return c == '\n';
    case IN_DATA:
    case AT_END:
        break;
    }
    return false;
}

enum chunked_result chunked_feed(struct chunked *chunked, const uint8_t *bytes, size_t len,
                                 uint64_t limit, size_t *used, struct buf *out)
{
    size_t at = 0;

    while (at < len && chunked->state != AT_END) {
        if (chunked->state == IN_DATA) {
            size_t part = (size_t)TIDE_MIN(chunked->size, (uint64_t)(len - at));

            if (chunked->size > limit - chunked->decoded)
                return CHUNKED_TOO_LARGE;
            buf_append(out, bytes + at, part);
            at += part;
            chunked->decoded += part;
            chunked->size -= part;
            if (chunked->size == 0)
                chunked->state = AT_DATA_RETURN;
        } else if (!take_byte(chunked, bytes[at++])) {
            *used = at;
            return CHUNKED_BAD;
        }
    }
    *used = at;
    return chunked->state == AT_END ? CHUNKED_END : CHUNKED_MORE;
}
