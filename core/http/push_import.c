/* push_import.c - see push_import.h.
 *
 * What a body holds in memory is one piece, one line that is not whole yet, and the batch of the
 * lines of one piece: all bounded, whatever the body's size and however it is compressed. */
#include "http/push_import.h"

#include "http/coding.h"
#include "http/push.h"
#include "wire/json_lines.h"

/* Longer lines are skipped. */
#define LINE_BYTES ((size_t)10 << 20)
/* Decompressed and decoded at once. */
#define PIECE_BYTES ((size_t)256 << 10)

struct import {
    struct inflate_stream *inflate; /* NULL: the body is not compressed */
    struct buf inflated;
    struct buf rest; /* a line that is not whole yet */
    uint32_t line;   /* lines so far */
    bool skipping;   /* up to the end of a line that is too long */
    struct append_result total;
};

static void free_import(void *state)
{
    struct import *import = state;

    inflate_stream_free(import->inflate);
    buf_destroy(&import->inflated);
    buf_destroy(&import->rest);
    mem_free(import);
}

static struct import *import_of(struct http_request *request, struct error *err)
{
    enum coding_kind kind = coding_of_body(request->head);
    struct import *import = request->state;

    if (import != NULL)
        return import;
    if (kind == CODING_UNKNOWN || kind == CODING_SNAPPY) {
        error_set(err, ERR_UNSUPPORTED, "Content-Encoding is none of gzip, deflate");
        return NULL;
    }
    import = mem_zalloc(1, sizeof(*import));
    if (kind != CODING_IDENTITY)
        import->inflate = inflate_stream_new(kind);
    append_result_init(&import->total);
    request->state = import;
    request->state_free = free_import;
    return import;
}

/* --- lines --- */

static void add_result(struct append_result *total, const struct append_result *part)
{
    total->accepted += part->accepted;
    total->late += part->late;
    total->expiring += part->expiring;
    for (size_t i = 0; i < REFUSED_REASONS; i++)
        total->refused[i] += part->refused[i];
    for (size_t i = 0; i < part->example_count && total->example_count < APPEND_EXAMPLES; i++)
        total->examples[total->example_count++] = part->examples[i];
}

/* Decodes and stores whole lines of the bytes. */
static int store_lines(struct http_request *request, struct http_reply *reply,
                       struct import *import, const uint8_t *bytes, size_t len, bool last,
                       size_t *used, struct error *err)
{
    struct push_job job = {0};
    int failed = push_begin(&job, request, reply, err);

    job.import = true;
    if (failed == 0)
        failed = json_lines_decode_part(bytes, len, last, &import->line, used, &job.push, job.batch,
                                        job.result, err);
    if (failed == 0 && job.batch->entry_count > 0)
        failed = push_append(&job, err);
    add_result(&import->total, job.result);
    push_end(&job);
    return failed;
}

/* Leaves the rest of a line that is too long out; returns the bytes that belong to it. */
static size_t skip_line(struct import *import, const uint8_t *bytes, size_t len)
{
    const uint8_t *newline = memchr(bytes, '\n', len);

    import->skipping = newline == NULL;
    return newline != NULL ? (size_t)(newline + 1 - bytes) : len;
}

static int take_lines(struct http_request *request, struct http_reply *reply, struct import *import,
                      const uint8_t *bytes, size_t len, bool last, struct error *err)
{
    struct buf *rest = &import->rest;
    size_t used = 0;

    if (import->skipping && len > 0) {
        used = skip_line(import, bytes, len);
        bytes += used;
        len -= used;
    }
    if (rest->len > 0) {
        buf_append(rest, bytes, len);
        bytes = rest->data;
        len = rest->len;
    }
    used = 0;
    if (len > 0 && store_lines(request, reply, import, bytes, len, last, &used, err) != 0)
        return -1;
    len -= used;
    if (len > LINE_BYTES) {
        append_result_refuse(&import->total, REFUSED_MALFORMED, 1, 0, ++import->line,
                             "the line is longer than %zu bytes", LINE_BYTES);
        import->skipping = true;
        len = 0;
    }
    if (rest->len > 0)
        memmove(rest->data, rest->data + used, len);
    else
        buf_append(rest, bytes + used, len);
    rest->len = len;
    return 0;
}

static int take_compressed(struct http_request *request, struct http_reply *reply,
                           struct import *import, const uint8_t *bytes, size_t len,
                           struct error *err)
{
    struct buf *out = &import->inflated;

    do {
        out->len = 0;
        if (inflate_stream_next(import->inflate, &bytes, &len, PIECE_BYTES, out, err) != 0 ||
            take_lines(request, reply, import, out->data, out->len, false, err) != 0)
            return -1;
    } while (len > 0 || out->len == PIECE_BYTES);
    return 0;
}

/* --- the route --- */

/* What went wrong, and how far it came. */
static void fail(const struct import *import, struct http_reply *reply, struct error *err)
{
    if (import != NULL)
        error_note(err, "after %" PRIu32 " lines and %" PRIu64 " samples", import->line,
                   import->total.accepted);
    http_reply_failure(reply, err);
}

bool push_import_take(struct http_request *request, const uint8_t *bytes, size_t len,
                      struct http_reply *reply)
{
    struct error err;
    struct import *import = import_of(request, &err);
    int failed = -1;

    if (import != NULL)
        failed = import->inflate != NULL
                     ? take_compressed(request, reply, import, bytes, len, &err)
                     : take_lines(request, reply, import, bytes, len, false, &err);
    if (import != NULL)
        request->held = import->rest.cap + import->inflated.cap;
    if (failed != 0)
        fail(import, reply, &err);
    return failed == 0;
}

void push_import(struct http_request *request, struct http_reply *reply)
{
    static const uint8_t nothing[1];
    struct push_job job = {.request = request, .reply = reply};
    struct import *import = request->state;
    struct error err;

    if (import == NULL) { /* no body at all */
        reply->status = 204;
        return;
    }
    if (import->inflate != NULL && !inflate_stream_ended(import->inflate)) {
        error_set(&err, ERR_INVALID, "the compressed body is cut off");
        fail(import, reply, &err);
        return;
    }
    if (take_lines(request, reply, import, nothing, 0, true, &err) != 0) {
        fail(import, reply, &err);
        return;
    }
    job.result = &import->total;
    push_answer(&job);
}
