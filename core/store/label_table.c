/* label_table.c - names and pairs (label_table.h). Questions are in label_query.c, what the
 * indexer asks in label_changes.c. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "store/label_table_impl.h"

#define SEGMENT_COUNT ((size_t)1 << 18)
#define FIRST_SLOTS 64

static uint32_t hash_label(const char *name, size_t name_len, const char *value, size_t value_len)
{
    uint64_t hash = XXH3_64bits_withSeed(value, value_len, XXH3_64bits(name, name_len));

    return (uint32_t)(hash ^ hash >> 32);
}

struct label_shard *label_table_shard(struct label_table *table, uint32_t pair)
{
    return &table->shards[pair % LABEL_TABLE_SHARDS];
}

struct label_pair *label_table_at(const struct label_table *table, uint32_t pair)
{
    uint32_t local = pair / LABEL_TABLE_SHARDS;

    return &table->shards[pair % LABEL_TABLE_SHARDS]
                .segments[local / PAIRS_PER_SEGMENT][local % PAIRS_PER_SEGMENT];
}

void label_table_init(struct label_table *table, struct epoch *epoch, bool track_changes)
{
    *table = (struct label_table){.epoch = epoch, .track_changes = track_changes};
    for (size_t i = 0; i < LABEL_TABLE_SHARDS; i++) {
        struct label_shard *shard = &table->shards[i];

        lock_init(&shard->shard_lock);
        shard->slots = mem_zalloc(FIRST_SLOTS, sizeof(*shard->slots));
        shard->slot_mask = FIRST_SLOTS - 1;
        shard->segments = mem_zalloc(SEGMENT_COUNT, sizeof(*shard->segments));
    }
    lock_init(&table->names_lock);
    table->name_slots = mem_zalloc(FIRST_SLOTS, sizeof(struct label_name *));
    table->name_mask = FIRST_SLOTS - 1;
    slab_pool_init(&table->texts);
}

static void free_name(struct label_table *table, struct label_name *name)
{
    slab_free(&table->texts, name->text, name->len + 1);
    mem_free(name->pairs);
    mem_free(name);
}

static void destroy_shard(struct label_table *table, struct label_shard *shard)
{
    for (uint32_t local = 0; local < shard->next_local; local++) {
        struct label_pair *pair =
            &shard->segments[local / PAIRS_PER_SEGMENT][local % PAIRS_PER_SEGMENT];

        if (pair->references != 0)
            slab_free(&table->texts, pair->value, pair->value_len + 1);
        id_set_destroy(&pair->set);
    }
    for (size_t i = 0; i < SEGMENT_COUNT && shard->segments[i] != NULL; i++)
        mem_free(shard->segments[i]);
    mem_free(shard->segments);
    mem_free(shard->slots);
    mem_free(shard->changed);
    buf_destroy(&shard->gone);
    retired_destroy(&shard->retired);
    lock_destroy(&shard->shard_lock);
}

void label_table_destroy(struct label_table *table)
{
    for (size_t i = 0; i < LABEL_TABLE_SHARDS; i++)
        destroy_shard(table, &table->shards[i]);
    for (uint32_t i = 0; i < table->name_count; i++)
        free_name(table, table->names[i]);
    mem_free(table->names);
    mem_free(table->name_slots);
    buf_destroy(&table->gone_names);
    lock_destroy(&table->names_lock);
    slab_pool_destroy(&table->texts);
}

/* --- names --------------------------------------------------------------------------------------
 */

static uint32_t hash_name(const char *text, size_t len)
{
    return (uint32_t)XXH3_64bits(text, len);
}

static struct label_name **name_slot(struct label_table *table, const char *text, size_t len)
{
    uint32_t at = hash_name(text, len) & table->name_mask;

    while (table->name_slots[at] != NULL && (table->name_slots[at]->len != len ||
                                             memcmp(table->name_slots[at]->text, text, len) != 0))
        at = (at + 1) & table->name_mask;
    return &table->name_slots[at];
}

struct label_name *label_table_name_locked(struct label_table *table, const char *text, size_t len)
{
    return *name_slot(table, text, len);
}

