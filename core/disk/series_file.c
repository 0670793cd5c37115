#include "disk/series_file.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "model/fingerprint.h"

/* Headers are read together with what is between them: a read of whole pages costs less than a
 * read per header. */
#define LOAD_RECORDS 248

/* --- names and records --------------------------------------------------------------------------
 */

void series_file_name(char name[SERIES_FILE_NAME_BYTES], uint64_t fp)
{
    char hex[FINGERPRINT_HEX_BYTES + 1];

    fingerprint_format(hex, fp);
    snprintf(name, SERIES_FILE_NAME_BYTES, "%.2s/%.14s.db", hex, hex + 2);
}

bool series_file_parse(const char *folder, const char *name, uint64_t *fp)
{
    char again[SERIES_FILE_NAME_BYTES];
    char hex[FINGERPRINT_HEX_BYTES + 1];
    uint64_t parsed;

    if (strlen(folder) != 2 || strlen(name) != 17 || strcmp(name + 14, ".db") != 0)
        return false;
    memcpy(hex, folder, 2);
    memcpy(hex + 2, name, 14);
    if (!fingerprint_parse(hex, FINGERPRINT_HEX_BYTES, &parsed))
        return false;
    series_file_name(again, parsed);
    if (memcmp(again, folder, 2) != 0 || strcmp(again + 3, name) != 0)
        return false;
    *fp = parsed;
    return true;
}

struct series_record series_record_get(const uint8_t *record)
{
    return (struct series_record){.encoding = record[0],
                                  .first_ms = (int64_t)get_le64(record + 1),
                                  .last_ms = (int64_t)get_le64(record + 9)};
}

void series_record_put(uint8_t *out, const struct series_chunk *chunk)
{
    out[0] = chunk->encoding;
    put_le64(out + 1, (uint64_t)chunk->first_ms);
    put_le64(out + 9, (uint64_t)chunk->last_ms);
}

static void stat_fill(struct series_file_stat *stat, const struct volume_stat *file)
{
    stat->chunks = file->size / SERIES_RECORD_BYTES;
    stat->rest_bytes = (uint32_t)(file->size % SERIES_RECORD_BYTES);
    stat->mtime_ns = file->mtime_ns;
}

static int stat_name(struct volume *volume, const char *name, struct series_file_stat *stat,
                     struct error *err)
{
    struct volume_stat file;

    *stat = (struct series_file_stat){.mtime_ns = SERIES_MTIME_NONE};
    if (volume->stat(volume, name, &file, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    if (!file.is_folder)
        stat_fill(stat, &file);
    return 0;
}

int series_file_stat(struct volume *volume, uint64_t fp, struct series_file_stat *stat,
                     struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];

    series_file_name(name, fp);
    return stat_name(volume, name, stat, err);
}

static int torn(const char *name, uint32_t rest_bytes, struct error *err)
{
    return error_set(err, ERR_CORRUPT, "%s: its size is no multiple of %d (%u bytes too many)",
                     name, SERIES_RECORD_BYTES, rest_bytes);
}

/* --- append -------------------------------------------------------------------------------------
 */

/* One write of at most SERIES_BATCH_RECORDS. */
static int append_batch(struct volume *volume, const char *name, uint64_t at,
                        const struct series_chunk *chunks, size_t count, bool sync,
                        struct volume_stat *stat, struct error *err)
{
    uint8_t headers[SERIES_BATCH_RECORDS][SERIES_HEADER_BYTES];
    struct volume_part parts[2 * SERIES_BATCH_RECORDS];
    size_t i;

    for (i = 0; i < count; i++) {
        series_record_put(headers[i], &chunks[i]);
        parts[2 * i] = (struct volume_part){headers[i], SERIES_HEADER_BYTES};
        parts[2 * i + 1] = (struct volume_part){chunks[i].payload, SERIES_PAYLOAD_BYTES};
    }
    return volume->append(volume, name, at * SERIES_RECORD_BYTES, parts, 2 * count, sync, stat,
                          err);
}

/* Takes back the batches before the one that failed; err stays the first failure. */
static void append_undo(struct volume *volume, const char *name, uint64_t chunks)
{
    struct error unused;

    if (chunks == 0)
        (void)volume->remove(volume, name, &unused);
    else
        (void)volume->truncate(volume, name, chunks * SERIES_RECORD_BYTES, &unused);
}

static int append_all(struct volume *volume, const char *name, uint64_t expected,
                      const struct series_chunk *chunks, size_t count, bool sync,
                      struct volume_stat *stat, struct error *err)
{
    size_t done = 0;

    while (done < count) {
        size_t n = TIDE_MIN(count - done, (size_t)SERIES_BATCH_RECORDS);
        bool last = done + n == count;

        if (append_batch(volume, name, expected + done, chunks + done, n, sync && last, stat,
                         err) != 0) {
            if (done > 0)
                append_undo(volume, name, expected);
            return -1;
        }
        done += n;
    }
    /* The volume makes the name durable with the write that made it, which was not the last. */
    if (sync && expected == 0 && count > SERIES_BATCH_RECORDS) {
        char folder[3] = {name[0], name[1], '\0'};

        if (volume->sync_folder(volume, folder, err) != 0) {
            append_undo(volume, name, expected);
            return -1;
        }
    }
    return 0;
}

int series_file_append(struct volume *volume, uint64_t fp, uint64_t expected_chunks,
                       const struct series_chunk *chunks, size_t count, bool sync,
                       struct series_file_stat *stat, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];
    struct series_file_stat now;
    struct volume_stat file;
    struct error unused;

