/* command_snapshot.c - `tidemark snapshot`: the running server makes a snapshot, lists them, or
 * removes one. */
#include <stdio.h>

#include "client.h"

#define SNAPSHOT_PATH "/api/v1/admin/tsdb/snapshot"

static void print_json(const struct fetch_reply *reply)
{
    fwrite(reply->body.data, 1, reply->body.len, stdout);
    fputc('\n', stdout);
}

/* The names in the answer, one a line; the server's own form, which has no other "name". */
static void print_names(struct fetch_reply *reply)
{
    const char *at, *end;

    buf_putc(&reply->body, '\0');
    for (at = (const char *)reply->body.data; (at = strstr(at, "\"name\":\"")) != NULL; at = end) {
        at += 8;
        end = strchr(at, '"');
        if (end == NULL)
            return;
        printf("%.*s\n", (int)(end - at), at);
    }
}

static int ask(const struct client *client, const struct config *config, const char *method,
               const char *path, bool json)
{
    struct fetch_reply reply;

    if (client_ask(client, config, method, path, NULL, 0, &reply) != 0)
        return EXIT_FOUND;
    if (json && reply.body.len != 0)
        print_json(&reply);
    else
        print_names(&reply);
    fetch_reply_destroy(&reply);
    return EXIT_GOOD;
}

/* Only what a name can be goes into the address. */
static bool is_name(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789abcdefTZ-") == strlen(text) &&
           strlen(text) < 64;
}

int command_snapshot(int argc, char **argv)
{
    struct client client = {0};
    const char *gone = NULL;
    bool list = false, json = false, skip_head = false;
    const struct command_option options[] = {
        CLIENT_OPTIONS(client),    {"--list", NULL, &list},
        {"--remove", &gone, NULL}, {"--skip-head", NULL, &skip_head},
        {"--json", NULL, &json},   {0},
    };
    struct arguments arguments;
    struct config config;
    char path[160] = SNAPSHOT_PATH;
    int status;

    if (arguments_parse(&arguments, argc, argv, options, 0) != 0)
        return EXIT_USAGE;
    if (gone != NULL && !is_name(gone)) {
        fprintf(stderr, "tidemark: \"%s\" is no name of a snapshot (try --list)\n", gone);
        return EXIT_USAGE;
    }
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    if (gone != NULL)
        snprintf(path, sizeof(path), SNAPSHOT_PATH "?name=%s", gone);
    else if (skip_head && !list)
        snprintf(path, sizeof(path), SNAPSHOT_PATH "?skip_head=true");
    status = ask(&client, &config, gone != NULL ? "DELETE" : list ? "GET" : "POST", path, json);
    config_destroy(&config);
    return status;
}
