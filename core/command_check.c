/* command_check.c - `tidemark check`: what is wrong with the configuration and the scripts. */
#include <stdio.h>

#include "base/buf.h"
#include "command.h"
#include "script/rulebook.h"

int command_check(int argc, char **argv)
{
    struct arguments arguments;
    struct config config;
    struct buf text = {0};
    struct error err;
    int problems = 0;

    if (arguments_parse(&arguments, argc, argv, NULL, 0) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    if (config.scripts[0] != '\0')
        problems = rulebook_check(config.scripts, config.query.lookback_ms, &text, &err);
    if (problems == -1)
        fprintf(stderr, "tidemark: %s\n", err.text);
    else
        fwrite(text.data, 1, text.len, stdout);
    if (problems == 0)
        printf("the configuration%s good\n",
               config.scripts[0] != '\0' ? " and the scripts are" : " is");
    buf_destroy(&text);
    config_destroy(&config);
    return problems == 0 ? EXIT_GOOD : EXIT_FOUND;
}
