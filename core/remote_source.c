/* remote_source.c - see remote_source.h.
 *
 * One request: a server of Prometheus streams its answer series by series, so what is older than
 * what a series has here does not come late. One that knows no streaming answers with one message
 * of samples, which is held whole. */
#include "remote_source.h"

#include <stdio.h>

#include "base/fetch.h"
#include "base/mem.h"
#include "client.h"
#include "wire/snappy_block.h"

/* The largest answer of samples, compressed and not. */
#define SAMPLES_BYTES ((size_t)512 << 20)

struct exchange {
    struct remote_read_answer answer;
    struct fetch_reply reply;
    struct buf samples; /* an answer of samples, as it comes */
    struct error err;   /* why it was broken off */
};

static void put_request(const struct selection_arguments *selection, struct buf *body)
{
    struct buf request = {0};
    struct matcher all;
    struct error err;

    for (size_t i = 0; i < selection->count; i++) {
        const struct expr *selector = selection->trees[i]->root;

        remote_read_put_query(&request, selection->from_ms, selection->to_ms,
                              selector->selector.matchers, selector->selector.matcher_count);
    }
    if (selection->count == 0 && matcher_init(&all, MATCH_NOT_EQUAL, LABEL_METRIC_NAME,
                                              strlen(LABEL_METRIC_NAME), "", 0, NULL, &err) == 0) {
        remote_read_put_query(&request, selection->from_ms, selection->to_ms, &all, 1);
        matcher_destroy(&all);
    }
    remote_read_put_accepted(&request);
    snappy_block_encode(request.data, request.len, body);
    buf_destroy(&request);
}

static bool is_streamed(const struct exchange *exchange)
{
    return strstr(exchange->reply.content_type, "streamed-protobuf") != NULL;
}

static int take_bytes(void *ctx, const void *bytes, size_t len)
{
    struct exchange *exchange = ctx;

    if (is_streamed(exchange))
        return remote_read_answer_feed(&exchange->answer, bytes, len, &exchange->err);
    if (len > SAMPLES_BYTES - exchange->samples.len)
        return error_set(&exchange->err, ERR_LIMIT,
                         "it does not stream, and its answer is larger than %zu bytes: ask for "
                         "less at a time (--start, --end, selectors)",
                         SAMPLES_BYTES);
    buf_append(&exchange->samples, bytes, len);
    return 0;
}

static int finish(struct exchange *exchange)
{
    struct buf message = {0};
    int result;

    if (is_streamed(exchange))
        return remote_read_answer_end(&exchange->answer, &exchange->err);
    result = snappy_block_decode(exchange->samples.data, exchange->samples.len, SAMPLES_BYTES,
                                 &message, &exchange->err);
    if (result == 0)
        result = remote_read_answer_samples(&exchange->answer, message.data, message.len,
                                            &exchange->err);
    buf_destroy(&message);
    return result;
}

int remote_source_read(struct remote_source *source)
{
    static const char *const headers[] = {"Content-Type: application/x-protobuf",
                                          "Content-Encoding: snappy", "Accept-Encoding: snappy",
                                          "X-Prometheus-Remote-Read-Version: 0.1.0", NULL};
    struct exchange exchange = {.answer = {.take = source->take, .ctx = source->ctx}};
    struct buf body = {0};
    struct fetch_request request = {.url = source->url,
                                    .headers = headers,
                                    .ca_file = source->ca,
                                    .take = take_bytes,
                                    .ctx = &exchange};
    struct error err;
    int result;

    put_request(source->selection, &body);
    request.body = body.data;
    request.body_len = body.len;
    result = fetch(&request, &exchange.reply, &err);
    if (result == 0 && exchange.reply.status >= 300) {
        fprintf(stderr, "tidemark: %s: ", source->url);
        client_print_refusal(&exchange.reply);
        result = -1;
    } else if (result != 0 && err.code != ERR_CANCELLED) {
        fprintf(stderr, "tidemark: %s\n", err.text);
    } else if (result != 0 || finish(&exchange) != 0) {
        fprintf(stderr, "tidemark: %s: %s\n", source->url, exchange.err.text);
        result = -1;
    }
    source->histograms = exchange.answer.histograms;
    fetch_reply_destroy(&exchange.reply);
    remote_read_answer_destroy(&exchange.answer);
    buf_destroy(&exchange.samples);
    buf_destroy(&body);
    return result;
}
