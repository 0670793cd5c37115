/* label_query.c - questions to the label table (label_table.h). */
#include "base/mem.h"
#include "store/label_table_impl.h"

#define SLICE 1024 /* values visited in one hold of the names' lock */

static void apply(const struct id_set *set, enum set_operation operation, roaring_bitmap_t *out)
{
    switch (operation) {
    case SET_UNION:
        id_set_union_into(set, out);
        break;
    case SET_INTERSECT:
        id_set_intersect_into(set, out);
        break;
    case SET_SUBTRACT:
        id_set_subtract_from(set, out);
        break;
    }
}

/* Finds a pair and leaves its shard locked; NULL when there is none (locked all the same). */
static struct label_pair *find_and_lock(struct label_table *table, const char *name,
                                        size_t name_len, const char *value, size_t value_len,
                                        struct label_shard **shard) TIDE_NO_LOCK_CHECK
{
    struct label label = {name, value, (uint32_t)name_len, (uint32_t)value_len};
    uint32_t hash = label_table_hash(&label);
    uint32_t local;

    *shard = &table->shards[hash % LABEL_TABLE_SHARDS];
    lock_acquire(&(*shard)->shard_lock);
    local = label_table_find_locked(*shard, hash, &label);
    if (local == 0)
        return NULL;
    return &(*shard)->segments[(local - 1) / PAIRS_PER_SEGMENT][(local - 1) % PAIRS_PER_SEGMENT];
}

uint32_t label_table_count(struct label_table *table, const char *name, size_t name_len,
                           const char *value, size_t value_len)
{
    struct label_shard *shard;
    const struct label_pair *pair = find_and_lock(table, name, name_len, value, value_len, &shard);
    uint32_t count = pair != NULL ? pair->set.count : 0;

    lock_release(&shard->shard_lock);
    return count;
}

void label_table_apply(struct label_table *table, const char *name, size_t name_len,
                       const char *value, size_t value_len, enum set_operation operation,
                       roaring_bitmap_t *out)
{
    static const struct id_set empty;
    struct label_shard *shard;
    const struct label_pair *pair = find_and_lock(table, name, name_len, value, value_len, &shard);

    apply(pair != NULL ? &pair->set : &empty, operation, out);
    lock_release(&shard->shard_lock);
}

void label_table_apply_pair(struct label_table *table, uint32_t id, enum set_operation operation,
                            roaring_bitmap_t *out)
{
    struct label_shard *shard = label_table_shard(table, id);

    lock_acquire(&shard->shard_lock);
    apply(&label_table_at(table, id)->set, operation, out);
    lock_release(&shard->shard_lock);
}

uint32_t label_table_pair_count(struct label_table *table, uint32_t id)
{
    struct label_shard *shard = label_table_shard(table, id);
    uint32_t count;

    lock_acquire(&shard->shard_lock);
    count = label_table_at(table, id)->set.count;
    lock_release(&shard->shard_lock);
    return count;
}

/* From the end to the front: a value that goes is replaced by the last one, which was visited
 * already; so nothing that stays is left out. The name itself is looked up again in each slice. */
void label_table_walk_values(struct label_table *table, const char *name, size_t name_len,
                             label_value_visitor *visit, void *ctx)
{
    uint32_t next = UINT32_MAX;
    bool going = true;

    while (going && next > 0) {
        const struct label_name *found;

        lock_acquire(&table->names_lock);
        found = label_table_name_locked(table, name, name_len);
        next = found != NULL ? TIDE_MIN(next, found->count) : 0;
        for (size_t i = 0; i < SLICE && next > 0 && going; i++) {
            uint32_t id = found->pairs[--next];
            const struct label_pair *pair = label_table_at(table, id);

            going = visit(ctx, id, pair->value, pair->value_len);
        }
        lock_release(&table->names_lock);
    }
}

size_t label_table_value_count(struct label_table *table, const char *name, size_t name_len)
{
    const struct label_name *found;
    size_t count;

    lock_acquire(&table->names_lock);
    found = label_table_name_locked(table, name, name_len);
    count = found != NULL ? found->count : 0;
    lock_release(&table->names_lock);
    return count;
}

static bool copy_value(void *ctx, uint32_t pair, const char *value, uint32_t len)
{
    struct value_copies *copies = ctx;

    if (copies->count == copies->cap) {
        copies->cap = copies->cap != 0 ? copies->cap * 2 : 64;
        copies->pairs = mem_realloc(copies->pairs, copies->cap * sizeof(uint32_t));
        copies->lens = mem_realloc(copies->lens, copies->cap * sizeof(uint32_t));
    }
    copies->pairs[copies->count] = pair;
    copies->lens[copies->count++] = len;
    buf_append(&copies->texts, value, len);
    return true;
}

void value_copies_take(struct label_table *table, const char *name, size_t name_len,
                       struct value_copies *copies)
{
    label_table_walk_values(table, name, name_len, copy_value, copies);
}

void value_copies_destroy(struct value_copies *copies)
{
    buf_destroy(&copies->texts);
    mem_free(copies->pairs);
    mem_free(copies->lens);
    *copies = (struct value_copies){0};
}

void label_table_walk_names(struct label_table *table, label_name_visitor *visit, void *ctx)
{
    lock_acquire(&table->names_lock);
    for (uint32_t i = 0; i < table->name_count; i++) {
        const struct label_name *name = table->names[i];

        if (!visit(ctx, name->text, name->len, name->count))
            break;
    }
    lock_release(&table->names_lock);
}

uint64_t label_table_name_count(struct label_table *table)
{
    uint64_t count;

    lock_acquire(&table->names_lock);
    count = table->name_count;
    lock_release(&table->names_lock);
    return count;
}

uint64_t label_table_pairs(struct label_table *table)
{
    return __atomic_load_n(&table->pair_count, __ATOMIC_RELAXED);
}

static uint64_t shard_bytes(struct label_shard *shard)
{
    uint64_t bytes;

    lock_acquire(&shard->shard_lock);
    bytes = ((uint64_t)shard->slot_mask + 1 + shard->changed_cap) * sizeof(uint32_t) +
            (shard->next_local + PAIRS_PER_SEGMENT - 1) / PAIRS_PER_SEGMENT * PAIRS_PER_SEGMENT *
                sizeof(struct label_pair) +
            shard->gone.cap + shard->set_bytes;
    lock_release(&shard->shard_lock);
    return bytes;
}

uint64_t label_table_bytes(struct label_table *table)
{
    uint64_t bytes = slab_pool_bytes(&table->texts);

    for (size_t i = 0; i < LABEL_TABLE_SHARDS; i++)
        bytes += shard_bytes(&table->shards[i]);
    lock_acquire(&table->names_lock);
    for (uint32_t i = 0; i < table->name_count; i++)
        bytes += sizeof(struct label_name) + table->names[i]->cap * sizeof(uint32_t);
    bytes += ((uint64_t)table->name_mask + 1) * 2 * sizeof(void *);
    lock_release(&table->names_lock);
    return bytes;
}
