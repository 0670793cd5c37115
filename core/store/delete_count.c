/* delete_count.c - how much a delete takes: exactly, by reading it. */
#include "base/mem.h"
#include "store/delete_parts.h"

/* Chunks that are read at once: what a series has may be larger than memory. */
#define SLICE_CHUNKS 62

struct count_work {
    struct delete_work *work;
    struct selected_series series;
    struct selected impl;
    uint32_t id;
    struct columns columns;
    uint64_t samples;
    uint64_t chunks;
    int64_t memory_from_ms; /* older chunks are in the file */
};

static int count_slice(struct count_work *count, int64_t from_ms, int64_t to_ms, struct error *err)
{
    const struct delete_request *request = count->work->request;
    struct removal *removed = count->work->removed;
    struct selection selection = {&count->series, 1, &count->impl};
    size_t len;

    from_ms = TIDE_MAX(from_ms, request->from_ms);
    to_ms = TIDE_MIN(to_ms, request->to_ms);
    if (from_ms > to_ms)
        return 0;
    count->columns.len = 0;
    if (store_read(&selection, 0, from_ms, to_ms, &count->columns, err) != 0)
        return -1;
    len = count->columns.len;
    if (len == 0)
        return 0;
    count->samples += len;
    removed->first_ms = TIDE_MIN(removed->first_ms, count->columns.times_ms[0]);
    removed->last_ms = TIDE_MAX(removed->last_ms, count->columns.times_ms[len - 1]);
    return 0;
}

static bool overlaps(const struct count_work *count, int64_t first_ms, int64_t last_ms)
{
    const struct delete_request *request = count->work->request;

    return first_ms <= request->to_ms && last_ms >= request->from_ms;
}

static int count_records(struct count_work *count, const struct series_record *records,
                         size_t record_count, struct error *err)
{
    int64_t from_ms = TIDE_EARLIEST_MS;

    for (size_t i = 0; i < record_count; i++) {
        if (records[i].first_ms < count->memory_from_ms &&
            overlaps(count, records[i].first_ms, records[i].last_ms))
            count->chunks++;
        if (i % SLICE_CHUNKS != SLICE_CHUNKS - 1 || records[i].last_ms < from_ms ||
            records[i].last_ms == TIDE_LATEST_MS)
            continue;
        if (count_slice(count, from_ms, records[i].last_ms, err) != 0)
            return -1;
        from_ms = records[i].last_ms + 1;
    }
    return count_slice(count, from_ms, TIDE_LATEST_MS, err);
}

/* Under its stripe. */
static void count_memory(struct count_work *count, const struct series *series)
{
    count->memory_from_ms = TIDE_LATEST_MS;
    if (series->archived)
        return;
    count->memory_from_ms = series_first_in_memory(series);
    for (uint32_t i = 0; i < series->chunk_count; i++)
        count->chunks += overlaps(count, series->chunks[i]->first_ms, series->chunks[i]->last_ms);
    if (series_has_head(series))
        count->chunks += overlaps(count, series->head.first_ms, series->head.last_ms);
}

int delete_count_series(struct delete_work *work, uint64_t fp, struct error *err)
{
    struct store *store = work->store;
    struct count_work count = {.work = work, .series = {.fp = fp}};
    struct series_record *records = NULL;
    struct stripe *stripe;
    struct series *series = lock_fp(store, fp, &stripe);
    size_t record_count = 0;
    int result = 0;

    if (series == NULL)
        return 0;
    count.id = series->id;
    count.impl = (struct selected){.store = store, .ids = &count.id};
    count_memory(&count, series);
    lock_release(&stripe->stripe_lock);
    if (series_file_load(store->folder->volume, fp, 0, SERIES_CHUNKS_ANY, &records, &record_count,
                         err) != 0 &&
        err->code != ERR_NOT_FOUND)
        return -1;
    result = count_records(&count, records, record_count, err);
    mem_free(records);
    columns_destroy(&count.columns);
    if (result != 0)
        return -1;
    work->removed->samples += count.samples;
    work->removed->series += count.samples != 0;
    if (count.samples != 0) {
        work->removed->chunks += count.chunks;
        work->removed->bytes += count.chunks * SERIES_RECORD_BYTES;
    }
    return 0;
}
