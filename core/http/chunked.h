/* chunked.h - the chunked transfer coding of a body, decoded byte by byte, strictly.
 *
 * Sizes are at most 15 hex digits, lines end with CR LF, extensions and trailers are skipped within
 * bounds. Pure over hostile bytes; a zeroed decoder is at the start. */
#ifndef TIDE_HTTP_CHUNKED_H
#define TIDE_HTTP_CHUNKED_H

#include "base/base.h"
#include "base/buf.h"

struct chunked {
    int state;
    unsigned digits;  /* of the size being read */
    size_t skipped;   /* bytes of extensions and trailers so far */
    uint64_t size;    /* bytes left of the chunk */
    uint64_t decoded; /* bytes of the body so far */
};

enum chunked_result {
    CHUNKED_MORE,      /* all bytes were taken, the body goes on */
    CHUNKED_END,       /* the body is complete */
    CHUNKED_BAD,       /* not the coding: nothing behind it can be read */
    CHUNKED_TOO_LARGE, /* more than `limit` bytes of body */
};

/* Most bytes of extensions and trailers in one body. */
#define CHUNKED_SKIP_MAX 8192

/**
 * @param used  out: bytes taken from `bytes`; what is behind belongs to the next request
 * @param out   decoded bytes are appended
 */
enum chunked_result chunked_feed(struct chunked *chunked, const uint8_t *bytes, size_t len,
                                 uint64_t limit, size_t *used, struct buf *out);

#endif
