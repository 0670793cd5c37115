#include "http/http_reply.h"

#include <stdarg.h>
#include <stdio.h>

#include <http_parser.h>

#include "wire/result_json.h"

/* Buffers up to this size are kept from request to request. */
#define KEEP_BYTES ((size_t)64 << 10)

static void reset_buf(struct buf *buf)
{
    if (buf->cap > KEEP_BYTES)
        buf_destroy(buf);
    buf->len = 0;
}

static void free_stream(struct http_reply *reply)
{
    if (reply->stream.free != NULL)
        reply->stream.free(reply->stream.ctx);
    reply->stream = (struct http_stream){0};
}

void http_reply_reset(struct http_reply *reply)
{
    free_stream(reply);
    reset_buf(&reply->body);
    reset_buf(&reply->fields);
    reply->status = 0;
    reply->content_type = NULL;
    reply->durable = (struct append_ticket){0};
    reply->close = reply->cut = false;
    reply->coding = NULL;
}

void http_reply_destroy(struct http_reply *reply)
{
    free_stream(reply);
    buf_destroy(&reply->body);
    buf_destroy(&reply->fields);
}

void http_reply_field(struct http_reply *reply, const char *name, const char *format, ...)
{
    char value[512];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    TIDE_ASSERT(len >= 0 && strpbrk(value, "\r\n") == NULL);
    buf_printf(&reply->fields, "%s: %s\r\n", name, value);
}

void http_reply_text(struct http_reply *reply, int status, const char *text)
{
    free_stream(reply);
    reply->status = status;
    reply->content_type = HTTP_TYPE_TEXT;
    reply->body.len = 0;
    buf_puts(&reply->body, text);
}

void http_reply_error(struct http_reply *reply, int status, const char *type, const char *format,
                      ...)
{
    struct error err; /* its text is the place to print to */
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(err.text, sizeof(err.text), format, args);
    va_end(args);
    TIDE_ASSERT(len >= 0);
    free_stream(reply);
    reply->status = status;
    reply->content_type = HTTP_TYPE_JSON;
    reply->body.len = 0;
    buf_puts(&reply->body, "{\"status\":\"error\",\"errorType\":\"");
    buf_puts(&reply->body, type);
    buf_puts(&reply->body, "\",\"error\":");
    json_put_string(&reply->body, err.text, strlen(err.text));
    buf_putc(&reply->body, '}');
}

int http_status_of(enum error_code code, const char **type)
{
    static const struct {
        enum error_code code;
        int status;
        const char *type;
    } table[] = {
        {ERR_INVALID, 400, "bad_data"},    {ERR_LIMIT, 422, "execution"},
        {ERR_EXECUTION, 422, "execution"}, {ERR_NOT_FOUND, 404, "not_found"},
        {ERR_CONFLICT, 409, "bad_data"},   {ERR_NOMEM, 503, "unavailable"},
        {ERR_BUSY, 503, "unavailable"},    {ERR_TIMEOUT, 503, "timeout"},
        {ERR_CANCELLED, 499, "canceled"},  {ERR_UNSUPPORTED, 415, "bad_data"},
        {ERR_DENIED, 403, "unavailable"},  {ERR_IO, 500, "internal"},
        {ERR_CORRUPT, 500, "internal"},
    };

    for (size_t i = 0; i < TIDE_COUNT(table); i++) {
        if (table[i].code == code) {
            *type = table[i].type;
            return table[i].status;
        }
    }
    *type = "internal";
    return 500;
}

void http_reply_failure(struct http_reply *reply, const struct error *err)
{
    const char *type;
    int status = http_status_of(err->code, &type);

    http_reply_error(reply, status, type, "%s", err->text);
    if (err->code == ERR_BUSY || err->code == ERR_NOMEM)
        http_reply_field(reply, "Retry-After", "1");
}

const char *http_status_text(int status)
{
    switch (status) {
#define CASE(number, name, text)                                                                   \
    case number:                                                                                   \
        return #text;
        HTTP_STATUS_MAP(CASE)
#undef CASE
    case 499:
        return "Client Closed Request";
    default:
        return "Status";
    }
}
