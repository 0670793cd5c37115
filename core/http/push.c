/* push.c - see push.h. */
#include "http/push.h"

#include "http/http_site.h"
#include "http/metadata_table.h"
#include "http/tenant.h"
#include "wire/result_json.h"

/* A batch that grew beyond this is not kept for the next push. */
#define KEEP_SAMPLES ((size_t)1 << 17)
/* Of a refused line, in the answer. */
#define SHOWN_BYTES ((size_t)200)
#define EXTRA_LABELS_MAX 64

struct pusher *pusher_new(struct store *store)
{
    struct pusher *pusher = mem_zalloc(1, sizeof(*pusher));

    pusher->appender = appender_new(store);
    return pusher;
}

void pusher_free(struct pusher *pusher)
{
    if (pusher == NULL)
        return;
    appender_free(pusher->appender);
    batch_destroy(&pusher->batch);
    mem_free(pusher);
}

/* --- the answer --------------------------------------------------------------------------------
 */

uint64_t push_faults(const struct append_result *result)
{
    return append_result_refused(result) - result->refused[REFUSED_BY_POLICY];
}

bool push_is_over_rate(const struct append_result *result)
{
    return result->refused[REFUSED_RATE] > 0;
}

uint64_t push_malformed(const struct append_result *result)
{
    return result->refused[REFUSED_MALFORMED] + result->refused[REFUSED_LABELS];
}

void push_put_summary(struct buf *out, const struct append_result *result)
{
    buf_printf(out, "%" PRIu64 " samples were written, %" PRIu64 " were refused%s%s",
               result->accepted, append_result_refused(result),
               result->example_count > 0 ? ": " : "",
               result->example_count > 0 ? result->examples[0].text : "");
}

void push_put_examples(struct buf *out, const struct append_result *result, const char *separator)
{
    for (size_t i = 0; i < result->example_count; i++) {
        if (i > 0)
            buf_puts(out, separator);
        if (result->examples[i].line > 0)
            buf_printf(out, "line %" PRIu32 ": ", result->examples[i].line);
        buf_puts(out, result->examples[i].text);
    }
}

/* Line `number` (from 1) of a body, cut to what is worth showing; none of a body that is gone. */
static struct http_text line_of(const struct push_job *job, uint32_t number)
{
    const char *at = (const char *)job->body, *end, *stop;

    if (at == NULL)
        return (struct http_text){0};
    end = at + job->len;
    for (; number > 1; number--) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL)
            return (struct http_text){0};
        at++;
    }
    stop = memchr(at, '\n', (size_t)(end - at));
    return (struct http_text){at,
                              TIDE_MIN((size_t)((stop != NULL ? stop : end) - at), SHOWN_BYTES)};
}

static void put_example(struct buf *out, const struct push_job *job,
                        const struct refusal_example *example)
{
    buf_printf(out, "{\"reason\":\"%s\"", refusal_name(example->reason));
    if (example->line > 0) {
        struct http_text line = line_of(job, example->line);

        buf_printf(out, ",\"line\":%" PRIu32, example->line);
        if (line.at != NULL) {
            buf_puts(out, ",\"text\":");
            json_put_string(out, line.at, line.len);
        }
    }
    buf_puts(out, ",\"error\":");
    json_put_string(out, example->text, strlen(example->text));
    buf_putc(out, '}');
}

/* Nothing to tell, but perhaps that an import is for nothing. */
static void answer_good(struct push_job *job)
{
    const struct append_result *result = job->result;

    job->reply->status = 204;
    if (result->expiring == 0)
        return;
    job->reply->status = 200;
    job->reply->content_type = HTTP_TYPE_JSON;
    buf_printf(&job->reply->body,
               "{\"status\":\"success\",\"written\":%" PRIu64 ",\"expiring\":%" PRIu64
               ",\"warnings\":[\"%" PRIu64 " samples are older than storage.retention: they will "
               "be dropped\"]}",
               result->accepted, result->expiring, result->expiring);
}

void push_answer(struct push_job *job)
{
    const struct append_result *result = job->result;
    struct http_reply *reply = job->reply;
    struct buf *out = &reply->body, summary = {0};
    bool any = false;

    if (push_faults(result) == 0) {
        answer_good(job);
        return;
    }
    push_put_summary(&summary, result);
    if (push_is_over_rate(result)) {
        http_reply_error(reply, 429, "too_many_requests", "%.*s", (int)summary.len,
                         (const char *)summary.data);
        http_reply_field(reply, "Retry-After", "1");
    } else {
        http_reply_error(reply, 400, "bad_data", "%.*s", (int)summary.len,
                         (const char *)summary.data);
    }
    buf_destroy(&summary);
    out->len--; /* the object goes on */
    buf_printf(out,
               ",\"written\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"expiring\":%" PRIu64
               ",\"reasons\":{",
               result->accepted, append_result_refused(result), result->expiring);
    for (size_t i = 0; i < REFUSED_REASONS; i++) {
        if (result->refused[i] == 0)
            continue;
        buf_printf(out, "%s\"%s\":%" PRIu64, any ? "," : "", refusal_name((enum refusal)i),
                   result->refused[i]);
        any = true;
    }
    buf_puts(out, "},\"examples\":[");
    for (size_t i = 0; i < result->example_count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_example(out, job, &result->examples[i]);
    }
    buf_puts(out, "]}");
}

