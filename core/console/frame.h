/* frame.h - what goes over the console's socket: frames of a 12-byte head and a payload.
 *
 *     u32 length of the payload   u32 id of the request   u8 kind   3 bytes, zero
 *
 * Little-endian. Every request has an id of the client's choice, its answer has the same: parts of
 * the output first, then one frame that ends it. */
#ifndef TIDE_CONSOLE_FRAME_H
#define TIDE_CONSOLE_FRAME_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

#define FRAME_HEAD_BYTES ((size_t)12)
/* Of a request; an answer is bounded by the session's output. */
#define FRAME_REQUEST_MAX ((size_t)1 << 20)
#define FRAME_ANSWER_MAX ((size_t)16 << 20)

enum frame_kind {
    /* from the client */
    FRAME_EVAL = 'E',     /* lines of Lua */
    FRAME_COMPLETE = 'C', /* u32 cursor, then the line */
    FRAME_CANCEL = 'X',   /* ends the request of this id */
    /* from the server */
    FRAME_HELLO = 'H',      /* the program's version; once, with id 0 */
    FRAME_STATE = 'S',      /* a word like "recovering", empty when all is well; id 0 */
    FRAME_PART = 'P',       /* what print() wrote */
    FRAME_DONE = 'D',       /* u32 length of the text for people, that text, then JSON */
    FRAME_FAILED = 'F',     /* the same: what is wrong */
    FRAME_CANCELLED = 'Z',  /* the same */
    FRAME_INCOMPLETE = 'I', /* more lines are wanted */
    FRAME_ITEMS = 'L',      /* completion: {"from":N,"items":[...]} */
};

struct frame {
    enum frame_kind kind;
    uint32_t id;
    const uint8_t *payload; /* borrowed from the buffer it was read from */
    size_t len;
};

#ifndef TIDE_CDEF
#include "base/bytes.h"

static inline void frame_head(uint8_t out[FRAME_HEAD_BYTES], enum frame_kind kind, uint32_t id,
                              size_t len)
{
    put_le32(out, (uint32_t)len);
    put_le32(out + 4, id);
    put_le32(out + 8, (uint32_t)kind);
}

/**
 * The frame at the start of `bytes`.
 *
 * @return its size with the head; 0: more bytes are wanted; -1: longer than `max`, not a frame
 */
static inline int64_t frame_parse(const uint8_t *bytes, size_t len, size_t max, struct frame *out)
{
    size_t payload;

    if (len < FRAME_HEAD_BYTES)
        return 0;
    payload = get_le32(bytes);
    if (payload > max || get_le32(bytes + 8) > 0xff)
        return -1;
    if (len - FRAME_HEAD_BYTES < payload)
        return 0;
    *out = (struct frame){(enum frame_kind)bytes[8], get_le32(bytes + 4), bytes + FRAME_HEAD_BYTES,
                          payload};
    return (int64_t)(FRAME_HEAD_BYTES + payload);
}
#endif

#endif
