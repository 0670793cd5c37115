/* series.c - see series.h. */
#include "store/series.h"

#include "base/mem.h"
#include "store/edits.h"

struct series *series_new(struct slab_pool *pool, uint64_t fp, uint32_t id, uint32_t *pairs,
                          uint16_t pair_count, bool archived)
{
    size_t size = archived ? SERIES_ARCHIVED_BYTES : SERIES_BYTES;
    struct series *series = slab_alloc(pool, series_group(fp), size);

    memset(series, 0, size);
    series->fp = fp;
    series->id = id;
    series->pairs = pairs;
    series->pair_count = pair_count;
    series->archived = archived;
    if (!archived)
        series->mtime_ns = MTIME_UNKNOWN;
    return series;
}

static void *resize_head(void *ctx, void *old, size_t old_bytes, size_t new_bytes);
static void take_complete(void *ctx, const struct chunk_complete *complete);

/* What the chunk room calls back with. */
struct head_owner {
    struct slab_pool *pool;
    struct series *series;
};

static struct chunk_writer writer_for(struct head_owner *owner, int default_encoding)
{
    return (struct chunk_writer){
        .default_encoding = (enum chunk_encoding)default_encoding,
        .mode = CHUNK_EXACT,
        .ctx = owner,
        .resize = resize_head,
        .complete = take_complete,
    };
}

static void *resize_head(void *ctx, void *old, size_t old_bytes, size_t new_bytes)
{
    struct head_owner *owner = ctx;

    return extent_resize(owner->pool, series_group(owner->series->fp), old, old_bytes, new_bytes);
}

static void take_complete(void *ctx, const struct chunk_complete *complete)
{
    struct head_owner *owner = ctx;

    series_add_payload(owner->pool, owner->series, (int)complete->encoding, complete->payload,
                       complete->first_ms, complete->last_ms);
}

void series_free(struct slab_pool *pool, struct series *series, bool with_pairs)
{
    bool archived = series->archived;

    if (!archived)
        series_release(pool, series);
    if (with_pairs)
        series_free_pairs(pool, series->pairs, series->pair_count);
    slab_free(pool, series, archived ? SERIES_ARCHIVED_BYTES : SERIES_BYTES);
}

void series_release(struct slab_pool *pool, struct series *series)
{
    struct head_owner owner = {pool, series};
    struct chunk_writer writer = writer_for(&owner, CHUNK_VARBIT);
    struct edit_memory memory = {pool, series_group(series->fp)};

    chunk_head_destroy(&series->head, &writer);
    series_drop_chunks(pool, series, series->chunk_count);
    if (series->edits == NULL)
        return;
    edit_list_destroy(&series->edits->pending, memory);
    edit_list_destroy(&series->edits->merging, memory);
    slab_free(pool, series->edits, sizeof(*series->edits));
    series->edits = NULL;
}

uint32_t *series_new_pairs(struct slab_pool *pool, uint64_t fp, size_t count)
{
    return slab_alloc(pool, series_group(fp), TIDE_MAX(count, (size_t)1) * sizeof(uint32_t));
}

void series_free_pairs(struct slab_pool *pool, uint32_t *pairs, size_t count)
{
    slab_free(pool, pairs, TIDE_MAX(count, (size_t)1) * sizeof(uint32_t));
}

struct full_chunk *full_chunk_new(struct slab_pool *pool, uint32_t group)
{
    struct full_chunk *chunk = slab_alloc(pool, group, sizeof(*chunk));

    chunk->references = 1;
    return chunk;
}

struct full_chunk *full_chunk_ref(struct full_chunk *chunk)
{
    __atomic_add_fetch(&chunk->references, 1, __ATOMIC_RELAXED);
    return chunk;
}

void full_chunk_unref(struct slab_pool *pool, struct full_chunk *chunk)
{
    if (chunk != NULL && __atomic_sub_fetch(&chunk->references, 1, __ATOMIC_ACQ_REL) == 0)
        slab_free(pool, chunk, sizeof(*chunk));
}

void series_push_chunk(struct slab_pool *pool, struct series *series, struct full_chunk *chunk)
{
    if (series->chunk_count == series->chunk_cap) {
        uint32_t cap = series->chunk_cap != 0 ? series->chunk_cap * 2 : 2;
        struct full_chunk **chunks =
            slab_alloc(pool, series_group(series->fp), cap * sizeof(*chunks));

        if (series->chunk_count != 0)
            memcpy(chunks, series->chunks, series->chunk_count * sizeof(*chunks));
        slab_free(pool, series->chunks, series->chunk_cap * sizeof(*chunks));
        series->chunks = chunks;
        series->chunk_cap = cap;
    }
    series->chunks[series->chunk_count++] = chunk;
}

void series_replace_chunk(struct slab_pool *pool, struct series *series, uint32_t at,
                          struct full_chunk *const *chunks, uint32_t count)
{
    uint32_t behind = series->chunk_count - at - 1;
    struct full_chunk *gone = series->chunks[at];

    TIDE_ASSERT(at < series->chunk_count);
    for (uint32_t i = 1; i < count; i++) /* room */
        series_push_chunk(pool, series, NULL);
    memmove(series->chunks + at + count, series->chunks + at + 1, behind * sizeof(*series->chunks));
    for (uint32_t i = 0; i < count; i++)
        series->chunks[at + i] = chunks[i];
    full_chunk_unref(pool, gone);
    if (count == 0 && --series->chunk_count == 0)
        series_drop_chunks(pool, series, 0); /* the empty array goes */
}

