/* command.h - the subcommands of the program: one file core/command_NAME.c each, a row in main.c,
 * and how they read their arguments. */
#ifndef TIDE_COMMAND_H
#define TIDE_COMMAND_H

#include "base/base.h"
#include "script/config.h"

/* Exit codes: good, found something or refused to start, wrong usage (main prints the usage). */
enum { EXIT_GOOD, EXIT_FOUND, EXIT_USAGE };

/* A flag of one command. `--flag VALUE` and `--flag=VALUE` where `value` is set, else a switch. */
struct command_option {
    const char *flag;   /* "--json"; NULL ends a list */
    const char **value; /* out: the text, argv's; NULL: a switch */
    bool *given;        /* out: it was there; may be NULL beside a value */
};

#define SETTINGS_MAX 64
#define OPERANDS_MAX 64

/* What a command line said; texts are argv's. */
struct arguments {
    const char *config_path; /* NULL: none */
    struct {
        const char *flag; /* "--data" */
        const char *key;  /* "data" */
        const char *text;
    } settings[SETTINGS_MAX];
    size_t setting_count;
    const char *operands[OPERANDS_MAX]; /* what is no flag */
    size_t operand_count;
};

/**
 * Reads the arguments behind a command's name: --config, --set and the flags that stand for keys of
 * the configuration (--data, --listen ...) for every command, and its own `options` (NULL: none).
 * A lone `-` is an operand; `--` ends the flags.
 *
 * @param argv          argv[0] is the command; may be cut in place
 * @param operands_max  how many operands the command takes
 * @return 0, or -1: it was said on standard error what is wrong (EXIT_USAGE)
 */
TIDE_NODISCARD int arguments_parse(struct arguments *arguments, int argc, char **argv,
                                   const struct command_option *options, size_t operands_max);
/**
 * The configuration that the arguments name, flags over file over defaults.
 *
 * @return 0 (config_destroy it), or -1 with err: as config_load and config_set
 */
TIDE_NODISCARD int arguments_try_config(const struct arguments *arguments, struct config *config,
                                        struct error *err);
/** The same; -1: it was said on standard error what is wrong (EXIT_FOUND). */
TIDE_NODISCARD int arguments_load_config(const struct arguments *arguments, struct config *config);

/** Where the server's console listens; false: nowhere. */
bool arguments_console_path(const struct config *config, char *path, size_t size);

int command_console(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_config(int argc, char **argv);
int command_check(int argc, char **argv);
int command_password(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_repair(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_test(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_restore(int argc, char **argv);
int command_snapshot(int argc, char **argv);
int command_import(int argc, char **argv);
int command_export(int argc, char **argv);

#endif
