/* push_otlp.c - see push_otlp.h. */
#include "http/push_otlp.h"

#include "http/media_type.h"
#include "http/push.h"
#include "wire/otlp.h"
#include "wire/otlp_json.h"
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

/* The answer has the type of the request. */
static bool is_json(const struct http_request *request)
{
    return media_type_is(request->head, HTTP_TYPE_JSON);
}

/* google.rpc.Status */
static void put_status(const struct http_request *request, struct http_reply *reply, int status,
                       const char *text)
{
    reply->status = status;
    reply->body.len = 0;
    if (is_json(request)) {
        reply->content_type = HTTP_TYPE_JSON;
        buf_printf(&reply->body, "{\"code\":%d,\"message\":", rpc_code(status));
        json_put_string(&reply->body, text, strlen(text));
        buf_putc(&reply->body, '}');
        return;
    }
    reply->content_type = TYPE_PROTOBUF;
    protobuf_put_number(&reply->body, 1, (uint64_t)rpc_code(status));
    protobuf_put_bytes(&reply->body, 2, text, strlen(text));
}

static int decode(struct push_job *job, struct error *err)
{
    return (is_json(job->request) ? otlp_json_decode : otlp_decode)(job->body, job->len, &job->push,
                                                                    job->batch, job->result, err);
}

static void put_partial(struct push_job *job, uint64_t rejected, const struct buf *text)
{
    struct buf *body = &job->reply->body, partial = {0};

    if (is_json(job->request)) {
        buf_printf(body,
                   "{\"partialSuccess\":{\"rejectedDataPoints\":\"%" PRIu64 "\",\"errorMessage\":",
                   rejected);
        json_put_string(body, (const char *)text->data, text->len);
        buf_puts(body, "}}");
        return;
    }
    protobuf_put_number(&partial, 1, rejected);
    protobuf_put_bytes(&partial, 2, text->data, text->len);
    protobuf_put_bytes(body, 1, partial.data, partial.len);
    buf_destroy(&partial);
}

/* What is not stored is told: rejected points, with the first reasons. */
static void answer(struct push_job *job)
{
    const struct append_result *result = job->result;
    uint64_t rejected = push_faults(result) + job->push.skipped.histograms;
    struct buf text = {0};

    job->reply->content_type = is_json(job->request) ? HTTP_TYPE_JSON : TYPE_PROTOBUF;
    if (rejected == 0) {
        if (is_json(job->request))
            buf_puts(&job->reply->body, "{}");
        return;
    }
    push_put_examples(&text, result, "; ");
    if (push_is_over_rate(result)) { /* exporters send all of it again: repeats are fine */
        buf_putc(&text, '\0');
        put_status(job->request, job->reply, 429, (const char *)text.data);
        http_reply_field(job->reply, "Retry-After", "1");
        buf_destroy(&text);
        return;
    }
    if (job->push.skipped.histograms > 0)
        buf_printf(&text, "%s%" PRIu64 " exponential histograms are not stored",
                   text.len > 0 ? "; " : "", job->push.skipped.histograms);
    put_partial(job, rejected, &text);
    buf_destroy(&text);
}

/* Exporters try again only after 429, 502, 503 and 504: what may heal must be one of them. */
static void fail(struct push_job *job, const struct error *err)
{
    const char *type;
    int status = http_status_of(err->code, &type);

    put_status(job->request, job->reply, status >= 500 ? 503 : status, err->text);
    if (status >= 500)
        http_reply_field(job->reply, "Retry-After", "1");
}

void push_otlp(struct http_request *request, struct http_reply *reply)
{
    static const struct push_form form = {decode, answer, fail};

    if (!is_json(request) && !media_type_is(request->head, TYPE_PROTOBUF)) {
        put_status(request, reply, 415,
                   "Content-Type must be " TYPE_PROTOBUF " or " HTTP_TYPE_JSON);
        return;
    }
    push_whole(request, reply, &form);
}
