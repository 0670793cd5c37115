/* merge_file.c - see merge_file.h. */
#include "store/merge_file.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "store/folder.h"

/* --- output
 * --------------------------------------------------------------------------------------- */

/* Records from here on are in memory too. */
static bool is_pinned(const struct file_merge *merge, uint64_t index)
{
    return index + merge->pinned_count >= merge->record_count;
}

static void push_tail(struct file_merge *merge, struct full_chunk *chunk)
{
    if (merge->tail_count == merge->tail_cap) {
        merge->tail_cap = merge->tail_cap != 0 ? merge->tail_cap * 2 : 8;
        merge->tail = mem_realloc(merge->tail, merge->tail_cap * sizeof(struct full_chunk *));
    }
    merge->tail[merge->tail_count++] = full_chunk_ref(chunk);
}

static void note_written(struct file_merge *merge, int64_t first_ms)
{
    if (merge->written++ == 0)
        merge->first_ms = first_ms;
    merge->tail_first_ms = first_ms;
}

/* Writes the records that wait to be copied. */
static int flush_copies(struct file_merge *merge, struct error *err)
{
    char name[SERIES_FILE_NAME_BYTES];

    if (merge->copy_count == 0)
        return 0;
    series_file_name(name, merge->fp);
    for (uint64_t i = merge->copy_from; i < merge->copy_from + merge->copy_count; i++) {
        note_written(merge, merge->records[i].first_ms);
        if (is_pinned(merge, i))
            push_tail(merge, merge->pinned[i + merge->pinned_count - merge->record_count]);
    }
    if (!merge->dry &&
        merge->writer->copy(merge->writer, name, merge->copy_from * SERIES_RECORD_BYTES,
                            merge->copy_count * SERIES_RECORD_BYTES, err) != 0)
        return -1;
    merge->copy_count = 0;
    return 0;
}

/* Writes the encoder's complete chunks. */
static int flush_chunks(struct file_merge *merge, struct error *err)
{
    struct series *built = &merge->built;
    bool pinned = is_pinned(merge, merge->index);

    for (uint32_t i = 0; i < built->chunk_count; i++) {
        const struct full_chunk *chunk = built->chunks[i];
        struct series_chunk out = {chunk->first_ms, chunk->last_ms, chunk->payload,
                                   chunk->encoding};

        note_written(merge, chunk->first_ms);
        if (pinned && merge->pinned_count != 0)
            push_tail(merge, built->chunks[i]);
        if (!merge->dry && series_records_write(merge->writer, &out, 1, err) != 0)
            return -1;
    }
    series_drop_chunks(&merge->store->pool, built, built->chunk_count);
    return 0;
}

static int close_encoder(struct file_merge *merge, struct error *err)
{
    series_close_head(&merge->store->pool, &merge->built);
    return flush_chunks(merge, err);
}

static int begin_encoding(struct file_merge *merge, struct error *err)
{
    struct volume *volume = merge->store->folder->volume;
    char name[SERIES_FILE_NAME_BYTES];

    if (merge->encoding)
        return 0;
    series_file_name(name, merge->fp);
    if (!merge->dry)
        merge->writer = volume->replace(volume, name, err);
    merge->encoding = merge->dry || merge->writer != NULL;
    return merge->encoding ? 0 : -1;
}

static int add_samples(struct file_merge *merge, const struct columns *samples, struct error *err)
{
    struct store *store = merge->store;

    if (begin_encoding(merge, err) != 0)
        return -1;
    if (flush_copies(merge, err) != 0)
        return -1;
    for (size_t i = 0; i < samples->len; i++) {
        if (series_append(&store->pool, &merge->built, store->options.chunk_encoding,
                          samples->times_ms[i], samples->values[i], err) < 0)
            return -1;
        if (merge->built.chunk_count >= SERIES_BATCH_RECORDS && flush_chunks(merge, err) != 0)
            return -1;
    }
    return 0;
}

/* What the reducer has settled goes into the new file. */
static int add_reduced(struct file_merge *merge, struct error *err)
{
    struct columns *out = &merge->reducer->out;

    if (out->len != 0 && add_samples(merge, out, err) != 0)
        return -1;
    out->len = 0;
    return 0;
}

