#include "disk/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/heads.h"
#include "disk/verify_parts.h"
#include "disk/version.h"
#include "model/fingerprint.h"

/* --- what all parts use -------------------------------------------------------------------------
 */

void verify_report(struct verify *verify, enum verify_kind kind, const char *file, int64_t chunk,
                   const char *format, ...)
{
    struct verify_finding finding = {.kind = kind, .file = file, .chunk = chunk};
    char text[sizeof(((struct error *)0)->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* Texts of errors begin with the file that the finding names anyway. */
    finding.text = text;
    if (strncmp(text, file, strlen(file)) == 0 && strncmp(text + strlen(file), ": ", 2) == 0)
        finding.text += strlen(file) + 2;
    if (kind == VERIFY_DAMAGE)
        verify->summary->damages++;
    else
        verify->summary->differences++;
    verify->options->finding(verify->options->ctx, &finding);
}

uint64_t verify_entry_hash(const char *name, size_t name_len, const char *value, size_t value_len,
                           uint64_t fp)
{
    struct label label = {name, value, (uint32_t)name_len, (uint32_t)value_len};
    uint64_t hash = (fingerprint_of_list(&label, 1) ^ fp) + 0x9e3779b97f4a7c15;

    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
    return hash ^ (hash >> 31) ^ fp;
}

static void add_entry(struct verify *verify, uint64_t hash)
{
    if (verify->entry_count == verify->entry_cap) {
        verify->entry_cap = verify->entry_cap == 0 ? 1024 : verify->entry_cap * 2;
        verify->entries =
            mem_realloc(verify->entries, verify->entry_cap * sizeof(*verify->entries));
    }
    verify->entries[verify->entry_count++] = hash;
}

/* A fingerprint is that of its metric, or one that mappings.db gave to this metric. */
static void check_fingerprint(struct verify *verify, const char *file, uint64_t fp,
                              const struct labels *labels)
{
    uint64_t raw = fingerprint_of(labels), mapped = 0;
    struct buf unique = {0};
    bool known;

    if (raw == fp && raw > FINGERPRINT_MAX_MAPPED)
        return;
    fingerprint_unique_string(&unique, labels);
    known = mappings_find(&verify->mappings, raw, unique.data, unique.len, &mapped);
    buf_destroy(&unique);
    if (known && mapped == fp)
        return;
    verify_report(verify, fp > FINGERPRINT_MAX_MAPPED ? VERIFY_DAMAGE : VERIFY_DIFFER, file, -1,
                  "series %016" PRIx64 " has a metric with the raw fingerprint %016" PRIx64
                  ", and " MAPPINGS_FILE " does not say so",
                  fp, raw);
}

struct verify_series *verify_add_series(struct verify *verify, const char *file, uint64_t fp,
                                        const struct labels *labels)
{
    struct verify_series *series;
    size_t i;

    if (verify->series_count == verify->series_cap) {
        verify->series_cap = verify->series_cap == 0 ? 256 : verify->series_cap * 2;
        verify->series = mem_realloc(verify->series, verify->series_cap * sizeof(*verify->series));
    }
    check_fingerprint(verify, file, fp, labels);
    for (i = 0; i < labels_count(labels); i++) {
        struct label label = labels_at(labels, i);

        add_entry(verify,
                  verify_entry_hash(label.name, label.name_len, label.value, label.value_len, fp));
    }
    series = &verify->series[verify->series_count++];
    *series = (struct verify_series){.fp = fp, .file_chunks = -1, .mtime_ns = -1};
    return series;
}

static int compare_series(const void *left, const void *right)
{
    const struct verify_series *a = left, *b = right;

    return (a->fp > b->fp) - (a->fp < b->fp);
}

static int compare_entries(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

struct verify_series *verify_find_series(struct verify *verify, uint64_t fp)
{
    struct verify_series key = {.fp = fp};

    if (verify->series_count == 0)
        return NULL;
    return bsearch(&key, verify->series, verify->series_count, sizeof(key), compare_series);
}

/* Sorts the tables; a series that two places know becomes one. */
static void sort_tables(struct verify *verify)
{
    size_t i, kept = 0;

    if (verify->series_count > 0)
        qsort(verify->series, verify->series_count, sizeof(*verify->series), compare_series);
    for (i = 0; i < verify->series_count; i++) {
        struct verify_series *here = &verify->series[i];
        struct verify_series *before = kept > 0 ? &verify->series[kept - 1] : NULL;

        if (before == NULL || before->fp != here->fp) {
            verify->series[kept++] = *here;
            continue;
        }
        if (before->in_heads && here->in_heads) {
            verify_report(verify, VERIFY_DAMAGE, HEADS_FILE, -1,
                          "series %016" PRIx64 " is there twice", here->fp);
            continue;
        }
        verify_report(verify, VERIFY_DIFFER, HEADS_FILE, -1,
                      "series %016" PRIx64 " is in memory and archived", here->fp);
        if (here->in_heads)
            *before = *here;
        before->archived = true;
    }
    verify->series_count = kept;
    if (verify->entry_count > 0)
        qsort(verify->entries, verify->entry_count, sizeof(*verify->entries), compare_entries);
    for (i = 0, kept = 0; i < verify->entry_count; i++)
        if (kept == 0 || verify->entries[kept - 1] != verify->entries[i])
            verify->entries[kept++] = verify->entries[i];
    verify->entry_count = kept;
}

/* --- heads.db -----------------------------------------------------------------------------------
 */

static void check_heads_chunk(struct verify *verify, const struct heads_series *series, size_t i,
                              int64_t last_ms)
{
    const struct heads_chunk *chunk = &series->chunks[i];
    struct chunk_summary samples;
    struct error problem;

    if (i > 0 && chunk->first_ms <= last_ms)
        verify_report(verify, VERIFY_DAMAGE, HEADS_FILE, -1,
                      "series %016" PRIx64 ": chunk %zu begins before the one in front of it ends",
                      series->fp, i);
    if (chunk->payload == NULL)
        return;
    verify->summary->chunks++;
    if (chunk_check(chunk->encoding, chunk->payload, CHUNK_BYTES, &samples, &problem) == 0)
        verify->summary->samples += samples.samples;
    else
        verify_report(verify, VERIFY_DAMAGE, HEADS_FILE, -1, "series %016" PRIx64 ": chunk %zu: %s",
                      series->fp, i, problem.text);
}

static int visit_head(void *ctx, const struct heads_series *heads, struct error *err)
{
    struct verify *verify = ctx;
    struct verify_series *series = verify_add_series(verify, HEADS_FILE, heads->fp, heads->labels);
    size_t i;

    (void)err;
    verify->summary->series_in_heads++;
    series->in_heads = true;
    series->mtime_ns = heads->mtime_ns;
    if (heads->offset != HEADS_OFFSET_UNKNOWN)
        series->file_chunks = heads->offset + heads->watermark;
    for (i = 0; i < heads->count; i++)
        check_heads_chunk(verify, heads, i, i > 0 ? heads->chunks[i - 1].last_ms : 0);
    return 0;
}

static int check_heads(struct verify *verify, struct error *err)
{
    struct heads_visitor visitor = {.ctx = verify, .series = visit_head};
    struct heads_result result;

    if (heads_read(verify->volume, HEADS_FILE, HEADS_SALVAGE, &visitor, &result, err) != 0) {
        if (err->code == ERR_CORRUPT)
            verify_report(verify, VERIFY_DAMAGE, HEADS_FILE, -1, "%s", err->text);
        return err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND ? 0 : -1;
    }
    if (result.damages > 0)
        verify_report(verify, VERIFY_DAMAGE, HEADS_FILE, -1,
                      "%" PRIu64 " damaged places, %" PRIu64 " of %" PRIu64
                      " series readable, the first: %s",
                      result.damages, result.series_read, result.series_total, result.problem.text);
    return 0;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static int check_mappings(struct verify *verify, struct error *err)
{
    if (mappings_read(verify->volume, &verify->mappings, err) != 0) {
        if (err->code != ERR_CORRUPT)
            return -1;
        verify_report(verify, VERIFY_DAMAGE, MAPPINGS_FILE, -1, "%s", err->text);
    }
    verify->summary->mappings = verify->mappings.count;
    if (verify->mappings.highest > FINGERPRINT_MAX_MAPPED)
        verify_report(verify, VERIFY_DAMAGE, MAPPINGS_FILE, -1,
                      "the number %" PRIu64 " is above 2^20", verify->mappings.highest);
    return 0;
}

int verify_volume(struct volume *volume, const struct verify_options *options,
                  struct verify_summary *summary, struct error *err)
{
    struct verify verify = {.volume = volume, .options = options, .summary = summary};
    int status;

    *summary = (struct verify_summary){0};
    if (version_check(volume, false, NULL, err) != 0)
        return -1;
    status = check_mappings(&verify, err);
    if (status == 0)
        status = check_heads(&verify, err);
    if (status == 0)
        status = verify_archive_metrics(&verify, err);
    sort_tables(&verify);
    if (status == 0)
        status = verify_archive_ranges(&verify, err);
    if (status == 0)
        status = verify_series_files(&verify, err);
    if (status == 0)
        status = verify_label_index(&verify, err);
    if (status == 0)
        status = verify_wal(&verify, err);
    if (status == 0)
        status = verify_use(&verify, err);
    mappings_destroy(&verify.mappings);
    mem_free(verify.series);
    mem_free(verify.entries);
    return status;
}
