/* The four indexes, read from copies: verify.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "disk/archive.h"
#include "disk/codable.h"
#include "disk/label_index.h"
#include "disk/verify_parts.h"

#define COPY_BYTES ((size_t)1 << 20)

/* --- copies -------------------------------------------------------------------------------------
 */

struct copy {
    struct verify *verify;
    const char *folder;
    uint8_t *bytes;
};

static int copy_bytes(struct copy *copy, struct volume_writer *writer, const char *name,
                      struct error *err)
{
    struct volume *volume = copy->verify->volume;
    uint64_t offset = 0;
    size_t got;

    do {
        if (volume->read(volume, name, offset, copy->bytes, COPY_BYTES, &got, err) != 0 ||
            (got > 0 && writer->write(writer, copy->bytes, got, err) != 0))
            return -1;
        offset += got;
    } while (got == COPY_BYTES);
    return writer->finish(writer, false, err);
}

static int copy_file(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct copy *copy = ctx;
    struct volume *scratch = copy->verify->options->scratch;
    struct volume_writer *writer;
    char name[VOLUME_NAME_MAX + 1];

    if (entry->stat.is_folder || strcmp(entry->name, "LOCK") == 0)
        return 0;
    snprintf(name, sizeof(name), "%s/%s", copy->folder, entry->name);
    writer = scratch->replace(scratch, name, err);
    if (writer == NULL)
        return -1;
    if (copy_bytes(copy, writer, name, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, false, NULL, err);
}

/* Opens a copy of an index. *kv is NULL when there is none, or none that can be read (reported). */
static int open_copy(struct verify *verify, const char *folder, struct kv **kv, struct error *err)
{
    static const struct kv_options options = {.must_exist = true};
    struct volume *volume = verify->volume, *scratch = verify->options->scratch;
    struct copy copy = {verify, folder, mem_alloc(COPY_BYTES)};
    int status = volume->list(volume, folder, copy_file, &copy, err);

    *kv = NULL;
    mem_free(copy.bytes);
    if (status == 0) {
        *kv = scratch->open_kv(scratch, folder, &options, err);
        status = *kv == NULL ? -1 : 0;
    }
    if (status == 0)
        return 0;
    if (err->code == ERR_NOT_FOUND && verify->series_count > 0)
        verify_report(verify, VERIFY_DAMAGE, folder, -1, "the index is missing");
    else if (err->code == ERR_CORRUPT)
        verify_report(verify, VERIFY_DAMAGE, folder, -1, "%s", err->text);
    return err->code == ERR_NOT_FOUND || err->code == ERR_CORRUPT ? 0 : -1;
}

static int close_copy(struct verify *verify, const char *folder, struct kv *kv, struct error *err)
{
    struct volume *scratch = verify->options->scratch;
    struct error second;
    int status = kv == NULL ? 0 : kv->close(kv, err);

    if (scratch->remove_folder(scratch, folder, status == 0 ? err : &second) != 0)
        status = -1;
    return status;
}

/* Scans a copy of an index; damage that the table itself has is reported. */
static int scan_copy(struct verify *verify, const char *folder,
                     int (*visit)(void *ctx, const void *key, size_t key_len, const void *value,
                                  size_t value_len, struct error *err),
                     struct error *err)
{
    struct error second;
    struct kv *kv;
    int status = open_copy(verify, folder, &kv, err);

    if (kv != NULL) {
        status = kv->scan(kv, NULL, 0, NULL, 0, visit, verify, err);
        if (status != 0 && err->code == ERR_CORRUPT) {
            verify_report(verify, VERIFY_DAMAGE, folder, -1, "%s", err->text);
            status = 0;
        }
    }
    if (close_copy(verify, folder, kv, status == 0 ? err : &second) != 0)
        status = -1;
    return status;
}

/* --- archive ------------------------------------------------------------------------------------
 */

static int visit_metric(void *ctx, const void *key, size_t key_len, const void *value,
                        size_t value_len, struct error *err)
{
    struct verify *verify = ctx;
    const uint8_t *bytes = value;
    struct labels *labels = NULL;

    (void)err;
    if (key_len != CODABLE_FINGERPRINT_BYTES ||
        codable_get_metric(bytes, bytes + value_len, &labels) != bytes + value_len) {
        verify_report(verify, VERIFY_DAMAGE, ARCHIVE_METRICS, -1, "an entry cannot be read");
    } else {
        verify->summary->series_archived++;
        verify_add_series(verify, ARCHIVE_METRICS, get_be64(key), labels)->archived = true;
    }
    labels_unref(labels);
    return 0;
}

int verify_archive_metrics(struct verify *verify, struct error *err)
{
    return scan_copy(verify, ARCHIVE_METRICS, visit_metric, err);
}

static int visit_range(void *ctx, const void *key, size_t key_len, const void *value,
                       size_t value_len, struct error *err)
{
    struct verify *verify = ctx;
    const uint8_t *bytes = value;
    struct verify_series *series;
    int64_t first_ms, last_ms;
    uint64_t fp;

    (void)err;
    if (key_len != CODABLE_FINGERPRINT_BYTES ||
        codable_get_time_range(bytes, bytes + value_len, &first_ms, &last_ms) !=
            bytes + value_len) {
        verify_report(verify, VERIFY_DAMAGE, ARCHIVE_RANGES, -1, "an entry cannot be read");
        return 0;
    }
    fp = get_be64(key);
    series = verify_find_series(verify, fp);
    if (series == NULL || !series->archived) {
        verify_report(verify, VERIFY_DIFFER, ARCHIVE_RANGES, -1,
                      "%016" PRIx64 " has a time range but no metric", fp);
        return 0;
    }
    series->has_range = true;
    series->first_ms = first_ms;
    series->last_ms = last_ms;
    return 0;
}

int verify_archive_ranges(struct verify *verify, struct error *err)
{
    size_t i;

    if (scan_copy(verify, ARCHIVE_RANGES, visit_range, err) != 0)
        return -1;
    for (i = 0; i < verify->series_count; i++)
        if (verify->series[i].archived && !verify->series[i].has_range)
            verify_report(verify, VERIFY_DIFFER, ARCHIVE_RANGES, -1,
                          "archived series %016" PRIx64 " has no time range", verify->series[i].fp);
    return 0;
}

/* --- label indexes ------------------------------------------------------------------------------
 */

/* The label indexes while they are compared with the series. */
struct label_check {
    uint64_t *names; /* hashes of (name, value) with a set; sorted before names are compared */
    size_t name_count;
    size_t name_cap;
    uint64_t found; /* entries that belong there */
    uint64_t dangling;
    uint64_t values_found;
    uint64_t values_dangling;
};

/* The scan's context is the verify: what this part adds hangs on it here. */
struct label_verify {
    struct verify verify; /* a copy: tables are shared, nothing is added */
    struct label_check check;
};

static struct label_check *check_of(struct verify *verify)
{
    return &((struct label_verify *)(void *)verify)->check;
}

static int compare_hashes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static bool has_hash(const uint64_t *hashes, size_t count, uint64_t hash)
{
    return count > 0 && bsearch(&hash, hashes, count, sizeof(hash), compare_hashes) != NULL;
}

static void add_name(struct label_check *check, uint64_t hash)
{
    if (check->name_count == check->name_cap) {
        check->name_cap = check->name_cap == 0 ? 256 : check->name_cap * 2;
        check->names = mem_realloc(check->names, check->name_cap * sizeof(*check->names));
    }
    check->names[check->name_count++] = hash;
}

static int visit_pair(void *ctx, const void *key, size_t key_len, const void *value,
                      size_t value_len, struct error *err)
{
    struct verify *verify = ctx;
    struct label_check *check = check_of(verify);
    const uint8_t *k = key, *v = value;
    struct codable_string name, text;
    uint64_t *fps = NULL;
    size_t count, i;

    (void)err;
    if (codable_get_label_pair(k, k + key_len, &name, &text) != k + key_len ||
        codable_get_fingerprints(v, v + value_len, &fps, &count) != v + value_len) {
        verify_report(verify, VERIFY_DAMAGE, LABEL_INDEX_PAIRS, -1, "an entry cannot be read");
        mem_free(fps);
        return 0;
    }
    add_name(check, verify_entry_hash(name.bytes, name.len, text.bytes, text.len, 0));
    for (i = 0; i < count; i++) {
        uint64_t hash = verify_entry_hash(name.bytes, name.len, text.bytes, text.len, fps[i]);

        if (has_hash(verify->entries, verify->entry_count, hash))
            check->found++;
        else
            check->dangling++;
    }
    mem_free(fps);
    return 0;
}

static int visit_name(void *ctx, const void *key, size_t key_len, const void *value,
                      size_t value_len, struct error *err)
{
    struct verify *verify = ctx;
    struct label_check *check = check_of(verify);
    const uint8_t *k = key, *v = value;
    struct codable_string name, *values = NULL;
    size_t count, i;

    (void)err;
    if (codable_get_string(k, k + key_len, &name) != k + key_len ||
        codable_get_label_values(v, v + value_len, &values, &count) != v + value_len) {
        verify_report(verify, VERIFY_DAMAGE, LABEL_INDEX_NAMES, -1, "an entry cannot be read");
        mem_free(values);
        return 0;
    }
    for (i = 0; i < count; i++) {
        uint64_t hash = verify_entry_hash(name.bytes, name.len, values[i].bytes, values[i].len, 0);

        if (has_hash(check->names, check->name_count, hash))
            check->values_found++;
        else
            check->values_dangling++;
    }
    mem_free(values);
    return 0;
}

static void report_labels(struct verify *verify, const struct label_check *check)
{
    uint64_t missing = verify->entry_count - check->found;
    uint64_t values_missing = check->name_count - check->values_found;

    if (missing > 0 || check->dangling > 0)
        verify_report(verify, VERIFY_DIFFER, LABEL_INDEX_PAIRS, -1,
                      "%" PRIu64 " labels of series are missing, %" PRIu64 " are of no series",
                      missing, check->dangling);
    if (values_missing > 0 || check->values_dangling > 0)
        verify_report(verify, VERIFY_DIFFER, LABEL_INDEX_NAMES, -1,
                      "%" PRIu64 " values are missing, %" PRIu64 " belong to no label pair",
                      values_missing, check->values_dangling);
}

int verify_label_index(struct verify *verify, struct error *err)
{
    struct label_verify labels = {.verify = *verify};
    int status = scan_copy(&labels.verify, LABEL_INDEX_PAIRS, visit_pair, err);

    if (labels.check.name_count > 0)
        qsort(labels.check.names, labels.check.name_count, sizeof(uint64_t), compare_hashes);
    if (status == 0)
        status = scan_copy(&labels.verify, LABEL_INDEX_NAMES, visit_name, err);
    if (status == 0)
        report_labels(verify, &labels.check);
    mem_free(labels.check.names);
    return status;
}
