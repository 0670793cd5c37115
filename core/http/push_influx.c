/* push_influx.c - see push_influx.h. */
#include "http/push_influx.h"

#include "http/push.h"
#include "http/request_params.h"
#include "wire/influx.h"
#include "wire/result_json.h"

/* Clients look for what they may use by this number. */
#define INFLUX_VERSION "1.8.10"
/* Of a reason, in a header field. */
#define FIELD_BYTES 300

static void put_version(struct http_reply *reply)
{
    http_reply_field(reply, "X-Influxdb-Version", INFLUX_VERSION);
    http_reply_field(reply, "X-Influxdb-Build", "Tidemark");
}

/* --- errors in the forms of the two versions ---------------------------------------------------
 */

static void begin_json(struct http_reply *reply, int status)
{
    reply->status = status;
    reply->content_type = HTTP_TYPE_JSON;
    reply->body.len = 0;
}

/* {"error":"..."}, and the same in a field without line ends. */
static void put_error_1(struct http_reply *reply, int status, const struct buf *text)
{
    char line[FIELD_BYTES + 1];
    size_t len = TIDE_MIN(text->len, (size_t)FIELD_BYTES);

    for (size_t i = 0; i < len; i++)
        line[i] = text->data[i] >= 0x20 && text->data[i] < 0x7f ? (char)text->data[i] : ' ';
    line[len] = '\0';
    begin_json(reply, status);
    buf_puts(&reply->body, "{\"error\":");
    json_put_string(&reply->body, (const char *)text->data, text->len);
    buf_putc(&reply->body, '}');
    http_reply_field(reply, "X-Influxdb-Error", "%s", line);
    put_version(reply);
}

static const char *code_2(int status)
{
    static const struct {
        int status;
        const char *code;
    } codes[] = {{400, "invalid"},           {401, "unauthorized"},
                 {403, "forbidden"},         {404, "not found"},
                 {413, "request too large"}, {422, "unprocessable entity"},
                 {429, "too many requests"}, {503, "unavailable"}};

    for (size_t i = 0; i < TIDE_COUNT(codes); i++) {
        if (codes[i].status == status)
            return codes[i].code;
    }
    return status < 500 ? "invalid" : "internal error";
}

/* {"code":"invalid","message":"..."} */
static void put_error_2(struct http_reply *reply, int status, const struct buf *text)
{
    begin_json(reply, status);
    buf_printf(&reply->body, "{\"code\":\"%s\",\"message\":", code_2(status));
    json_put_string(&reply->body, (const char *)text->data, text->len);
    buf_putc(&reply->body, '}');
    http_reply_field(reply, "X-Platform-Error-Code", "%s", code_2(status));
    put_version(reply);
}

typedef void error_putter(struct http_reply *reply, int status, const struct buf *text);

static void fail(struct push_job *job, const struct error *err, error_putter *put)
{
    struct buf text = {0};
    const char *type;
    int status = http_status_of(err->code, &type);

    buf_puts(&text, err->text);
    put(job->reply, status, &text);
    if (status == 503)
        http_reply_field(job->reply, "Retry-After", "1");
    buf_destroy(&text);
}

/* The good points are stored; what is wrong with the others, one line each. */
static void answer(struct push_job *job, error_putter *put, int partial_status, int later_status)
{
    const struct append_result *result = job->result;
    bool later = push_is_over_rate(result);
    struct buf text = {0};

    if (push_faults(result) == 0) {
        job->reply->status = 204;
        put_version(job->reply);
        return;
    }
    if (result->accepted > 0 || push_malformed(result) == 0)
        buf_puts(&text, "partial write: ");
    else
        buf_puts(&text, "unable to parse: ");
    push_put_examples(&text, result, "\n");
    buf_printf(&text, " dropped=%" PRIu64, push_faults(result));
    put(job->reply,
        later                        ? later_status
        : push_malformed(result) > 0 ? 400
                                     : partial_status,
        &text);
    if (later)
        http_reply_field(job->reply, "Retry-After", "1");
    buf_destroy(&text);
}

/* --- writes ------------------------------------------------------------------------------------
 */

/* The label "db" of what has none by a tag. */
static void add_database(struct push_job *job, struct http_text name)
{
    struct label *list;

    if (name.len == 0 || job->extra.count > 0)
        return; /* extra_label says what is wanted */
    list = arena_alloc(job->request->arena, sizeof(*list));
    *list = (struct label){"db", name.at, 2, (uint32_t)name.len};
    job->extra.list = list;
    job->extra.count = 1;
    job->extra.only_absent = true;
}

