/* coding.h - content codings: gzip, deflate and snappy bodies in, gzip out.
 *
 * Every result is bounded before it is made: a small body that wants to become a huge one is
 * refused at the limit. A struct coding is the scratch of one thread. */
#ifndef TIDE_HTTP_CODING_H
#define TIDE_HTTP_CODING_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "http/http_head.h"

struct coding;
struct gzip_stream;
struct inflate_stream;

enum coding_kind {
    CODING_IDENTITY,
    CODING_GZIP,
    CODING_DEFLATE, /* zlib's format */
    CODING_SNAPPY,  /* one block, as remote write has it */
    CODING_UNKNOWN,
};

/** One owner, not thread-safe. */
struct coding *coding_new(void);
void coding_free(struct coding *coding);

/** The coding of a request's body, by its Content-Encoding. */
enum coding_kind coding_of_body(const struct http_head *head);
/**
 * Decodes a whole body into `out`, replacing what it held.
 *
 * @return 0, or -1 with err: INVALID (not the coding it claims to be), LIMIT (over max_bytes),
 *         UNSUPPORTED, NOMEM; then `out` is empty
 */
TIDE_NODISCARD int coding_decode(struct coding *coding, enum coding_kind kind, const uint8_t *bytes,
                                 size_t len, size_t max_bytes, struct buf *out, struct error *err);

/** Does the asker take gzip, by the q-values of its Accept-Encoding? */
bool coding_accepts_gzip(const struct http_head *head);
/** Replaces `body` by its gzip form; false (and untouched) when that would be no shorter. */
bool coding_gzip(struct coding *coding, struct buf *body);

/** gzip piece by piece; one owner. */
struct gzip_stream *gzip_stream_new(void);
void gzip_stream_free(struct gzip_stream *stream);
/** Appends the compressed form of a piece so that the reader can read all of it. */
void gzip_stream_put(struct gzip_stream *stream, const struct buf *piece, bool last,
                     struct buf *out);

/** gzip (any number of members) or zlib, piece by piece; one owner. */
struct inflate_stream *inflate_stream_new(enum coding_kind kind);
/** Takes NULL. */
void inflate_stream_free(struct inflate_stream *stream);
/**
 * Decompresses some of *bytes into `out`, at most `max_bytes` more; moves *bytes and *len on. Come
 * again while *len is not 0 or `out` was filled.
 *
 * @return 0, or -1 with err: INVALID (not what it claims to be)
 */
TIDE_NODISCARD int inflate_stream_next(struct inflate_stream *stream, const uint8_t **bytes,
                                       size_t *len, size_t max_bytes, struct buf *out,
                                       struct error *err);
/** Was everything decompressed, up to a regular end? */
bool inflate_stream_ended(const struct inflate_stream *stream);

#endif
