/* series.h - one series: what is known of it, its open head and its chunks in memory.
 *
 * A series is archived or active. An archived one is only the first part of the struct (it is
 * allocated no larger); its samples are all in its file. Everything here is guarded by the stripe
 * of the series; chunks are shared by reference and never change. Functions of this file do no
 * I/O and take no lock but the allocator's. */
#ifndef TIDE_STORE_SERIES_H
#define TIDE_STORE_SERIES_H

#include "base/base.h"
#include "base/error.h"

#ifndef TIDE_CDEF

#include "chunk/chunk.h"
#include "store/slab.h"

/* A complete chunk in memory: the bytes of a record of the series file. Immutable. */
struct full_chunk {
    uint32_t references; /* atomic */
    uint8_t encoding;
    uint8_t group; /* of the slab pool */
    int64_t first_ms;
    int64_t last_ms;
    uint8_t payload[CHUNK_BYTES];
};

/* The number of chunks in the file is not known yet (heads.db with offset -1, un-archived). */
#define FILE_CHUNKS_UNKNOWN (-1)
/* No file, or its time is not known. */
#define MTIME_UNKNOWN (-1)

struct series_edits;

struct series {
    /* Archived series end after last_ms. What an append looks at begins here and ends with the
     * head: two lines of the cache, as series are allocated. */
    uint32_t *pairs;  /* ids in order of label names; one reference each; from the slab pool */
    int64_t first_ms; /* of the first sample in the file or in memory */
    uint64_t fp;
    uint32_t id;
    uint16_t pair_count;
    bool archived : 1;
    bool busy : 1;        /* its file is being changed: persist, drop (engine: one at a time) */
    bool queued : 1;      /* waits for a round of persistence */
    bool dirty : 1;       /* differs from the last checkpoint in what is on disk */
    bool value_known : 1; /* last_value is that of last_ms */
    bool has_samples : 1; /* last_ms means something */
    bool broken : 1;      /* waits for quarantine: takes no more samples */
    bool first_known : 1; /* first_ms is exact or too old; false: unknown, assume very old */
    bool logged : 1;      /* its labels are in the log, in heads.db or in the archive */
    int64_t last_ms;

    double last_value;
    uint32_t arrival_s;     /* monotonic seconds when the last sample came */
    uint32_t wal_segment;   /* of the log, in which its id was bound last; low bits */
    uint32_t door;          /* what declared rules mean for it (door.h); 0: nothing */
    int32_t file_chunks;    /* in the file, and FILE_CHUNKS_UNKNOWN */
    struct chunk_head head; /* empty: closed */

    int64_t tail_first_ms;      /* where the file's last chunk begins, while file_chunks is known */
    int64_t mtime_ns;           /* of the file, as last seen */
    struct full_chunk **chunks; /* oldest first; from the slab pool */
    uint32_t chunk_count;
    uint32_t chunk_cap;
    uint32_t persisted; /* so many of `chunks`, the oldest, are also the last ones of the file */
    uint32_t fold_at;   /* so many late samples are folded into the head; 0: not known (edits.c) */
    struct series_edits *edits; /* late samples and deletes, mostly NULL (edits.h) */
};

#define SERIES_ARCHIVED_BYTES offsetof(struct series, last_value)
/* Whole lines, and as slabs begin their objects behind one, no series shares one with another. */
#define SERIES_BYTES 192
_Static_assert(sizeof(struct series) <= SERIES_BYTES &&
                   offsetof(struct series, tail_first_ms) <= 128,
               "an append looks at two lines of a series");

static inline uint32_t series_group(uint64_t fp)
{
    return (uint32_t)(fp ^ fp >> 32 ^ fp >> 16);
}

/** Zeroed but for what is given; takes the array of pairs over. */
struct series *series_new(struct slab_pool *pool, uint64_t fp, uint32_t id, uint32_t *pairs,
                          uint16_t pair_count, bool archived);
