/* chunk_list.c - see chunk_list.h.
 *
 * Memory first, under the stripe; then the file, outside. As for queries, what is in both is told
 * apart by time, so it does not matter what was persisted in between; a file that was rewritten
 * meanwhile (its first record is another) is read again. */
#include "store/chunk_list.h"

#include <stdio.h>

#include "base/mem.h"
#include "disk/quarantine.h"
#include "disk/series_look.h"
#include "store/folder.h"

#define ATTEMPTS 4

const char *chunk_place_name(enum chunk_place place)
{
    static const char *const names[] = {"file", "file and memory", "memory", "head"};

    return names[place];
}

/* --- the list
 * --------------------------------------------------------------------------------------- */

struct listing {
    const struct chunk_request *request;
    struct chunk_list *list;
    /* Of memory, at one moment. */
    struct full_chunk **chunks;
    int64_t *offsets; /* of each in the file; -1 */
    size_t count;
    int64_t newest_ms; /* what is later came meanwhile */
    struct chunk_row head;
    size_t head_len; /* 0: no head */
    uint8_t head_bytes[CHUNK_BYTES];
    /* Of the file. */
    bool began;
    struct series_record first;
};

static bool is_cancelled(const struct chunk_request *request)
{
    return request->cancelled != NULL && __atomic_load_n(request->cancelled, __ATOMIC_RELAXED) != 0;
}

/* False: the list is full. */
static bool add_row(struct listing *listing, const struct chunk_row *row, const char *problem)
{
    struct chunk_list *list = listing->list;

    if (list->count == listing->request->limit) {
        list->more = true;
        return false;
    }
    if (list->count == list->cap) {
        list->cap = list->cap != 0 ? list->cap * 2 : 64;
        list->rows = mem_realloc(list->rows, list->cap * sizeof(*list->rows));
    }
    list->rows[list->count] = *row;
    if (problem[0] != '\0')
        list->rows[list->count].problem = arena_dup(&list->arena, problem, strlen(problem));
    list->count++;
    return true;
}

static bool is_asked(const struct chunk_request *request, int64_t first_ms, int64_t last_ms)
{
    return last_ms >= request->from_ms && first_ms <= request->to_ms;
}

/* What a payload of memory holds. */
static void measure(struct chunk_row *row, const uint8_t *bytes, size_t len, struct error *problem)
{
    struct chunk_summary summary = {0};

    problem->text[0] = '\0';
    (void)!chunk_check(row->encoding, bytes, len, &summary, problem);
    row->samples = (uint32_t)summary.samples;
    row->bytes = (uint16_t)summary.bytes;
}

/* --- memory
 * ----------------------------------------------------------------------------------------- */

static void take_head(struct listing *listing, const struct series *series)
{
    listing->head = (struct chunk_row){.first_ms = series->head.first_ms,
                                       .last_ms = series->head.last_ms,
                                       .offset = -1,
                                       .encoding = series->head.encoding,
                                       .place = CHUNK_IN_HEAD};
    listing->head_len = chunk_head_snapshot(&series->head, listing->head_bytes);
}

/* Whether there is such a series. */
static bool take_memory(struct store *store, uint64_t fp, struct listing *listing)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, fp, &stripe);

    if (series == NULL)
        return false;
    listing->list->labels = series_labels_locked(store, series);
    listing->list->archived = series->archived;
    listing->newest_ms = series->has_samples ? series->last_ms : TIDE_EARLIEST_MS;
    if (!series->archived) {
        listing->list->late = edits_puts(series);
        listing->count = series->chunk_count;
        listing->chunks = mem_alloc((listing->count + 1) * sizeof(*listing->chunks));
        for (size_t i = 0; i < listing->count; i++)
            listing->chunks[i] = full_chunk_ref(series->chunks[i]);
        if (series_has_head(series))
            take_head(listing, series);
    }
    lock_release(&stripe->stripe_lock);
    listing->offsets = mem_alloc((listing->count + 1) * sizeof(*listing->offsets));
    for (size_t i = 0; i < listing->count; i++)
        listing->offsets[i] = -1;
    return true;
}

static void drop_memory(struct store *store, struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        full_chunk_unref(&store->pool, listing->chunks[i]);
    mem_free(listing->chunks);
    mem_free(listing->offsets);
}

static void list_memory(struct listing *listing)
{
    struct error problem;

    for (size_t i = 0; i < listing->count; i++) {
        const struct full_chunk *chunk = listing->chunks[i];
        int64_t offset = listing->offsets[i];
        struct chunk_row row = {.first_ms = chunk->first_ms,
                                .last_ms = chunk->last_ms,
                                .offset = offset,
                                .encoding = chunk->encoding,
                                .place = offset >= 0 ? CHUNK_IN_BOTH : CHUNK_IN_MEMORY};

        if (!is_asked(listing->request, row.first_ms, row.last_ms))
            continue;
        measure(&row, chunk->payload, CHUNK_BYTES, &problem);
        if (!add_row(listing, &row, problem.text))
            return;
    }
    if (listing->head_len == 0 ||
        !is_asked(listing->request, listing->head.first_ms, listing->head.last_ms))
        return;
    measure(&listing->head, listing->head_bytes, listing->head_len, &problem);
    (void)add_row(listing, &listing->head, problem.text);
}

/* --- the file
 * --------------------------------------------------------------------------------------- */

