/* command_plan.c - `tidemark plan`: what the running server's next pass of retention would drop. */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"

/* The folder as the server finds it: it has another working folder. */
static void put_folder(struct buf *path, const char *folder)
{
    char *whole = realpath(folder, NULL);

    client_put_parameter(path, "scripts", whole != NULL ? whole : folder);
    free(whole);
}

static int ask(const struct client *client, const struct config *config, struct buf *path)
{
    struct fetch_reply reply;

    buf_putc(path, '\0');
    if (client_ask(client, config, "POST", (const char *)path->data, "", 0, &reply) != 0)
        return EXIT_FOUND;
    fwrite(reply.body.data, 1, reply.body.len, stdout);
    if (reply.body.len != 0 && reply.body.data[reply.body.len - 1] != '\n')
        fputc('\n', stdout);
    fetch_reply_destroy(&reply);
    return EXIT_GOOD;
}

int command_plan(int argc, char **argv)
{
    struct client client = {0};
    const char *scripts = NULL, *explain = NULL;
    bool json = false, diff = false;
    const struct command_option options[] = {
        CLIENT_OPTIONS(client),  {"--scripts", &scripts, NULL}, {"--explain", &explain, NULL},
        {"--json", NULL, &json}, {"--diff", NULL, &diff},       {0},
    };
    struct arguments arguments;
    struct config config;
    struct buf path = {0};
    int status;

    if (arguments_parse(&arguments, argc, argv, options, 0) != 0)
        return EXIT_USAGE;
    if (diff && scripts == NULL) {
        fprintf(stderr, "tidemark plan: --diff compares with --scripts DIR, which is missing\n");
        return EXIT_USAGE;
    }
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    buf_puts(&path, "/api/v1/admin/tsdb/plan?");
    buf_puts(&path, json ? "format=json" : "format=text");
    if (scripts != NULL)
        put_folder(&path, scripts);
    if (diff)
        client_put_parameter(&path, "diff", "true");
    if (explain != NULL)
        client_put_parameter(&path, "match[]", explain);
    status = ask(&client, &config, &path);
    buf_destroy(&path);
    config_destroy(&config);
    return status;
}
