/* fuzz_http.c - the framing of requests: any bytes as a head, and as a chunked body cut anywhere.
 */
#include "base/base.h"
#include "http/chunked.h"
#include "http/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* However a body is cut into pieces, it is decoded to the same bytes. */
static void decode_cut(const uint8_t *data, size_t size, size_t cut)
{
    struct chunked whole = {0}, cut_up = {0};
    struct buf expected = {0}, got = {0};
    size_t used = 0, first = 0, second = 0;
    enum chunked_result result = chunked_feed(&whole, data, size, 1 << 16, &used, &expected);
    enum chunked_result half = chunked_feed(&cut_up, data, cut, 1 << 16, &first, &got);

    if (half == CHUNKED_MORE)
        half = chunked_feed(&cut_up, data + cut, size - cut, 1 << 16, &second, &got);
    TIDE_ASSERT(half == result);
    if (result == CHUNKED_END || result == CHUNKED_MORE) {
        TIDE_ASSERT(first + second == used && got.len == expected.len);
        TIDE_ASSERT(got.len == 0 || memcmp(got.data, expected.data, got.len) == 0);
    }
    buf_destroy(&expected);
    buf_destroy(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    struct error err;
    size_t scanned = 0;
    int status;
    ptrdiff_t end = http_head_find_end((const char *)data, size, &scanned);

    if (end > 0 && http_head_parse((const char *)data, (size_t)end, &head, &status, &err) == 0) {
        TIDE_ASSERT(head.path.len > 0 && !(head.chunked && head.has_length));
        (void)http_head_field(&head, "Accept");
    }
    if (size > 0)
        decode_cut(data + 1, size - 1, data[0] % size);
    return 0;
}
