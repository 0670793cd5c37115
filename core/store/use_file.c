/* use_file.c - see use_file.h. */
#include "store/use_file.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "store/folder.h"

#define MAGIC "TMUSE001"
#define MAGIC_BYTES 8
#define RECORD_BYTES ((size_t)20)
#define BLOCK_RECORDS ((size_t)4096)
#define HEADER_BYTES ((size_t)8)
#define BLOCK_BYTES (HEADER_BYTES + BLOCK_RECORDS * RECORD_BYTES)
#define SAVE_NS ((int64_t)3600 * 1000000000)

/* --- writing -----------------------------------------------------------------------------------
 */

static void put_record(struct buf *out, uint64_t fp, const struct use_entry *entry)
{
    uint8_t *at = buf_reserve(out, RECORD_BYTES);

    put_le64(at, fp);
    put_le32(at + 8, entry->known);
    put_le32(at + 12, entry->reads.last_s);
    put_le32(at + 16, entry->reads.count);
    out->len += RECORD_BYTES;
}

/* Records become a block: the buffer begins with room for its header. */
static int write_block(struct volume_writer *writer, uint8_t *block, size_t records,
                       struct error *err)
{
    size_t len = records * RECORD_BYTES;

    put_le32(block, (uint32_t)records);
    put_le32(block + 4, crc32c(crc32c(0, block, 4), block + HEADER_BYTES, len));
    return writer->write(writer, block, HEADER_BYTES + len, err);
}

/* Whole blocks; `rest`: also what is left. */
static int flush(struct volume_writer *writer, struct buf *records, bool rest, struct error *err)
{
    uint8_t block[BLOCK_BYTES];
    size_t done = 0;

    while (records->len - done >= BLOCK_RECORDS * RECORD_BYTES || (rest && done < records->len)) {
        size_t len = TIDE_MIN(records->len - done, BLOCK_RECORDS * RECORD_BYTES);

        memcpy(block + HEADER_BYTES, records->data + done, len);
        if (write_block(writer, block, len / RECORD_BYTES, err) != 0)
            return -1;
        done += len;
    }
    if (done != 0)
        memmove(records->data, records->data + done, records->len - done);
    records->len -= done;
    return 0;
}

static void put_stripe(struct store *store, struct stripe *stripe, struct buf *records)
{
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        const struct series *series = stripe->slots[i];
        struct use_entry entry;

        if (series == NULL)
            continue;
        entry = use_table_get(&store->use, series->id);
        put_record(records, series->fp, &entry);
    }
    lock_release(&stripe->stripe_lock);
}

static int write_all(struct store *store, struct volume_writer *writer, struct error *err)
{
    struct buf records = {0};
    int result = writer->write(writer, MAGIC, MAGIC_BYTES, err);

    for (uint32_t i = 0; i < SERIES_STRIPES && result == 0; i++) {
        put_stripe(store, &store->map.stripes[i], &records);
        result = flush(writer, &records, i + 1 == SERIES_STRIPES, err);
    }
    buf_destroy(&records);
    return result == 0 ? writer->finish(writer, true, err) : -1;
}

int use_file_write(struct store *store, struct volume *volume, struct error *err)
{
    struct volume_writer *writer = volume->replace(volume, USE_FILE, err);

    if (writer == NULL)
        return -1;
    if (write_all(store, writer, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, true, NULL, err);
}

void use_file_save(struct store *store)
{
    struct folder *folder = store->folder;
    uint64_t changes = __atomic_load_n(&store->use.changes, __ATOMIC_RELAXED);
    struct error err;

    if (!store->use.counting) /* a checkpoint of recovery: the file is not read yet */
        return;
    folder->use_looked_mono_ns = clock_mono_ns(store->clock);
    if (changes == folder->use_saved)
        return;
    if (use_file_write(store, folder->volume, &err) == 0)
        folder->use_saved = changes;
    else
        log_warn_limited(USE_FILE " could not be written; it is tried again", "problem=\"%s\"",
                         err.text);
}

void use_file_save_due(struct store *store)
{
    if (clock_mono_ns(store->clock) - store->folder->use_looked_mono_ns >= SAVE_NS)
        use_file_save(store);
}

/* --- reading -----------------------------------------------------------------------------------
 */

struct load {
    struct store *store;
    uint64_t records; /* of series that are there */
    uint64_t damaged; /* blocks */
};

static void take_record(struct load *load, const uint8_t *at)
{
    struct use_entry entry = {
        .known = get_le32(at + 8),
        .reads = {.last_s = get_le32(at + 12), .count = get_le32(at + 16)},
    };
    struct stripe *stripe;
    struct series *series = lock_fp(load->store, get_le64(at), &stripe);

    if (series == NULL)
        return;
    use_table_put(&load->store->use, series->id, &entry);
    load->records++;
    lock_release(&stripe->stripe_lock);
}

/* The block at `offset`, of which *next says where it ends. -1 with err: IO; CORRUPT: no more. */
static int load_block(struct load *load, uint8_t *block, uint64_t offset, uint64_t *next,
                      struct error *err)
{
    struct volume *volume = load->store->folder->volume;
    uint32_t records;
    size_t len, got;

    if (volume->read(volume, USE_FILE, offset, block, BLOCK_BYTES, &got, err) != 0)
        return -1;
    *next = offset;
    if (got == 0)
        return 0;
    records = got >= HEADER_BYTES ? get_le32(block) : 0;
    len = records * RECORD_BYTES;
    if (records == 0 || records > BLOCK_RECORDS || got < HEADER_BYTES + len)
        return error_set(err, ERR_CORRUPT, "it ends within a block, at byte %" PRIu64, offset);
    *next = offset + HEADER_BYTES + len;
    if (crc32c(crc32c(0, block, 4), block + HEADER_BYTES, len) != get_le32(block + 4)) {
        load->damaged++;
        return 0;
    }
    for (size_t i = 0; i < records; i++)
        take_record(load, block + HEADER_BYTES + i * RECORD_BYTES);
    return 0;
}

static int load_all(struct load *load, struct error *err)
{
    struct volume *volume = load->store->folder->volume;
    uint8_t block[BLOCK_BYTES];
    uint64_t offset = MAGIC_BYTES, next;
    size_t got;

    if (volume->read(volume, USE_FILE, 0, block, MAGIC_BYTES, &got, err) != 0)
        return -1;
    if (got != MAGIC_BYTES || memcmp(block, MAGIC, MAGIC_BYTES) != 0)
        return error_set(err, ERR_CORRUPT, "it does not begin as such a file");
    for (;; offset = next) {
        if (load_block(load, block, offset, &next, err) != 0)
            return -1;
        if (next == offset)
            return 0;
    }
}

void use_file_load(struct store *store)
{
    struct folder *folder = store->folder;
    struct load load = {.store = store};
    struct error err;
    int result = load_all(&load, &err);

    if (result == 0 && load.damaged == 0)
        folder->use_saved = __atomic_load_n(&store->use.changes, __ATOMIC_RELAXED);
    else if (result == 0)
        error_set(&err, ERR_CORRUPT, "%" PRIu64 " damaged blocks", load.damaged);
    if ((result != 0 && err.code != ERR_NOT_FOUND) || load.damaged != 0) {
        counter_add(&store->counters.inconsistencies, 1);
        log_warn(USE_FILE " is damaged: of the series that it does not tell of any more it is "
                          "unknown how often they were read before now",
                 "problem=\"%s\" series=%" PRIu64, err.text, load.records);
    }
    folder->use_looked_mono_ns = clock_mono_ns(store->clock);
    store->use.counting = true;
}
