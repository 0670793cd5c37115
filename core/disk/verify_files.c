/* Series files: verify.h. */
#include <stdio.h>

#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/series_file.h"
#include "disk/verify_parts.h"

#define FOLDERS 256
/* Progress is told this often. */
#define PROGRESS_FILES 1000

struct file_walk {
    struct verify *verify;
    char folder[3];
    uint8_t *records; /* one batch */
    bool counting;    /* the first pass only counts */
    uint64_t total;
};

/* What a file turned out to hold. */
struct file_ends {
    uint64_t chunks;
    int64_t first_ms;
    int64_t last_ms;
};

static void check_record(struct verify *verify, const char *name, uint64_t index,
                         const uint8_t *bytes, struct file_ends *ends)
{
    struct series_record record = series_record_get(bytes);
    struct chunk_summary chunk;
    struct error problem;

    verify->summary->chunks++;
    if (chunk_check(record.encoding, bytes + SERIES_HEADER_BYTES, CHUNK_BYTES, &chunk, &problem) !=
        0) {
        verify_report(verify, VERIFY_DAMAGE, name, (int64_t)index, "%s", problem.text);
    } else {
        verify->summary->samples += chunk.samples;
        if (chunk.first_ms != record.first_ms || chunk.last_ms != record.last_ms)
            verify_report(verify, VERIFY_DAMAGE, name, (int64_t)index,
                          "its header says %" PRId64 " to %" PRId64 ", its samples %" PRId64
                          " to %" PRId64,
                          record.first_ms, record.last_ms, chunk.first_ms, chunk.last_ms);
    }
    if (index == 0)
        ends->first_ms = record.first_ms;
    else if (record.first_ms <= ends->last_ms)
        verify_report(verify, VERIFY_DAMAGE, name, (int64_t)index,
                      "it begins at %" PRId64 ", before the one in front of it ends",
                      record.first_ms);
    ends->last_ms = record.last_ms;
}

static int check_records(struct file_walk *walk, const char *name, uint64_t fp,
                         struct file_ends *ends, struct error *err)
{
    uint64_t index = 0;

    while (index < ends->chunks) {
        size_t n = (size_t)TIDE_MIN(ends->chunks - index, (uint64_t)SERIES_BATCH_RECORDS);
        size_t i;

        if (series_file_read(walk->verify->volume, fp, index, n, walk->records, err) != 0)
            return -1;
        for (i = 0; i < n; i++)
            check_record(walk->verify, name, index + i, walk->records + i * SERIES_RECORD_BYTES,
                         ends);
        index += n;
    }
    return 0;
}

/* The file against what heads.db or the archive says of it. */
static void compare(struct verify *verify, const char *name, struct verify_series *series,
                    const struct volume_stat *stat, const struct file_ends *ends)
{
    if (series == NULL) {
        verify_report(verify, VERIFY_DIFFER, name, -1,
                      "neither heads.db nor the archive knows the series");
        return;
    }
    series->seen = true;
    if (series->in_heads) {
        if (series->file_chunks >= 0 && (uint64_t)series->file_chunks != ends->chunks)
            verify_report(verify, VERIFY_DIFFER, name, -1,
                          "it has %" PRIu64 " chunks, heads.db says %" PRId64, ends->chunks,
                          series->file_chunks);
        else if (series->mtime_ns >= 0 && series->mtime_ns != stat->mtime_ns)
            verify->summary->files_touched++;
        return;
    }
    if (series->has_range && ends->chunks > 0 &&
        (series->first_ms != ends->first_ms || series->last_ms != ends->last_ms))
        verify_report(verify, VERIFY_DIFFER, name, -1,
                      "it holds %" PRId64 " to %" PRId64 ", the archive says %" PRId64
                      " to %" PRId64,
                      ends->first_ms, ends->last_ms, series->first_ms, series->last_ms);
}

static int check_file(struct file_walk *walk, const char *name, uint64_t fp,
                      const struct volume_stat *stat, struct error *err)
{
    struct verify *verify = walk->verify;
    struct file_ends ends = {.chunks = stat->size / SERIES_RECORD_BYTES};
    uint64_t done = ++verify->summary->series_files;

    if (stat->size % SERIES_RECORD_BYTES != 0)
        verify_report(verify, VERIFY_DAMAGE, name, -1,
                      "%" PRIu64 " bytes behind the last whole chunk",
                      stat->size % SERIES_RECORD_BYTES);
    if (ends.chunks == 0)
        verify_report(verify, VERIFY_DAMAGE, name, -1, "it holds no chunk");
    if (check_records(walk, name, fp, &ends, err) != 0)
        return -1;
    compare(verify, name, verify_find_series(verify, fp), stat, &ends);
    if (verify->options->progress != NULL && (done % PROGRESS_FILES == 0 || done == walk->total))
        verify->options->progress(verify->options->ctx, done, walk->total);
    return 0;
}

static int visit_entry(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct file_walk *walk = ctx;
    char name[VOLUME_NAME_MAX + 1];
    uint64_t fp;
    bool known = !entry->stat.is_folder && series_file_parse(walk->folder, entry->name, &fp);

    if (walk->counting) {
        walk->total += known;
        return 0;
    }
    snprintf(name, sizeof(name), "%s/%s", walk->folder, entry->name);
    if (known)
        return check_file(walk, name, fp, &entry->stat, err);
    verify_report(walk->verify, VERIFY_DIFFER, name, -1, "this is not the name of a series file");
    return 0;
}

static int walk_folders(struct file_walk *walk, struct error *err)
{
    int i;

    for (i = 0; i < FOLDERS; i++) {
        snprintf(walk->folder, sizeof(walk->folder), "%02x", (unsigned)i & 0xff);
        if (walk->verify->volume->list(walk->verify->volume, walk->folder, visit_entry, walk,
                                       err) != 0 &&
            err->code != ERR_NOT_FOUND)
            return -1;
    }
    return 0;
}

static void report_missing(struct verify *verify)
{
    char name[SERIES_FILE_NAME_BYTES];
    size_t i;

    for (i = 0; i < verify->series_count; i++) {
        const struct verify_series *series = &verify->series[i];

        if (series->seen || (series->in_heads && series->file_chunks <= 0))
            continue;
        series_file_name(name, series->fp);
        if (series->in_heads)
            verify_report(verify, VERIFY_DIFFER, name, -1,
                          "it is missing, and heads.db says it has %" PRId64 " chunks",
                          series->file_chunks);
        else
            verify_report(verify, VERIFY_DIFFER, name, -1,
                          "it is missing, and the archive has the series");
    }
}

int verify_series_files(struct verify *verify, struct error *err)
{
    struct file_walk walk = {.verify = verify, .counting = true};
    int status = walk_folders(&walk, err);

    if (status == 0) {
        walk.counting = false;
        walk.records = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
        status = walk_folders(&walk, err);
        mem_free(walk.records);
    }
    if (status == 0)
        report_missing(verify);
    return status;
}
