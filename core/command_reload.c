/* command_reload.c - `tidemark reload`: the running server reads its scripts again. */
#include <stdio.h>

#include "client.h"

int command_reload(int argc, char **argv)
{
    struct client client = {0};
    const struct command_option options[] = {CLIENT_OPTIONS(client), {0}};
    struct arguments arguments;
    struct config config;
    struct fetch_reply reply;
    int status = EXIT_FOUND;

    if (arguments_parse(&arguments, argc, argv, options, 0) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    if (client_ask(&client, &config, "POST", "/-/reload", "", 0, &reply) == 0) {
        printf("reloaded\n");
        fetch_reply_destroy(&reply);
        status = EXIT_GOOD;
    }
    config_destroy(&config);
    return status;
}
