/* binary_match.h - vector to vector operators: which rows belong together (promql.md 16.3 - 16.6).
 *
 * Matching is by signature: the labels that on(...) or ignoring(...) leave. Signatures are found
 * once for all steps; where they pair rows uniquely, whole rows are computed at a time, else step
 * by step with upstream's checks. */
#ifndef TIDE_PROMQL_BINARY_MATCH_H
#define TIDE_PROMQL_BINARY_MATCH_H

#include "promql/eval.h"

/** Arithmetic and comparisons. May change the blocks' values. */
TIDE_NODISCARD int binary_match_rows(struct eval *ev, const struct plan_node *node,
                                     struct block *left, struct block *right, struct sink *sink,
                                     struct error *err);
/** and, or, unless. May change the blocks. */
TIDE_NODISCARD int binary_match_set(struct eval *ev, const struct plan_node *node,
                                    struct block *left, struct block *right, struct sink *sink,
                                    struct error *err);

/* --- shared by the two ------------------------------------------------------------------------ */

#define NO_ROW UINT32_MAX

/* The signature numbers of the rows of both sides. */
struct signatures {
    struct label_part_map map;
    uint32_t *of_left;
    uint32_t *of_right;
};

/** The caller destroys them, on failure too. */
TIDE_NODISCARD int signatures_init(struct signatures *signatures, struct eval *ev,
                                   const struct expr_binary *matching, const struct block *left,
                                   const struct block *right, struct error *err);
void signatures_destroy(struct signatures *signatures);

#endif
