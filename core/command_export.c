/* command_export.c - `tidemark export`: samples of the running server as JSON lines, which
 * `tidemark import` takes; staleness markers included. */
#include <stdio.h>

#include "base/mem.h"
#include "client.h"

static int print_piece(void *ctx, const void *bytes, size_t len)
{
    (void)ctx;
    return fwrite(bytes, 1, len, stdout) == len ? 0 : -1;
}

int command_export(int argc, char **argv)
{
    struct client client = {0};
    const char *start = NULL, *end = NULL;
    const struct command_option options[] = {
        CLIENT_OPTIONS(client), {"--start", &start, NULL}, {"--end", &end, NULL}, {0}};
    struct fetch_request request = {.take = print_piece};
    struct arguments arguments;
    struct fetch_reply reply;
    struct config config;
    struct buf path = {0};
    int status = EXIT_FOUND;

    if (arguments_parse(&arguments, argc, argv, options, OPERANDS_MAX) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    buf_puts(&path, "/api/v1/export?stale_markers=1");
    for (size_t i = 0; i < arguments.operand_count; i++)
        client_put_parameter(&path, "match[]", arguments.operands[i]);
    if (arguments.operand_count == 0)
        client_put_parameter(&path, "match[]", "{__name__!=\"\"}");
    if (start != NULL)
        client_put_parameter(&path, "start", start);
    if (end != NULL)
        client_put_parameter(&path, "end", end);
    buf_putc(&path, '\0');
    if (client_exchange(&client, &config, (const char *)path.data, &request, &reply) == 0) {
        if (reply.status == 200 && fflush(stdout) == 0)
            status = EXIT_GOOD;
        else if (reply.status != 200)
            client_print_refusal(&reply);
        fetch_reply_destroy(&reply);
    }
    buf_destroy(&path);
    config_destroy(&config);
    return status;
}