/* Nothing more comes into the window that is open. */
static int end_window(struct file_merge *merge, struct error *err)
{
    if (merge->reducer == NULL)
        return 0;
    return reducer_finish(merge->reducer, err) == 0 ? add_reduced(merge, err) : -1;
}

/* The record stays as it is. */
static int copy_record(struct file_merge *merge, struct error *err)
{
    if (end_window(merge, err) != 0)
        return -1;
    if (merge->copy_count == 0)
        merge->copy_from = merge->index;
    merge->copy_count++;
    return !merge->encoding || merge->copy_count > 1 ? 0 : close_encoder(merge, err);
}

/* --- input
 * ---------------------------------------------------------------------------------------- */

static int decode_record(struct file_merge *merge, uint64_t index, struct columns *samples,
                         struct error *err)
{
    uint8_t bytes[SERIES_RECORD_BYTES];

    if (series_file_read(merge->store->folder->volume, merge->fp, index, 1, bytes, err) != 0)
        return -1;
    return read_chunk(bytes[0], bytes + SERIES_HEADER_BYTES, CHUNK_BYTES, TIDE_EARLIEST_MS,
                      TIDE_LATEST_MS, 0, samples, err);
}

/* A counter wants to know what was before the first record that is thinned out. */
static int prime(struct file_merge *merge, struct error *err)
{
    struct reducer *reducer = merge->reducer;
    struct columns samples = {0};
    int result = 0;

    if (reducer->previous_known || merge->index <= merge->skip)
        return 0;
    result = decode_record(merge, merge->index - 1, &samples, err);
    for (size_t i = samples.len; result == 0 && i > 0; i--) {
        if (double_bits(samples.values[i - 1]) == SAMPLE_STALE_BITS)
            continue;
        reducer_prime(reducer, samples.times_ms[i - 1], samples.values[i - 1]);
        break;
    }
    columns_destroy(&samples);
    return result;
}

static int reduce(struct file_merge *merge, const struct columns *samples, struct error *err)
{
    if (prime(merge, err) != 0)
        return -1;
    for (size_t i = 0; i < samples->len; i++) {
        if (reducer_add(merge->reducer, samples->times_ms[i], samples->values[i], err) != 0)
            return -1;
    }
    return add_reduced(merge, err);
}

/* Merges what is from `from_ms` to `to_ms`: one record, or none in a file that is not there. */
static int merge_piece(struct file_merge *merge, int64_t from_ms, int64_t to_ms, struct error *err)
{
    struct columns samples = {0};
    bool changed = false;
    int result = 0;

    if (merge->record_count != 0)
        result = decode_record(merge, merge->index, &samples, err);
    if (result == 0)
        changed = edit_list_overlay(&merge->edits, &samples, 0, from_ms, to_ms);
    if (result == 0 && merge->reducer != NULL)
        result = reduce(merge, &samples, err);
    else if (result == 0)
        result = changed ? add_samples(merge, &samples, err) : copy_record(merge, err);
    columns_destroy(&samples);
    return result;
}

static int load_records(struct file_merge *merge, struct error *err)
{
    struct volume *volume = merge->store->folder->volume;

    if (series_file_stat(volume, merge->fp, &merge->stat, err) != 0)
        return -1;
    if (merge->stat.chunks == 0 && merge->stat.rest_bytes == 0)
        return 0;
    if (series_file_load(volume, merge->fp, 0, SERIES_CHUNKS_ANY, &merge->records,
                         &merge->record_count, err) != 0)
        return -1;
    for (size_t i = 1; i < merge->record_count; i++) {
        if (merge->records[i].first_ms <= merge->records[i - 1].last_ms)
            return error_set(err, ERR_CORRUPT, "chunks %zu and %zu of its file overlap", i - 1, i);
    }
    return 0;
}

/* Are samples of the record thinned out? */
static bool is_old(const struct file_merge *merge, uint64_t index)
{
    const struct series_record *record = &merge->records[index];

    for (size_t i = 0; merge->reducer != NULL && i < merge->reducer->tier_count; i++) {
        const struct reduce_tier *tier = &merge->reducer->tiers[i];

        if (record->last_ms > tier->from_ms && record->first_ms <= tier->to_ms)
            return true;
    }
    return false;
}

