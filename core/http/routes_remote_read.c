/* routes_remote_read.c - see routes_remote_read.h.
 *
 * Streamed chunks are made series by series while they are sent; SAMPLES are one snappy block, so
 * that answer is bounded by query.max_samples. */
#include "http/routes_remote_read.h"

#include "base/logger.h"
#include "http/http_site.h"
#include "http/read_door.h"
#include "http/series_union.h"
#include "wire/remote_read.h"
#include "wire/snappy_block.h"

#define TYPE_SAMPLES "application/x-protobuf"
#define TYPE_STREAMED "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
/* Prometheus' size of a frame. */
#define FRAME_BYTES ((size_t)1 << 20)
/* Read at once of a series that is streamed; a multiple of a chunk's samples. */
#define READ_SAMPLES ((size_t)REMOTE_READ_CHUNK_SAMPLES * 200)

struct outflow {
    struct read_door door;
    struct remote_read_request asked; /* in the request's arena */
    struct select_request *sets;      /* one a query; owned with their matchers */
    size_t set_count;
    struct http_reply *reply;

    size_t query; /* being answered */
    bool in_query;
    struct series_union all;
    size_t next; /* series */
    bool in_series;
    struct series_cursor cursor;
    struct columns columns;
};

static void free_outflow(void *ctx)
{
    struct outflow *outflow = ctx;

    series_union_close(&outflow->all);
    for (size_t i = 0; i < outflow->set_count; i++) {
        struct matcher *matchers = (struct matcher *)outflow->sets[i].matchers;

        for (size_t k = 0; k < outflow->sets[i].matcher_count; k++)
            matcher_destroy(&matchers[k]);
        mem_free(matchers);
    }
    mem_free(outflow->sets);
    read_door_destroy(&outflow->door);
    columns_destroy(&outflow->columns);
    mem_free(outflow);
}

/* --- the request -------------------------------------------------------------------------------
 */

static int make_set(const struct http_request *request, const struct remote_read_query *query,
                    struct select_request *set, struct error *err)
{
    struct matcher *matchers = mem_zalloc(query->matcher_count + 1, sizeof(*matchers));

    *set = (struct select_request){.matchers = matchers,
                                   .from_ms = query->start_ms,
                                   .to_ms = query->end_ms,
                                   .max_series = request->site->options.query_max_series,
                                   .cancelled = request->cancelled};
    for (; set->matcher_count < query->matcher_count; set->matcher_count++) {
        const struct remote_read_matcher *from = &query->matchers[set->matcher_count];

        if (matcher_init(&matchers[set->matcher_count], from->type, from->name, from->name_len,
                         from->value, from->value_len, request->site->regexes, err) != 0)
            return -1;
    }
    return 0;
}

static int read_request(struct http_request *request, struct outflow *outflow, struct error *err)
{
    struct remote_read_request *asked = &outflow->asked;
    struct read_request *read = &outflow->door.read;

    if (remote_read_decode(request->body, request->body_len, request->arena, asked, err) != 0)
        return -1;
    outflow->sets = mem_zalloc(asked->query_count + 1, sizeof(*outflow->sets));
    read->start_ms = asked->query_count > 0 ? TIDE_LATEST_MS : TIDE_EARLIEST_MS;
    read->end_ms = asked->query_count > 0 ? TIDE_EARLIEST_MS : TIDE_LATEST_MS;
    for (size_t i = 0; i < asked->query_count; i++) {
        outflow->set_count++;
        if (make_set(request, &asked->queries[i], &outflow->sets[i], err) != 0)
            return -1;
        read->start_ms = TIDE_MIN(read->start_ms, asked->queries[i].start_ms);
        read->end_ms = TIDE_MAX(read->end_ms, asked->queries[i].end_ms);
    }
    outflow->door.sets = outflow->sets;
    outflow->door.set_count = outflow->set_count;
    return 0;
}

/* --- SAMPLES -----------------------------------------------------------------------------------
 */

/* All series of one query into a QueryResult; *left goes down by their samples. */
static int put_query(struct outflow *outflow, size_t i, size_t *left, struct buf *result,
                     struct error *err)
{
    const struct querier *querier = outflow->door.querier;
    struct select_request *set = &outflow->sets[i];
    size_t limit = (size_t)TIDE_MAX(outflow->door.read.max_samples, (int64_t)1);

