/* read_file.c - samples of a series file into columns.
 *
 * A file is read by index of record, but found by time: the file may grow meanwhile, or be
 * rewritten without its oldest chunks. So the first record that was used is looked at again at the
 * end; if it is another one by then, all is read again. A bad chunk costs itself only. */
#include "base/logger.h"
#include "base/mem.h"
#include "disk/series_file.h"
#include "store/engine.h"
#include "store/folder.h"

#define ATTEMPTS 4

struct file_read {
    struct store *store;
    struct volume *volume;
    uint64_t fp;
    uint64_t chunks;
    int64_t from_ms;
    int64_t to_ms;
    size_t start; /* of the samples in out that are this series' */
    struct columns *out;
    const int *cancelled;
    uint8_t *records; /* SERIES_BATCH_RECORDS of room */
};

static int read_header(struct file_read *read, uint64_t index, struct series_record *record,
                       struct error *err)
{
    uint8_t bytes[SERIES_RECORD_BYTES];

    if (series_file_read(read->volume, read->fp, index, 1, bytes, err) != 0)
        return -1;
    *record = series_record_get(bytes);
    return 0;
}

/* The first chunk that ends at or after from_ms. A header that contradicts those around it ends the
 * search: then all is read. */
static int find_first(struct file_read *read, uint64_t *index, struct error *err)
{
    uint64_t low = 0, high = read->chunks;
    int64_t low_ms = TIDE_EARLIEST_MS, high_ms = TIDE_LATEST_MS; /* times around the rest */

    *index = 0;
    if (high <= SERIES_BATCH_RECORDS) /* one read of everything is cheaper than a search */
        return 0;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct series_record record;

        if (read_header(read, middle, &record, err) != 0)
            return -1;
        if (record.first_ms < low_ms || record.last_ms < record.first_ms ||
            record.last_ms > high_ms)
            return 0;
        if (record.last_ms < read->from_ms) {
            low = middle + 1;
            low_ms = record.last_ms;
        } else {
            high = middle;
            high_ms = record.first_ms;
        }
    }
    *index = low;
    return 0;
}

static void read_record(struct file_read *read, const uint8_t *bytes, uint64_t index)
{
    struct series_record record = series_record_get(bytes);
    struct error err;

    if (record.last_ms < read->from_ms || record.first_ms > read->to_ms)
        return;
    counter_add(&read->store->counters.chunks_loaded, 1);
    /* Not beyond its header: a damaged time would keep the next chunk's samples out. */
    if (read_chunk(record.encoding, bytes + SERIES_HEADER_BYTES, CHUNK_BYTES,
                   TIDE_MAX(read->from_ms, record.first_ms), TIDE_MIN(read->to_ms, record.last_ms),
                   read->start, read->out, &err) == 0)
        return;
    counter_add(&read->store->counters.chunks_bad, 1);
    log_warn_limited("a chunk cannot be read", "fp=%016" PRIx64 " chunk=%" PRIu64 " problem=\"%s\"",
                     read->fp, index, err.text);
}

/* Is the record in front of `index` still that one? If not, the file was rewritten between two
 * runs, and what is wanted next may have moved in front of it. */
static int follows(struct file_read *read, uint64_t index, const struct series_record *before,
                   struct error *err)
{
    struct series_record now;

    if (read_header(read, index - 1, &now, err) != 0)
        return -1;
    if (now.first_ms != before->first_ms || now.last_ms != before->last_ms)
        return error_set(err, ERR_CONFLICT, "the file was rewritten");
    return 0;
}

/* Reads runs of records from `index` on until one begins behind to_ms. */
static int read_runs(struct file_read *read, uint64_t index, struct error *err)
{
    uint64_t first = index;
    struct series_record header = {0};

    while (index < read->chunks) {
        size_t count = (size_t)TIDE_MIN(read->chunks - index, (uint64_t)SERIES_BATCH_RECORDS);
        const uint8_t *last = read->records + (count - 1) * SERIES_RECORD_BYTES;

        if (read->cancelled != NULL && __atomic_load_n(read->cancelled, __ATOMIC_RELAXED) != 0)
            return error_set(err, ERR_CANCELLED, "cancelled");
        if (series_file_read(read->volume, read->fp, index, count, read->records, err) != 0 ||
            (index != first && follows(read, index, &header, err) != 0))
            return -1;
        for (size_t i = 0; i < count; i++)
            read_record(read, read->records + i * SERIES_RECORD_BYTES, index + i);
        index += count;
        header = series_record_get(last);
        if (header.first_ms > read->to_ms && series_record_is_sound(last, &header))
            break;
    }
    return 0;
}

/* Is it only that the file was rewritten or removed between two looks? Then 1: try again. */
static int judge(const struct error *err)
{
    return err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND ? 1 : -1;
}

/* One attempt. 1: the file was rewritten meanwhile. */
static int read_once(struct file_read *read, struct error *err)
{
    struct series_record before, after;
    struct series_file_stat stat;
    uint64_t first;

    read->out->len = read->start;
    if (series_file_stat(read->volume, read->fp, &stat, err) != 0)
        return -1;
    read->chunks = stat.chunks;
    if (find_first(read, &first, err) != 0)
        return judge(err);
    if (first == read->chunks)
        return 0;
    if (read->chunks <= SERIES_BATCH_RECORDS) /* one read, of one state of the file */
        return read_runs(read, first, err) == 0 ? 0 : judge(err);
    if (read_header(read, first, &before, err) != 0 || read_runs(read, first, err) != 0 ||
        read_header(read, first, &after, err) != 0)
        return judge(err);
    return before.first_ms == after.first_ms && before.last_ms == after.last_ms ? 0 : 1;
}

int read_file(struct store *store, uint64_t fp, int64_t from_ms, int64_t to_ms, size_t start,
              struct columns *out, const int *cancelled, struct error *err)
{
    struct file_read read = {
        .store = store,
        .fp = fp,
        .from_ms = from_ms,
        .to_ms = to_ms,
        .start = start,
        .out = out,
        .cancelled = cancelled,
    };
    int result = 1;

    if (store->folder == NULL)
        return 0;
    read.volume = store->folder->volume;
    read.records = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
    for (int attempt = 0; attempt < ATTEMPTS && result == 1; attempt++)
        result = read_once(&read, err);
    mem_free(read.records);
    if (result == 1)
        return error_set(err, ERR_BUSY, "its file changes faster than it can be read");
    return result;
}
