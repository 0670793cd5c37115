/* downsample_done.c - how far each series is thinned out (downsample.h), and the file that keeps
 * it.
 *
 * `downsample.state` is written after each checkpoint and names the heads.db that it came with: so
 * it is never ahead of what a crash leaves. Of another heads.db (a crash between the two, a backup
 * that was put back, another server in between) nothing is believed. */
#include <stdio.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "base/mem.h"
#include "store/downsample.h"
#include "store/folder.h"

#define HEADER "tidemark downsample 1\n"
#define HEADER_BYTES (sizeof(HEADER) - 1)
#define PREFIX_BYTES (HEADER_BYTES + 24) /* size and mtime of heads.db, count */
#define ENTRY_BYTES 48
#define READ_ENTRIES 4096
#define LEAST_SLOTS 64

/* --- the table
 * ---------------------------------------------------------------------------------------- */

static size_t slot_of(const struct done_table *table, uint64_t fp)
{
    size_t at = (size_t)(fp * 0x9e3779b97f4a7c15u >> 20) & table->mask;

    while (table->slots[at].fp != 0 && table->slots[at].fp != fp)
        at = (at + 1) & table->mask;
    return at;
}

struct done_entry *done_table_find(const struct done_table *table, uint64_t fp)
{
    size_t at;

    if (table->count == 0 || fp == 0)
        return NULL;
    at = slot_of(table, fp);
    return table->slots[at].fp == fp ? &table->slots[at] : NULL;
}

static void grow(struct done_table *table)
{
    struct done_table larger = {.mask = table->mask != 0 ? table->mask * 2 + 1 : LEAST_SLOTS - 1};

    larger.slots = mem_zalloc(larger.mask + 1, sizeof(*larger.slots));
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        if (table->slots[i].fp != 0)
            larger.slots[slot_of(&larger, table->slots[i].fp)] = table->slots[i];
    }
    larger.count = table->count;
    mem_free(table->slots);
    *table = larger;
}

void done_table_put(struct done_table *table, const struct done_entry *entry)
{
    size_t at;

    if (entry->fp == 0)
        return; /* a free slot's; that series is looked at in each pass */
    if (table->slots == NULL || table->count * 4 >= (table->mask + 1) * 3)
        grow(table);
    at = slot_of(table, entry->fp);
    table->count += table->slots[at].fp == 0;
    table->slots[at] = *entry;
}

void done_table_forget(struct done_table *table, uint64_t fp)
{
    struct done_entry *entry = done_table_find(table, fp);
    size_t at;

    if (entry == NULL)
        return;
    at = (size_t)(entry - table->slots);
    table->slots[at].fp = 0;
    table->count--;
    for (at = (at + 1) & table->mask; table->slots[at].fp != 0; at = (at + 1) & table->mask) {
        struct done_entry moved = table->slots[at];

        table->slots[at].fp = 0;
        table->slots[slot_of(table, moved.fp)] = moved;
    }
}

void done_table_destroy(struct done_table *table)
{
    mem_free(table->slots);
    *table = (struct done_table){0};
}

void downsample_note_late(struct store *store, uint64_t fp, int64_t time_ms)
{
    struct done_entry *entry = done_table_find(&store->folder->done, fp);

    if (entry == NULL)
        return;
    entry->late_ms = TIDE_MIN(entry->late_ms, time_ms);
    entry->looked_ms = TIDE_EARLIEST_MS;
}

/* --- the file
 * ----------------------------------------------------------------------------------------- */

static void put_entry(uint8_t *out, const struct done_entry *entry)
{
    put_le64(out, entry->fp);
    put_le64(out + 8, entry->identity);
    put_le64(out + 16, (uint64_t)entry->as_of_ms);
    put_le64(out + 24, (uint64_t)entry->limit_ms);
    put_le64(out + 32, (uint64_t)entry->late_ms);
    put_le64(out + 40, (uint64_t)entry->looked_ms);
}

static struct done_entry get_entry(const uint8_t *in)
{
    return (struct done_entry){
        .fp = get_le64(in),
        .identity = get_le64(in + 8),
        .as_of_ms = (int64_t)get_le64(in + 16),
        .limit_ms = (int64_t)get_le64(in + 24),
        .late_ms = (int64_t)get_le64(in + 32),
        .looked_ms = (int64_t)get_le64(in + 40),
    };
}

static void put_prefix(uint8_t out[PREFIX_BYTES], const struct volume_stat *heads, uint64_t count)
{
    memcpy(out, HEADER, HEADER_BYTES);
    put_le64(out + HEADER_BYTES, heads->size);
    put_le64(out + HEADER_BYTES + 8, (uint64_t)heads->mtime_ns);
    put_le64(out + HEADER_BYTES + 16, count);
}

