/* http_head.h - the head of a request (request line and fields) from bytes, strictly.
 *
 * libhttp-parser reads it; what that library lets pass and intermediaries may read differently is
 * refused here: bare line feeds, folded lines, control bytes, blanks in field names, two lengths,
 * a length beside chunks, other transfer codings, other versions. Pure functions over hostile
 * bytes, thread-safe, no allocation. */
#ifndef TIDE_HTTP_HTTP_HEAD_H
#define TIDE_HTTP_HTTP_HEAD_H

#include "base/base.h"
#include "base/error.h"

/* Borrowed bytes, not terminated. */
struct http_text {
    const char *at;
    size_t len;
};

/* Bits, so that a route can name several. 0 is any other method. */
enum http_verb {
    HTTP_VERB_GET = 1 << 0,
    HTTP_VERB_HEAD = 1 << 1,
    HTTP_VERB_POST = 1 << 2,
    HTTP_VERB_PUT = 1 << 3,
    HTTP_VERB_DELETE = 1 << 4,
    HTTP_VERB_OPTIONS = 1 << 5,
};

struct http_field {
    struct http_text name;  /* as sent */
    struct http_text value; /* without blanks around */
};

#define HTTP_FIELDS_MAX 100

struct http_head {
    unsigned verb; /* enum http_verb, or 0 */
    struct http_text method;
    struct http_text path;  /* raw, begins with '/' (or is "*") */
    struct http_text query; /* raw, behind '?' */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
    uint64_t content_length; /* when has_length */
    bool has_length;
    bool chunked;
    bool expect_continue;
    bool keep_alive;
    bool http10;
};

/* The most that head_parse reads, whatever the limit of a connection is. */
#define HTTP_HEAD_MAX_BYTES ((size_t)2 << 20)

/**
 * Looks for the end of a head.
 *
 * @param scanned  in, out: bytes that an earlier call looked at (0 at first)
 * @return bytes of the head with its empty line; 0 when it is not complete; -1 when a line ends
 *         without a carriage return (nothing good can follow)
 */
ptrdiff_t http_head_find_end(const char *bytes, size_t len, size_t *scanned);

/**
 * Parses a complete head.
 *
 * @param bytes   what http_head_find_end delimited; the result borrows from it
 * @param status  out on failure: 400, 417, 431, 501 or 505
 * @return 0, or -1 with err: INVALID
 */
TIDE_NODISCARD int http_head_parse(const char *bytes, size_t len, struct http_head *head,
                                   int *status, struct error *err);

/** The first field of a name (any letter case); NULL when there is none. */
const struct http_field *http_head_field(const struct http_head *head, const char *name);
/** Are they the same in any letter case of ASCII? */
bool http_text_is(struct http_text text, const char *word);

#endif
