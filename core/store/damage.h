/* damage.h - series that were found broken, until the maintenance thread deals with them.
 *
 * Reported under stripes and by readers, so reporting is quick: a copy into a list. The list is
 * bounded; a series that finds no place is reported again by whoever meets it next. Thread-safe,
 * its lock is a leaf. */
#ifndef TIDE_STORE_DAMAGE_H
#define TIDE_STORE_DAMAGE_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/thread.h"

#define DAMAGE_MAX 1024

struct damage_item {
    uint64_t fp;
    char text[200];
};

struct damage_list {
    struct lock leaf_lock; /* guards the rest */
    struct damage_item *items;
    size_t count;
    uint64_t dropped; /* atomic; there was no room for them: they are found again */
};

void damage_list_init(struct damage_list *list);
void damage_list_destroy(struct damage_list *list);
/** False when the list is full. A series is listed once. */
bool damage_list_put(struct damage_list *list, uint64_t fp, const char *text);
/** Takes one out; false when there is none. */
bool damage_list_take(struct damage_list *list, struct damage_item *item);

#endif
#endif
