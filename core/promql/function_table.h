/* function_table.h - the functions of PromQL as the parser knows them: names and signatures.
 *
 * What they compute is the evaluator's, found by id. The built-in table is static; a server may add
 * functions of its own at run time (struct function_set), which the parser then accepts. */
#ifndef TIDE_PROMQL_FUNCTION_TABLE_H
#define TIDE_PROMQL_FUNCTION_TABLE_H

#include "base/base.h"

enum expr_type {
    EXPR_TYPE_NONE,
    EXPR_TYPE_SCALAR,
    EXPR_TYPE_STRING,
    EXPR_TYPE_VECTOR,
    EXPR_TYPE_RANGE
};

#define FUNCTION_MAX_ARGS 8
#define FUNCTION_ANY_NUMBER (-1)

struct function_row {
    const char *name;
    uint32_t id; /* place in the table; added functions follow from FUNCTION_FIRST_ADDED */
    enum expr_type returns;
    enum expr_type args[FUNCTION_MAX_ARGS]; /* types; EXPR_TYPE_NONE ends the list */
    /* 0: exactly the listed arguments. n > 0: the last one may be absent, or be there up to n
     * times. FUNCTION_ANY_NUMBER: absent, or any number of times. */
    int variadic;
    bool experimental;
};

#define FUNCTION_FIRST_ADDED 1000

/* Functions besides the built-in ones. Immutable while parsers may use it. */
struct function_set {
    const struct function_row *rows;
    size_t count;
};

size_t function_table_count(void);
/** The i-th built-in function, in order of names. Static. */
const struct function_row *function_table_at(size_t i);
/**
 * Finds a function by its exact name: built-in ones first.
 *
 * @param added  may be NULL
 * @return NULL when there is none
 */
const struct function_row *function_table_find(const char *name, size_t len,
                                               const struct function_set *added);
/** "scalar", "string", "instant vector", "range vector": words of messages. Static. */
const char *expr_type_text(enum expr_type type);

#endif
