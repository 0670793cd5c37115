/* command_config.c - `tidemark config`: is the configuration good, and what is in force. */
#include <stdio.h>

#include "base/buf.h"
#include "command.h"

int command_config(int argc, char **argv)
{
    struct arguments arguments;
    struct config config;
    struct buf text = {0};
    bool print = false;
    const struct command_option options[] = {{"--print", NULL, &print}, {0}};

    if (arguments_parse(&arguments, argc, argv, options, 0) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    if (print) {
        config_print(&config, &text);
        fwrite(text.data, 1, text.len, stdout);
        buf_destroy(&text);
    } else {
        printf("the configuration is good\n");
    }
    config_destroy(&config);
    return EXIT_GOOD;
}
