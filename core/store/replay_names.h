/* replay_names.h - the series that a replay has met, by fingerprint. One owner. */
#ifndef TIDE_STORE_REPLAY_NAMES_H
#define TIDE_STORE_REPLAY_NAMES_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/arena.h"

struct replay_series;

/* A zeroed one is empty. */
struct replay_names {
    struct replay_series **slots; /* open addressing */
    size_t cap;                   /* a power of two */
    size_t count;
    struct arena arena; /* entries stay where they are */
};

/** The entry of a fingerprint; a new one is zeroed but for it. */
struct replay_series *replay_names_get(struct replay_names *names, uint64_t fp, bool *is_new);
void replay_names_destroy(struct replay_names *names);

#endif
#endif
