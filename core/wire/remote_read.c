/* remote_read.c - see remote_read.h; http-protocols.md section 18. */
#include "wire/remote_read.h"

#include "base/crc32c.h"
#include "wire/protobuf.h"
#include "wire/xor_chunk.h"

enum { REQUEST_QUERY = 1, REQUEST_ACCEPTED = 2 };
enum { QUERY_START = 1, QUERY_END = 2, QUERY_MATCHER = 3 };
enum { MATCHER_TYPE = 1, MATCHER_NAME = 2, MATCHER_VALUE = 3 };
enum { KIND_SAMPLES = 0, KIND_STREAMED = 1 };
enum { CHUNK_MIN_TIME = 1, CHUNK_MAX_TIME = 2, CHUNK_TYPE = 3, CHUNK_DATA = 4, CHUNK_IS_XOR = 1 };

static int broken(struct error *err)
{
    return error_set(err, ERR_INVALID, "not a remote read request: broken protobuf");
}

/* How many length-delimited fields of this number a message has; -1 when it is broken. */
static int64_t count_fields(const uint8_t *bytes, size_t len, uint32_t number)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    int64_t count = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0)
        count += protobuf_is(&field, number, PROTOBUF_BYTES);
    return more < 0 ? -1 : count;
}

static int decode_matcher(const struct protobuf_field *message, struct remote_read_matcher *matcher,
                          struct error *err)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    int more;

    *matcher = (struct remote_read_matcher){.name = "", .value = ""};
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, MATCHER_TYPE, PROTOBUF_VARINT)) {
            if (field.value > MATCH_NOT_REGEX)
                return error_set(err, ERR_INVALID, "matcher of unknown type %" PRIu64, field.value);
            matcher->type = (enum matcher_type)field.value;
        } else if (protobuf_is(&field, MATCHER_NAME, PROTOBUF_BYTES)) {
            matcher->name = (const char *)field.bytes;
            matcher->name_len = field.len;
        } else if (protobuf_is(&field, MATCHER_VALUE, PROTOBUF_BYTES)) {
            matcher->value = (const char *)field.bytes;
            matcher->value_len = field.len;
        }
    }
    return more < 0 ? broken(err) : 0;
}

static int decode_query(const struct protobuf_field *message, struct arena *arena,
                        struct remote_read_query *query, struct error *err)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    int64_t matchers = count_fields(message->bytes, message->len, QUERY_MATCHER);
    struct protobuf_field field;

    if (matchers < 0)
        return broken(err);
    if (matchers > REMOTE_READ_MAX_MATCHERS)
        return error_set(err, ERR_LIMIT, "a query with more than %d matchers",
                         REMOTE_READ_MAX_MATCHERS);
    *query = (struct remote_read_query){
        .matchers = arena_alloc(arena, (size_t)matchers * sizeof(*query->matchers))};
    while (protobuf_next(&reader, &field) > 0) {
        if (protobuf_is(&field, QUERY_START, PROTOBUF_VARINT))
            query->start_ms = (int64_t)field.value;
        else if (protobuf_is(&field, QUERY_END, PROTOBUF_VARINT))
            query->end_ms = (int64_t)field.value;
        else if (protobuf_is(&field, QUERY_MATCHER, PROTOBUF_BYTES) &&
                 decode_matcher(&field, &query->matchers[query->matcher_count++], err) != 0)
            return -1;
    }
    return 0;
}

/* The first kind in the list that we have: 0 or 1; -1 for none so far. */
static int choose_kind(int chosen, uint64_t kind)
{
    return chosen >= 0 || kind > KIND_STREAMED ? chosen : (int)kind;
}

static int choose_packed(int chosen, const struct protobuf_field *field)
{
    const uint8_t *at = field->bytes, *end = at + field->len;

    while (at != NULL && at < end) {
        uint64_t kind = UINT64_MAX;

        at = protobuf_varint(at, end, &kind);
        if (at != NULL)
            chosen = choose_kind(chosen, kind);
    }
    return chosen;
}

int remote_read_decode(const uint8_t *body, size_t len, struct arena *arena,
                       struct remote_read_request *request, struct error *err)
{
    struct protobuf_reader reader = protobuf_open(body, len);
    int64_t queries = count_fields(body, len, REQUEST_QUERY);
    struct protobuf_field field;
    bool asked = false;
    int chosen = -1;