static int write_entries(struct volume_writer *writer, const struct done_table *table, uint32_t crc,
                         struct error *err)
{
    struct buf batch = {0};
    uint8_t sum[4];
    int result = 0;

    for (size_t i = 0; table->slots != NULL && i <= table->mask && result == 0; i++) {
        uint8_t entry[ENTRY_BYTES];

        if (table->slots[i].fp == 0)
            continue;
        put_entry(entry, &table->slots[i]);
        buf_append(&batch, entry, sizeof(entry));
        if (batch.len < (size_t)READ_ENTRIES * ENTRY_BYTES)
            continue;
        crc = crc32c(crc, batch.data, batch.len);
        result = writer->write(writer, batch.data, batch.len, err);
        batch.len = 0;
    }
    if (result == 0 && batch.len != 0) {
        crc = crc32c(crc, batch.data, batch.len);
        result = writer->write(writer, batch.data, batch.len, err);
    }
    put_le32(sum, crc);
    if (result == 0)
        result = writer->write(writer, sum, sizeof(sum), err);
    buf_destroy(&batch);
    return result;
}

int downsample_save(struct store *store, struct error *err)
{
    struct volume *volume = store->folder->volume;
    const struct done_table *table = &store->folder->done;
    struct volume_writer *writer;
    struct volume_stat heads;
    uint8_t prefix[PREFIX_BYTES];

    if (table->slots == NULL)
        return 0;
    if (volume->stat(volume, HEADS_FILE, &heads, err) != 0)
        return -1;
    writer = volume->replace(volume, DOWNSAMPLE_STATE_FILE, err);
    if (writer == NULL)
        return -1;
    put_prefix(prefix, &heads, table->count);
    if (writer->write(writer, prefix, sizeof(prefix), err) != 0 ||
        write_entries(writer, table, crc32c(0, prefix, sizeof(prefix)), err) != 0 ||
        writer->finish(writer, true, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, true, NULL, err);
}

static int read_exact(struct volume *volume, uint64_t at, void *bytes, size_t len,
                      struct error *err)
{
    size_t got;

    if (volume->read(volume, DOWNSAMPLE_STATE_FILE, at, bytes, len, &got, err) != 0)
        return -1;
    return got == len ? 0 : error_set(err, ERR_CORRUPT, DOWNSAMPLE_STATE_FILE " ends too early");
}

static int read_entries(struct volume *volume, struct done_table *table, uint64_t count,
                        uint32_t crc, struct error *err)
{
    uint8_t *bytes = mem_alloc((size_t)READ_ENTRIES * ENTRY_BYTES);
    uint64_t at = PREFIX_BYTES;
    uint8_t sum[4];
    int result = 0;

    while (count != 0 && result == 0) {
        size_t some = (size_t)TIDE_MIN(count, (uint64_t)READ_ENTRIES);

        result = read_exact(volume, at, bytes, some * ENTRY_BYTES, err);
        if (result == 0)
            crc = crc32c(crc, bytes, some * ENTRY_BYTES);
        for (size_t i = 0; i < some && result == 0; i++) {
            struct done_entry entry = get_entry(bytes + i * ENTRY_BYTES);

            done_table_put(table, &entry);
        }
        at += some * ENTRY_BYTES;
        count -= some;
    }
    mem_free(bytes);
    if (result == 0)
        result = read_exact(volume, at, sum, sizeof(sum), err);
    if (result == 0 && get_le32(sum) != crc)
        result = error_set(err, ERR_CORRUPT, DOWNSAMPLE_STATE_FILE " is damaged");
    return result;
}

static int load(struct store *store, struct error *err)
{
    struct volume *volume = store->folder->volume;
    uint8_t prefix[PREFIX_BYTES], expected[PREFIX_BYTES];
    struct volume_stat heads;
    uint64_t count;

    if (read_exact(volume, 0, prefix, sizeof(prefix), err) != 0 ||
        volume->stat(volume, HEADS_FILE, &heads, err) != 0)
        return -1;
    count = get_le64(prefix + HEADER_BYTES + 16);
    put_prefix(expected, &heads, count);
    if (memcmp(prefix, expected, sizeof(prefix)) != 0)
        return error_set(err, ERR_CONFLICT,
                         DOWNSAMPLE_STATE_FILE " belongs to another heads.db, or is no such file");
    return read_entries(volume, &store->folder->done, count, crc32c(0, prefix, sizeof(prefix)),
                        err);
}

void downsample_load(struct store *store)
{
    struct error err;

    if (load(store, &err) == 0)
        return;
    done_table_destroy(&store->folder->done);
    if (err.code != ERR_NOT_FOUND)
        log_info("what was downsampled is found again by reading", "reason=\"%s\"", err.text);
}
