/* edits_fold.c - edits into chunks of memory (edits.h).
 *
 * A chunk that is touched is decoded, gets its edits laid over, and is encoded anew into as many
 * chunks as that takes; the others stay as they are. The head likewise, and stays open. What does
 * not fit into the last chunk any more begins the head: late samples often belong into the chunk
 * that has just become complete, and a chunk for a few of them would be a waste. */
#include "base/mem.h"
#include "store/edits.h"
#include "store/engine.h"

#define FOLD_SAMPLES_PER_PUT 16 /* samples coded anew for a late one: keeps it below 1 us */
#define FOLD_MOST 1024

/* A piece of the range of memory: a chunk or the head, and the time up to the next. */
struct piece {
    const struct edit_list *edits;
    int64_t from_ms;
    int64_t to_ms;
};

static int decode(const struct series *series, uint32_t index, struct columns *samples,
                  struct error *err)
{
    uint8_t head[CHUNK_BYTES];

    if (index < series->chunk_count) {
        const struct full_chunk *chunk = series->chunks[index];

        return read_chunk(chunk->encoding, chunk->payload, CHUNK_BYTES, TIDE_EARLIEST_MS,
                          TIDE_LATEST_MS, 0, samples, err);
    }
    if (!series_has_head(series))
        return 0;
    return read_chunk(series->head.encoding, head, chunk_head_snapshot(&series->head, head),
                      TIDE_EARLIEST_MS, TIDE_LATEST_MS, 0, samples, err);
}

/* Samples into the chunks and the head of an empty series. */
static int encode(struct store *store, const struct columns *samples, struct series *built,
                  struct error *err)
{
    for (size_t i = 0; i < samples->len; i++) {
        if (series_append(&store->pool, built, store->options.chunk_encoding, samples->times_ms[i],
                          samples->values[i], err) < 0)
            return -1;
    }
    return 0;
}

static void count_chunks(struct store *store, int64_t more)
{
    gauge_count(&store->counters.chunks, more);
    gauge_count(&store->counters.chunks_to_persist, more);
    if (more > 0)
        counter_add(&store->counters.chunks_created, (uint64_t)more);
}

static void place(struct store *store, struct series *series, uint32_t index, struct series *built)
{
    bool had_head = series_has_head(series);

    if (index < series->chunk_count) {
        series_close_head(&store->pool, built);
        count_chunks(store, (int64_t)built->chunk_count - 1);
        for (uint32_t i = 0; i < built->chunk_count; i++)
            full_chunk_ref(built->chunks[i]);
        series_replace_chunk(&store->pool, series, index, built->chunks, built->chunk_count);
        return;
    }
    count_chunks(store, built->chunk_count);
    if (built->chunk_count != 0 && store->queue != NULL && !series->queued) {
        series->queued = true;
        persist_queue_put(store->queue, series->id, store_now_s(store));
    }
    series_replace_head(&store->pool, series, built);
    gauge_count(&store->counters.open_heads, (int64_t)series_has_head(series) - had_head);
}

/* Is the piece the last one before the head? */
static bool precedes_head(const struct series *series, uint32_t index)
{
    return index + 1 == series->chunk_count && series_has_head(series);
}

/* Takes the samples of an encoder's head out of it. */
static int take_rest(struct store *store, struct series *built, struct columns *rest,
                     struct error *err)
{
    struct series nothing = {.fp = built->fp};

    if (decode(built, built->chunk_count, rest, err) != 0)
        return -1;
    series_replace_head(&store->pool, built, &nothing);
    return 0;
}

/* `rest`: in: samples that come before the piece's own; out: those that are for the next one. */
static int fold_piece(struct store *store, struct series *series, uint32_t index,
                      const struct piece *piece, struct columns *rest, struct error *err)
{
    struct series built = {.fp = series->fp};
    struct columns samples = *rest;
    bool changed = samples.len != 0;
    int result;

    *rest = (struct columns){0};
    result = decode(series, index, &samples, err);
    if (result == 0)
        changed =
            edit_list_overlay(piece->edits, &samples, 0, piece->from_ms, piece->to_ms) || changed;
    if (result == 0 && changed)
        result = encode(store, &samples, &built, err);
    if (result == 0 && changed && built.chunk_count != 0 && precedes_head(series, index))
        result = take_rest(store, &built, rest, err);
    if (result == 0 && changed)
        place(store, series, index, &built);
    series->fold_at = (uint32_t)TIDE_MIN(samples.len / FOLD_SAMPLES_PER_PUT, (size_t)FOLD_MOST);
    series_release(&store->pool, &built);
    columns_destroy(&samples);
    return result;
}

static int64_t first_of(const struct series *series, uint32_t index)
{
    return index < series->chunk_count ? series->chunks[index]->first_ms : series->head.first_ms;
}

/* From the oldest piece, which reaches back to `from_ms`, to the newest, which reaches to the end
 * of time. */
int edits_fold_chunks(struct store *store, struct series *series, int64_t from_ms,
                      struct error *err)
{
    struct piece piece = {&series->edits->pending, from_ms, TIDE_LATEST_MS};
    uint32_t pieces = series->chunk_count + series_has_head(series) - series->persisted;
    struct columns rest = {0};
    int result = 0;

    if (pieces == 0) /* nothing is left in memory: a new head */
        return fold_piece(store, series, series->chunk_count, &piece, &rest, err);
    for (uint32_t i = series->persisted; pieces != 0 && result == 0; pieces--) {
        uint32_t behind = series->chunk_count - i; /* chunks from this piece on */

        piece.to_ms = pieces == 1 ? TIDE_LATEST_MS : first_of(series, i + 1) - 1;
        if (rest.len != 0 || edit_list_touches(piece.edits, piece.from_ms, piece.to_ms))
            result = fold_piece(store, series, i, &piece, &rest, err);
        if (pieces == 1)
            break;
        piece.from_ms = piece.to_ms + 1;
        i = series->chunk_count - (behind - 1); /* one chunk may be none or many now */
    }
    columns_destroy(&rest);
    return result;
}