    if (queries < 0)
        return broken(err);
    if (queries > REMOTE_READ_MAX_QUERIES)
        return error_set(err, ERR_LIMIT, "more than %d queries", REMOTE_READ_MAX_QUERIES);
    *request = (struct remote_read_request){
        .queries = arena_alloc(arena, (size_t)queries * sizeof(*request->queries))};
    while (protobuf_next(&reader, &field) > 0) {
        if (protobuf_is(&field, REQUEST_QUERY, PROTOBUF_BYTES)) {
            if (decode_query(&field, arena, &request->queries[request->query_count++], err) != 0)
                return -1;
        } else if (field.number == REQUEST_ACCEPTED) {
            asked = true;
            chosen = field.type == PROTOBUF_BYTES ? choose_packed(chosen, &field)
                                                  : choose_kind(chosen, field.value);
        }
    }
    if (asked && chosen < 0)
        return error_set(err, ERR_INVALID,
                         "none of the accepted response types is one of SAMPLES (0) and "
                         "STREAMED_XOR_CHUNKS (1)");
    request->streamed = chosen == KIND_STREAMED;
    return 0;
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* Label fields (number 1) of TimeSeries and ChunkedSeries alike. */
static void put_labels(struct buf *out, const struct labels *labels)
{
    for (size_t i = 0; i < labels_count(labels); i++) {
        struct label label = labels_at(labels, i);

        protobuf_put_tag(out, 1, PROTOBUF_BYTES);
        protobuf_put_uvarint(out, protobuf_bytes_size(label.name_len) +
                                      protobuf_bytes_size(label.value_len));
        protobuf_put_bytes(out, 1, label.name, label.name_len);
        protobuf_put_bytes(out, 2, label.value, label.value_len);
    }
}

static size_t uvarint_size(uint64_t value)
{
    uint8_t scratch[VARINT_MAX_BYTES];

    return uvarint_put(scratch, value);
}

void remote_read_put_series(struct buf *result, const struct labels *labels,
                            const struct columns *samples)
{
    struct buf series = {0};

    put_labels(&series, labels);
    for (size_t i = 0; i < samples->len; i++) {
        uint64_t time = (uint64_t)samples->times_ms[i];

        protobuf_put_tag(&series, 2, PROTOBUF_BYTES);
        protobuf_put_uvarint(&series, 9 + 1 + uvarint_size(time));
        protobuf_put_double(&series, 1, samples->values[i]);
        protobuf_put_number(&series, 2, time);
    }
    protobuf_put_bytes(result, 1, series.data, series.len);
    buf_destroy(&series);
}

void remote_read_put_result(struct buf *response, const struct buf *result)
{
    protobuf_put_bytes(response, 1, result->data, result->len);
}

static void put_chunk(struct buf *out, struct buf *scratch, const struct columns *samples,
                      size_t from, size_t count)
{
    struct buf chunk = {0};

    scratch->len = 0;
    xor_chunk_put(scratch, samples->times_ms + from, samples->values + from, count);
    protobuf_put_number(&chunk, CHUNK_MIN_TIME, (uint64_t)samples->times_ms[from]);
    protobuf_put_number(&chunk, CHUNK_MAX_TIME, (uint64_t)samples->times_ms[from + count - 1]);
    protobuf_put_number(&chunk, CHUNK_TYPE, CHUNK_IS_XOR);
    protobuf_put_bytes(&chunk, CHUNK_DATA, scratch->data, scratch->len);
    protobuf_put_bytes(out, 2, chunk.data, chunk.len);
    buf_destroy(&chunk);
}

/* uvarint length, CRC-32C of the payload in network order, payload. */
static void put_frame(struct buf *out, const struct buf *series, size_t query)
{
    struct buf payload = {0};
    uint8_t *checksum;

    protobuf_put_bytes(&payload, 1, series->data, series->len);
    if (query != 0)
        protobuf_put_number(&payload, 2, query);
    protobuf_put_uvarint(out, payload.len);
    checksum = buf_reserve(out, 4);
    put_be32(checksum, crc32c(0, payload.data, payload.len));
    out->len += 4;
    buf_append(out, payload.data, payload.len);
    buf_destroy(&payload);
}

void remote_read_put_frames(struct buf *out, const struct labels *labels,
                            const struct columns *samples, size_t query, size_t frame_bytes)
{
    struct buf series = {0}, scratch = {0};
    size_t labels_end;

    put_labels(&series, labels);
    labels_end = series.len;
    for (size_t from = 0; from < samples->len;) {
        size_t count = TIDE_MIN(samples->len - from, (size_t)REMOTE_READ_CHUNK_SAMPLES);

        put_chunk(&series, &scratch, samples, from, count);
        from += count;
        if (series.len >= frame_bytes || from == samples->len) {
            put_frame(out, &series, query);
            series.len = labels_end;
        }
    }
    buf_destroy(&series);
    buf_destroy(&scratch);
}
