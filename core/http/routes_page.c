/* routes_page.c - see routes_page.h. The files lie gzipped in the binary (web/build.mjs). */
#include "http/routes_page.h"

#include <stdio.h>

#include <xxhash.h>

#include "base/embedded.h"
#include "http/coding.h"
#include "http/status.h"

/* No file of the page is larger when unpacked. */
#define FILE_MAX_BYTES ((size_t)16 << 20)
#define PATH_MAX_BYTES 80
#define TAG_MAX_BYTES 32

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".html", HTTP_TYPE_HTML},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
    };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < TIDE_COUNT(types); i++) {
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    }
    return "application/octet-stream";
}

/* Does If-None-Match name this tag (or everything)? */
static bool has_already(const struct http_head *head, const char *tag)
{
    const struct http_field *field = http_head_field(head, "If-None-Match");

    return field != NULL && (http_text_is(field->value, "*") ||
                             memmem(field->value.at, field->value.len, tag, strlen(tag)) != NULL);
}

static void put_body(struct http_request *request, const struct embedded_file *file, bool packed,
                     struct http_reply *reply)
{
    struct error err;

    reply->coding = packed ? "gzip" : "identity";
    if (packed)
        buf_append(&reply->body, file->bytes, file->size);
    else if (coding_decode(request->coding, CODING_GZIP, file->bytes, file->size, FILE_MAX_BYTES,
                           &reply->body, &err) != 0)
        http_reply_failure(reply, &err);
}

/* False when the binary has no such file. */
static bool put_file(struct http_request *request, const char *name, struct http_reply *reply)
{
    char path[PATH_MAX_BYTES], tag[TAG_MAX_BYTES];
    bool packed = coding_accepts_gzip(request->head);
    const struct embedded_file *file;

    if ((size_t)snprintf(path, sizeof(path), "web/dist/%s.gz", name) >= sizeof(path))
        return false;
    file = embedded_find(path);
    if (file == NULL)
        return false;
    snprintf(tag, sizeof(tag), "\"%016" PRIx64 "%s\"",
             (uint64_t)XXH3_64bits(file->bytes, file->size), packed ? "-gz" : "");
    reply->content_type = type_of(name);
    http_reply_field(reply, "ETag", "%s", tag);
    http_reply_field(reply, "Cache-Control", "no-cache"); /* ask each time whether it is another */
    if (has_already(request->head, tag))
        reply->status = 304;
    else
        put_body(request, file, packed, reply);
    return true;
}

void route_page(struct http_request *request, struct http_reply *reply)
{
    if (!put_file(request, "index.html", reply))
        status_page(request, reply);
}

void route_asset(struct http_request *request, struct http_reply *reply)
{
    struct http_text name = request->captures[0];

    if (!put_file(request, name.at, reply))
        http_reply_error(reply, 404, "not_found", "the page has no file \"%.*s\"%s",
                         (int)(name.len < PATH_MAX_BYTES ? name.len : PATH_MAX_BYTES), name.at,
                         embedded_find("web/dist/index.html.gz") == NULL
                             ? ": it was not built (try \"make web all\")"
                             : "");
}
