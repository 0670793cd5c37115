/* label_changes.c - what the indexer takes from the label table (label_table.h). */
#include "base/bytes.h"
#include "base/mem.h"
#include "store/label_table_impl.h"

void label_changes_destroy(struct label_changes *changes)
{
    buf_destroy(&changes->gone_pairs);
    buf_destroy(&changes->gone_names);
    buf_destroy(&changes->names);
    mem_free(changes->pairs);
    *changes = (struct label_changes){0};
}

static void put_pair_id(struct label_changes *out, uint32_t id)
{
    if (out->pair_count == out->pair_cap) {
        out->pair_cap = out->pair_cap != 0 ? out->pair_cap * 2 : 256;
        out->pairs = mem_realloc(out->pairs, out->pair_cap * sizeof(*out->pairs));
    }
    out->pairs[out->pair_count++] = id;
}

static void take_shard(struct label_table *table, struct label_shard *shard, bool all,
                       struct label_changes *out)
{
    uint32_t shard_index = (uint32_t)(shard - table->shards);

    lock_acquire(&shard->shard_lock);
    buf_append(&out->gone_pairs, shard->gone.data, shard->gone.len);
    shard->gone.len = 0;
    if (all) {
        for (uint32_t local = 0; local < shard->next_local; local++) {
            uint32_t id = local * LABEL_TABLE_SHARDS + shard_index;
            struct label_pair *pair = label_table_at(table, id);

            pair->due = false;
            if (pair->references != 0 && pair->changes != 0)
                put_pair_id(out, id);
        }
    } else {
        for (size_t i = 0; i < shard->changed_count; i++) {
            label_table_at(table, shard->changed[i])->due = false;
            put_pair_id(out, shard->changed[i]);
        }
    }
    shard->changed_count = 0;
    lock_release(&shard->shard_lock);
}

void label_table_take_changes(struct label_table *table, bool all, struct label_changes *out)
{
    for (size_t i = 0; i < LABEL_TABLE_SHARDS; i++)
        take_shard(table, &table->shards[i], all, out);
    lock_acquire(&table->names_lock);
    buf_append(&out->gone_names, table->gone_names.data, table->gone_names.len);
    table->gone_names.len = 0;
    for (uint32_t i = 0; i < table->name_count; i++) {
        struct label_name *name = table->names[i];

        if (name->due || (all && name->changes != 0))
            label_put_text(&out->names, name->text, name->len);
        name->due = false;
    }
    table->names_due = 0;
    lock_release(&table->names_lock);
}

static void return_names(struct label_table *table, const struct label_changes *changes)
{
    const uint8_t *at = changes->names.data;
    const uint8_t *end = changes->names.len != 0 ? at + changes->names.len : at;

    buf_append(&table->gone_names, changes->gone_names.data, changes->gone_names.len);
    while (at < end) {
        struct label_name *name;
        uint64_t len = 0;

        at = uvarint_get(at, end, &len);
        name = label_table_name_locked(table, (const char *)at, len);
        at += len;
        if (name != NULL) {
            name->written = 0;
            name->changes += 1;
            table->names_due += !name->due;
            name->due = true;
        }
    }
}

void label_table_return_changes(struct label_table *table, const struct label_changes *changes)
{
    struct label_shard *first = &table->shards[0];

    lock_acquire(&first->shard_lock);
    buf_append(&first->gone, changes->gone_pairs.data, changes->gone_pairs.len);
    lock_release(&first->shard_lock);
    for (size_t i = 0; i < changes->pair_count; i++) {
        struct label_shard *shard = label_table_shard(table, changes->pairs[i]);
        struct label_pair *pair = label_table_at(table, changes->pairs[i]);

        lock_acquire(&shard->shard_lock);
        if (pair->references != 0) {
            pair->written = 0;
            pair->changes += 1;
            label_table_due_locked(shard, pair, changes->pairs[i]);
        }
        lock_release(&shard->shard_lock);
    }
    lock_acquire(&table->names_lock);
    return_names(table, changes);
    lock_release(&table->names_lock);
}

static void mark_shard(struct label_table *table, struct label_shard *shard)
{
    uint32_t shard_index = (uint32_t)(shard - table->shards);

    lock_acquire(&shard->shard_lock);
    for (uint32_t local = 0; local < shard->next_local; local++) {
        struct label_pair *pair = label_table_at(table, local * LABEL_TABLE_SHARDS + shard_index);

        pair->written = pair->set.count;
        pair->changes = 0;
        pair->due = false;
    }
    shard->changed_count = 0;
    shard->gone.len = 0;
    lock_release(&shard->shard_lock);
}

void label_table_mark_written(struct label_table *table)
{
    for (size_t i = 0; i < LABEL_TABLE_SHARDS; i++)
        mark_shard(table, &table->shards[i]);
    lock_acquire(&table->names_lock);
    for (uint32_t i = 0; i < table->name_count; i++) {
        table->names[i]->written = table->names[i]->count;
        table->names[i]->changes = 0;
        table->names[i]->due = false;
    }
    table->names_due = 0;
    table->gone_names.len = 0;
    lock_release(&table->names_lock);
}

uint64_t label_table_changes_due(struct label_table *table)
{
    uint64_t due = 0;

    for (size_t i = 0; i < LABEL_TABLE_SHARDS; i++) {
        struct label_shard *shard = &table->shards[i];

        lock_acquire(&shard->shard_lock);
        due += shard->changed_count + (shard->gone.len != 0);
        lock_release(&shard->shard_lock);
    }
    lock_acquire(&table->names_lock);
    due += table->names_due + (table->gone_names.len != 0);
    lock_release(&table->names_lock);
    return due;
}

bool label_table_copy_pair(struct label_table *table, uint32_t id, struct buf *texts,
                           struct label *label, uint32_t **ids, size_t *id_count)
{
    struct label_shard *shard = label_table_shard(table, id);
    struct label_pair *pair = label_table_at(table, id);
    bool alive;

    lock_acquire(&shard->shard_lock);
    alive = pair->references != 0;
    if (alive) {
        texts->len = 0;
        buf_append(texts, pair->name->text, pair->name->len);
        buf_append(texts, pair->value, pair->value_len);
        *label =
            (struct label){(const char *)texts->data, (const char *)texts->data + pair->name->len,
                           pair->name->len, pair->value_len};
        *id_count = pair->set.count;
        *ids = mem_alloc(pair->set.count * sizeof(uint32_t));
        id_set_copy(&pair->set, *ids);
        pair->written = pair->set.count;
        pair->changes = 0;
    }
    lock_release(&shard->shard_lock);
    return alive;
}

size_t label_table_copy_values(struct label_table *table, const char *text, size_t len,
                               struct buf *out)
{
    struct label_name *name;
    size_t count = 0;

    lock_acquire(&table->names_lock);
    name = label_table_name_locked(table, text, len);
    if (name != NULL) {
        count = name->count;
        for (uint32_t i = 0; i < name->count; i++) {
            const struct label_pair *pair = label_table_at(table, name->pairs[i]);

            label_put_text(out, pair->value, pair->value_len);
        }
        name->written = name->count;
        name->changes = 0;
    }
    lock_release(&table->names_lock);
    return count;
}
