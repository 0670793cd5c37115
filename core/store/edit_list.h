/* edit_list.h - changes to the past of one series that are not in its chunks yet.
 *
 * Puts (samples) and marks (deleted intervals) in normal form: what is visible is the samples
 * below without those in a mark, then the puts on top. So a mark takes away only what is below the
 * list: an older put of the list in its range goes at once, a later put into the range stays.
 * Where a put meets a sample of the same time, its rule says which value counts. All times are
 * milliseconds, intervals include both ends.
 *
 * A zeroed list is empty. Its memory is that of a slab pool (counted), or of the heap with a NULL
 * pool. Its owner guards it; nothing here takes a lock but the allocator's, or does I/O. */
#ifndef TIDE_STORE_EDIT_LIST_H
#define TIDE_STORE_EDIT_LIST_H

#include "base/base.h"
#include "model/columns.h"

/* Which of two values at one time counts. */
enum duplicate_rule {
    DUPLICATE_LAST,  /* the one that came later */
    DUPLICATE_FIRST, /* the one that was there */
    DUPLICATE_MAX,   /* the greater; a number before a NaN, of two NaNs the later */
};

struct slab_pool;

/* Packed: half of all samples may pass through here. */
struct edit_put {
    int64_t time_ms;
    double value;
    uint8_t rule; /* enum duplicate_rule */
} __attribute__((packed));

struct edit_mark {
    int64_t from_ms;
    int64_t to_ms;
};

struct edit_list {
    struct edit_put *puts; /* by time, each once */
    uint32_t put_count;
    uint32_t put_cap;
    struct edit_mark *marks; /* by time, neither overlapping nor adjacent */
    uint32_t mark_count;
    uint32_t mark_cap;
};

/* Where a list's memory comes from. */
struct edit_memory {
    struct slab_pool *pool; /* NULL: the heap */
    uint32_t group;
};

void edit_list_destroy(struct edit_list *list, struct edit_memory memory);
/** Bytes that its arrays take. */
uint64_t edit_list_bytes(const struct edit_list *list);

#ifndef TIDE_CDEF
static inline bool edit_list_is_empty(const struct edit_list *list)
{
    return list->put_count == 0 && list->mark_count == 0;
}
#endif

/** The value that counts. Pure. */
double duplicate_resolve(enum duplicate_rule rule, double there, double comes);

/** Adds a put. False: the list said the same before. */
bool edit_list_put(struct edit_list *list, struct edit_memory memory, int64_t time_ms, double value,
                   enum duplicate_rule rule);
/** Adds many, strictly increasing in time. Cost: linear in both. */
void edit_list_put_sorted(struct edit_list *list, struct edit_memory memory,
                          const int64_t *times_ms, const double *values, size_t count,
                          enum duplicate_rule rule);
/** Deletes an interval: puts in it go, what is below it is marked. */
void edit_list_mark(struct edit_list *list, struct edit_memory memory, int64_t from_ms,
                    int64_t to_ms);
/** Puts a newer list on top of this one; `newer` is only read. */
void edit_list_compose(struct edit_list *list, struct edit_memory memory,
                       const struct edit_list *newer);
/** Forgets what it says of an interval (it is in the chunks now). */
void edit_list_forget(struct edit_list *list, struct edit_memory memory, int64_t from_ms,
                      int64_t to_ms);
/** A copy of what it says of an interval, into an empty list. */
void edit_list_copy(const struct edit_list *list, int64_t from_ms, int64_t to_ms,
                    struct edit_list *out, struct edit_memory memory);

/** Does it say anything of an interval? */
bool edit_list_touches(const struct edit_list *list, int64_t from_ms, int64_t to_ms);
/** Number of puts before a time. */
uint32_t edit_list_puts_before(const struct edit_list *list, int64_t time_ms);
/** Is a time in one of its marks? */
bool edit_list_marks(const struct edit_list *list, int64_t time_ms);

/**
 * Applies it to samples: columns from `start` on, which hold what is below the list in an interval.
 *
 * @param from_ms  puts outside from_ms..to_ms are left out
 * @return whether anything became different (bit for bit)
 */
bool edit_list_overlay(const struct edit_list *list, struct columns *columns, size_t start,
                       int64_t from_ms, int64_t to_ms);

#endif