void series_replace_persisted(struct slab_pool *pool, struct series *series,
                              struct full_chunk *const *chunks, uint32_t count)
{
    uint32_t young = series->chunk_count - series->persisted;
    struct full_chunk **kept = mem_alloc((young + 1) * sizeof(*kept));

    for (uint32_t i = 0; i < young; i++)
        kept[i] = full_chunk_ref(series->chunks[series->persisted + i]);
    series_drop_chunks(pool, series, series->chunk_count);
    for (uint32_t i = 0; i < count; i++)
        series_push_chunk(pool, series, chunks[i]);
    for (uint32_t i = 0; i < young; i++)
        series_push_chunk(pool, series, kept[i]);
    series->persisted = count;
    mem_free(kept);
}

void series_drop_chunks(struct slab_pool *pool, struct series *series, uint32_t count)
{
    TIDE_ASSERT(count <= series->chunk_count);
    for (uint32_t i = 0; i < count; i++)
        full_chunk_unref(pool, series->chunks[i]);
    series->chunk_count -= count;
    series->persisted -= TIDE_MIN(count, series->persisted);
    if (series->chunk_count != 0) {
        memmove(series->chunks, series->chunks + count,
                series->chunk_count * sizeof(*series->chunks));
        return;
    }
    slab_free(pool, series->chunks, series->chunk_cap * sizeof(*series->chunks));
    series->chunks = NULL;
    series->chunk_cap = 0;
}

void series_add_payload(struct slab_pool *pool, struct series *series, int encoding,
                        const uint8_t *payload, int64_t first_ms, int64_t last_ms)
{
    struct full_chunk *chunk = full_chunk_new(pool, series_group(series->fp));

    chunk->encoding = (uint8_t)encoding;
    chunk->first_ms = first_ms;
    chunk->last_ms = last_ms;
    memcpy(chunk->payload, payload, CHUNK_BYTES);
    series_push_chunk(pool, series, chunk);
}

int series_append(struct slab_pool *pool, struct series *series, int default_encoding,
                  int64_t time_ms, double value, struct error *err)
{
    struct head_owner owner = {pool, series};
    struct chunk_writer writer = writer_for(&owner, default_encoding);
    int completed;

    if (!series_has_head(series))
        chunk_head_init(&series->head, (enum chunk_encoding)default_encoding);
    completed = chunk_head_append(&series->head, &writer, time_ms, value, err);
    if (completed < 0)
        return -1;
    if (!series->has_samples) {
        series->has_samples = true;
        series->first_known = true;
        series->first_ms = time_ms;
    }
    series->last_ms = time_ms;
    series->last_value = value;
    series->value_known = true;
    return completed;
}

int series_load_head(struct slab_pool *pool, struct series *series, int encoding,
                     const uint8_t *payload, struct error *err)
{
    struct head_owner owner = {pool, series};
    struct chunk_writer writer = writer_for(&owner, CHUNK_VARBIT);

    chunk_head_init(&series->head, CHUNK_VARBIT);
    return chunk_head_load(&series->head, &writer, encoding, payload, err);
}

bool series_close_head(struct slab_pool *pool, struct series *series)
{
    struct head_owner owner = {pool, series};
    struct chunk_writer writer = writer_for(&owner, CHUNK_VARBIT);
    struct full_chunk *chunk;

    if (!series_has_head(series))
        return false;
    chunk = full_chunk_new(pool, series_group(series->fp));
    chunk->encoding = series->head.encoding;
    chunk->first_ms = series->head.first_ms;
    chunk->last_ms = series->head.last_ms;
    chunk_head_payload(&series->head, chunk->payload);
    chunk_head_destroy(&series->head, &writer);
    series_push_chunk(pool, series, chunk);
    return true;
}

void series_replace_head(struct slab_pool *pool, struct series *series, struct series *from)
{
    struct head_owner owner = {pool, series};
    struct chunk_writer writer = writer_for(&owner, CHUNK_VARBIT);

    chunk_head_destroy(&series->head, &writer);
    for (uint32_t i = 0; i < from->chunk_count; i++)
        series_push_chunk(pool, series, full_chunk_ref(from->chunks[i]));
    series_drop_chunks(pool, from, from->chunk_count);
    series->head = from->head;
    chunk_head_init(&from->head, CHUNK_VARBIT);
}

void series_learn_value(struct series *series)
{
    const struct full_chunk *last;
    struct chunk_summary summary;
    struct error err;

    if (series_has_head(series)) {
        if (series->head.last_ms == series->last_ms) { /* it was not deleted */
            series->last_value = series->head.last_value;
            series->value_known = true;
        }
        return;
    }
    if (series->chunk_count == 0 ||
        series->chunks[series->chunk_count - 1]->last_ms != series->last_ms)
        return;
    last = series->chunks[series->chunk_count - 1];
    if (chunk_check(last->encoding, last->payload, CHUNK_BYTES, &summary, &err) != 0)
        return;
    series->last_value = summary.last_value;
    series->value_known = true;
}

int64_t series_first_in_memory(const struct series *series)
{
    if (series->chunk_count != 0)
        return series->chunks[0]->first_ms;
    return series_has_head(series) ? series->head.first_ms : TIDE_LATEST_MS;
}
