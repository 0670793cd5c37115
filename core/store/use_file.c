/* use_file.c - see use_file.h. */
#include "store/use_file.h"

#include "base/logger.h"
#include "base/mem.h"
#include "disk/use_db.h"
#include "store/folder.h"

#define SAVE_NS ((int64_t)3600 * 1000000000)

/* --- writing -----------------------------------------------------------------------------------
 */

/* The records of a stripe, so that nothing is written while it is locked. */
struct stripe_records {
    struct use_record *list;
    size_t count, cap;
};

static void take_stripe(struct store *store, struct stripe *stripe, struct stripe_records *records)
{
    records->count = 0;
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        const struct series *series = stripe->slots[i];
        struct use_entry entry;

        if (series == NULL)
            continue;
        if (records->count == records->cap) {
            records->cap = TIDE_MAX(records->cap * 2, (size_t)256);
            records->list = mem_realloc(records->list, records->cap * sizeof(*records->list));
        }
        entry = use_table_get(&store->use, series->id);
        records->list[records->count++] = (struct use_record){.fp = series->fp,
                                                              .known = entry.known,
                                                              .last_s = entry.reads.last_s,
                                                              .reads = entry.reads.count};
    }
    lock_release(&stripe->stripe_lock);
}

static int put_all(struct store *store, struct use_db_writer *writer, struct error *err)
{
    struct stripe_records records = {0};
    int result = 0;

    for (uint32_t i = 0; i < SERIES_STRIPES && result == 0; i++) {
        take_stripe(store, &store->map.stripes[i], &records);
        for (size_t k = 0; k < records.count && result == 0; k++)
            result = use_db_put(writer, &records.list[k], err);
    }
    mem_free(records.list);
    return result;
}

int use_file_write(struct store *store, struct volume *volume, struct error *err)
{
    struct use_db_writer writer;

    if (use_db_begin(&writer, volume, err) != 0)
        return -1;
    if (put_all(store, &writer, err) == 0)
        return use_db_finish(&writer, err);
    use_db_discard(&writer);
    return -1;
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
};

static void take_record(void *ctx, const struct use_record *record)
{
    struct load *load = ctx;
    struct use_entry entry = {
        .known = record->known,
        .reads = {.last_s = record->last_s, .count = record->reads},
    };
    struct stripe *stripe;
    struct series *series = lock_fp(load->store, record->fp, &stripe);

    if (series == NULL)
        return;
    use_table_put(&load->store->use, series->id, &entry);
    load->records++;
    lock_release(&stripe->stripe_lock);
}

void use_file_load(struct store *store)
{
    struct folder *folder = store->folder;
    struct load load = {.store = store};
    struct use_db_visitor visitor = {.ctx = &load, .record = take_record};
    uint64_t damaged;
    struct error err;
    int result = use_db_read(folder->volume, &visitor, &damaged, &err);

    if (result == 0 && damaged == 0)
        folder->use_saved = __atomic_load_n(&store->use.changes, __ATOMIC_RELAXED);
    else if (result == 0)
        result = error_set(&err, ERR_CORRUPT, "%" PRIu64 " damaged blocks", damaged);
    if (result != 0 && err.code != ERR_NOT_FOUND) {
        counter_add(&store->counters.inconsistencies, 1);
        log_warn(USE_FILE " is damaged: of the series that it does not tell of any more it is "
                          "unknown how often they were read before now",
                 "problem=\"%s\" series=%" PRIu64, err.text, load.records);
    }
    folder->use_looked_mono_ns = clock_mono_ns(store->clock);
    store->use.counting = true;
}
