/* label_table.h - names and values, each stored once, and the series that have them.
 *
 * A pair (name, value) has a dense id; a series keeps the ids of its pairs in order of name and
 * holds one reference for each. A pair's set holds the ids of the series that are indexed under it;
 * a name knows its pairs. This is the label index in memory, for all series; the indexer writes
 * what changed to LevelDB (label_table_take_changes).
 *
 * Threads: all functions are thread-safe. 64 shards with a lock each, chosen by pair; one lock for
 * names, taken inside a shard's. A pair's texts may be read without lock while a reference is
 * held. Readers that keep ids of pairs or series without a reference stand between epoch_enter and
 * epoch_leave of the store's epoch. */
#ifndef TIDE_STORE_LABEL_TABLE_H
#define TIDE_STORE_LABEL_TABLE_H

#include "base/base.h"
#include "model/labels.h"

#ifndef TIDE_CDEF

#include "base/buf.h"
#include "base/thread.h"
#include "store/epoch.h"
#include "store/id_set.h"
#include "store/slab.h"

#define LABEL_TABLE_SHARDS 64

struct label_pair;
struct label_name;

struct label_shard {
    struct lock shard_lock; /* guards all of it */
    uint32_t *slots;        /* open addressing by hash; local id + 1, 0 is free */
    uint32_t slot_mask;
    uint32_t used; /* pairs in the table */
    uint32_t next_local;
    struct retired_queue retired; /* local ids on their way back */
    struct label_pair **segments; /* fixed directory; a segment never moves */
    uint32_t *changed;            /* pair ids due for writing */
    size_t changed_count;
    size_t changed_cap;
    struct buf gone; /* labels without series: written as deletions before all else */
    uint64_t set_bytes;
};

struct label_table {
    struct label_shard shards[LABEL_TABLE_SHARDS];
    struct lock names_lock; /* guards the rest */
    struct label_name **name_slots;
    uint32_t name_mask;
    uint32_t name_count;
    struct label_name **names; /* dense */
    uint64_t names_due;        /* names waiting to be written */
    struct buf gone_names;     /* uvarint length + bytes */
    struct slab_pool texts;    /* its own locks */
    struct epoch *epoch;       /* borrowed */
    uint64_t pair_count;       /* atomic */
    bool track_changes;        /* set before use: there is a disk to write to */
};

void label_table_init(struct label_table *table, struct epoch *epoch, bool track_changes);
void label_table_destroy(struct label_table *table);

/** The pair's id, made if needed; the caller holds one reference more. */
uint32_t label_table_intern(struct label_table *table, const struct label *label);
/** The same for a pair that must exist; false otherwise. */
bool label_table_intern_existing(struct label_table *table, const struct label *label,
                                 uint32_t *pair);
/** One reference more on a pair that the caller holds one on already. */
void label_table_ref(struct label_table *table, uint32_t pair);
void label_table_unref(struct label_table *table, uint32_t pair);
/** Name and value (terminated), readable while a reference is held. */
struct label label_table_text(const struct label_table *table, uint32_t pair);

/** The series becomes findable, or no longer is. The caller holds a reference on the pair. */
void label_table_add_series(struct label_table *table, uint32_t pair, uint32_t id);
void label_table_remove_series(struct label_table *table, uint32_t pair, uint32_t id);

/* --- questions -------------------------------------------------------------------------------- */

enum set_operation { SET_UNION, SET_INTERSECT, SET_SUBTRACT };

/** Number of series with this label. */
uint32_t label_table_count(struct label_table *table, const char *name, size_t name_len,
                           const char *value, size_t value_len);
/** out = out OPERATION the label's set (empty when there is no such label). */
void label_table_apply(struct label_table *table, const char *name, size_t name_len,
                       const char *value, size_t value_len, enum set_operation operation,
                       roaring_bitmap_t *out);
/** The same by id of the pair. */
void label_table_apply_pair(struct label_table *table, uint32_t pair, enum set_operation operation,
                            roaring_bitmap_t *out);
/** Number of series of the pair. */
uint32_t label_table_pair_count(struct label_table *table, uint32_t pair);

/** Called for each value of a name, under the names' lock: quick, no other lock. False ends it. */
typedef bool label_value_visitor(void *ctx, uint32_t pair, const char *value, uint32_t value_len);
/**
 * Visits the values of a name in slices, giving up the lock between them.
 *
 * Values that are there from begin to end are visited (some, when others vanish, twice).
 */
void label_table_walk_values(struct label_table *table, const char *name, size_t name_len,
                             label_value_visitor *visit, void *ctx);
/* Pairs of a name with their values, copied: for what needs the shards' locks. Zeroed is empty. */
struct value_copies {
    struct buf texts; /* of all, in order, not terminated */
    uint32_t *pairs;
    uint32_t *lens;
    size_t count;
    size_t cap;
};
void value_copies_take(struct label_table *table, const char *name, size_t name_len,
                       struct value_copies *copies);
void value_copies_destroy(struct value_copies *copies);
/** Number of values of a name. */
size_t label_table_value_count(struct label_table *table, const char *name, size_t name_len);

typedef bool label_name_visitor(void *ctx, const char *name, uint32_t name_len,
                                uint32_t value_count);
/** Visits every name, under the names' lock. */
void label_table_walk_names(struct label_table *table, label_name_visitor *visit, void *ctx);

uint64_t label_table_name_count(struct label_table *table);
uint64_t label_table_pairs(struct label_table *table);
/** Exact but for malloc's own overhead. */
uint64_t label_table_bytes(struct label_table *table);

/* --- changes, for the indexer ------------------------------------------------------------------
 */

struct label_changes {
    struct buf gone_pairs; /* name, value as uvarint length + bytes, in turn */
    struct buf gone_names; /* name likewise */
    uint32_t *pairs;       /* ids, to be written as they are now; may be gone already */
    size_t pair_count;
    size_t pair_cap;
    struct buf names; /* names to be written, uvarint length + bytes */
};

void label_changes_destroy(struct label_changes *changes);
/**
 * Moves out what is due: small sets that changed, large ones that changed by a quarter.
 *
 * @param all  everything that differs from what was written
 */
void label_table_take_changes(struct label_table *table, bool all, struct label_changes *out);
/** Puts all back as due: writing failed. */
void label_table_return_changes(struct label_table *table, const struct label_changes *changes);
/** What is on disk is all this: nothing is due. */
void label_table_mark_written(struct label_table *table);
/** Approximate number of pairs due. */
uint64_t label_table_changes_due(struct label_table *table);
/**
 * Copies a pair as it is now and counts it as written: texts into `label` (bytes behind
 * `texts`), ids of its series. False if the pair is gone.
 */
bool label_table_copy_pair(struct label_table *table, uint32_t pair, struct buf *texts,
                           struct label *label, uint32_t **ids, size_t *id_count);
/** Copies a name's values (uvarint length + bytes each) and counts it as written; their number. */
size_t label_table_copy_values(struct label_table *table, const char *name, size_t name_len,
                               struct buf *out);

#endif
#endif
