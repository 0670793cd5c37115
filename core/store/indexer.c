/* indexer.c - label sets from memory to the two label indexes on disk.
 *
 * The sets in memory answer all questions; what is on disk is for the original and for repairs, is
 * complete after a clean stop, and is made anew after a crash. So a set is written when it is small
 * or has changed by a quarter since it was written: all writes together are at most five times the
 * final size, where a write per change would be a hundred times that. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "model/fingerprint.h"
#include "store/folder.h"

/* A batch is in memory three times: ours, LevelDB's, and in its table of new keys. */
#define BATCH_BYTES ((size_t)512 << 10)
#define IDLE_NS ((int64_t)500 * 1000 * 1000)

struct index_write {
    struct store *store;
    struct label_index_batch batch;
};

static int flush_batch(struct index_write *write, size_t least, struct error *err)
{
    if (label_index_batch_bytes(&write->batch) < least)
        return 0;
    return label_index_write(write->store->folder->index, &write->batch, false, err);
}

/* Ids to ascending fingerprints; ids whose series went are left out. Reuses the memory of neither.
 */
static size_t fps_of_ids(struct store *store, const uint32_t *ids, size_t count, uint64_t *fps)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct stripe *stripe;
        const struct series *series = series_map_lock_id(&store->map, ids[i], &stripe);

        if (series == NULL)
            continue;
        fps[kept++] = series->fp;
        lock_release(&stripe->stripe_lock);
    }
    qsort(fps, kept, sizeof(*fps), fingerprint_compare);
    return kept;
}

static int write_pairs(struct index_write *write, const struct label_changes *changes,
                       struct error *err)
{
    struct store *store = write->store;
    struct buf texts = {0};
    int result = 0;

    for (size_t i = 0; i < changes->pair_count && result == 0; i++) {
        struct label label;
        uint32_t *ids;
        uint64_t *fps;
        size_t count;

        if (!label_table_copy_pair(&store->labels, changes->pairs[i], &texts, &label, &ids, &count))
            continue;
        fps = mem_alloc(count * sizeof(*fps));
        count = fps_of_ids(store, ids, count, fps);
        label_index_put_pair(&write->batch, label.name, label.name_len, label.value,
                             label.value_len, fps, count);
        mem_free(fps);
        mem_free(ids);
        result = flush_batch(write, BATCH_BYTES, err);
    }
    buf_destroy(&texts);
    return result;
}

static const uint8_t *end_of(const struct buf *buf)
{
    return buf->len != 0 ? buf->data + buf->len : buf->data;
}

/* The next text of uvarint length + bytes, written by ourselves. */
static const uint8_t *next_text(const uint8_t *at, const uint8_t *end, struct codable_string *text)
{
    uint64_t len = 0;

    at = uvarint_get(at, end, &len);
    *text = (struct codable_string){(const char *)at, len};
    return at + len;
}

static int compare_strings(const void *a, const void *b)
{
    const struct codable_string *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, TIDE_MIN(x->len, y->len));

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static void put_name(struct index_write *write, struct codable_string name, struct buf *texts)
{
    struct codable_string *values;
    const uint8_t *at, *end;
    size_t count;

    texts->len = 0;
    count = label_table_copy_values(&write->store->labels, name.bytes, name.len, texts);
    values = mem_alloc(count * sizeof(*values));
    at = texts->data;
    end = end_of(texts);
    for (size_t i = 0; i < count; i++)
        at = next_text(at, end, &values[i]);
    qsort(values, count, sizeof(*values), compare_strings);
    label_index_put_name(&write->batch, name.bytes, name.len, values, count);
    mem_free(values);
}

static int write_names(struct index_write *write, const struct label_changes *changes,
                       struct error *err)
{
    const uint8_t *at = changes->names.data, *end = end_of(&changes->names);
    struct buf texts = {0};
    int result = 0;

    while (at < end && result == 0) {
        struct codable_string name;

        at = next_text(at, end, &name);
        put_name(write, name, &texts);
        result = flush_batch(write, BATCH_BYTES, err);
    }
    buf_destroy(&texts);
    return result;
}

static int write_gone(struct index_write *write, const struct label_changes *changes,
                      struct error *err)
{
    const uint8_t *at = changes->gone_pairs.data, *end = end_of(&changes->gone_pairs);
    struct codable_string name, value;

    while (at < end) {
        at = next_text(at, end, &name);
        at = next_text(at, end, &value);
        label_index_put_pair(&write->batch, name.bytes, name.len, value.bytes, value.len, NULL, 0);
    }
    at = changes->gone_names.data;
    end = end_of(&changes->gone_names);
    while (at < end) {
        at = next_text(at, end, &name);
        label_index_put_name(&write->batch, name.bytes, name.len, NULL, 0);
    }
    return flush_batch(write, 1, err);
}

int index_flush(struct store *store, bool all, struct error *err)
{
    struct index_write write = {.store = store};
    struct label_changes changes = {0};
    int64_t begin_ns = clock_mono_ns(clock_system());
    size_t due = label_table_changes_due(&store->labels);
    int result;

    label_table_take_changes(&store->labels, all, &changes);
    result = write_gone(&write, &changes, err);
    if (result == 0)
        result = write_pairs(&write, &changes, err);
    if (result == 0)
        result = write_names(&write, &changes, err);
    if (result == 0)
        result = flush_batch(&write, 1, err);
    if (result != 0) {
        label_table_return_changes(&store->labels, &changes);
        counter_add(&store->counters.inconsistencies, 1);
        /* A table that is damaged on disk does not heal by itself: the next start makes it anew. */
        if (err->code == ERR_CORRUPT)
            __atomic_store_n(&store->folder->inconsistent, 1, __ATOMIC_RELAXED);
    } else if (due != 0) {
        store_observe(&store->index_sizes, (double)due);
        store_observe(&store->index_seconds,
                      (double)(clock_mono_ns(clock_system()) - begin_ns) / 1e9);
    }
    label_index_batch_destroy(&write.batch);
    label_changes_destroy(&changes);
    return result;
}