static void grow_names(struct label_table *table)
{
    table->name_mask = table->name_mask * 2 + 1;
    mem_free(table->name_slots);
    table->name_slots = mem_zalloc((size_t)table->name_mask + 1, sizeof(struct label_name *));
    table->names =
        mem_realloc(table->names, ((size_t)table->name_mask + 1) * sizeof(*table->names));
    for (uint32_t i = 0; i < table->name_count; i++)
        *name_slot(table, table->names[i]->text, table->names[i]->len) = table->names[i];
}

static struct label_name *make_name_locked(struct label_table *table, const char *text, size_t len)
{
    struct label_name *name = *name_slot(table, text, len);

    if (name != NULL)
        return name;
    if (table->names == NULL || table->name_count * 2 > table->name_mask)
        grow_names(table);
    name = mem_zalloc(1, sizeof(*name));
    name->text = slab_alloc(&table->texts, 0, len + 1);
    memcpy(name->text, text, len);
    name->text[len] = '\0';
    name->len = (uint32_t)len;
    name->at = table->name_count;
    table->names[table->name_count++] = name;
    *name_slot(table, text, len) = name;
    return name;
}

/* Takes an entry out of the open addressing table and moves up what was pushed behind it. */
static void remove_name_locked(struct label_table *table, struct label_name *name)
{
    uint32_t hole = (uint32_t)(name_slot(table, name->text, name->len) - table->name_slots);

    table->name_slots[hole] = NULL;
    for (uint32_t i = (hole + 1) & table->name_mask; table->name_slots[i] != NULL;
         i = (i + 1) & table->name_mask) {
        struct label_name *moved = table->name_slots[i];

        table->name_slots[i] = NULL;
        *name_slot(table, moved->text, moved->len) = moved;
    }
    table->names[name->at] = table->names[--table->name_count];
    table->names[name->at]->at = name->at;
    if (table->track_changes)
        label_put_text(&table->gone_names, name->text, name->len);
    free_name(table, name);
}

static void name_changed_locked(struct label_table *table, struct label_name *name)
{
    name->changes++;
    if (!table->track_changes || name->due || name->changes * 4 < name->written)
        return;
    name->due = true;
    table->names_due++;
}

static void join_name(struct label_table *table, struct label_pair *pair, uint32_t id,
                      const struct label *label)
{
    struct label_name *name;

    lock_acquire(&table->names_lock);
    name = make_name_locked(table, label->name, label->name_len);
    if (name->count == name->cap) {
        name->cap = name->cap != 0 ? name->cap * 2 : 4;
        name->pairs = mem_realloc(name->pairs, name->cap * sizeof(*name->pairs));
    }
    pair->name = name;
    pair->at_in_name = name->count;
    name->pairs[name->count++] = id;
    name->value_bytes += pair->value_len;
    name_changed_locked(table, name);
    lock_release(&table->names_lock);
}

static void leave_name(struct label_table *table, struct label_pair *pair)
{
    struct label_name *name = pair->name;

    lock_acquire(&table->names_lock);
    name->value_bytes -= pair->value_len;
    name->pairs[pair->at_in_name] = name->pairs[--name->count];
    label_table_at(table, name->pairs[pair->at_in_name])->at_in_name = pair->at_in_name;
    if (name->count == 0) {
        table->names_due -= name->due;
        remove_name_locked(table, name);
    } else {
        name_changed_locked(table, name);
    }
    lock_release(&table->names_lock);
}

/* --- pairs --------------------------------------------------------------------------------------
 */

static uint32_t global_id(const struct label_table *table, const struct label_shard *shard,
                          uint32_t local)
{
    return local * LABEL_TABLE_SHARDS + (uint32_t)(shard - table->shards);
}

static struct label_pair *local_pair(const struct label_shard *shard, uint32_t local)
{
    return &shard->segments[local / PAIRS_PER_SEGMENT][local % PAIRS_PER_SEGMENT];
}

