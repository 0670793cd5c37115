/* arena.h - scratch memory that is given back all at once, or back to a mark.
 *
 * A zeroed struct is an empty arena. Not thread-safe. Memory is 8-byte aligned and not cleared. */
#ifndef TIDE_BASE_ARENA_H
#define TIDE_BASE_ARENA_H

#include "base/base.h"

struct arena_block;

struct arena {
    struct arena_block *block; /* the one being filled; older ones hang behind it */
    size_t used_bytes;         /* handed out since the last reset */
};

struct arena_mark {
    struct arena_block *block;
    size_t offset;
    size_t used_bytes;
};

/** Memory until the arena is reset or destroyed; never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
/** Zero-terminated copy of `len` bytes. */
char *arena_dup(struct arena *arena, const void *bytes, size_t len);
/** Gives back all that was allocated after the mark. */
struct arena_mark arena_mark(const struct arena *arena);
void arena_release(struct arena *arena, struct arena_mark mark);
/** Gives back everything, keeping one block for reuse. */
void arena_reset(struct arena *arena);
void arena_destroy(struct arena *arena);

#endif
