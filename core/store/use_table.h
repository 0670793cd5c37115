/* use_table.h - who is of use: since when a series is known, how often clients read it, and when
 * last.
 *
 * By dense id, in pages that never move: 4 bytes for each series, 8 more where one of 4,096
 * neighbours was ever read, so 12 bytes a series at most. Counting is two atomic writes, without a
 * lock. A read is a select of samples for a client (store_client_querier); what the server reads
 * for itself does not count. The file of it is use.db (use_file.h). Thread-safe. */
#ifndef TIDE_STORE_USE_TABLE_H
#define TIDE_STORE_USE_TABLE_H

#include "base/base.h"
#include "base/thread.h"

#ifndef TIDE_CDEF

struct use_reads {
    uint32_t last_s; /* seconds since 1970; 0: never */
    uint32_t count;  /* stays at its end */
};

/* What the table and the file hold of a series. */
struct use_entry {
    uint32_t known; /* seconds since 1970, even; odd: known since then, but it may be older */
    struct use_reads reads;
};

struct use_table {
    uint32_t **known; /* pages by id; fixed directory */
    struct use_reads **reads;
    struct lock pages_lock; /* a leaf; guards the making of pages */
    uint64_t bytes;         /* atomic */
    uint64_t changes;       /* atomic, counts up */
    bool counting; /* false while the store opens: what comes up then may be older. Set once, before
                      other threads */
};

void use_table_init(struct use_table *table);
void use_table_destroy(struct use_table *table);

/** The id has a new owner, of which nothing is known before `now_s`. */
void use_table_begin(struct use_table *table, uint32_t id, int64_t now_s);
/** Clients read these; the ids are theirs still (the caller stands in an epoch). */
void use_table_count(struct use_table *table, const uint32_t *ids, size_t count, int64_t now_s);
struct use_entry use_table_get(const struct use_table *table, uint32_t id);
/** The same without `known`: where no neighbour was read this costs nothing. */
struct use_reads use_table_reads(const struct use_table *table, uint32_t id);
void use_table_put(struct use_table *table, uint32_t id, const struct use_entry *entry);

uint64_t use_table_bytes(const struct use_table *table);

#endif
#endif