/** Frees it with its chunks and head, and the array of pairs if `with_pairs`. */
void series_free(struct slab_pool *pool, struct series *series, bool with_pairs);
/** Frees head, chunks and edits, and leaves it empty. */
void series_release(struct slab_pool *pool, struct series *series);
uint32_t *series_new_pairs(struct slab_pool *pool, uint64_t fp, size_t count);
void series_free_pairs(struct slab_pool *pool, uint32_t *pairs, size_t count);

/** A chunk with one reference, its payload not set. */
struct full_chunk *full_chunk_new(struct slab_pool *pool, uint32_t group);
struct full_chunk *full_chunk_ref(struct full_chunk *chunk);
void full_chunk_unref(struct slab_pool *pool, struct full_chunk *chunk);

/** Adds a complete chunk behind the others; takes the reference. */
void series_push_chunk(struct slab_pool *pool, struct series *series, struct full_chunk *chunk);
/** Exchanges the chunk at index `at` for `count` others (0: none); takes their references. */
void series_replace_chunk(struct slab_pool *pool, struct series *series, uint32_t at,
                          struct full_chunk *const *chunks, uint32_t count);
/** Exchanges the persisted chunks for others (of the rewritten file's end); takes references. */
void series_replace_persisted(struct slab_pool *pool, struct series *series,
                              struct full_chunk *const *chunks, uint32_t count);
/** Forgets the `count` oldest chunks. */
void series_drop_chunks(struct slab_pool *pool, struct series *series, uint32_t count);

/**
 * Adds a sample later than last_ms.
 *
 * @return number of chunks that became complete (their times are in the list's tail), or -1 with
 *         err: CORRUPT (the head came broken from disk; the series is as it was)
 */
TIDE_NODISCARD int series_append(struct slab_pool *pool, struct series *series,
                                 int default_encoding, int64_t time_ms, double value,
                                 struct error *err);
/** Opens a head from a payload of heads.db. 0, or -1 with err: CORRUPT (no head then). */
TIDE_NODISCARD int series_load_head(struct slab_pool *pool, struct series *series, int encoding,
                                    const uint8_t *payload, struct error *err);
/** Adds a payload as a complete chunk; its times must have been checked. */
void series_add_payload(struct slab_pool *pool, struct series *series, int encoding,
                        const uint8_t *payload, int64_t first_ms, int64_t last_ms);
/**
 * Closes the open head: it becomes a complete chunk.
 *
 * @return whether there was one
 */
bool series_close_head(struct slab_pool *pool, struct series *series);
/** Takes the head and the chunks of `from` over in place of the own head. */
void series_replace_head(struct slab_pool *pool, struct series *series, struct series *from);
/** Finds last_value in what is in memory, if it is there. */
void series_learn_value(struct series *series);
/** First time in memory; TIDE_LATEST_MS when nothing is. */
int64_t series_first_in_memory(const struct series *series);
/** Where it begins. TIDE_LATEST_MS: nothing is left; what comes next is not known yet. */
static inline void series_set_first(struct series *series, int64_t first_ms)
{
    series->first_ms = first_ms;
    series->first_known = first_ms != TIDE_LATEST_MS;
}

static inline bool series_has_head(const struct series *series)
{
    return !chunk_head_is_empty(&series->head);
}

/** Where the next sample goes; the caller prefetches it (gcc drops calls of a function that only
 * prefetches, as one without effects). A hint: the series may be gone, or be another's at the
 * moment, and nothing that is read here is believed. */
__attribute__((no_sanitize("thread", "address"))) static inline const void *
series_head_end(const struct series *series)
{
    const struct chunk_head *head = &series->head;
    size_t at = head->encoding == CHUNK_VARBIT ? head->used / 8u : head->used;

    return (const void *)((uintptr_t)head->bytes + (at > 64 ? at - 40 : 0));
}

/** Index in the file of chunks[0]; only while file_chunks is known. */
static inline int64_t series_offset(const struct series *series)
{
    return (int64_t)series->file_chunks - series->persisted;
}

#endif
#endif
