/* remote_read_answer.c - see remote_read_answer.h. */
#include "wire/remote_read_answer.h"

#include "base/crc32c.h"
#include "wire/protobuf.h"
#include "wire/xor_chunk.h"

enum { REQUEST_QUERY = 1, REQUEST_ACCEPTED = 2 };
enum { QUERY_START = 1, QUERY_END = 2, QUERY_MATCHER = 3 };
enum { KIND_SAMPLES = 0, KIND_STREAMED = 1 };
enum { SERIES_LABEL = 1, SERIES_SAMPLE = 2, SERIES_CHUNK = 2, SERIES_HISTOGRAM = 4 };
enum { CHUNK_TYPE = 3, CHUNK_DATA = 4, CHUNK_IS_XOR = 1 };
#define CHECKSUM_BYTES 4

/* --- the question -------------------------------------------------------------------------------
 */

static void put_matcher(struct buf *query, const struct matcher *matcher)
{
    struct buf message = {0};

    protobuf_put_number(&message, 1, (uint64_t)matcher->type);
    protobuf_put_bytes(&message, 2, matcher->name, matcher->name_len);
    protobuf_put_bytes(&message, 3, matcher->value, matcher->value_len);
    protobuf_put_bytes(query, QUERY_MATCHER, message.data, message.len);
    buf_destroy(&message);
}

void remote_read_put_query(struct buf *request, int64_t start_ms, int64_t end_ms,
                           const struct matcher *matchers, size_t count)
{
    struct buf query = {0};

    protobuf_put_number(&query, QUERY_START, (uint64_t)start_ms);
    protobuf_put_number(&query, QUERY_END, (uint64_t)end_ms);
    for (size_t i = 0; i < count; i++)
        put_matcher(&query, &matchers[i]);
    protobuf_put_bytes(request, REQUEST_QUERY, query.data, query.len);
    buf_destroy(&query);
}

void remote_read_put_accepted(struct buf *request)
{
    protobuf_put_number(request, REQUEST_ACCEPTED, KIND_STREAMED);
    protobuf_put_number(request, REQUEST_ACCEPTED, KIND_SAMPLES);
}

/* --- the answer ---------------------------------------------------------------------------------
 */

static int broken(struct error *err)
{
    return error_set(err, ERR_CORRUPT, "not a remote read answer: broken protobuf");
}

static int read_label(struct remote_read_answer *answer, const struct protobuf_field *message,
                      struct error *err)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field, name = {0}, value = {0};
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 1, PROTOBUF_BYTES))
            name = field;
        else if (protobuf_is(&field, 2, PROTOBUF_BYTES))
            value = field;
    }
    if (more < 0)
        return broken(err);
    if (name.len == 0)
        return error_set(err, ERR_CORRUPT, "a series with a label without a name");
    labels_builder_set(&answer->builder, (const char *)name.bytes, name.len,
                       value.len != 0 ? (const char *)value.bytes : "", value.len);
    return 0;
}

static int read_chunk(struct remote_read_answer *answer, const struct protobuf_field *message,
                      struct error *err)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field, data = {0};
    uint64_t type = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, CHUNK_TYPE, PROTOBUF_VARINT))
            type = field.value;
        else if (protobuf_is(&field, CHUNK_DATA, PROTOBUF_BYTES))
            data = field;
    }
    if (more < 0)
        return broken(err);
    if (type != CHUNK_IS_XOR) {
        answer->histograms++;
        return 0;
    }
    return xor_chunk_get(data.bytes, data.len, &answer->samples, err);
}

static int read_sample(struct remote_read_answer *answer, const struct protobuf_field *message,
                       struct error *err)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    double value = 0;
    int64_t time_ms = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 1, PROTOBUF_FIXED64))
            value = bits_double(field.value);
        else if (protobuf_is(&field, 2, PROTOBUF_VARINT))
            time_ms = (int64_t)field.value;
    }
    if (more < 0)
        return broken(err);
    columns_append(&answer->samples, time_ms, value);
    return 0;
}

/* Index behind the samples from `from` on whose times go up: overlapping chunks are told apart. */
static size_t run_end(const struct columns *samples, size_t from)
{
    size_t end = from + 1;

    while (end < samples->len && samples->times_ms[end] > samples->times_ms[end - 1])
        end++;
    return end;
}

