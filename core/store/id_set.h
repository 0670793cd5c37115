/* id_set.h - a set of series ids: one inline, a few in a sorted array, many in a roaring bitmap.
 *
 * A zeroed struct is the empty set. One owner, not thread-safe: the label table's shard lock. A
 * roaring bitmap of one id takes 102 bytes, and most label values have one series, hence the forms.
 */
#ifndef TIDE_STORE_ID_SET_H
#define TIDE_STORE_ID_SET_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include <roaring/roaring.h>

struct id_set {
    uint32_t count;
    uint32_t cap; /* of the array; 0: inline or roaring */
    union {
        uint32_t one;             /* count == 1 and cap == 0 */
        uint32_t *array;          /* cap != 0; ascending */
        roaring_bitmap_t *bitmap; /* count > 1 and cap == 0 */
    } as;
};

void id_set_destroy(struct id_set *set);
/** False if it was there. */
bool id_set_add(struct id_set *set, uint32_t id);
/** False if it was not there. */
bool id_set_remove(struct id_set *set, uint32_t id);
bool id_set_contains(const struct id_set *set, uint32_t id);
/** out |= set. */
void id_set_union_into(const struct id_set *set, roaring_bitmap_t *out);
/** out &= set. */
void id_set_intersect_into(const struct id_set *set, roaring_bitmap_t *out);
/** out &= ~set. */
void id_set_subtract_from(const struct id_set *set, roaring_bitmap_t *out);
/** Writes all ids, ascending, to `out` (count of room). */
void id_set_copy(const struct id_set *set, uint32_t *out);
/** Heap bytes; of a bitmap at most (2 bytes an id; dense parts take less). Costs nothing. */
size_t id_set_bytes(const struct id_set *set);

#endif
#endif