static int decode(struct push_job *job, const char *database, struct error *err)
{
    struct http_text precision = params_get(&job->params, "precision");
    int64_t unit_ns;

    if (!influx_precision_parse(precision.at != NULL ? precision.at : "", precision.len, &unit_ns))
        return error_set(err, ERR_INVALID, "invalid precision \"%.*s\" (use n, u, ms, s, m or h)",
                         (int)TIDE_MIN(precision.len, (size_t)20), precision.at);
    add_database(job, params_get(&job->params, database));
    return influx_decode(job->body, job->len, unit_ns, &job->push, job->batch, job->result, err);
}

static int decode_1(struct push_job *job, struct error *err)
{
    return decode(job, "db", err);
}

static int decode_2(struct push_job *job, struct error *err)
{
    return decode(job, "bucket", err);
}

static void answer_1(struct push_job *job)
{
    answer(job, put_error_1, 400, 503); /* Telegraf drops the batch on a 429 */
}

static void answer_2(struct push_job *job)
{
    answer(job, put_error_2, 422, 429);
}

static void fail_1(struct push_job *job, const struct error *err)
{
    fail(job, err, put_error_1);
}

static void fail_2(struct push_job *job, const struct error *err)
{
    fail(job, err, put_error_2);
}

void push_influx_1(struct http_request *request, struct http_reply *reply)
{
    static const struct push_form form = {decode_1, answer_1, fail_1};

    push_whole(request, reply, &form);
}

void push_influx_2(struct http_request *request, struct http_reply *reply)
{
    static const struct push_form form = {decode_2, answer_2, fail_2};

    push_whole(request, reply, &form);
}

/* --- what is asked before ----------------------------------------------------------------------
 */

static bool begins(struct http_text text, const char *words)
{
    size_t len = strlen(words);

    return text.len >= len && http_text_is((struct http_text){text.at, len}, words);
}

/* The next statement of a query, without blanks around it; len 0 at the end. */
static struct http_text next_statement(struct http_text *text)
{
    struct http_text statement;
    const char *end;

    while (text->len > 0 && (*text->at == ' ' || *text->at == ';' || *text->at == '\n')) {
        text->at++;
        text->len--;
    }
    end = text->len > 0 ? memchr(text->at, ';', text->len) : NULL;
    statement = (struct http_text){text->at, end != NULL ? (size_t)(end - text->at) : text->len};
    text->at += statement.len;
    text->len -= statement.len;
    return statement;
}

static bool put_statement(struct buf *out, struct http_text statement, size_t number)
{
    bool shows = begins(statement, "SHOW DATABASES");

    if (!shows && !begins(statement, "CREATE DATABASE "))
        return false;
    buf_printf(out, "%s{\"statement_id\":%zu", number > 0 ? "," : "", number);
    if (shows)
        buf_puts(out, ",\"series\":[{\"name\":\"databases\",\"columns\":[\"name\"]}]");
    buf_putc(out, '}');
    return true;
}

void influx_query(struct http_request *request, struct http_reply *reply)
{
    struct buf refusal = {0};
    struct http_text text, statement;
    struct params params;
    struct error err;
    size_t count = 0;

    if (request_params(request, &params, &err) != 0) {
        buf_puts(&refusal, err.text);
        put_error_1(reply, 400, &refusal);
        buf_destroy(&refusal);
        return;
    }
    text = params_get(&params, "q");
    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"results\":[");
    while ((statement = next_statement(&text)).len > 0) {
        if (put_statement(&reply->body, statement, count++))
            continue;
        buf_printf(&refusal, "only CREATE DATABASE and SHOW DATABASES are understood here; ask in "
                             "PromQL at /api/v1/query");
        put_error_1(reply, 400, &refusal);
        buf_destroy(&refusal);
        return;
    }
    if (count == 0) {
        buf_puts(&refusal, "missing required parameter \"q\"");
        put_error_1(reply, 400, &refusal);
        buf_destroy(&refusal);
        return;
    }
    buf_puts(&reply->body, "]}\n");
    put_version(reply);
}

void influx_ping(struct http_request *request, struct http_reply *reply)
{
    struct params params;
    struct error err;

    put_version(reply);
    if (request_params(request, &params, &err) == 0 &&
        http_text_is(params_get(&params, "verbose"), "true")) {
        reply->content_type = HTTP_TYPE_JSON;
        buf_puts(&reply->body, "{\"version\":\"" INFLUX_VERSION "\"}\n");
        return;
    }
    reply->status = 204;
}
