/* command_console.c - `tidemark console`: a Lua prompt on the running server. */
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "console/prompt.h"

int command_console(int argc, char **argv)
{
    const char *socket_path = NULL, *code = NULL;
    bool json = false;
    const struct command_option options[] = {
        {"--socket", &socket_path, NULL}, {"--eval", &code, NULL}, {"--json", NULL, &json}, {0}};
    struct arguments arguments;
    struct config config;
    char path[4096];
    struct prompt_options prompt = {.path = path, .json = json};
    int result;

    if (arguments_parse(&arguments, argc, argv, options, 0) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    prompt.json = json;
    if (socket_path != NULL)
        snprintf(path, sizeof(path), "%s", socket_path);
    if (socket_path == NULL && !arguments_console_path(&config, path, sizeof(path))) {
        fprintf(stderr, "tidemark: the console is off (console.socket)\n");
        result = -1;
    } else if (code != NULL)
        result = prompt_eval(&prompt, code, strlen(code));
    else if (isatty(STDIN_FILENO))
        result = prompt_interact(&prompt);
    else
        result = prompt_pipe(&prompt);
    config_destroy(&config);
    return result == 0 ? EXIT_GOOD : EXIT_FOUND;
}
