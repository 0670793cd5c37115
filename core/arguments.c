/* arguments.c - see command.h. */
#include <stdio.h>

#include "base/error.h"
#include "command.h"

/* Flags that stand for a key of the configuration. */
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
    if (arguments->setting_count == SETTINGS_MAX) {
        fprintf(stderr, "tidemark: more than %d flags; put them into a file (--config)\n",
                SETTINGS_MAX);
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

static const struct command_option *find_option(const struct command_option *options,
                                                const char *flag)
{
    for (; options != NULL && options->flag != NULL; options++) {
        if (strcmp(options->flag, flag) == 0)
            return options;
    }
    return NULL;
}

static int take_value(struct arguments *arguments, const struct command_option *option,
                      const char *flag, char *value)
{
    if (option != NULL) {
        *option->value = value;
        if (option->given != NULL)
            *option->given = true;
        return 0;
    }
    if (strcmp(flag, "--set") == 0)
        return add_set_flag(arguments, value);
    if (strcmp(flag, "--config") != 0)
        return add_setting(arguments, flag, key_of_flag(flag), value);
    arguments->config_path = value;
    return 0;
}

/* Takes a flag; `value` is what stands behind it, NULL: nothing. @return how many arguments that
 * took, or -1. */
static int parse_flag(struct arguments *arguments, const struct command_option *options,
                      const char *flag, char *value, bool joined)
{
    const struct command_option *option = find_option(options, flag);

    if (option == NULL && strcmp(flag, "--config") != 0 && strcmp(flag, "--set") != 0 &&
        key_of_flag(flag) == NULL) {
        fprintf(stderr, "tidemark: unknown argument '%s'\n", flag);
        return -1;
    }
    if (option != NULL && option->value == NULL) {
        if (joined) {
            fprintf(stderr, "tidemark: %s takes no value\n", flag);
            return -1;
        }
        *option->given = true;
        return 1;
    }
    if (value == NULL) {
        fprintf(stderr, "tidemark: %s wants a value\n", flag);
        return -1;
    }
    return take_value(arguments, option, flag, value) == 0 ? (joined ? 1 : 2) : -1;
}

static int add_operand(struct arguments *arguments, const char *text, size_t operands_max)
{
    if (arguments->operand_count == TIDE_MIN(operands_max, (size_t)OPERANDS_MAX)) {
        fprintf(stderr, "tidemark: unknown argument '%s'\n", text);
        return -1;
    }
    arguments->operands[arguments->operand_count++] = text;
    return 0;
}

int arguments_parse(struct arguments *arguments, int argc, char **argv,
                    const struct command_option *options, size_t operands_max)
{
    bool flags = true;

    memset(arguments, 0, sizeof(*arguments));
    for (int i = 1; i < argc;) {
        char *equals = strncmp(argv[i], "--", 2) == 0 ? strchr(argv[i], '=') : NULL;
        char *next = i + 1 < argc ? argv[i + 1] : NULL;
        int taken = 1;

        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
        } else if (flags && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (equals != NULL)
                *equals = '\0';
            taken = parse_flag(arguments, options, argv[i], equals != NULL ? equals + 1 : next,
                               equals != NULL);
        } else if (add_operand(arguments, argv[i], operands_max) != 0) {
            return -1;
        }
        if (taken == -1)
            return -1;
        i += taken;
    }
    return 0;
}

int arguments_try_config(const struct arguments *arguments, struct config *config,
                         struct error *err)
{
    if (config_load(arguments->config_path, config, err) != 0)
        return -1;
    for (size_t i = 0; i < arguments->setting_count; i++) {
        if (config_set(config, arguments->settings[i].flag, arguments->settings[i].key,
                       arguments->settings[i].text, err) != 0) {
            config_destroy(config);
            return -1;
        }
    }
    return 0;
}

int arguments_load_config(const struct arguments *arguments, struct config *config)
{
    struct error err;

    if (arguments_try_config(arguments, config, &err) == 0)
        return 0;
    fprintf(stderr, "tidemark: %s\n", err.text);
    return -1;
}

bool arguments_console_path(const struct config *config, char *path, size_t size)
{
    if (strcmp(config->console.socket, "off") == 0)
        return false;
    if (config->console.socket[0] != '\0')
        snprintf(path, size, "%s", config->console.socket);
    else
        snprintf(path, size, "%s/console.sock", config->data);
    return true;
}
