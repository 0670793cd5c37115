#include "disk/archive.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "disk/codable.h"
#include "disk/quarantine.h"

/* Block caches of the original (behaviour, section 21). */
#define METRICS_CACHE_BYTES ((size_t)10 << 20)
#define RANGES_CACHE_BYTES ((size_t)5 << 20)

struct archive {
    struct kv *metrics;
    struct kv *ranges;
};

/* --- opening ------------------------------------------------------------------------------------
 */

static const struct kv_options metrics_options = {.block_cache_bytes = METRICS_CACHE_BYTES};
static const struct kv_options ranges_options = {.block_cache_bytes = RANGES_CACHE_BYTES};

static struct kv *open_table(struct volume *volume, const char *name,
                             const struct kv_options *options, bool must_exist, bool salvage,
                             struct error *err)
{
    struct kv_options exact = *options;

    exact.must_exist = must_exist;
    exact.salvage = salvage;
    return volume->open_kv(volume, name, &exact, err);
}

/* May another try, with less than all of it, be better? */
static bool is_damage(const struct error *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND;
}

/* What of the metrics can be read; if nothing can, they are put aside. */
static struct kv *salvage_metrics(struct volume *volume, struct error *err)
{
    struct kv *kv = open_table(volume, ARCHIVE_METRICS, &metrics_options, false, true, err);
    struct error unused;

    if (kv != NULL || !is_damage(err))
        return kv;
    (void)volume->remove_folder(volume, QUARANTINE_FOLDER "/" ARCHIVE_METRICS, &unused);
    if (volume->move(volume, ARCHIVE_METRICS, QUARANTINE_FOLDER "/" ARCHIVE_METRICS, err) != 0)
        return NULL;
    return open_table(volume, ARCHIVE_METRICS, &metrics_options, false, false, err);
}

static struct kv *open_metrics(struct volume *volume, bool fresh, bool *damaged, struct error *err)
{
    struct kv *kv = open_table(volume, ARCHIVE_METRICS, &metrics_options, !fresh, false, err);

    if (kv != NULL || !is_damage(err))
        return kv;
    *damaged = true;
    return salvage_metrics(volume, err);
}

static struct kv *renew_ranges(struct volume *volume, struct error *err)
{
    if (volume->remove_folder(volume, ARCHIVE_RANGES, err) != 0)
        return NULL;
    return open_table(volume, ARCHIVE_RANGES, &ranges_options, false, false, err);
}

static struct kv *open_ranges(struct volume *volume, bool fresh, bool *damaged, struct error *err)
{
    struct kv *kv = open_table(volume, ARCHIVE_RANGES, &ranges_options, !fresh, false, err);

    if (kv != NULL || err->code == ERR_CONFLICT)
        return kv;
    *damaged = true;
    return renew_ranges(volume, err);
}

/* Takes both over; one that is NULL: so is the archive. */
static struct archive *archive_of(struct kv *metrics, struct kv *ranges)
{
    struct archive *archive = NULL;
    struct error unused;

    if (metrics != NULL && ranges != NULL) {
        archive = mem_zalloc(1, sizeof(*archive));
        archive->metrics = metrics;
        archive->ranges = ranges;
    } else if (metrics != NULL) {
        (void)metrics->close(metrics, &unused);
    }
    return archive;
}

static struct archive *open_both(struct volume *volume, bool fresh, bool *damaged,
                                 struct error *err)
{
    struct kv *metrics;

    *damaged = false;
    metrics = open_metrics(volume, fresh, damaged, err);
    return archive_of(metrics, metrics != NULL ? open_ranges(volume, fresh, damaged, err) : NULL);
}

struct archive *archive_open(struct volume *volume, bool *damaged, struct error *err)
{
    return open_both(volume, true, damaged, err);
}

struct archive *archive_open_existing(struct volume *volume, bool *damaged, struct error *err)
{
    return open_both(volume, false, damaged, err);
}

