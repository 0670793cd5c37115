/* answer.h - one evaluation seen from the client: sent, its output printed as it comes, cancelled
 * by Ctrl-C, its answer printed. */
#ifndef TIDE_CONSOLE_ANSWER_H
#define TIDE_CONSOLE_ANSWER_H

#include "base/base.h"
#include "console/console_client.h"

enum answer_outcome {
    ANSWER_DONE,
    ANSWER_FAILED,     /* or cancelled; it was printed */
    ANSWER_INCOMPLETE, /* more lines are wanted */
    ANSWER_LOST,       /* the server has gone */
};

/** Takes SIGINT from now on: it ends the evaluation under way, or the line being typed. */
void answer_take_interrupts(void);
/** Was there one since the last call? */
bool answer_interrupted(void);

/** Evaluates and prints; a long answer goes through a pager if `paged`. */
enum answer_outcome answer_get(struct console_client *client, const char *text, size_t len,
                               bool json, bool paged, struct error *err);

#endif
