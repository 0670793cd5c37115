/* client.c - see client.h. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>

#define URL_BYTES 4096

void client_put_parameter(struct buf *path, const char *name, const char *text)
{
    buf_printf(path, "&%s=", name);
    for (; *text != '\0'; text++)
        buf_printf(path, "%%%02X", (unsigned char)*text);
}

void client_print_refusal(const struct fetch_reply *reply)
{
    static const char mark[] = "\"error\":\"";
    const char *text = (const char *)reply->body.data;
    size_t len = reply->body.len;
    const char *found = len > 0 ? memmem(text, len, mark, sizeof(mark) - 1) : NULL;

    fprintf(stderr, "tidemark: the server answered %d: ", reply->status);
    if (found == NULL) {
        while (len > 0 && text[len - 1] == '\n')
            len--;
        fprintf(stderr, "%.*s\n", (int)TIDE_MIN(len, (size_t)1000), len > 0 ? text : "");
        return;
    }
    for (found += sizeof(mark) - 1; found < text + len && *found != '"'; found++) {
        if (*found == '\\' && found + 1 < text + len)
            found++;
        fputc(*found, stderr);
    }
    fputc('\n', stderr);
}

int client_exchange(const struct client *client, const struct config *config, const char *path,
                    struct fetch_request *request, struct fetch_reply *reply)
{
    char base[URL_BYTES];
    struct buf url = {0};
    struct error err;
    int status;

    if (client->url != NULL) {
        snprintf(base, sizeof(base), "%s", client->url);
    } else {
        const struct config_listener *listener = &config->listen[0];

        fetch_address(listener->address, base, sizeof(base), &request->unix_socket);
        if (listener->certificate[0] != '\0') {
            memmove(base + 5, base + 4, strlen(base + 4) + 1); /* http to https */
            base[4] = 's';
        }
    }
    while (strlen(base) > 0 && base[strlen(base) - 1] == '/')
        base[strlen(base) - 1] = '\0';
    buf_printf(&url, "%s%s", base, path);
    buf_putc(&url, '\0');
    request->url = (const char *)url.data;
    request->user_password = client->user != NULL ? client->user : getenv("TIDEMARK_USER");
    request->ca_file = client->ca;
    status = fetch(request, reply, &err);
    if (status != 0)
        fprintf(stderr, "tidemark: %s: %s\n", base, err.text);
    request->url = NULL;
    buf_destroy(&url);
    return status;
}

int client_ask(const struct client *client, const struct config *config, const char *method,
               const char *path, const void *body, size_t body_len, struct fetch_reply *reply)
{
    struct fetch_request request = {.method = method, .body = body, .body_len = body_len};

    if (client_exchange(client, config, path, &request, reply) != 0)
        return -1;
    if (reply->status < 300)
        return 0;
    client_print_refusal(reply);
    fetch_reply_destroy(reply);
    return -1;
}
