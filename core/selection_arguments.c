/* selection_arguments.c - see selection_arguments.h. */
#include "selection_arguments.h"

#include <stdio.h>

#include "http/params.h"

static int read_selector(struct selection_arguments *selection, const char *text)
{
    struct error err;
    struct query_tree *tree = promql_parse(text, strlen(text), NULL, NULL, &err);

    if (tree != NULL && !expr_is_plain_selector(tree->root)) {
        query_tree_free(tree);
        tree = NULL;
        error_set(&err, ERR_INVALID, "not a series selector");
    }
    if (tree == NULL) {
        fprintf(stderr, "tidemark: %s: %s\n", text, err.text);
        return -1;
    }
    selection->trees[selection->count++] = tree;
    return 0;
}

static int read_time(const char *flag, const char *text, int64_t *ms)
{
    if (text == NULL || params_parse_time((struct http_text){text, strlen(text)}, ms))
        return 0;
    fprintf(stderr, "tidemark: %s %s: not a time (Unix seconds or RFC 3339)\n", flag, text);
    return -1;
}

int selection_arguments_read(struct selection_arguments *selection,
                             const struct arguments *arguments, const char *start, const char *end)
{
    if (read_time("--start", start, &selection->from_ms) != 0 ||
        read_time("--end", end, &selection->to_ms) != 0)
        return -1;
    for (size_t i = 0; i < arguments->operand_count; i++) {
        if (read_selector(selection, arguments->operands[i]) != 0)
            return -1;
    }
    return 0;
}

void selection_arguments_destroy(struct selection_arguments *selection)
{
    for (size_t i = 0; i < selection->count; i++)
        query_tree_free(selection->trees[i]);
    selection->count = 0;
}