static int hand_over(struct remote_read_answer *answer, struct error *err)
{
    const struct columns *all = &answer->samples;
    struct labels *labels;
    int result = 0;

    if (all->len == 0)
        return 0;
    labels = labels_builder_build(&answer->builder);
    for (size_t from = 0, end; from < all->len && result == 0; from = end) {
        struct columns run = {.times_ms = all->times_ms + from, .values = all->values + from};

        end = run_end(all, from);
        run.len = end - from;
        result = answer->take(answer->ctx, labels, &run, err);
    }
    labels_unref(labels);
    return result;
}

/* A TimeSeries or a ChunkedSeries. */
static int read_series(struct remote_read_answer *answer, const struct protobuf_field *message,
                       bool chunked, struct error *err)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    int more;

    answer->samples.len = 0;
    labels_builder_reset(&answer->builder, NULL);
    while ((more = protobuf_next(&reader, &field)) > 0) {
        int result = 0;

        if (protobuf_is(&field, SERIES_LABEL, PROTOBUF_BYTES))
            result = read_label(answer, &field, err);
        else if (chunked && protobuf_is(&field, SERIES_CHUNK, PROTOBUF_BYTES))
            result = read_chunk(answer, &field, err);
        else if (!chunked && protobuf_is(&field, SERIES_SAMPLE, PROTOBUF_BYTES))
            result = read_sample(answer, &field, err);
        else if (!chunked && protobuf_is(&field, SERIES_HISTOGRAM, PROTOBUF_BYTES))
            answer->histograms++;
        if (result != 0)
            return -1;
    }
    return more < 0 ? broken(err) : hand_over(answer, err);
}

/* Every field 1 of a message is a series: of a ChunkedReadResponse, or of a QueryResult. */
static int read_all_series(struct remote_read_answer *answer, const uint8_t *bytes, size_t len,
                           bool chunked, struct error *err)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 1, PROTOBUF_BYTES) &&
            read_series(answer, &field, chunked, err) != 0)
            return -1;
    }
    return more < 0 ? broken(err) : 0;
}

int remote_read_answer_samples(struct remote_read_answer *answer, const uint8_t *body, size_t len,
                               struct error *err)
{
    struct protobuf_reader reader = protobuf_open(body, len);
    struct protobuf_field field;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 1, PROTOBUF_BYTES) &&
            read_all_series(answer, field.bytes, field.len, false, err) != 0)
            return -1;
    }
    return more < 0 ? broken(err) : 0;
}

/* The frame that [at, end) begins with. @return its bytes; 0: it is not whole; SIZE_MAX with err */
static size_t read_frame(struct remote_read_answer *answer, const uint8_t *at, const uint8_t *end,
                         struct error *err)
{
    uint64_t len;
    const uint8_t *payload = uvarint_get(at, end, &len);

    if (payload == NULL && end - at < VARINT_MAX_BYTES)
        return 0;
    if (payload == NULL || len > REMOTE_READ_FRAME_MAX) {
        error_set(err, ERR_CORRUPT, "not a remote read answer: a frame of more than %zu bytes",
                  REMOTE_READ_FRAME_MAX);
        return SIZE_MAX;
    }
    if ((size_t)(end - payload) < CHECKSUM_BYTES + len)
        return 0;
    if (get_be32(payload) != crc32c(0, payload + CHECKSUM_BYTES, len)) {
        error_set(err, ERR_CORRUPT, "a frame of the remote read answer has another checksum");
        return SIZE_MAX;
    }
    payload += CHECKSUM_BYTES;
    if (read_all_series(answer, payload, len, true, err) != 0)
        return SIZE_MAX;
    return (size_t)(payload + len - at);
}

int remote_read_answer_feed(struct remote_read_answer *answer, const uint8_t *bytes, size_t len,
                            struct error *err)
{
    size_t at = 0, used;

    if (len == 0)
        return 0;
    buf_append(&answer->rest, bytes, len);
    do {
        used =
            read_frame(answer, answer->rest.data + at, answer->rest.data + answer->rest.len, err);
        if (used == SIZE_MAX)
            return -1;
        at += used;
    } while (used != 0 && at < answer->rest.len);
    answer->rest.len -= at;
    memmove(answer->rest.data, answer->rest.data + at, answer->rest.len);
    return 0;
}

int remote_read_answer_end(struct remote_read_answer *answer, struct error *err)
{
    if (answer->rest.len != 0)
        return error_set(err, ERR_CORRUPT, "the remote read answer ends within a frame");
    return 0;
}

void remote_read_answer_destroy(struct remote_read_answer *answer)
{
    buf_destroy(&answer->rest);
    columns_destroy(&answer->samples);
    labels_builder_destroy(&answer->builder);
}
