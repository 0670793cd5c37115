#include "http/http_head.h"

#include <ctype.h>

#include <http_parser.h>
#include <strings.h>

bool http_text_is(struct http_text text, const char *word)
{
    return strlen(word) == text.len && strncasecmp(text.at, word, text.len) == 0;
}

ptrdiff_t http_head_find_end(const char *bytes, size_t len, size_t *scanned)
{
    size_t at = *scanned;

    while (at < len) {
        const char *feed = memchr(bytes + at, '\n', len - at);
        size_t i;

        if (feed == NULL)
            break;
        i = (size_t)(feed - bytes);
        if (i == 0 || bytes[i - 1] != '\r')
            return -1;
        if (i >= 3 && bytes[i - 2] == '\n')
            return (ptrdiff_t)(i + 1);
        at = i + 1;
    }
    *scanned = len;
    return 0;
}

/* --- what the library lets pass ----------------------------------------------------------------
 */

/* No control byte but the line ends, no folded line. */
static int check_bytes(const char *bytes, size_t len, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (TIDE_LIKELY(c >= ' ' && c != 0x7f))
            continue;
        if (c == '\t')
            continue;
        if (c == '\r' && i + 1 < len && bytes[i + 1] == '\n') {
            i++;
            if (i + 1 < len && (bytes[i + 1] == ' ' || bytes[i + 1] == '\t'))
                return error_set(err, ERR_INVALID, "folded header lines are not accepted");
            continue;
        }
        return error_set(err, ERR_INVALID, "byte 0x%02x at %zu of the request's head", c, i);
    }
    return 0;
}

static bool is_name_byte(unsigned char c)
{
    return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* --- libhttp-parser's callbacks ----------------------------------------------------------------
 */

struct parse {
    struct http_head *head;
    struct http_text target;
    bool too_many;
    bool bad_name;
    bool complete;
};

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct parse *parse = parser->data;

    if (parse->target.at == NULL)
        parse->target.at = at;
    parse->target.len += len;
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
    struct parse *parse = parser->data;
    struct http_head *head = parse->head;

    if (head->field_count == HTTP_FIELDS_MAX) {
        parse->too_many = true;
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_name_byte((unsigned char)at[i])) {
            parse->bad_name = true;
            return -1;
        }
    }
    head->fields[head->field_count++] = (struct http_field){.name = {at, len}, .value = {at, 0}};
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    struct parse *parse = parser->data;
    struct http_field *field;

    if (parse->head->field_count == 0)
        return -1;
    field = &parse->head->fields[parse->head->field_count - 1];
    while (len > 0 && (*at == ' ' || *at == '\t')) {
        at++;
        len--;
    }
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    field->value = (struct http_text){at, len};
    return 0;
}

/* The body is not the library's business. */
static int on_headers_complete(http_parser *parser)
{
    struct parse *parse = parser->data;

    parse->complete = true;
    parse->head->keep_alive = http_should_keep_alive(parser) != 0;
    return 1;
}

static int on_message_complete(http_parser *parser)
{
    http_parser_pause(parser, 1);
    return 0;
}

/* --- the meaning of what was read --------------------------------------------------------------
 */

static unsigned verb_of(unsigned method)
{
    switch (method) {
    case HTTP_GET:
        return HTTP_VERB_GET;
    case HTTP_HEAD:
        return HTTP_VERB_HEAD;
    case HTTP_POST:
        return HTTP_VERB_POST;
    case HTTP_PUT:
        return HTTP_VERB_PUT;
    case HTTP_DELETE:
        return HTTP_VERB_DELETE;
    case HTTP_OPTIONS:
        return HTTP_VERB_OPTIONS;
    default:
        return 0;
    }
}

/* Origin form, or absolute form: its authority is left out. */
static int split_target(struct http_head *head, struct http_text target, struct error *err)
{
    const char *mark;

    if (target.len > 7 &&
        (strncasecmp(target.at, "http://", 7) == 0 || strncasecmp(target.at, "https:/", 7) == 0)) {
        const char *authority = target.at + 7 + (target.at[4] == ':' ? 0 : 1);
        const char *end = target.at + target.len;
        const char *slash =
            authority < end ? memchr(authority, '/', (size_t)(end - authority)) : NULL;

        if (slash == NULL)
            return error_set(err, ERR_INVALID, "the request's target has no path");
        target = (struct http_text){slash, (size_t)(end - slash)};
    }
    if (target.len == 0 || (target.at[0] != '/' && !(target.len == 1 && target.at[0] == '*')))
        return error_set(err, ERR_INVALID, "the request's target is not a path");
    mark = memchr(target.at, '#', target.len);
    if (mark != NULL)
        target.len = (size_t)(mark - target.at);
    mark = memchr(target.at, '?', target.len);
    head->path = target;
    head->query = (struct http_text){target.at + target.len, 0};
    if (mark != NULL) {
        head->path.len = (size_t)(mark - target.at);
        head->query = (struct http_text){mark + 1, (size_t)(target.at + target.len - (mark + 1))};
    }
    return 0;
}

