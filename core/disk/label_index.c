#include "disk/label_index.h"

#include <stdlib.h>

#include "base/mem.h"

/* Block caches of the original (behaviour, section 21). */
#define NAMES_CACHE_BYTES ((size_t)10 << 20)
#define PAIRS_CACHE_BYTES ((size_t)20 << 20)
/* Of each table, twice while one is being written out; batches come in 512 KiB. */
#define WRITE_BUFFER_BYTES ((size_t)2 << 20)

struct label_index {
    struct kv *pairs;
    struct kv *names;
};

static int close_kv(struct kv *kv, struct error *err)
{
    return kv == NULL ? 0 : kv->close(kv, err);
}

static struct kv *open_table(struct volume *volume, const char *name, size_t cache_bytes,
                             bool must_exist, bool salvage, struct error *err)
{
    struct kv_options options = {.block_cache_bytes = cache_bytes,
                                 .write_buffer_bytes = WRITE_BUFFER_BYTES,
                                 .must_exist = must_exist,
                                 .salvage = salvage};

    return volume->open_kv(volume, name, &options, err);
}

static struct label_index *open_both(struct volume *volume, bool must_exist, bool salvage,
                                     struct error *err)
{
    struct label_index *index = mem_zalloc(1, sizeof(*index));
    struct error unused;

    index->names =
        open_table(volume, LABEL_INDEX_NAMES, NAMES_CACHE_BYTES, must_exist, salvage, err);
    if (index->names != NULL)
        index->pairs =
            open_table(volume, LABEL_INDEX_PAIRS, PAIRS_CACHE_BYTES, must_exist, salvage, err);
    if (index->pairs != NULL)
        return index;
    (void)close_kv(index->names, &unused);
    mem_free(index);
    return NULL;
}

struct label_index *label_index_open(struct volume *volume, struct error *err)
{
    return open_both(volume, false, false, err);
}

struct label_index *label_index_open_existing(struct volume *volume, bool salvage,
                                              struct error *err)
{
    /* Salvage reads what is left of a table, whether or not it looks like one. */
    return open_both(volume, !salvage, salvage, err);
}

int label_index_close(struct label_index *index, struct error *err)
{
    struct error second;
    int status = close_kv(index->pairs, err);

    if (close_kv(index->names, status == 0 ? err : &second) != 0)
        status = -1;
    mem_free(index);
    return status;
}

int label_index_remove(struct volume *volume, struct error *err)
{
    if (volume->remove_folder(volume, LABEL_INDEX_NAMES, err) != 0)
        return -1;
    return volume->remove_folder(volume, LABEL_INDEX_PAIRS, err);
}

/* --- writing ------------------------------------------------------------------------------------
 */

void label_index_put_pair(struct label_index_batch *batch, const char *name, size_t name_len,
                          const char *value, size_t value_len, const uint64_t *fps, size_t count)
{
    batch->key.len = 0;
    batch->value.len = 0;
    codable_put_label_pair(&batch->key, name, name_len, value, value_len);
    if (count == 0) {
        kv_batch_delete(&batch->pairs, batch->key.data, batch->key.len);
        return;
    }
    codable_put_fingerprints(&batch->value, fps, count);
    kv_batch_put(&batch->pairs, batch->key.data, batch->key.len, batch->value.data,
                 batch->value.len);
}

void label_index_put_name(struct label_index_batch *batch, const char *name, size_t name_len,
                          const struct codable_string *values, size_t count)
{
    batch->key.len = 0;
    batch->value.len = 0;
    codable_put_string(&batch->key, name, name_len);
    if (count == 0) {
        kv_batch_delete(&batch->names, batch->key.data, batch->key.len);
        return;
    }
    codable_put_label_values(&batch->value, values, count);
    kv_batch_put(&batch->names, batch->key.data, batch->key.len, batch->value.data,
                 batch->value.len);
}

size_t label_index_batch_bytes(const struct label_index_batch *batch)
{
    return batch->pairs.bytes.len + batch->names.bytes.len;
}

void label_index_batch_destroy(struct label_index_batch *batch)
{
    kv_batch_destroy(&batch->pairs);
    kv_batch_destroy(&batch->names);
    buf_destroy(&batch->key);
    buf_destroy(&batch->value);
}

