/* push_otlp.c - see push_otlp.h. */
#include "http/push_otlp.h"

#include "http/media_type.h"
#include "http/push.h"
#include "wire/otlp.h"
#include "wire/protobuf.h"
#include "wire/result_json.h"

#define TYPE_PROTOBUF "application/x-protobuf"

/* google.rpc.Code */
enum { RPC_INVALID_ARGUMENT = 3, RPC_EXHAUSTED = 8, RPC_UNIMPLEMENTED = 12, RPC_UNAVAILABLE = 14 };

static int rpc_code(int status)
{
    switch (status) {
    case 413:
    case 422:
        return RPC_EXHAUSTED;
    case 415:
        return RPC_UNIMPLEMENTED;
    case 429:
    case 503:
        return RPC_UNAVAILABLE;
    default:
        return RPC_INVALID_ARGUMENT;
    }
}

static void put_status(struct http_reply *reply, int status, const char *text)
{
    reply->status = status;
    reply->content_type = TYPE_PROTOBUF;
    reply->body.len = 0;
    protobuf_put_tag(&reply->body, 1, PROTOBUF_VARINT);
    protobuf_put_uvarint(&reply->body, (uint64_t)rpc_code(status));
    protobuf_put_bytes(&reply->body, 2, text, strlen(text));
}

static int decode(struct push_job *job, struct error *err)
{
    return otlp_decode(job->body, job->len, &job->push, job->batch, job->result, err);
}

/* What is not stored is told: rejected points, with the first reasons. */
static void answer(struct push_job *job)
{
    const struct append_result *result = job->result;
    uint64_t rejected = push_faults(result) + job->push.skipped.histograms;
    struct buf partial = {0}, text = {0};

    job->reply->content_type = TYPE_PROTOBUF;
    if (rejected == 0)
        return;
    push_put_examples(&text, result, "; ");
    if (push_is_over_rate(result)) { /* exporters send all of it again: repeats are fine */
        buf_putc(&text, '\0');
        put_status(job->reply, 429, (const char *)text.data);
        http_reply_field(job->reply, "Retry-After", "1");
        buf_destroy(&text);
        return;
    }
    if (job->push.skipped.histograms > 0)
        buf_printf(&text, "%s%" PRIu64 " exponential histograms are not stored",
                   text.len > 0 ? "; " : "", job->push.skipped.histograms);
    protobuf_put_tag(&partial, 1, PROTOBUF_VARINT);
    protobuf_put_uvarint(&partial, rejected);
    protobuf_put_bytes(&partial, 2, text.data, text.len);
    protobuf_put_bytes(&job->reply->body, 1, partial.data, partial.len);
    buf_destroy(&partial);
    buf_destroy(&text);
}

/* Exporters try again only after 429, 502, 503 and 504: what may heal must be one of them. */
static void fail(struct push_job *job, const struct error *err)
{
    const char *type;
    int status = http_status_of(err->code, &type);

    put_status(job->reply, status >= 500 ? 503 : status, err->text);
    if (status >= 500)
        http_reply_field(job->reply, "Retry-After", "1");
}

void push_otlp(struct http_request *request, struct http_reply *reply)
{
    static const struct push_form form = {decode, answer, fail};

    if (media_type_is(request->head, "application/json")) {
        reply->status = 415;
        reply->content_type = HTTP_TYPE_JSON;
        buf_printf(&reply->body,
                   "{\"code\":%d,\"message\":\"JSON is not understood: set the "
                   "exporter to http/protobuf\"}",
                   RPC_UNIMPLEMENTED);
        return;
    }
    if (!media_type_is(request->head, TYPE_PROTOBUF)) {
        put_status(reply, 415, "Content-Type must be " TYPE_PROTOBUF);
        return;
    }
    push_whole(request, reply, &form);
}
