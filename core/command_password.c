/* command_password.c - `tidemark password`: the hash of a password, for http.users. */
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "command.h"

/* 2^10 rounds of bcrypt: about 50 ms, the usual price. */
#define ROUNDS 10
/* bcrypt looks at no more. */
#define PASSWORD_MAX_BYTES 72

/* One line of standard input, unseen on a terminal. */
static char *read_line(char *line, int size)
{
    struct termios before, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    char *got;

    if (terminal) {
        fprintf(stderr, "Password: ");
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    got = fgets(line, size, stdin);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    if (got != NULL)
        line[strcspn(line, "\r\n")] = '\0';
    return got;
}

int command_password(int argc, char **argv)
{
    struct arguments arguments;
    struct crypt_data scratch = {0};
    char line[1024], salt[CRYPT_GENSALT_OUTPUT_SIZE];
    const char *hash;

    if (arguments_parse(&arguments, argc, argv, NULL, 0) != 0)
        return EXIT_USAGE;
    if (read_line(line, sizeof(line)) == NULL || line[0] == '\0') {
        fprintf(stderr, "tidemark: no password on standard input\n");
        return EXIT_FOUND;
    }
    if (strlen(line) > PASSWORD_MAX_BYTES) {
        fprintf(stderr, "tidemark: the password is longer than %d bytes\n", PASSWORD_MAX_BYTES);
        return EXIT_FOUND;
    }
    hash = crypt_gensalt_rn("$2b$", ROUNDS, NULL, 0, salt, sizeof(salt)) != NULL
               ? crypt_r(line, salt, &scratch)
               : NULL;
    explicit_bzero(line, sizeof(line));
    if (hash == NULL || hash[0] == '*') {
        fprintf(stderr, "tidemark: the system's crypt(3) makes no bcrypt\n");
        return EXIT_FOUND;
    }
    printf("%s\n", hash);
    return EXIT_GOOD;
}
