/* push_remote_write.c - see push_remote_write.h. */
#include "http/push_remote_write.h"

#include "http/media_type.h"
#include "http/push.h"
#include "wire/remote_write.h"
#include "wire/remote_write2.h"

static int decode_1(struct push_job *job, struct error *err)
{
    return remote_write_decode(job->body, job->len, &job->push, job->batch, job->result, err);
}

static int decode_2(struct push_job *job, struct error *err)
{
    return remote_write2_decode(job->body, job->len, &job->push, job->batch, job->result, err);
}

/* Every answer to a 2.0 message says how much of it was written; a 2xx without that would be read
 * as a server that knows 1.0 only. */
static void put_written(struct http_reply *reply, uint64_t samples)
{
    http_reply_field(reply, "X-Prometheus-Remote-Write-Samples-Written", "%" PRIu64, samples);
    http_reply_field(reply, "X-Prometheus-Remote-Write-Histograms-Written", "0");
    http_reply_field(reply, "X-Prometheus-Remote-Write-Exemplars-Written", "0");
}

static void answer_2(struct push_job *job)
{
    push_answer(job);
    put_written(job->reply, job->result->accepted);
}

static void fail_2(struct push_job *job, const struct error *err)
{
    http_reply_failure(job->reply, err);
    put_written(job->reply, job->result != NULL ? job->result->accepted : 0);
}

static const struct push_form forms[] = {{.decode = decode_1}, {decode_2, answer_2, fail_2}};

/* The form of the message; NULL when it is none of ours. Old senders name no type: 1.0. */
static const struct push_form *form_of(const struct http_request *request)
{
    const struct http_field *field = http_head_field(request->head, "Content-Type");
    struct media_type type;
    struct http_text proto;

    if (field == NULL)
        return &forms[0];
    media_type_parse(field->value, &type);
    if (!http_text_is(type.name, "application/x-protobuf"))
        return NULL;
    proto = media_type_parameter(&type, "proto");
    if (proto.len == 0 || http_text_is(proto, "prometheus.WriteRequest"))
        return &forms[0];
    return http_text_is(proto, "io.prometheus.write.v2.Request") ? &forms[1] : NULL;
}

void push_remote_write(struct http_request *request, struct http_reply *reply)
{
    const struct http_field *coding = http_head_field(request->head, "Content-Encoding");
    const struct push_form *form = form_of(request);

    if (form == NULL)
        http_reply_error(reply, 415, "bad_data",
                         "Content-Type must be application/x-protobuf, with proto= "
                         "prometheus.WriteRequest or io.prometheus.write.v2.Request");
    else if (coding == NULL ? request->body_len > 0 : !http_text_is(coding->value, "snappy"))
        http_reply_error(reply, 415, "bad_data",
                         "remote write bodies need Content-Encoding: snappy");
    else
        push_whole(request, reply, form);
}