/* The slot of the label, or the free one where it would go. */
static uint32_t find_slot(const struct label_shard *shard, uint32_t hash, const struct label *label)
{
    uint32_t at = hash / LABEL_TABLE_SHARDS & shard->slot_mask;

    for (; shard->slots[at] != 0; at = (at + 1) & shard->slot_mask) {
        const struct label_pair *pair = local_pair(shard, shard->slots[at] - 1);

        if (pair->hash == hash && pair->value_len == label->value_len &&
            pair->name->len == label->name_len &&
            memcmp(pair->value, label->value, label->value_len) == 0 &&
            memcmp(pair->name->text, label->name, label->name_len) == 0)
            break;
    }
    return at;
}

static void grow_slots(struct label_shard *shard)
{
    uint32_t *old = shard->slots;
    uint32_t old_mask = shard->slot_mask;

    shard->slot_mask = old_mask * 2 + 1;
    shard->slots = mem_zalloc((size_t)shard->slot_mask + 1, sizeof(*shard->slots));
    for (uint32_t i = 0; i <= old_mask; i++) {
        uint32_t at;

        if (old[i] == 0)
            continue;
        at = local_pair(shard, old[i] - 1)->hash / LABEL_TABLE_SHARDS & shard->slot_mask;
        while (shard->slots[at] != 0)
            at = (at + 1) & shard->slot_mask;
        shard->slots[at] = old[i];
    }
    mem_free(old);
}

static uint32_t new_local(struct label_table *table, struct label_shard *shard)
{
    uint32_t local;

    if (retired_pop(&shard->retired, table->epoch, &local))
        return local;
    local = shard->next_local++;
    TIDE_ASSERT(local / PAIRS_PER_SEGMENT < SEGMENT_COUNT);
    if (local % PAIRS_PER_SEGMENT == 0)
        shard->segments[local / PAIRS_PER_SEGMENT] =
            mem_zalloc(PAIRS_PER_SEGMENT, sizeof(struct label_pair));
    return local;
}

static uint32_t make_pair_locked(struct label_table *table, struct label_shard *shard,
                                 uint32_t hash, const struct label *label)
{
    uint32_t local = new_local(table, shard);
    struct label_pair *pair = local_pair(shard, local);

    *pair = (struct label_pair){.hash = hash, .value_len = label->value_len};
    pair->value = slab_alloc(&table->texts, hash, (size_t)label->value_len + 1);
    memcpy(pair->value, label->value, label->value_len);
    pair->value[label->value_len] = '\0';
    join_name(table, pair, global_id(table, shard, local), label);
    if (++shard->used * 2 > shard->slot_mask)
        grow_slots(shard);
    shard->slots[find_slot(shard, hash, label)] = local + 1;
    __atomic_add_fetch(&table->pair_count, 1, __ATOMIC_RELAXED);
    return local;
}

uint32_t label_table_intern(struct label_table *table, const struct label *label)
{
    uint32_t hash = hash_label(label->name, label->name_len, label->value, label->value_len);
    struct label_shard *shard = &table->shards[hash % LABEL_TABLE_SHARDS];
    uint32_t at, local;

    lock_acquire(&shard->shard_lock);
    at = find_slot(shard, hash, label);
    local =
        shard->slots[at] != 0 ? shard->slots[at] - 1 : make_pair_locked(table, shard, hash, label);
    local_pair(shard, local)->references++;
    lock_release(&shard->shard_lock);
    return global_id(table, shard, local);
}

bool label_table_intern_existing(struct label_table *table, const struct label *label,
                                 uint32_t *pair)
{
    uint32_t hash = hash_label(label->name, label->name_len, label->value, label->value_len);
    struct label_shard *shard = &table->shards[hash % LABEL_TABLE_SHARDS];
    uint32_t at;
    bool found;

    lock_acquire(&shard->shard_lock);
    at = find_slot(shard, hash, label);
    found = shard->slots[at] != 0;
    if (found) {
        local_pair(shard, shard->slots[at] - 1)->references++;
        *pair = global_id(table, shard, shard->slots[at] - 1);
    }
    lock_release(&shard->shard_lock);
    return found;
}

uint32_t label_table_find_locked(struct label_shard *shard, uint32_t hash,
                                 const struct label *label)
{
    return shard->slots[find_slot(shard, hash, label)];
}

uint32_t label_table_hash(const struct label *label)
{
    return hash_label(label->name, label->name_len, label->value, label->value_len);
}

