/* label_table_impl.h - what the three files of the label table share. */
#ifndef TIDE_STORE_LABEL_TABLE_IMPL_H
#define TIDE_STORE_LABEL_TABLE_IMPL_H

#include "store/label_table.h"

#define PAIRS_PER_SEGMENT 256

/* Texts are immutable while referenced; the rest is guarded by the shard's lock. */
struct label_pair {
    struct label_name *name;
    char *value;
    uint32_t value_len;
    uint32_t hash;
    uint32_t references; /* 0: the id is free or on its way there */
    uint32_t at_in_name; /* guarded by the names' lock */
    struct id_set set;
    uint32_t written;      /* size of the set when it was last written */
    uint32_t changes : 31; /* since then */
    bool due : 1;          /* in the shard's list of changed pairs */
};

/* The text is immutable; the rest is guarded by the names' lock. */
struct label_name {
    char *text;
    uint32_t len;
    uint32_t at;     /* in table->names */
    uint32_t *pairs; /* ids, in no order */
    uint32_t count;
    uint32_t cap;
    uint64_t value_bytes;
    uint32_t written;
    uint32_t changes;
    bool due;
};

struct label_shard *label_table_shard(struct label_table *table, uint32_t pair);
struct label_pair *label_table_at(const struct label_table *table, uint32_t pair);
uint32_t label_table_hash(const struct label *label);
/** Local id + 1, or 0. */
uint32_t label_table_find_locked(struct label_shard *shard, uint32_t hash,
                                 const struct label *label) TIDE_REQUIRES(shard->shard_lock);
/** NULL when there is none. */
struct label_name *label_table_name_locked(struct label_table *table, const char *text, size_t len)
    TIDE_REQUIRES(table->names_lock);
void label_table_due_locked(struct label_shard *shard, struct label_pair *pair, uint32_t id)
    TIDE_REQUIRES(shard->shard_lock);
/** uvarint length and bytes. */
void label_put_text(struct buf *out, const char *text, size_t len);

#endif
