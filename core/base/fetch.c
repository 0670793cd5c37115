/* fetch.c - see fetch.h. */
#include "base/fetch.h"

#include <stdio.h>

#include "base/curl_library.h"

#define CONNECT_TIMEOUT_MS 10000
#define SILENCE_S 60
#define REPLY_BYTES ((size_t)64 << 20)

/* One exchange under way. */
struct exchange {
    const struct fetch_request *request;
    struct fetch_reply *reply;
    const struct curl_library *library;
    CURL *curl;
    const uint8_t *body_at;
    size_t body_left;
    bool stopped;   /* by a callback */
    bool too_large; /* the reply */
};

static size_t give_body(char *out, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    size_t room = size * count, taken;

    if (exchange->request->read_body != NULL) {
        taken = exchange->request->read_body(exchange->request->ctx, out, room);
        exchange->stopped = taken == SIZE_MAX;
        return exchange->stopped ? CURL_READFUNC_ABORT : taken;
    }
    taken = TIDE_MIN(room, exchange->body_left);
    if (taken > 0)
        memcpy(out, exchange->body_at, taken);
    exchange->body_at += taken;
    exchange->body_left -= taken;
    return taken;
}

/* A body is sent again from its start when a kept connection turns out to be closed. */
static int rewind_body(void *ctx, curl_off_t offset, int origin)
{
    struct exchange *exchange = ctx;

    if (exchange->request->read_body != NULL || origin != SEEK_SET || offset < 0 ||
        (size_t)offset > exchange->request->body_len)
        return CURL_SEEKFUNC_CANTSEEK;
    exchange->body_at = (const uint8_t *)exchange->request->body + offset;
    exchange->body_left = exchange->request->body_len - (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void fill_reply(struct exchange *exchange)
{
    char *type = NULL;
    long status = 0;

    exchange->library->easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    exchange->library->easy_getinfo(exchange->curl, CURLINFO_CONTENT_TYPE, &type);
    exchange->reply->status = (int)status;
    if (type != NULL)
        snprintf(exchange->reply->content_type, sizeof(exchange->reply->content_type), "%s", type);
}

static size_t take_reply(char *bytes, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    const struct fetch_request *request = exchange->request;
    struct buf *body = &exchange->reply->body;
    size_t len = size * count;

    if (exchange->reply->status == 0)
        fill_reply(exchange);
    if (request->take != NULL && exchange->reply->status < 300) {
        exchange->stopped = request->take(request->ctx, bytes, len) != 0;
        return exchange->stopped ? 0 : len;
    }
    if (len > (request->max_reply_bytes > 0 ? request->max_reply_bytes : REPLY_BYTES) - body->len) {
        exchange->too_large = true;
        return 0;
    }
    buf_append(body, bytes, len);
    return len;
}

static void set_body(struct exchange *exchange)
{
    const struct fetch_request *request = exchange->request;
    const struct curl_library *library = exchange->library;
    CURL *curl = exchange->curl;

    exchange->body_at = request->body;
    exchange->body_left = request->body_len;
    library->easy_setopt(curl, CURLOPT_POST, 1L);
    library->easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
    library->easy_setopt(curl, CURLOPT_READDATA, exchange);
    library->easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_body);
    library->easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
    if (request->read_body == NULL)
        library->easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
}

static struct curl_slist *headers_of(const struct curl_library *library,
                                     const struct fetch_request *request, bool has_body)
{
    struct curl_slist *list = NULL;

    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++)
        list = library->slist_append(list, request->headers[i]);
    if (has_body && request->read_body != NULL)
        list = library->slist_append(list, "Transfer-Encoding: chunked");
    return library->slist_append(list, "Expect:"); /* no round before small bodies */
}

static void set_options(struct exchange *exchange, struct curl_slist *headers)
{
    const struct fetch_request *request = exchange->request;
    const struct curl_library *library = exchange->library;
    CURL *curl = exchange->curl;

    library->easy_setopt(curl, CURLOPT_URL, request->url);
    library->easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    library->easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    library->easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    library->easy_setopt(curl, CURLOPT_USERAGENT, "tidemark");
    library->easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    library->easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_reply);
    library->easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    library->easy_setopt(
        curl, CURLOPT_CONNECTTIMEOUT_MS,
        (long)(request->connect_timeout_ms > 0 ? request->connect_timeout_ms : CONNECT_TIMEOUT_MS));
    if (request->timeout_ms > 0) {
        library->easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    } else {
        library->easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        library->easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    }
    if (request->unix_socket != NULL) {
        library->easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
        library->easy_setopt(curl, CURLOPT_PROXY, "");
    }
    if (request->user_password != NULL) {
        library->easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        library->easy_setopt(curl, CURLOPT_USERPWD, request->user_password);
    }
    if (request->ca_file != NULL)
        library->easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
    if (request->body != NULL || request->read_body != NULL)
        set_body(exchange);
    if (request->method != NULL)
        library->easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static int failure(const struct exchange *exchange, CURLcode code, const char *text,
                   struct error *err)
{
    const char *url = exchange->request->url;

    if (exchange->stopped)
        return error_set(err, ERR_CANCELLED, "%s: broken off", url);
    if (exchange->too_large)
        return error_set(err, ERR_LIMIT, "%s: the answer is larger than %zu bytes", url,
                         exchange->request->max_reply_bytes > 0 ? exchange->request->max_reply_bytes
                                                                : REPLY_BYTES);
    if (text[0] == '\0')
        text = exchange->library->easy_strerror(code);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ERR_TIMEOUT, "%s: %s", url, text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_set(err, ERR_INVALID, "%s: %s", url, text);
    default:
        return error_set(err, ERR_IO, "%s: %s", url, text);
    }
}

int fetch(const struct fetch_request *request, struct fetch_reply *reply, struct error *err)
{
    struct exchange exchange = {.request = request, .reply = reply};
    char text[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers;
    CURLcode code;

    memset(reply, 0, sizeof(*reply));
    exchange.library = curl_library_get(err);
    if (exchange.library == NULL)
        return -1;
    exchange.curl = exchange.library->easy_init(); /* initialises the library, under its own lock */
    if (exchange.curl == NULL)
        return error_set(err, ERR_NOMEM, "%s: libcurl cannot be initialised", request->url);
    headers =
        headers_of(exchange.library, request, request->body != NULL || request->read_body != NULL);
    set_options(&exchange, headers);
    exchange.library->easy_setopt(exchange.curl, CURLOPT_ERRORBUFFER, text);
    code = exchange.library->easy_perform(exchange.curl);
    if (code == CURLE_OK)
        fill_reply(&exchange);
    exchange.library->easy_cleanup(exchange.curl);
    exchange.library->slist_free_all(headers);
    if (code == CURLE_OK)
        return 0;
    fetch_reply_destroy(reply);
    return failure(&exchange, code, text, err);
}

void fetch_reply_destroy(struct fetch_reply *reply)
{
    buf_destroy(&reply->body);
}

void fetch_address(const char *listen, char *url, size_t url_size, const char **unix_socket)
{
    *unix_socket = NULL;
    if (strncmp(listen, "unix:", 5) == 0) {
        *unix_socket = listen + 5;
        snprintf(url, url_size, "http://localhost");
    } else if (listen[0] == ':' || strncmp(listen, "0.0.0.0:", 8) == 0) {
        snprintf(url, url_size, "http://127.0.0.1%s", strrchr(listen, ':'));
    } else if (strncmp(listen, "[::]:", 5) == 0) {
        snprintf(url, url_size, "http://[::1]%s", strrchr(listen, ':'));
    } else {
        snprintf(url, url_size, "http://%s", listen);
    }
}