/* Whether the record is one that memory has, or one that came meanwhile. */
static bool is_in_memory(struct listing *listing, uint64_t index,
                         const struct series_record *record)
{
    size_t low = 0, high = listing->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (listing->chunks[middle]->first_ms < record->first_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < listing->count && listing->chunks[low]->first_ms == record->first_ms) {
        listing->offsets[low] = (int64_t)(index * SERIES_RECORD_BYTES);
        return true;
    }
    return listing->head_len != 0 && record->first_ms == listing->head.first_ms;
}

static int list_record(void *ctx, uint64_t index, const uint8_t *bytes, struct error *err)
{
    struct listing *listing = ctx;
    struct series_record record = series_record_get(bytes);
    struct series_look look;
    struct chunk_row row;

    if (is_cancelled(listing->request))
        return error_set(err, ERR_CANCELLED, "cancelled");
    if (!listing->began)
        listing->first = record;
    listing->began = true;
    if (is_in_memory(listing, index, &record) ||
        !is_asked(listing->request, record.first_ms, record.last_ms))
        return 0;
    series_look_at(bytes, &look);
    if (look.problem[0] == '\0' && record.first_ms > listing->newest_ms)
        return 0;
    row = (struct chunk_row){.first_ms = record.first_ms,
                             .last_ms = record.last_ms,
                             .offset = (int64_t)(index * SERIES_RECORD_BYTES),
                             .samples = (uint32_t)look.samples,
                             .bytes = (uint16_t)look.bytes,
                             .encoding = record.encoding,
                             .place = CHUNK_IN_FILE};
    return add_row(listing, &row, look.problem) ? 0 : 1;
}

static int list_file(struct volume *volume, const char *name, struct listing *listing,
                     struct error *err)
{
    struct series_visitor visitor = {.ctx = listing, .record = list_record};
    struct series_file_stat stat = {0};

    listing->began = false;
    if (series_look_walk(volume, name, 0, &visitor, &stat, err) != 0)
        return -1;
    listing->list->file_bytes = stat.chunks * SERIES_RECORD_BYTES + stat.rest_bytes;
    listing->list->rest_bytes = stat.rest_bytes;
    return 0;
}

/* Does the file begin as it did? */
static bool is_same_file(struct volume *volume, uint64_t fp, const struct listing *listing)
{
    uint8_t bytes[SERIES_RECORD_BYTES];
    struct series_record record;
    struct error problem;

    if (!listing->began)
        return true;
    if (series_file_read(volume, fp, 0, 1, bytes, &problem) != 0)
        return false;
    record = series_record_get(bytes);
    return record.first_ms == listing->first.first_ms && record.last_ms == listing->first.last_ms;
}

static void empty(struct chunk_list *list)
{
    labels_unref(list->labels);
    list->labels = NULL;
    list->count = 0;
    list->more = false;
    list->late = 0;
    arena_reset(&list->arena);
}

/* One attempt. 1: the file was rewritten meanwhile. */
static int list_once(struct store *store, uint64_t fp, struct listing *listing, struct error *err)
{
    struct volume *volume = store->folder != NULL ? store->folder->volume : NULL;
    char name[SERIES_FILE_NAME_BYTES];
    int result = 0;

    if (!take_memory(store, fp, listing))
        return error_set(err, ERR_NOT_FOUND, "no series has the fingerprint %016" PRIx64, fp);
    series_file_name(name, fp);
    if (volume != NULL && list_file(volume, name, listing, err) != 0)
        result = err->code == ERR_NOT_FOUND ? 0 : -1;
    if (result == 0 && volume != NULL && !is_same_file(volume, fp, listing))
        result = 1;
    if (result == 0 && !listing->list->more)
        list_memory(listing);
    drop_memory(store, listing);
    return result;
}

int store_chunk_list(struct store *store, uint64_t fp, const struct chunk_request *request,
                     struct chunk_list *list, struct error *err)
{
    struct listing *listing = mem_alloc(sizeof(*listing));
    int result = 1;

    list->fp = fp;
    for (int attempt = 0; attempt < ATTEMPTS && result == 1; attempt++) {
        *listing = (struct listing){.request = request, .list = list};
        empty(list);
        result = list_once(store, fp, listing, err);
    }
    mem_free(listing);
    if (result == 1)
        return error_set(err, ERR_BUSY, "series %016" PRIx64 ": its file changes too fast", fp);
    return result;
}

int store_quarantine_look(struct store *store, uint64_t fp, const struct chunk_request *request,
                          struct chunk_list *list, struct error *err)
{
    struct listing *listing;
    char name[SERIES_FILE_NAME_BYTES], path[VOLUME_NAME_MAX + 1];
    int result;

    if (store_need_folder(store, err) != 0)
        return -1;
    list->fp = fp;
    series_file_name(name, fp);
    snprintf(path, sizeof(path), QUARANTINE_FOLDER "/%s", name);
    listing = mem_alloc(sizeof(*listing));
    *listing = (struct listing){.request = request, .list = list, .newest_ms = TIDE_LATEST_MS};
    result = list_file(store->folder->volume, path, listing, err);
    mem_free(listing);
    if (result != 0 && err->code == ERR_NOT_FOUND)
        return error_set(err, ERR_NOT_FOUND, "%s is not there", path);
    return result;
}

void chunk_list_destroy(struct chunk_list *list)
{
    labels_unref(list->labels);
    mem_free(list->rows);
    arena_destroy(&list->arena);
    *list = (struct chunk_list){0};
}
