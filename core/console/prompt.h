/* prompt.h - a console for people: line editor, history, completion, answers on a terminal; and one
 * for pipes. */
#ifndef TIDE_CONSOLE_PROMPT_H
#define TIDE_CONSOLE_PROMPT_H

#include "base/base.h"

struct prompt_options {
    const char *path; /* of the server's socket */
    bool json;        /* answers as JSON, one a line */
};

/** Evaluates one chunk and prints the answer. @return 0, or -1: it failed (said on standard error)
 */
TIDE_NODISCARD int prompt_eval(const struct prompt_options *options, const char *text, size_t len);
/** Standard input as one chunk. @return as prompt_eval */
TIDE_NODISCARD int prompt_pipe(const struct prompt_options *options);
/** Lines from a terminal until Ctrl-D. @return 0, or -1: there is no server */
TIDE_NODISCARD int prompt_interact(const struct prompt_options *options);

#endif