struct archive *archive_open_salvaged(struct volume *volume, struct error *err)
{
    struct kv *metrics = salvage_metrics(volume, err);

    return archive_of(metrics, metrics != NULL ? renew_ranges(volume, err) : NULL);
}

int archive_close(struct archive *archive, struct error *err)
{
    struct error second;
    int status = archive->metrics->close(archive->metrics, err);

    if (archive->ranges->close(archive->ranges, status == 0 ? err : &second) != 0)
        status = -1;
    mem_free(archive);
    return status;
}

/* --- asking -------------------------------------------------------------------------------------
 */

static int damaged_entry(const char *index, uint64_t fp, struct error *err)
{
    return error_set(err, ERR_CORRUPT, "%s: the entry of %016" PRIx64 " is damaged", index, fp);
}

static int get(struct kv *kv, uint64_t fp, struct buf *value, bool *found, struct error *err)
{
    uint8_t key[CODABLE_FINGERPRINT_BYTES];

    put_be64(key, fp);
    return kv->get(kv, key, sizeof(key), value, found, err);
}

int archive_metric(struct archive *archive, uint64_t fp, struct labels **labels, struct error *err)
{
    struct buf value = {0};
    bool found = false;
    int status = get(archive->metrics, fp, &value, &found, err);

    *labels = NULL;
    if (status == 0 && found &&
        codable_get_metric(value.data, value.data + value.len, labels) == NULL)
        status = damaged_entry(ARCHIVE_METRICS, fp, err);
    buf_destroy(&value);
    return status;
}

int archive_range(struct archive *archive, uint64_t fp, int64_t *first_ms, int64_t *last_ms,
                  bool *found, struct error *err)
{
    struct buf value = {0};
    int status = get(archive->ranges, fp, &value, found, err);

    if (status == 0 && *found &&
        codable_get_time_range(value.data, value.data + value.len, first_ms, last_ms) == NULL)
        status = damaged_entry(ARCHIVE_RANGES, fp, err);
    buf_destroy(&value);
    return status;
}

/* --- changing -----------------------------------------------------------------------------------
 */

static void put_range(struct archive_batch *batch, const uint8_t *key, int64_t first_ms,
                      int64_t last_ms)
{
    batch->scratch.len = 0;
    codable_put_time_range(&batch->scratch, first_ms, last_ms);
    kv_batch_put(&batch->ranges, key, CODABLE_FINGERPRINT_BYTES, batch->scratch.data,
                 batch->scratch.len);
}

void archive_put(struct archive_batch *batch, uint64_t fp, const struct labels *labels,
                 int64_t first_ms, int64_t last_ms)
{
    uint8_t key[CODABLE_FINGERPRINT_BYTES];

    put_be64(key, fp);
    batch->scratch.len = 0;
    codable_put_metric(&batch->scratch, labels);
    kv_batch_put(&batch->metrics, key, sizeof(key), batch->scratch.data, batch->scratch.len);
    put_range(batch, key, first_ms, last_ms);
    batch->count++;
}

void archive_put_range(struct archive_batch *batch, uint64_t fp, int64_t first_ms, int64_t last_ms)
{
    uint8_t key[CODABLE_FINGERPRINT_BYTES];

    put_be64(key, fp);
    put_range(batch, key, first_ms, last_ms);
    batch->count++;
}

void archive_delete(struct archive_batch *batch, uint64_t fp)
{
    uint8_t key[CODABLE_FINGERPRINT_BYTES];

    put_be64(key, fp);
    kv_batch_delete(&batch->metrics, key, sizeof(key));
    kv_batch_delete(&batch->ranges, key, sizeof(key));
    batch->count++;
}

void archive_delete_range(struct archive_batch *batch, uint64_t fp)
{
    uint8_t key[CODABLE_FINGERPRINT_BYTES];

    put_be64(key, fp);
    kv_batch_delete(&batch->ranges, key, sizeof(key));
    batch->count++;
}