/* Is there nothing to be thinned out, or so little (`postponed`) that a rewrite can wait? */
static bool can_wait(struct file_merge *merge)
{
    uint64_t total = merge->record_count - TIDE_MIN(merge->skip, (uint64_t)merge->record_count);
    uint64_t old = 0;

    for (uint64_t i = merge->skip; i < merge->record_count; i++)
        old += is_old(merge, i);
    merge->postponed = old != 0 && old <= (uint64_t)(merge->least_share * (double)total);
    return old == 0 || merge->postponed;
}

static int merge_all(struct file_merge *merge, struct error *err)
{
    int64_t from_ms = TIDE_EARLIEST_MS;

    if (merge->record_count == 0 && merge->edits.put_count != 0)
        return merge_piece(merge, from_ms, TIDE_LATEST_MS, err);
    for (merge->index = merge->skip; merge->index < merge->record_count; merge->index++) {
        size_t next = (size_t)merge->index + 1;
        int64_t to_ms =
            next < merge->record_count ? merge->records[next].first_ms - 1 : TIDE_LATEST_MS;
        bool touched =
            is_old(merge, merge->index) || edit_list_touches(&merge->edits, from_ms, to_ms);

        if ((touched ? merge_piece(merge, from_ms, to_ms, err) : copy_record(merge, err)) != 0)
            return -1;
        from_ms = to_ms + (next < merge->record_count);
    }
    return 0;
}

static void drop_chunks(struct file_merge *merge, struct full_chunk **chunks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        full_chunk_unref(&merge->store->pool, chunks[i]);
    mem_free(chunks);
}

/* Chunks are matched with the file's by their number: not if that is another than thought. */
static void unpin(struct file_merge *merge)
{
    drop_chunks(merge, merge->pinned, merge->pinned_count);
    merge->pinned = NULL;
    merge->pinned_count = 0;
    merge->unexpected = true;
}

int file_merge_write(struct file_merge *merge, struct store *store, struct error *err)
{
    merge->store = store;
    merge->built = (struct series){.fp = merge->fp};
    if (load_records(merge, err) != 0)
        return -1;
    if (merge->expected == FILE_CHUNKS_UNKNOWN || (uint64_t)merge->expected != merge->record_count)
        unpin(merge);
    if (merge->reducer != NULL && can_wait(merge))
        return 0; /* MERGE_EQUAL */
    if (merge_all(merge, err) != 0 || end_window(merge, err) != 0)
        return -1;
    if (!merge->encoding)
        return 0;
    merge->index = merge->record_count; /* what comes now is the end */
    if (flush_copies(merge, err) != 0 || close_encoder(merge, err) != 0)
        return -1;
    if (merge->reducer == NULL || merge->reducer->changed)
        merge->result = merge->written != 0 ? MERGE_REPLACE : MERGE_REMOVE;
    if (merge->dry)
        return 0;
    if (merge->result == MERGE_REPLACE)
        return merge->writer->finish(merge->writer, false, err);
    merge->writer->discard(merge->writer);
    merge->writer = NULL;
    return 0;
}

int file_merge_publish(struct file_merge *merge, struct error *err)
{
    struct volume_writer *writer = merge->writer;
    struct volume_stat file;

    merge->writer = NULL;
    if (merge->result == MERGE_REMOVE) {
        merge->stat = (struct series_file_stat){.mtime_ns = SERIES_MTIME_NONE};
        return series_file_delete(merge->store->folder->volume, merge->fp, err);
    }
    if (writer->publish(writer, false, &file, err) != 0)
        return -1;
    merge->stat = (struct series_file_stat){.chunks = file.size / SERIES_RECORD_BYTES,
                                            .mtime_ns = file.mtime_ns};
    return 0;
}

void file_merge_destroy(struct file_merge *merge)
{
    struct edit_memory heap = {0};

    if (merge->writer != NULL)
        merge->writer->discard(merge->writer);
    if (merge->store != NULL) {
        series_release(&merge->store->pool, &merge->built);
        drop_chunks(merge, merge->pinned, merge->pinned_count);
        drop_chunks(merge, merge->tail, merge->tail_count);
    }
    mem_free(merge->records);
    edit_list_destroy(&merge->edits, heap);
    *merge = (struct file_merge){0};
}
