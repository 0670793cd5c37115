/* push_text.c - see push_text.h. */
#include "http/push_text.h"

#include "http/media_type.h"
#include "wire/exposition.h"
#include "wire/metric_family.h"

int push_text_decode(struct push_job *job, struct error *err)
{
    const struct http_field *field = http_head_field(job->request->head, "Content-Type");
    struct media_type type = {0};
    struct http_text version;

    if (field != NULL)
        media_type_parse(field->value, &type);
    if (http_text_is(type.name, "application/vnd.google.protobuf"))
        return metric_family_decode(job->body, job->len, &job->push, job->batch, job->result, err);
    if (!http_text_is(type.name, "application/openmetrics-text"))
        return exposition_decode_text(job->body, job->len, &job->push, job->batch, job->result,
                                      err);
    version = media_type_parameter(&type, "version");
    if (version.len > 0 && version.at[0] != '0' && version.at[0] != '1')
        return error_set(err, ERR_UNSUPPORTED, "OpenMetrics %.*s is not understood: send 1.0.0",
                         (int)TIDE_MIN(version.len, (size_t)20), version.at);
    return exposition_decode_openmetrics(job->body, job->len, &job->push, job->batch, job->result,
                                         err);
}

static int decode_import(struct push_job *job, struct error *err)
{
    struct http_text text = params_get(&job->params, "timestamp");
    size_t now_ms;

    job->import = true;
    if (text.len > 0) {
        if (params_count(&job->params, "timestamp", &now_ms, err) != 0)
            return -1;
        job->push.now_ms = (int64_t)TIDE_MIN(now_ms, (size_t)INT64_MAX);
    }
    return push_text_decode(job, err);
}

void push_exposition(struct http_request *request, struct http_reply *reply)
{
    static const struct push_form form = {.decode = decode_import};

    push_whole(request, reply, &form);
}
