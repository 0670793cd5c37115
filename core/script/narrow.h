/* narrow.h - the store as one shaped read may see it: a querier over a querier.
 *
 * Whatever is selected or listed through it, by matchers or without, gets the restrictions that
 * rulebook_shape collected, no sample outside the times that it left, and labels as the result
 * rules show them. So it does not matter who selects: a selector of the query, info(), an export,
 * the values of a label. */
#ifndef TIDE_SCRIPT_NARROW_H
#define TIDE_SCRIPT_NARROW_H

#include "base/base.h"
#include "script/shape.h"
#include "store/querier.h"

/* Must not move once it is in use: `querier` points to it. */
struct narrowed {
    struct querier querier; /* what the reader uses; thread-safe like `base` */
    const struct querier *base;
    struct read_request *read;
    struct rulebook *masks; /* whose result rules change labels; NULL: none do */
};

/**
 * Makes the view of a read that rulebook_shape let through. Nothing to destroy.
 *
 * @param base  whose data it is; borrowed
 * @param read  borrowed; outlives all selections. With a tree its times are those of the evaluation
 *              and do not bound what is read (a range or an offset reaches further back)
 * @param book  its result rules are asked for the labels of all that is selected (mask.h);
 * borrowed; NULL: nobody is asked
 */
void narrowed_init(struct narrowed *narrowed, const struct querier *base, struct read_request *read,
                   struct rulebook *book);

#endif
