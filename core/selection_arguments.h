/* selection_arguments.h - which samples a command is about: selectors, and a range of time. */
#ifndef TIDE_SELECTION_ARGUMENTS_H
#define TIDE_SELECTION_ARGUMENTS_H

#include "command.h"
#include "promql/parse.h"

/* Zero it, with the range that holds when none is given. */
struct selection_arguments {
    int64_t from_ms; /* both inclusive */
    int64_t to_ms;
    struct query_tree *trees[OPERANDS_MAX]; /* one a selector; root->selector has its matchers */
    size_t count;
};

/**
 * Reads --start, --end (NULL: not given) and the selectors among the operands.
 *
 * @return 0, or -1: it was said on standard error what is wrong; destroy it in both cases
 */
TIDE_NODISCARD int selection_arguments_read(struct selection_arguments *selection,
                                            const struct arguments *arguments, const char *start,
                                            const char *end);
void selection_arguments_destroy(struct selection_arguments *selection);

#endif
