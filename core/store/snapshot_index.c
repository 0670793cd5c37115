/* snapshot_index.c - the label indexes of a snapshot: those of memory, cut to its series.
 *
 * Pushes go on and make series that are not in the snapshot; none goes away, for that is background
 * work and the caller does all of that now. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "model/fingerprint.h"
#include "store/snapshot_parts.h"

#define BATCH_BYTES ((size_t)4 << 20)

struct index_copy {
    struct snapshot_writer *writer;
    struct label_index *index;
    struct label_index_batch batch;
    roaring_bitmap_t *set; /* scratch */
    struct codable_string *values;
    size_t value_cap;
};

static int compare_strings(const void *a, const void *b)
{
    const struct codable_string *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, TIDE_MIN(x->len, y->len));

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static uint64_t fp_of(struct store *store, uint32_t id)
{
    struct stripe *stripe;
    const struct series *series = series_map_lock_id(&store->map, id, &stripe);
    uint64_t fp = 0;

    if (series != NULL) {
        fp = series->fp;
        lock_release(&stripe->stripe_lock);
    }
    return fp;
}

/* One pair, if the snapshot has series with it. */
static bool put_pair(struct index_copy *copy, uint32_t pair, const char *name, size_t name_len,
                     const char *value, size_t value_len)
{
    struct store *store = copy->writer->store;
    roaring_uint32_iterator_t ids;
    uint64_t *fps;
    size_t count = 0;

    roaring_bitmap_clear(copy->set);
    label_table_apply_pair(&store->labels, pair, SET_UNION, copy->set);
    roaring_bitmap_and_inplace(copy->set, copy->writer->ids);
    if (roaring_bitmap_is_empty(copy->set))
        return false;
    fps = mem_alloc((size_t)roaring_bitmap_get_cardinality(copy->set) * sizeof(*fps));
    roaring_init_iterator(copy->set, &ids);
    for (; ids.has_value; roaring_advance_uint32_iterator(&ids))
        fps[count++] = fp_of(store, ids.current_value);
    qsort(fps, count, sizeof(*fps), fingerprint_compare);
    label_index_put_pair(&copy->batch, name, name_len, value, value_len, fps, count);
    mem_free(fps);
    return true;
}

static int flush(struct index_copy *copy, size_t least, struct error *err)
{
    if (label_index_batch_bytes(&copy->batch) < least)
        return 0;
    return label_index_write(copy->index, &copy->batch, false, err);
}

static int put_name(struct index_copy *copy, const char *name, size_t name_len, struct error *err)
{
    struct store *store = copy->writer->store;
    unsigned ticket = epoch_enter(&store->epoch);
    struct value_copies values = {0};
    size_t kept = 0, at = 0;
    int result = 0;

    value_copies_take(&store->labels, name, name_len, &values);
    if (copy->value_cap < values.count) {
        copy->value_cap = values.count;
        copy->values = mem_realloc(copy->values, copy->value_cap * sizeof(*copy->values));
    }
    for (size_t i = 0; i < values.count && result == 0; at += values.lens[i++]) {
        const char *value = (const char *)values.texts.data + at;

        if (!put_pair(copy, values.pairs[i], name, name_len, value, values.lens[i]))
            continue;
        copy->values[kept++] = (struct codable_string){value, values.lens[i]};
        result = flush(copy, BATCH_BYTES, err);
    }
    qsort(copy->values, kept, sizeof(*copy->values), compare_strings);
    if (kept != 0)
        label_index_put_name(&copy->batch, name, name_len, copy->values, kept);
    value_copies_destroy(&values);
    epoch_leave(&store->epoch, ticket);
    return result;
}

static bool copy_name(void *ctx, const char *name, uint32_t name_len, uint32_t value_count)
{
    struct buf *names = ctx;
    uint8_t len[VARINT_MAX_BYTES];

    (void)value_count;
    buf_append(names, len, uvarint_put(len, name_len));
    buf_append(names, name, name_len);
    return true;
}

static int put_names(struct index_copy *copy, struct error *err)
{
    struct buf names = {0};
    const uint8_t *at, *end;
    int result = 0;

    label_table_walk_names(&copy->writer->store->labels, copy_name, &names);
    at = names.data;
    end = names.len != 0 ? names.data + names.len : names.data;
    while (at < end && result == 0) {
        uint64_t len = 0;

        at = uvarint_get(at, end, &len);
        result = put_name(copy, (const char *)at, len, err);
        at += len;
    }
    buf_destroy(&names);
    return result == 0 ? flush(copy, 1, err) : -1;
}

int snapshot_write_index(struct snapshot_writer *writer, struct error *err)
{
    struct index_copy copy = {.writer = writer, .set = roaring_bitmap_create()};
    struct error problem;
    int result;

    copy.index = label_index_open(writer->volume, err);
    result = copy.index != NULL ? put_names(&copy, err) : -1;
    if (copy.index != NULL && label_index_close(copy.index, result == 0 ? err : &problem) != 0)
        result = -1;
    label_index_batch_destroy(&copy.batch);
    roaring_bitmap_free(copy.set);
    mem_free(copy.values);
    return result;
}
