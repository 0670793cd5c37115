/* read.c - the samples of one series into columns (querier.h).
 *
 * Under the stripe: references on the complete chunks, a copy of the head's used bytes and of the
 * edits in range, nothing else. Outside: older chunks from the file, in runs of consecutive
 * records, then those. What is in memory and in the file at once is told apart by time, so it does
 * not matter whether a chunk was persisted, dropped or archived in between. */
#include "base/mem.h"
#include "store/engine.h"

#define STACK_CHUNKS 32
#define READ_SAMPLES 512

/* A moment of the series. */
struct snapshot {
    uint64_t fp;
    bool on_disk;           /* the file has, or may have, older chunks */
    int64_t memory_from_ms; /* what is at or after this is in memory */
    struct full_chunk **chunks;
    size_t chunk_count;
    struct full_chunk *stack[STACK_CHUNKS];
    uint8_t head_encoding;
    size_t head_len; /* 0: no head that is wanted */
    uint8_t head[CHUNK_BYTES];
    struct edits_view edits; /* to be laid over what is read */
};

static void take_chunks(struct snapshot *snapshot, const struct series *series, int64_t from_ms,
                        int64_t to_ms)
{
    snapshot->chunks = snapshot->stack;
    if (series->chunk_count > STACK_CHUNKS)
        snapshot->chunks = mem_alloc(series->chunk_count * sizeof(*snapshot->chunks));
    for (uint32_t i = 0; i < series->chunk_count; i++) {
        struct full_chunk *chunk = series->chunks[i];

        if (chunk->last_ms >= from_ms && chunk->first_ms <= to_ms)
            snapshot->chunks[snapshot->chunk_count++] = full_chunk_ref(chunk);
    }
}

/* False: the series is gone. */
static bool take_snapshot(struct store *store, uint32_t id, uint64_t fp, int64_t from_ms,
                          int64_t to_ms, struct snapshot *snapshot)
{
    struct stripe *stripe;
    const struct series *series = series_map_lock_id(&store->map, id, &stripe);

    snapshot->fp = fp;
    snapshot->chunk_count = 0;
    snapshot->chunks = snapshot->stack;
    snapshot->head_len = 0;
    snapshot->edits = (struct edits_view){0};
    if (series == NULL)
        return false;
    if (series->fp != fp) {
        lock_release(&stripe->stripe_lock);
        return false;
    }
    snapshot->on_disk = true;
    snapshot->memory_from_ms = TIDE_LATEST_MS;
    if (!series->archived) {
        snapshot->on_disk = series->file_chunks == FILE_CHUNKS_UNKNOWN || series_offset(series) > 0;
        snapshot->memory_from_ms = series_first_in_memory(series);
        take_chunks(snapshot, series, from_ms, to_ms);
        if (series_has_head(series) && series->head.first_ms <= to_ms &&
            series->head.last_ms >= from_ms) {
            snapshot->head_encoding = series->head.encoding;
            snapshot->head_len = chunk_head_snapshot(&series->head, snapshot->head);
        }
        edits_view_take(series, from_ms, to_ms, &snapshot->edits);
    }
    lock_release(&stripe->stripe_lock);
    return true;
}

static void drop_snapshot(struct store *store, struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->chunk_count; i++)
        full_chunk_unref(&store->pool, snapshot->chunks[i]);
    if (snapshot->chunks != snapshot->stack)
        mem_free(snapshot->chunks);
    edits_view_drop(&snapshot->edits);
}

/* Number of the `count` newest samples that continue the order of time, up to to_ms: in a damaged
 * chunk one may stand out, and would keep out all behind it. */
static size_t count_ordered(const struct columns *out, size_t start, size_t count, int64_t to_ms)
{
    const int64_t *times = out->times_ms + out->len;
    size_t ordered = count;

    if (count != 0 && out->len > start && times[0] <= times[-1])
        return 0;
    for (size_t i = 1; i < count; i++) {
        if (times[i] <= times[i - 1]) {
            ordered = i;
            break;
        }
    }
    while (ordered > 0 && times[ordered - 1] > to_ms)
        ordered--;
    return ordered;
}

int read_chunk(int encoding, const uint8_t *bytes, size_t len, int64_t from_ms, int64_t to_ms,
               size_t start, struct columns *out, struct error *err)
{
    struct chunk_reader reader;
    int count;

    /* Chunks of one series do not overlap, but a file may be damaged. */
    if (out->len > start && out->times_ms[out->len - 1] >= from_ms) {
        if (out->times_ms[out->len - 1] >= to_ms)
            return 0;
        from_ms = out->times_ms[out->len - 1] + 1;
    }
    if (chunk_reader_init(&reader, encoding, bytes, len, from_ms, to_ms, err) != 0)
        return -1;
    for (;;) {
        size_t ordered;

        columns_reserve(out, READ_SAMPLES);
        count = chunk_reader_read(&reader, out->times_ms + out->len, out->values + out->len,
                                  READ_SAMPLES, err);
        if (count <= 0)
            return count;
        ordered = count_ordered(out, start, (size_t)count, to_ms);
        out->len += ordered;
        if (ordered != (size_t)count)
            return error_set(err, ERR_CORRUPT, "times of a chunk are not in order");
    }
}

static int read_chunks(struct store *store, const struct snapshot *snapshot, int64_t from_ms,
                       int64_t to_ms, struct columns *out, const int *cancelled, struct error *err)
{
    size_t start = out->len;

    if (snapshot->on_disk && from_ms < snapshot->memory_from_ms &&
        read_file(store, snapshot->fp, from_ms, TIDE_MIN(to_ms, snapshot->memory_from_ms - 1),
                  start, out, cancelled, err) != 0)
        return -1;
    for (size_t i = 0; i < snapshot->chunk_count; i++) {
        const struct full_chunk *chunk = snapshot->chunks[i];

        if (read_chunk(chunk->encoding, chunk->payload, CHUNK_BYTES, from_ms, to_ms, start, out,
                       err) != 0)
            return -1;
    }
    if (snapshot->head_len == 0)
        return 0;
    return read_chunk(snapshot->head_encoding, snapshot->head, snapshot->head_len, from_ms, to_ms,
                      start, out, err);
}

int store_read(struct selection *selection, size_t i, int64_t from_ms, int64_t to_ms,
               struct columns *out, struct error *err)
{
    struct selected *impl = selection->impl;
    const int *cancelled = impl->request.cancelled;
    size_t start = out->len;
    struct snapshot snapshot;
    int result;

    if (from_ms > to_ms)
        return 0;
    if (cancelled != NULL && __atomic_load_n(cancelled, __ATOMIC_RELAXED) != 0)
        return error_set(err, ERR_CANCELLED, "cancelled");
    if (!take_snapshot(impl->store, impl->ids[i], selection->series[i].fp, from_ms, to_ms,
                       &snapshot))
        return 0;
    result = read_chunks(impl->store, &snapshot, from_ms, to_ms, out, cancelled, err);
    if (result == 0)
        edits_view_overlay(&snapshot.edits, out, start, from_ms, to_ms);
    drop_snapshot(impl->store, &snapshot);
    if (result != 0)
        return error_note(err, "series %016" PRIx64, selection->series[i].fp);
    return 0;
}
