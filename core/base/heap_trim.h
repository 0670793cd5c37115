/* heap_trim.h - memory that the C library keeps after a burst goes back to the system.
 *
 * Each thread that computes queries has an arena of the C library's heap, and what is free in the
 * middle of one stays resident: after some large queries gigabytes did. Called now and then. */
#ifndef TIDE_BASE_HEAP_TRIM_H
#define TIDE_BASE_HEAP_TRIM_H

#include "base/base.h"

/* Zeroed at first. Owned by the thread that calls. */
struct heap_trim {
    uint64_t resident_bytes; /* behind the last trim, or the least seen since */
};

/**
 * Gives free memory back, if much of it is free and the process has grown since it last was.
 *
 * Cost: reading /proc when nothing is to be done, else a walk over all free pieces.
 * @return bytes that the process became smaller by; 0: nothing was done
 */
uint64_t heap_trim(struct heap_trim *trim);

#endif