    if (series_union_open(&outflow->all, querier, set, 1, err) != 0)
        return -1;
    for (size_t k = 0; k < outflow->all.count; k++) {
        const struct union_series *series = &outflow->all.list[k];

        outflow->columns.len = 0;
        if (querier->read(series->selection, series->index, set->from_ms, set->to_ms,
                          &outflow->columns, err) != 0)
            return -1;
        if (outflow->columns.len > *left)
            return error_set(err, ERR_INVALID, "exceeded sample limit (%zu)", limit);
        *left -= outflow->columns.len;
        if (outflow->columns.len > 0)
            remote_read_put_series(result, series->labels, &outflow->columns);
    }
    series_union_close(&outflow->all);
    return 0;
}

static void answer_samples(struct outflow *outflow, struct http_reply *reply)
{
    size_t left = (size_t)TIDE_MAX(outflow->door.read.max_samples, (int64_t)1);
    struct buf response = {0}, result = {0};
    struct error err;
    int failed = 0;

    for (size_t i = 0; i < outflow->set_count && failed == 0; i++) {
        result.len = 0;
        failed = put_query(outflow, i, &left, &result, &err);
        if (failed == 0)
            remote_read_put_result(&response, &result);
    }
    if (failed == 0 && response.len > UINT32_MAX)
        failed = error_set(&err, ERR_INVALID,
                           "the answer is too large for one block: ask for "
                           "STREAMED_XOR_CHUNKS");
    if (failed == 0) {
        snappy_block_encode(response.data, response.len, &reply->body);
        reply->content_type = TYPE_SAMPLES;
        reply->coding = "snappy";
    } else {
        http_reply_failure(reply, &err);
    }
    buf_destroy(&response);
    buf_destroy(&result);
}

/* --- STREAMED_XOR_CHUNKS -----------------------------------------------------------------------
 */

/* Moves on to a series that is to be read; false at the end or, with *failed, when it cannot. */
static bool find_series(struct outflow *outflow, bool *failed, struct error *err)
{
    while (!outflow->in_series) {
        struct select_request *set = &outflow->sets[outflow->query];

        if (outflow->query == outflow->set_count)
            return false;
        if (!outflow->in_query &&
            series_union_open(&outflow->all, outflow->door.querier, set, 1, err) != 0) {
            *failed = true;
            return false;
        }
        if (!outflow->in_query)
            outflow->next = 0;
        outflow->in_query = true;
        if (outflow->next == outflow->all.count) {
            series_union_close(&outflow->all);
            outflow->in_query = false;
            outflow->query++;
            continue;
        }
        series_cursor_init(&outflow->cursor, &outflow->all, outflow->next, set->from_ms,
                           set->to_ms);
        outflow->in_series = true;
    }
    return true;
}

static bool cut(struct outflow *outflow, const struct error *err)
{
    if (err->code != ERR_CANCELLED)
        log_warn_limited("a remote read was cut off", "error=\"%s\"", err->text);
    outflow->reply->cut = true;
    return false;
}

static bool produce_chunks(void *ctx, struct buf *out)
{
    struct outflow *outflow = ctx;
    size_t start = out->len;
    bool failed = false;
    struct error err;

    while (out->len - start < HTTP_PIECE_BYTES) {
        if (!find_series(outflow, &failed, &err))
            return failed ? cut(outflow, &err) : false;
        outflow->columns.len = 0;
        if (series_cursor_read(&outflow->cursor, READ_SAMPLES, &outflow->columns, &err) != 0)
            return cut(outflow, &err);
        remote_read_put_frames(out, outflow->all.list[outflow->next].labels, &outflow->columns,
                               outflow->query, FRAME_BYTES);
        if (outflow->cursor.ended) {
            outflow->in_series = false;
            outflow->next++;
        }
    }
    return true;
}

void route_remote_read(struct http_request *request, struct http_reply *reply)
{
    struct outflow *outflow = mem_zalloc(1, sizeof(*outflow));
    struct error err;

    read_door_init(&outflow->door, request, READ_REMOTE_READ);
    outflow->reply = reply;
    if (read_request(request, outflow, &err) != 0) {
        http_reply_failure(reply, &err);
    } else if (read_door_pass(&outflow->door, reply)) {
        if (outflow->asked.streamed) {
            reply->content_type = TYPE_STREAMED;
            reply->coding = "identity";
            reply->stream = (struct http_stream){
                .produce = produce_chunks, .free = free_outflow, .ctx = outflow};
            return;
        }
        answer_samples(outflow, reply);
    }
    free_outflow(outflow);
}