static int parse_length(struct http_head *head, struct http_text value, struct error *err)
{
    uint64_t length = 0;

    if (head->has_length)
        return error_set(err, ERR_INVALID, "more than one Content-Length");
    if (value.len == 0 || value.len > 18)
        return error_set(err, ERR_INVALID, "bad Content-Length");
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return error_set(err, ERR_INVALID, "bad Content-Length");
        length = length * 10 + (uint64_t)(value.at[i] - '0');
    }
    head->has_length = true;
    head->content_length = length;
    return 0;
}

/* Length, chunks, expectations: how many bytes follow must have one meaning. */
static int read_framing(struct http_head *head, int *status, struct error *err)
{
    size_t hosts = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        struct http_text name = head->fields[i].name, value = head->fields[i].value;

        if (http_text_is(name, "Content-Length")) {
            if (parse_length(head, value, err) != 0)
                return -1;
        } else if (http_text_is(name, "Transfer-Encoding")) {
            if (head->chunked)
                return error_set(err, ERR_INVALID, "more than one Transfer-Encoding");
            if (!http_text_is(value, "chunked"))
                return error_set(err, ERR_INVALID, "Transfer-Encoding other than chunked");
            head->chunked = true;
        } else if (http_text_is(name, "Expect")) {
            if (!http_text_is(value, "100-continue")) {
                *status = 417;
                return error_set(err, ERR_INVALID, "Expect other than 100-continue");
            }
            head->expect_continue = !head->http10;
        } else if (http_text_is(name, "Host")) {
            hosts++;
        }
    }
    if (head->chunked && head->has_length)
        return error_set(err, ERR_INVALID, "both Content-Length and Transfer-Encoding");
    if (head->chunked && head->http10)
        return error_set(err, ERR_INVALID, "Transfer-Encoding in HTTP/1.0");
    if (hosts > 1 || (hosts == 0 && !head->http10))
        return error_set(err, ERR_INVALID, "%s", hosts > 1 ? "more than one Host" : "no Host");
    return 0;
}

static int parser_failure(const http_parser *parser, const struct parse *parse, const char *bytes,
                          size_t len, int *status, struct error *err)
{
    enum http_errno code = HTTP_PARSER_ERRNO(parser);

    if (parse->too_many || code == HPE_HEADER_OVERFLOW) {
        *status = 431;
        return error_set(err, ERR_INVALID, "more than %d header fields", HTTP_FIELDS_MAX);
    }
    if (parse->bad_name)
        return error_set(err, ERR_INVALID, "bad character in a header's name");
    if (code == HPE_INVALID_METHOD) {
        size_t n = 0;

        while (n < len && isupper((unsigned char)bytes[n]))
            n++;
        if (n > 0 && n < len && bytes[n] == ' ')
            *status = 501;
    }
    if (code == HPE_OK)
        return error_set(err, ERR_INVALID, "the request's head is cut off");
    return error_set(err, ERR_INVALID, "%s", http_errno_description(code));
}

int http_head_parse(const char *bytes, size_t len, struct http_head *head, int *status,
                    struct error *err)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_headers_complete,
                                                  .on_message_complete = on_message_complete};
    struct parse parse = {.head = head};
    http_parser parser;
    size_t used;

    *status = 400;
    memset(head, 0, offsetof(struct http_head, fields));
    memset(&head->field_count, 0, sizeof(*head) - offsetof(struct http_head, field_count));
    if (check_bytes(bytes, len, err) != 0)
        return -1;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &parse;
    used = http_parser_execute(&parser, &settings, bytes, len);
    if (!parse.complete)
        return parser_failure(&parser, &parse, bytes, len, status, err);
    if (used != len)
        return error_set(err, ERR_INVALID, "bytes behind the request's head");
    if (parser.http_major != 1 || parser.http_minor > 1)
        return error_set(err, ERR_INVALID, "HTTP/%u.%u is not spoken here",
                         (unsigned)parser.http_major, (unsigned)parser.http_minor);
    head->http10 = parser.http_minor == 0;
    head->verb = verb_of(parser.method);
    head->method.at = bytes;
    while (head->method.len < len && bytes[head->method.len] != ' ')
        head->method.len++;
    if (split_target(head, parse.target, err) != 0)
        return -1;
    return read_framing(head, status, err);
}

const struct http_field *http_head_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (http_text_is(head->fields[i].name, name))
            return &head->fields[i];
    }
    return NULL;
}
