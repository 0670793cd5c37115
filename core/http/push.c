/* push.c - see push.h. */
#include "http/push.h"

#include "http/http_site.h"
#include "http/params.h"
#include "store/append.h"
#include "store/batch.h"
#include "wire/exposition.h"
#include "wire/push.h"
#include "wire/remote_write.h"
#include "wire/result_json.h"

/* A batch that grew beyond this is not kept for the next push. */
#define KEEP_SAMPLES ((size_t)1 << 17)
/* Of a refused line, in the answer. */
#define SHOWN_BYTES ((size_t)200)

struct pusher {
    struct appender *appender;
    struct batch batch;
    struct append_result result;
};

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

typedef int decoder(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                    struct append_result *result, struct error *err);

/* --- the answer --------------------------------------------------------------------------------
 */

/* Line `number` (from 1) of a body, cut to what is worth showing. */
static struct http_text line_of(const struct http_request *request, uint32_t number)
{
    const char *at = (const char *)request->body, *end = at + request->body_len;
    const char *stop;

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

static void put_example(struct buf *out, const struct http_request *request,
                        const struct refusal_example *example)
{
    buf_printf(out, "{\"reason\":\"%s\"", refusal_name(example->reason));
    if (example->line > 0) {
        struct http_text line = line_of(request, example->line);

        buf_printf(out, ",\"line\":%" PRIu32 ",\"text\":", example->line);
        json_put_string(out, line.at, line.len);
    }
    buf_puts(out, ",\"error\":");
    json_put_string(out, example->text, strlen(example->text));
    buf_putc(out, '}');
}

/* What the sender did wrong; what a script dropped is not among it. */
static uint64_t faults_of(const struct append_result *result)
{
    return append_result_refused(result) - result->refused[REFUSED_BY_POLICY];
}

/* 204, or 400 with the counts, the reasons and the first refused items. */
static void answer(const struct http_request *request, const struct append_result *result,
                   struct http_reply *reply)
{
    uint64_t refused = append_result_refused(result);
    struct buf *out = &reply->body;
    bool any = false;

    if (faults_of(result) == 0) {
        reply->status = 204;
        return;
    }
    http_reply_error(reply, 400, "bad_data",
                     "%" PRIu64 " samples were written, %" PRIu64 " were refused%s%s",
                     result->accepted, refused, result->example_count > 0 ? ": " : "",
                     result->example_count > 0 ? result->examples[0].text : "");
    out->len--; /* the object goes on */
    buf_printf(out, ",\"written\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"reasons\":{",
               result->accepted, refused);
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
        put_example(out, request, &result->examples[i]);
    }
    buf_puts(out, "]}");
}

/* --- the way in --------------------------------------------------------------------------------
 */

static void push_body(struct http_request *request, decoder *decode, struct http_reply *reply)
{
    struct pusher *pusher = request->pusher;
    struct push push = {.now_ms = http_site_wall_ms(request->site)};
    struct error err;

    batch_reset(&pusher->batch);
    append_result_init(&pusher->result);
    if (decode(request->body, request->body_len, &push, &pusher->batch, &pusher->result, &err) !=
        0) {
        http_reply_failure(reply, &err);
        return;
    }
    if (store_append(pusher->appender, &pusher->batch, &pusher->result, &err) != 0)
        http_reply_failure(reply, &err);
    else
        answer(request, &pusher->result, reply);
    http_counters_push(request->site->counters, &pusher->result);
    if (pusher->batch.sample_cap > KEEP_SAMPLES)
        batch_destroy(&pusher->batch);
}

void push_remote_write(struct http_request *request, struct http_reply *reply)
{
    const struct http_field *type = http_head_field(request->head, "Content-Type");
    static const char v2[] = "io.prometheus.write.v2.Request";

    if (type != NULL && memmem(type->value.at, type->value.len, v2, sizeof(v2) - 1) != NULL) {
        http_reply_error(reply, 415, "bad_data",
                         "remote write 2.0 is not understood: send prometheus.WriteRequest (1.0)");
        return;
    }
    if (request->body_len > 0 && http_head_field(request->head, "Content-Encoding") == NULL) {
        http_reply_error(reply, 415, "bad_data",
                         "remote write bodies need Content-Encoding: snappy");
        return;
    }
    push_body(request, remote_write_decode, reply);
}

void push_exposition(struct http_request *request, struct http_reply *reply)
{
    static const char openmetrics[] = "application/openmetrics-text";
    const struct http_field *type = http_head_field(request->head, "Content-Type");
    bool is_openmetrics = false;

    if (type != NULL && type->value.len >= sizeof(openmetrics) - 1)
        is_openmetrics =
            http_text_is((struct http_text){type->value.at, sizeof(openmetrics) - 1}, openmetrics);
    if (is_openmetrics && memmem(type->value.at, type->value.len, "version=2", 9) != NULL) {
        http_reply_error(reply, 415, "bad_data", "OpenMetrics 2 is not understood: send 1.0.0");
        return;
    }
    push_body(request, is_openmetrics ? exposition_decode_openmetrics : exposition_decode_text,
              reply);
}
