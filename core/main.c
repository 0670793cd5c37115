/* main.c - the doors of the house: subcommands and their arguments. */
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "script/config.h"
#include "script/rulebook.h"
#include "serve.h"
#include "version.h"

/* Exit codes: 0 good, 1 found something or refused to start, 2 wrong usage. */
enum { EXIT_GOOD, EXIT_FOUND, EXIT_USAGE };

#define FLAGS_MAX 64

/* What the command line said; strings are argv's. */
struct arguments {
    const char *config_path; /* NULL: none */
    bool print;
    struct {
        const char *flag; /* "--data" */
        const char *key;  /* "data" */
        const char *text;
    } settings[FLAGS_MAX];
    size_t setting_count;
};

struct command {
    const char *name;
    const char *usage;
    const char *text;
    int (*run)(const struct arguments *arguments);
};

static int run_serve(const struct arguments *arguments);
static int run_config(const struct arguments *arguments);
static int run_check(const struct arguments *arguments);

static const struct command commands[] = {
    {"serve", "[--config FILE] [--data DIR] [--listen ADDR:PORT|unix:PATH]... [--set KEY=VALUE]...",
     "run the server (the default)", run_serve},
    {"config", "[--config FILE] [--set KEY=VALUE]... --print", "show the effective configuration",
     run_config},
    {"check", "[--config FILE] [--set KEY=VALUE]... [--scripts DIR]",
     "say what is wrong with the configuration and the scripts", run_check},
};

static void print_usage(FILE *out)
{
    fprintf(out, "tidemark %s - a time-series store that you can program\n\n", TIDE_VERSION);
    for (size_t i = 0; i < TIDE_COUNT(commands); i++)
        fprintf(out, "  tidemark %s %s\n      %s\n", commands[i].name, commands[i].usage,
                commands[i].text);
    fprintf(out, "  tidemark --help | --version\n");
}

/* Flags that stand for a configuration key. */
static const struct {
    const char *flag, *key;
} key_flags[] = {
    {"--data", "data"},
    {"--listen", "listen"},
    {"--scripts", "scripts"},
    {"--log-level", "log.level"},
    {"--retention", "storage.retention"},
};

static const char *key_of_flag(const char *flag)
{
    for (size_t i = 0; i < TIDE_COUNT(key_flags); i++) {
        if (strcmp(key_flags[i].flag, flag) == 0)
            return key_flags[i].key;
    }
    return NULL;
}

static int add_setting(struct arguments *arguments, const char *flag, const char *key,
                       const char *text)
{
    if (arguments->setting_count == FLAGS_MAX) {
        fprintf(stderr, "tidemark: more than %d flags; put them into a file (--config)\n",
                FLAGS_MAX);
        return -1;
    }
    arguments->settings[arguments->setting_count].flag = flag;
    arguments->settings[arguments->setting_count].key = key;
    arguments->settings[arguments->setting_count++].text = text;
    return 0;
}

/* --set storage.retention=15d; cuts argv's text in two. */
static int add_set_flag(struct arguments *arguments, char *text)
{
    char *equals = strchr(text, '=');

    if (equals == NULL) {
        fprintf(stderr, "tidemark: --set %s: expected KEY=VALUE\n", text);
        return -1;
    }
    *equals = '\0';
    return add_setting(arguments, "--set", text, equals + 1);
}

/* Takes the flag at argv[*at] with its value, if it wants one. */
static int parse_flag(int argc, char **argv, int *at, struct arguments *arguments)
{
    const char *flag = argv[*at];
    char *value = *at + 1 < argc ? argv[*at + 1] : NULL;

    if (strcmp(flag, "--print") == 0) {
        arguments->print = true;
        return 0;
    }
    if (strcmp(flag, "--config") != 0 && strcmp(flag, "--set") != 0 && key_of_flag(flag) == NULL) {
        fprintf(stderr, "tidemark: unknown argument '%s'\n", flag);
        return -1;
    }
    if (value == NULL) {
        fprintf(stderr, "tidemark: %s wants a value\n", flag);
        return -1;
    }
    ++*at;
    if (strcmp(flag, "--set") == 0)
        return add_set_flag(arguments, value);
    if (strcmp(flag, "--config") != 0)
        return add_setting(arguments, flag, key_of_flag(flag), value);
    arguments->config_path = value;
    return 0;
}

/* Flags take their value as the next argument or behind '=': --data=DIR is cut in two here. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        char *equals = strncmp(argv[i], "--", 2) == 0 ? strchr(argv[i], '=') : NULL;
        char *pair[2] = {argv[i], equals != NULL ? equals + 1 : NULL};
        int at = 0;

        if (equals != NULL)
            *equals = '\0';
        if (equals != NULL ? parse_flag(2, pair, &at, arguments) != 0
                           : parse_flag(argc, argv, &i, arguments) != 0)
            return -1;
    }
    return 0;
}

static int load_config(const struct arguments *arguments, struct config *config)
{
    struct error err;

    if (config_load(arguments->config_path, config, &err) != 0)
        goto failed;
    for (size_t i = 0; i < arguments->setting_count; i++) {
        if (config_set(config, arguments->settings[i].flag, arguments->settings[i].key,
                       arguments->settings[i].text, &err) != 0) {
            config_destroy(config);
            goto failed;
        }
    }
    return 0;
failed:
    fprintf(stderr, "tidemark: %s\n", err.text);
    return -1;
}

static int run_serve(const struct arguments *arguments)
{
    struct config config;
    int status;

    if (load_config(arguments, &config) != 0)
        return EXIT_FOUND;
    status = serve(&config) == 0 ? EXIT_GOOD : EXIT_FOUND;
    config_destroy(&config);
    return status;
}

static int run_config(const struct arguments *arguments)
{
    struct config config;
    struct buf text = {0};

    if (load_config(arguments, &config) != 0)
        return EXIT_FOUND;
    if (arguments->print) {
        config_print(&config, &text);
        fwrite(text.data, 1, text.len, stdout);
        buf_destroy(&text);
    } else {
        printf("the configuration is good\n");
    }
    config_destroy(&config);
    return EXIT_GOOD;
}

static int run_check(const struct arguments *arguments)
{
    struct config config;
    struct buf text = {0};
    struct error err;
    int problems = 0;

    if (load_config(arguments, &config) != 0)
        return EXIT_FOUND;
    if (config.scripts[0] != '\0')
        problems = rulebook_check(config.scripts, &text, &err);
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
    struct arguments arguments = {0};
    const struct command *command = &commands[0];

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
    if (parse_arguments(argc, argv, &arguments) != 0) {
        fprintf(stderr, "usage: tidemark %s %s\n", command->name, command->usage);
        return EXIT_USAGE;
    }
    return command->run(&arguments);
}