    TIDE_ASSERT(count > 0);
    series_file_name(name, fp);
    if (expected_chunks == SERIES_CHUNKS_ANY) {
        if (stat_name(volume, name, &now, err) != 0)
            return -1;
        if (now.rest_bytes != 0)
            return torn(name, now.rest_bytes, err);
        expected_chunks = now.chunks;
    }
    if (append_all(volume, name, expected_chunks, chunks, count, sync, &file, err) != 0) {
        if (stat != NULL && stat_name(volume, name, stat, &unused) != 0)
            stat->mtime_ns = SERIES_MTIME_UNKNOWN;
        return -1;
    }
    if (stat != NULL)
        stat_fill(stat, &file);
    return 0;
}

/* --- read ---------------------------------------------------------------------------------------
 */

int series_file_read(struct volume *volume, uint64_t fp, uint64_t index, size_t count,
                     uint8_t *records, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];
    size_t len = count * SERIES_RECORD_BYTES;
    size_t got;

    series_file_name(name, fp);
    if (volume->read(volume, name, index * SERIES_RECORD_BYTES, records, len, &got, err) != 0)
        return -1;
    if (got < len)
        return error_set(err, ERR_CONFLICT, "%s: chunks %" PRIu64 " to %" PRIu64 " are not there",
                         name, index + got / SERIES_RECORD_BYTES, index + count - 1);
    return 0;
}

struct record_list {
    struct series_record *items;
    size_t count;
    size_t cap;
};

static int list_add(struct record_list *list, const uint8_t *records, size_t count,
                    struct error *err)
{
    size_t i;

    if (list->cap - list->count < count) {
        size_t cap = TIDE_MAX(list->cap * 2, list->count + count);
        struct series_record *items = mem_try_alloc(cap * sizeof(*items));

        if (items == NULL)
            return error_set(err, ERR_NOMEM, "no memory for %zu chunk headers", cap);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        mem_free(list->items);
        list->items = items;
        list->cap = cap;
    }
    for (i = 0; i < count; i++)
        list->items[list->count++] = series_record_get(records + i * SERIES_RECORD_BYTES);
    return 0;
}

static int load_into(struct volume *volume, const char *name, uint64_t from, uint64_t to,
                     struct record_list *list, struct error *err)
{
    uint8_t *bytes = mem_alloc((size_t)LOAD_RECORDS * SERIES_RECORD_BYTES);
    int status = 0;

    while (from < to && status == 0) {
        size_t want = (size_t)TIDE_MIN(to - from, (uint64_t)LOAD_RECORDS) * SERIES_RECORD_BYTES;
        size_t got;

        status = volume->read(volume, name, from * SERIES_RECORD_BYTES, bytes, want, &got, err);
        if (status == 0 && got % SERIES_RECORD_BYTES != 0)
            status = torn(name, (uint32_t)(got % SERIES_RECORD_BYTES), err);
        if (status == 0)
            status = list_add(list, bytes, got / SERIES_RECORD_BYTES, err);
        if (got < want)
            break;
        from += got / SERIES_RECORD_BYTES;
    }
    mem_free(bytes);
    return status;
}

int series_file_load(struct volume *volume, uint64_t fp, uint64_t from, uint64_t to,
                     struct series_record **records, size_t *count, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];
    struct record_list list = {0};

    series_file_name(name, fp);
    if (load_into(volume, name, from, to, &list, err) != 0) {
        mem_free(list.items);
        return -1;
    }
    *records = list.items;
    *count = list.count;
    return 0;
}

int series_file_delete(struct volume *volume, uint64_t fp, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];

    series_file_name(name, fp);
    if (volume->remove(volume, name, err) != 0 && err->code != ERR_NOT_FOUND)
        return -1;
    return 0;
}

/* --- what is sound ------------------------------------------------------------------------------
 */

bool series_record_is_sound(const uint8_t *record, struct series_record *header)
{
    struct chunk_summary summary;
    struct error problem;

    *header = series_record_get(record);
    return chunk_check(header->encoding, record + SERIES_HEADER_BYTES, CHUNK_BYTES, &summary,
                       &problem) == 0 &&
           summary.first_ms == header->first_ms && summary.last_ms == header->last_ms;
}

int series_file_settle(struct volume *volume, uint64_t fp, struct series_file_stat *stat,
                       struct series_record *last, struct error *err)
{
    uint8_t bytes[SERIES_RECORD_BYTES];
    char name[SERIES_FILE_NAME_BYTES];
    uint64_t whole, chunks;

    series_file_name(name, fp);
    if (stat_name(volume, name, stat, err) != 0)
        return -1;
    whole = chunks = stat->chunks;
    for (; chunks > 0; chunks--) {
        struct series_record record;

        if (series_file_read(volume, fp, chunks - 1, 1, bytes, err) != 0)
            return -1;
        if (!series_record_is_sound(bytes, &record))
            continue;
        *last = record;
        break;
    }
    if (chunks == 0 && (whole != 0 || stat->rest_bytes != 0))
        return error_set(err, ERR_CORRUPT, "%s: no sound chunk in the series file", name);
    if (chunks == whole && stat->rest_bytes == 0)
        return 0;
    if (volume->truncate(volume, name, chunks * SERIES_RECORD_BYTES, err) != 0)
        return -1;
    return stat_name(volume, name, stat, err);
}
