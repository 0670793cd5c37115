/* disk_room.h - how much room the disk has, and what is refused when it is little.
 *
 * Looked at by every tick of the background, so before the file system fails. Two bounds: below
 * the lower one pushes are refused (503, they come again), since a clean stop would not fit; below
 * the upper one no series begins any more, while known ones go on. Reads are atomic. */
#ifndef TIDE_STORE_DISK_ROOM_H
#define TIDE_STORE_DISK_ROOM_H

#include "base/base.h"
#include "base/error.h"

#ifndef TIDE_CDEF

struct store;
struct metrics;

enum disk_room_level {
    DISK_ROOM_PLENTY,
    DISK_ROOM_TIGHT, /* no new series */
    DISK_ROOM_NONE,  /* no pushes */
};

/* Atomic, all of it. Zeroed: plenty. */
struct disk_room {
    int level; /* enum disk_room_level */
    uint64_t free_bytes;
    uint64_t need_bytes; /* below this pushes are refused */
    uint64_t free_files;
    uint64_t total_files;
};

/** Asks the volume; logs a change of level. Without a folder or a bound there is plenty. */
void disk_room_look(struct store *store);
enum disk_room_level disk_room_level(const struct store *store);
/** 0, or -1 with err: BUSY (what is short, and the bound's name). */
TIDE_NODISCARD int disk_room_may_append(const struct store *store, struct error *err);
/** What is short, for people; cut to `size`. */
void disk_room_describe(const struct store *store, char *out, size_t size);
void disk_room_register(struct store *store, struct metrics *metrics);

#endif
#endif