int label_index_write(struct label_index *index, struct label_index_batch *batch, bool sync,
                      struct error *err)
{
    if (batch->pairs.count > 0 && index->pairs->write(index->pairs, &batch->pairs, sync, err) != 0)
        return -1;
    if (batch->names.count > 0 && index->names->write(index->names, &batch->names, sync, err) != 0)
        return -1;
    kv_batch_reset(&batch->pairs);
    kv_batch_reset(&batch->names);
    return 0;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static int compare_fps(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

int label_index_pair(struct label_index *index, const char *name, size_t name_len,
                     const char *value, size_t value_len, uint64_t **fps, size_t *count,
                     struct error *err)
{
    struct buf key = {0}, bytes = {0};
    bool found = false;
    int status;

    *fps = NULL;
    *count = 0;
    codable_put_label_pair(&key, name, name_len, value, value_len);
    status = index->pairs->get(index->pairs, key.data, key.len, &bytes, &found, err);
    if (status == 0 && found) {
        if (codable_get_fingerprints(bytes.data, bytes.data + bytes.len, fps, count) == NULL)
            status = error_set(err, ERR_CORRUPT, LABEL_INDEX_PAIRS ": damaged set of %.*s",
                               (int)TIDE_MIN(name_len, (size_t)200), name);
        else
            qsort(*fps, *count, sizeof(**fps), compare_fps);
    }
    buf_destroy(&key);
    buf_destroy(&bytes);
    return status;
}

struct pair_scan {
    int (*visit)(void *ctx, struct codable_string name, struct codable_string value,
                 const uint64_t *fps, size_t count, struct error *err);
    void *ctx;
    uint64_t damaged;
};

static int scan_pair(void *ctx, const void *key, size_t key_len, const void *value,
                     size_t value_len, struct error *err)
{
    struct pair_scan *scan = ctx;
    const uint8_t *k = key, *v = value;
    struct codable_string name, text;
    uint64_t *fps = NULL;
    size_t count;
    int status;

    if (codable_get_label_pair(k, k + key_len, &name, &text) == NULL ||
        codable_get_fingerprints(v, v + value_len, &fps, &count) == NULL) {
        scan->damaged++; /* the others are worth reading */
        return 0;
    }
    status = scan->visit(scan->ctx, name, text, fps, count, err);
    mem_free(fps);
    return status;
}

int label_index_scan_pairs(struct label_index *index,
                           int (*visit)(void *ctx, struct codable_string name,
                                        struct codable_string value, const uint64_t *fps,
                                        size_t count, struct error *err),
                           void *ctx, struct error *err)
{
    struct pair_scan scan = {visit, ctx, 0};

    if (index->pairs->scan(index->pairs, NULL, 0, NULL, 0, scan_pair, &scan, err) != 0)
        return -1;
    if (scan.damaged == 0)
        return 0;
    return error_set(err, ERR_CORRUPT, LABEL_INDEX_PAIRS ": %" PRIu64 " damaged entries",
                     scan.damaged);
}

struct name_scan {
    int (*visit)(void *ctx, struct codable_string name, const struct codable_string *values,
                 size_t count, struct error *err);
    void *ctx;
};

static int scan_name(void *ctx, const void *key, size_t key_len, const void *value,
                     size_t value_len, struct error *err)
{
    const struct name_scan *scan = ctx;
    const uint8_t *k = key, *v = value;
    struct codable_string name, *values = NULL;
    size_t count;
    int status;

    if (codable_get_string(k, k + key_len, &name) == NULL ||
        codable_get_label_values(v, v + value_len, &values, &count) == NULL)
        return error_set(err, ERR_CORRUPT, LABEL_INDEX_NAMES ": damaged entry");
    status = scan->visit(scan->ctx, name, values, count, err);
    mem_free(values);
    return status;
}

int label_index_scan_names(struct label_index *index,
                           int (*visit)(void *ctx, struct codable_string name,
                                        const struct codable_string *values, size_t count,
                                        struct error *err),
                           void *ctx, struct error *err)
{
    struct name_scan scan = {visit, ctx};

    return index->names->scan(index->names, NULL, 0, NULL, 0, scan_name, &scan, err);
}