void archive_batch_destroy(struct archive_batch *batch)
{
    kv_batch_destroy(&batch->metrics);
    kv_batch_destroy(&batch->ranges);
    buf_destroy(&batch->scratch);
    batch->count = 0;
}

int archive_write(struct archive *archive, struct archive_batch *batch, bool sync,
                  struct error *err)
{
    struct kv *metrics = archive->metrics, *ranges = archive->ranges;

    if (batch->metrics.count > 0 && metrics->write(metrics, &batch->metrics, sync, err) != 0)
        return -1;
    if (batch->ranges.count > 0 && ranges->write(ranges, &batch->ranges, sync, err) != 0)
        return -1;
    kv_batch_reset(&batch->metrics);
    kv_batch_reset(&batch->ranges);
    batch->count = 0;
    return 0;
}

/* --- scanning -----------------------------------------------------------------------------------
 */

static int visit_damaged(const struct archive_visitor *visitor, const char *index, uint64_t fp,
                         struct error *err)
{
    if (damaged_entry(index, fp, err), visitor->damaged == NULL)
        return -1;
    return visitor->damaged(visitor->ctx, fp, err->text, err);
}

static int visit_metric(void *ctx, const void *key, size_t key_len, const void *value,
                        size_t value_len, struct error *err)
{
    const struct archive_visitor *visitor = ctx;
    const uint8_t *v = value;
    struct labels *labels;
    uint64_t fp;
    int status;

    if (key_len != CODABLE_FINGERPRINT_BYTES)
        return visit_damaged(visitor, ARCHIVE_METRICS, 0, err);
    fp = get_be64(key);
    if (codable_get_metric(v, v + value_len, &labels) == NULL)
        return visit_damaged(visitor, ARCHIVE_METRICS, fp, err);
    status = visitor->metric(visitor->ctx, fp, labels, err);
    labels_unref(labels);
    return status;
}

static int visit_range(void *ctx, const void *key, size_t key_len, const void *value,
                       size_t value_len, struct error *err)
{
    const struct archive_visitor *visitor = ctx;
    const uint8_t *v = value;
    int64_t first_ms, last_ms;
    uint64_t fp;

    if (key_len != CODABLE_FINGERPRINT_BYTES)
        return visit_damaged(visitor, ARCHIVE_RANGES, 0, err);
    fp = get_be64(key);
    if (codable_get_time_range(v, v + value_len, &first_ms, &last_ms) == NULL)
        return visit_damaged(visitor, ARCHIVE_RANGES, fp, err);
    return visitor->range(visitor->ctx, fp, first_ms, last_ms, err);
}

static int scan(struct kv *kv, uint64_t from, uint64_t to,
                int (*visit)(void *ctx, const void *key, size_t key_len, const void *value,
                             size_t value_len, struct error *err),
                const struct archive_visitor *visitor, struct error *err)
{
    uint8_t first[CODABLE_FINGERPRINT_BYTES], behind[CODABLE_FINGERPRINT_BYTES];
    bool to_end = to == UINT64_MAX;

    put_be64(first, from);
    put_be64(behind, to_end ? 0 : to + 1);
    /* Keys that are no fingerprints may stand anywhere: a whole scan begins at the very first. */
    return kv->scan(kv, from == 0 ? NULL : first, sizeof(first), to_end ? NULL : behind,
                    sizeof(behind), visit, (void *)(uintptr_t)visitor, err);
}

int archive_scan_metrics(struct archive *archive, uint64_t from, uint64_t to,
                         const struct archive_visitor *visitor, struct error *err)
{
    return scan(archive->metrics, from, to, visit_metric, visitor, err);
}

int archive_scan_ranges(struct archive *archive, uint64_t from, uint64_t to,
                        const struct archive_visitor *visitor, struct error *err)
{
    return scan(archive->ranges, from, to, visit_range, visitor, err);
}