/* --- the way in --------------------------------------------------------------------------------
 */

/* extra_label=NAME=VALUE, any number of times. */
static int read_extra_labels(struct push_job *job, struct error *err)
{
    struct label *list = NULL;

    for (size_t i = 0; i < job->params.count; i++) {
        struct http_text text = job->params.list[i].value;
        const char *equals;

        if (!http_text_is(job->params.list[i].name, "extra_label"))
            continue;
        equals = memchr(text.at, '=', text.len);
        if (equals == NULL || equals == text.at)
            return error_set(err, ERR_INVALID,
                             "invalid parameter \"extra_label\": \"%.*s\" is not NAME=VALUE",
                             (int)TIDE_MIN(text.len, (size_t)100), text.at);
        if (job->extra.count == EXTRA_LABELS_MAX)
            return error_set(err, ERR_INVALID, "more than %d parameters \"extra_label\"",
                             EXTRA_LABELS_MAX);
        if (list == NULL)
            list = arena_alloc(job->request->arena, EXTRA_LABELS_MAX * sizeof(*list));
        list[job->extra.count++] =
            (struct label){text.at, equals + 1, (uint32_t)(equals - text.at),
                           (uint32_t)(text.len - (size_t)(equals + 1 - text.at))};
    }
    job->extra.list = list;
    return 0;
}

int push_begin(struct push_job *job, struct http_request *request, struct http_reply *reply,
               struct error *err)
{
    struct pusher *pusher = request->pusher;
    int tenant;

    job->request = request;
    job->reply = reply;
    job->body = request->body;
    job->len = request->body_len;
    job->batch = &pusher->batch;
    job->result = &pusher->result;
    job->push.now_ms = http_site_wall_ms(request->site);
    job->push.on_metadata = metadata_table_put;
    job->push.metadata_ctx = request->site->metadata;
    batch_reset(job->batch);
    append_result_init(job->result);
    tenant = tenant_label(request, &job->tenant_label, err);
    if (tenant == -1)
        return -1;
    if (tenant == 1)
        job->tenant = (struct label_extra){.list = &job->tenant_label, .count = 1};
    if (params_parse(request->head->query, (struct http_text){0}, request->arena, &job->params,
                     err) != 0)
        return -1;
    return read_extra_labels(job, err);
}

void push_apply_extra(struct push_job *job)
{
    if (!job->extra_applied) {
        label_extra_apply(&job->extra, job->batch);
        label_extra_apply(&job->tenant, job->batch);
    }
    job->extra_applied = true;
}

void push_next_batch(struct push_job *job)
{
    batch_reset(job->batch);
    job->extra_applied = true;
}

int push_append(struct push_job *job, struct error *err)
{
    struct appender *appender = job->request->pusher->appender;
    int result;

    push_apply_extra(job);
    if (job->import)
        result = store_import(appender, job->batch, appender_rule(appender), job->result, err);
    else
        result = store_append(appender, job->batch, job->result, err);
    if (result != 0)
        return -1;
    append_ticket_raise(&job->reply->durable, &job->result->ticket);
    return 0;
}

void push_end(struct push_job *job)
{
    if (job->request == NULL)
        return;
    http_counters_push(job->request->site->counters, job->result, &job->push.skipped);
    label_extra_destroy(&job->extra);
    label_extra_destroy(&job->tenant);
    if (job->batch->sample_cap > KEEP_SAMPLES)
        batch_destroy(job->batch);
    job->request = NULL;
}

static void fail(struct push_job *job, const struct push_form *form, const struct error *err)
{
    if (form->fail != NULL)
        form->fail(job, err);
    else
        http_reply_failure(job->reply, err);
}

void push_run(struct push_job *job, const struct push_form *form)
{
    struct error err;

    if (form->decode(job, &err) != 0 || push_append(job, &err) != 0)
        fail(job, form, &err);
    else if (form->answer != NULL)
        form->answer(job);
    else
        push_answer(job);
    push_end(job);
}

void push_whole(struct http_request *request, struct http_reply *reply,
                const struct push_form *form)
{
    struct push_job job = {0};
    struct error err;

    if (push_begin(&job, request, reply, &err) != 0) {
        fail(&job, form, &err);
        push_end(&job);
        return;
    }
    push_run(&job, form);
}