static void remove_slot(struct label_shard *shard, uint32_t local)
{
    uint32_t hole = local_pair(shard, local)->hash / LABEL_TABLE_SHARDS & shard->slot_mask;

    while (shard->slots[hole] != local + 1)
        hole = (hole + 1) & shard->slot_mask;
    for (uint32_t i = (hole + 1) & shard->slot_mask; shard->slots[i] != 0;
         i = (i + 1) & shard->slot_mask) {
        uint32_t home =
            local_pair(shard, shard->slots[i] - 1)->hash / LABEL_TABLE_SHARDS & shard->slot_mask;

        /* May the entry at i stand in the hole? Only if its home is not between hole and i. */
        if (((i - home) & shard->slot_mask) >= ((i - hole) & shard->slot_mask)) {
            shard->slots[hole] = shard->slots[i];
            hole = i;
        }
    }
    shard->slots[hole] = 0;
    shard->used--;
}

void label_table_ref(struct label_table *table, uint32_t id)
{
    struct label_shard *shard = label_table_shard(table, id);

    lock_acquire(&shard->shard_lock);
    label_table_at(table, id)->references++;
    lock_release(&shard->shard_lock);
}

void label_table_unref(struct label_table *table, uint32_t id)
{
    struct label_shard *shard = label_table_shard(table, id);
    struct label_pair *pair = label_table_at(table, id);

    lock_acquire(&shard->shard_lock);
    if (--pair->references == 0) {
        TIDE_ASSERT(pair->set.count == 0);
        remove_slot(shard, id / LABEL_TABLE_SHARDS);
        if (table->track_changes) {
            label_put_text(&shard->gone, pair->name->text, pair->name->len);
            label_put_text(&shard->gone, pair->value, pair->value_len);
        }
        leave_name(table, pair);
        slab_free(&table->texts, pair->value, (size_t)pair->value_len + 1);
        pair->value = NULL;
        pair->name = NULL;
        pair->due = false;
        retired_push(&shard->retired, table->epoch, id / LABEL_TABLE_SHARDS);
        __atomic_sub_fetch(&table->pair_count, 1, __ATOMIC_RELAXED);
    }
    lock_release(&shard->shard_lock);
}

struct label label_table_text(const struct label_table *table, uint32_t id)
{
    const struct label_pair *pair = label_table_at(table, id);

    return (struct label){pair->name->text, pair->value, pair->name->len, pair->value_len};
}

/* --- sets ---------------------------------------------------------------------------------------
 */

void label_table_due_locked(struct label_shard *shard, struct label_pair *pair, uint32_t id)
{
    if (pair->due)
        return;
    pair->due = true;
    if (shard->changed_count == shard->changed_cap) {
        shard->changed_cap = shard->changed_cap != 0 ? shard->changed_cap * 2 : 64;
        shard->changed = mem_realloc(shard->changed, shard->changed_cap * sizeof(*shard->changed));
    }
    shard->changed[shard->changed_count++] = id;
}

static void change_set(struct label_table *table, uint32_t id, uint32_t series, bool add)
{
    struct label_shard *shard = label_table_shard(table, id);
    struct label_pair *pair = label_table_at(table, id);
    bool changed;

    lock_acquire(&shard->shard_lock);
    shard->set_bytes -= id_set_bytes(&pair->set);
    changed = add ? id_set_add(&pair->set, series) : id_set_remove(&pair->set, series);
    shard->set_bytes += id_set_bytes(&pair->set);
    if (changed && table->track_changes) {
        pair->changes++;
        if (pair->changes * 4 >= pair->written)
            label_table_due_locked(shard, pair, id);
    }
    lock_release(&shard->shard_lock);
}

void label_table_add_series(struct label_table *table, uint32_t pair, uint32_t id)
{
    change_set(table, pair, id, true);
}

void label_table_remove_series(struct label_table *table, uint32_t pair, uint32_t id)
{
    change_set(table, pair, id, false);
}

void label_put_text(struct buf *out, const char *text, size_t len)
{
    uint8_t *to = buf_reserve(out, VARINT_MAX_BYTES + len);

    out->len += uvarint_put(to, len);
    buf_append(out, text, len);
}
