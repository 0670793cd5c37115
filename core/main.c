/* main.c - the doors of the house: the table of subcommands. */
#include <stdio.h>

#include "client.h"
#include "command.h"
#include "serve.h"
#include "version.h"

struct command {
    const char *name;
    const char *usage;
    const char *text;
    int (*run)(int argc, char **argv); /* argv[0] is its name; an exit code */
};

static const struct command commands[] = {
    {"serve", "[--config FILE] [--data DIR] [--listen ADDR:PORT|unix:PATH]... [--set KEY=VALUE]...",
     "run the server (the default)", command_serve},
    {"console", "[--socket PATH] [--eval CODE] [--json]",
     "a Lua prompt on the running server; piped input is evaluated as a whole", command_console},
    {"config", "[--config FILE] [--set KEY=VALUE]... --print", "show the effective configuration",
     command_config},
    {"reload", CLIENT_USAGE, "let the running server read its scripts again", command_reload},
    {"check", "[--config FILE] [--set KEY=VALUE]... [--scripts DIR]",
     "say what is wrong with the configuration and the scripts", command_check},
    {"plan", CLIENT_USAGE " [--scripts DIR [--diff]] [--json] [--explain SELECTOR]",
     "what the next pass of retention would drop, by rule, with these scripts or those in force",
     command_plan},
    {"test",
     "[--config FILE] [--set KEY=VALUE]... [--filter TEXT] [--time-limit SECONDS] [--json] "
     "[--scratch DIR] [DIR|FILE]",
     "run the tests beside the scripts (*_test.lua), each on a store of its own by a simulated "
     "clock",
     command_test},
    {"password", "", "read a password and print its hash, for http.users", command_password},
    {"import",
     CLIENT_USAGE " [--format json|text] [FILE]... | --remote-read URL [--start TIME] "
                  "[--end TIME] [SELECTOR]...",
     "send samples of any age to the running server: JSON lines, the text format, or what another "
     "server answers to remote read",
     command_import},
    {"export", CLIENT_USAGE " [--start TIME] [--end TIME] [SELECTOR]...",
     "print the samples of the running server as JSON lines", command_export},
    {"snapshot", CLIENT_USAGE " [--list | --remove NAME] [--skip-head] [--json]",
     "have the running server make a snapshot, list them, or remove one", command_snapshot},
    {"restore", "[--data DIR] [--replace] SNAPSHOT",
     "copy a snapshot, by its name or folder, to be the data folder of a stopped server",
     command_restore},
    {"verify", "[--data DIR] [--json] [--scratch DIR]",
     "read all of a stopped data folder and say what is wrong; changes nothing", command_verify},
    {"repair", "[--data DIR]", "make a stopped data folder whole again and say what was done",
     command_repair},
    {"dump", "[--data DIR] [--text] [--start TIME] [--end TIME] [--scratch DIR] [SELECTOR]...",
     "print the samples of a stopped data folder as JSON lines; changes nothing", command_dump},
};

static void print_usage(FILE *out)
{
    fprintf(out, "tidemark %s - a time-series store that you can program\n\n", TIDE_VERSION);
    for (size_t i = 0; i < TIDE_COUNT(commands); i++)
        fprintf(out, "  tidemark %s %s\n      %s\n", commands[i].name, commands[i].usage,
                commands[i].text);
    fprintf(out, "  tidemark --help | --version\n");
}

int command_serve(int argc, char **argv)
{
    struct arguments arguments;
    struct config config;
    int status;

    if (arguments_parse(&arguments, argc, argv, NULL, 0) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    status = serve(&arguments, &config) == 0 ? EXIT_GOOD : EXIT_FOUND;
    config_destroy(&config);
    return status;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < TIDE_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct command *command = &commands[0];
    int status;

    if (argc >= 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)) {
        printf("tidemark %s\n", TIDE_VERSION);
        return EXIT_GOOD;
    }
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        print_usage(stdout);
        return EXIT_GOOD;
    }
    if (argc >= 2 && argv[1][0] != '-') {
        command = find_command(argv[1]);
        if (command == NULL) {
            fprintf(stderr, "tidemark: no command '%s'\n", argv[1]);
            print_usage(stderr);
            return EXIT_USAGE;
        }
        argv++;
        argc--;
    }
    status = command->run(argc, argv);
    if (status == EXIT_USAGE)
        fprintf(stderr, "usage: tidemark %s %s\n", command->name, command->usage);
    return status;
}
