/* main.c - arguments and subcommands. */
#include <stdio.h>

#include "base/base.h"
#include "version.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("tidemark %s\n", TIDE_VERSION);
        return 0;
    }
    fprintf(stderr, "usage: tidemark --version\n");
    return 2;
}
