/* undelete.c - a delete is brought back: what the trash holds of its range is imported, and gives
 * way to samples that are there (delete.h); what was thinned out takes the place of what it became.
 *
 * Series by series, in pieces: neither the trash nor one of its series need fit into memory. What
 * was imported before a failure is there already when it is tried again. */
#include <stdio.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "disk/volume_folder.h"
#include "store/append.h"
#include "store/delete.h"
#include "store/pass_parts.h"
#include "store/snapshot_parts.h"
#include "store/trash_parts.h"

#define BATCH_SAMPLES ((size_t)1 << 16)
#define DURABLE_MS ((int64_t)60 * 1000)
#define ATTEMPTS 16

struct undelete {
    struct store *store;
    struct removal *restored;
    int64_t from_ms; /* of the delete */
    int64_t to_ms;
    struct volume *volume; /* trash/ID, or again/ in it */
    bool files;            /* series files belong to it */
    struct appender *appender;
    struct append_result result;
    struct batch batch;
    struct buf block;
    struct columns samples;
    uint8_t *records;
};

/* --- into the store
 * ----------------------------------------------------------------------------------- */

/* Late samples wait for merges: those are made here when there is no more room. */
static int import_batch(struct undelete *undelete, struct error *err)
{
    struct store *store = undelete->store;
    struct error problem;
    int result = -1;

    for (int attempt = 0; attempt < ATTEMPTS && result != 0; attempt++) {
        result = store_import(undelete->appender, &undelete->batch,
                              undelete->restored->thinned ? DUPLICATE_LAST : DUPLICATE_FIRST,
                              &undelete->result, err);
        if (result != 0 && err->code != ERR_BUSY)
            return -1;
        if (result != 0 && store_tick(store, &problem) != 0)
            return error_note(err, "and what waits could not be merged");
    }
    batch_reset(&undelete->batch);
    return result;
}

/* Samples of one series, as one entry of a batch. */
static int take_samples(struct undelete *undelete, struct error *err)
{
    struct columns *samples = &undelete->samples;
    struct removal *restored = undelete->restored;
    size_t count = samples->len;

    samples->len = 0;
    if (count == 0)
        return 0;
    undelete->batch.format = LABEL_FORMAT_PAIRS;
    undelete->batch.parse = label_parse_pairs;
    batch_add_entry(&undelete->batch, undelete->block.data, undelete->block.len, 0);
    for (size_t i = 0; i < count; i++)
        batch_add_sample(&undelete->batch, samples->times_ms[i], samples->values[i]);
    restored->samples += count;
    restored->first_ms = TIDE_MIN(restored->first_ms, samples->times_ms[0]);
    restored->last_ms = TIDE_MAX(restored->last_ms, samples->times_ms[count - 1]);
    return import_batch(undelete, err);
}

/* --- out of the trash
 * --------------------------------------------------------------------------------- */

static int take_chunk(struct undelete *undelete, int encoding, const uint8_t *payload,
                      struct error *err)
{
    size_t before = undelete->samples.len;

    if (read_chunk(encoding, payload, CHUNK_BYTES, undelete->from_ms, undelete->to_ms, before,
                   &undelete->samples, err) != 0) {
        log_warn("a chunk in the trash cannot be read", "folder=%s problem=\"%s\"",
                 undelete->volume->where, err->text);
        return 0;
    }
    undelete->restored->chunks += undelete->samples.len != before;
    return undelete->samples.len >= BATCH_SAMPLES ? take_samples(undelete, err) : 0;
}

static int take_file(struct undelete *undelete, uint64_t fp, struct error *err)
{
    struct series_file_stat stat;

    if (series_file_stat(undelete->volume, fp, &stat, err) != 0)
        return -1;
    for (uint64_t i = 0; i < stat.chunks; i += SERIES_BATCH_RECORDS) {
        size_t count = (size_t)TIDE_MIN(stat.chunks - i, (uint64_t)SERIES_BATCH_RECORDS);

        if (series_file_read(undelete->volume, fp, i, count, undelete->records, err) != 0)
            return -1;
        for (size_t k = 0; k < count; k++) {
            const uint8_t *bytes = undelete->records + k * SERIES_RECORD_BYTES;
            struct series_record record = series_record_get(bytes);

            if (record.last_ms >= undelete->from_ms && record.first_ms <= undelete->to_ms &&
                take_chunk(undelete, record.encoding, bytes + SERIES_HEADER_BYTES, err) != 0)
                return -1;
        }
    }
    return 0;
}

static void put_text(struct buf *out, const char *text, size_t len)
{
    uint8_t bytes[VARINT_MAX_BYTES];

    buf_append(out, bytes, uvarint_put(bytes, len));
    buf_append(out, text, len);
}

static void begin_series(struct undelete *undelete, const struct labels *labels)
{
    undelete->block.len = 0;
    for (size_t i = 0; i < labels_count(labels); i++) {
        struct label label = labels_at(labels, i);

        put_text(&undelete->block, label.name, label.name_len);
        put_text(&undelete->block, label.value, label.value_len);
    }
    undelete->restored->series += undelete->files;
}

static int take_head(void *ctx, const struct heads_series *series, struct error *err)
{
    struct undelete *undelete = ctx;

    begin_series(undelete, series->labels);
    if (undelete->files && take_file(undelete, series->fp, err) != 0)
        return -1;
    for (size_t i = 0; i < series->count; i++) {
        const struct heads_chunk *chunk = &series->chunks[i];

        if (chunk->payload != NULL &&
            take_chunk(undelete, chunk->encoding, chunk->payload, err) != 0)
            return -1;
    }
    return take_samples(undelete, err);
}

static int take_archived(void *ctx, uint64_t fp, const struct labels *labels, struct error *err)
{
    struct undelete *undelete = ctx;

    begin_series(undelete, labels);
    if (take_file(undelete, fp, err) != 0)
        return -1;
    return take_samples(undelete, err);
}

static int take_heads(struct undelete *undelete, struct error *err)
{
    struct heads_visitor visitor = {undelete, take_head, NULL};
    struct heads_result result;

    return heads_read(undelete->volume, HEADS_FILE, HEADS_SALVAGE, &visitor, &result, err);
}

/* All series of the copy's archive, one after the other. */
static int visit_archive(struct undelete *undelete, struct archive_visitor visitor,
                         struct error *err)
{
    bool ranges_lost;
    struct archive *archive = archive_open(undelete->volume, &ranges_lost, err);
    struct error problem;
    int result;

    if (archive == NULL)
        return -1;
    result = archive_scan_metrics(archive, 0, UINT64_MAX, &visitor, err);
    (void)!archive_close(archive, &problem);
    return result;
}

/* What changed between the copy and the delete; mostly nothing. */
static int take_again(struct undelete *undelete, const char *folder, struct error *err)
{
    char name[VOLUME_NAME_MAX + 1];
    struct volume *whole = undelete->volume;
    int result;

    snprintf(name, sizeof(name), "%s/" TRASH_AGAIN, folder);
    undelete->volume = volume_folder_open(undelete->store->folder->volume, name);
    undelete->files = false;
    result = take_heads(undelete, err);
    undelete->volume->close(undelete->volume);
    undelete->volume = whole;
    return result == 0 || err->code == ERR_NOT_FOUND ? 0 : -1;
}

/* Into the files, and durable. */
static int settle(struct undelete *undelete, struct error *err)
{
    struct store *store = undelete->store;
    const struct append_result *result = &undelete->result;
    uint64_t refused = append_result_refused(result);
    int merged;

    if (refused != 0)
        return error_set(err, ERR_LIMIT,
                         "%" PRIu64 " samples are refused now (%s); the trash keeps all", refused,
                         result->example_count != 0 ? result->examples[0].text
                                                    : "by a limit or a rule");
    lock_acquire(&store->background_lock);
    merged = merge_everything(store, err);
    if (merged == 0 && store->log == NULL) /* then only files and heads.db remember */
        merged = checkpoint_write(store, err);
    lock_release(&store->background_lock);
    return merged == 0 ? store_wait_durable(store, &undelete->result.ticket, DURABLE_MS, err) : -1;
}

static int take_fp(void *ctx, uint64_t fp, const struct labels *labels, struct error *err)
{
    struct fp_list *list = ctx;

    (void)labels;
    (void)err;
    if (list->count == list->cap) {
        list->cap = list->cap != 0 ? list->cap * 2 : 64;
        list->fps = mem_realloc(list->fps, list->cap * sizeof(*list->fps));
    }
    list->fps[list->count++] = fp;
    return 0;
}

/* What a pass dropped it would drop again at once: its series are left alone from now on. */
static int keep_series(struct undelete *undelete, struct error *err)
{
    struct store *store = undelete->store;
    struct fp_list list = {0};
    int result =
        visit_archive(undelete, (struct archive_visitor){.ctx = &list, .metric = take_fp}, err);

    if (result == 0) {
        lock_acquire(&store->background_lock);
        result = kept_add(store, list.fps, list.count, err);
        lock_release(&store->background_lock);
    }
    mem_free(list.fps);
    return result;
}

static int take_all(struct undelete *undelete, const char *id, struct error *err)
{
    char folder[64];
    int result;

    snprintf(folder, sizeof(folder), TRASH_FOLDER "/%.40s", id);
    undelete->volume = volume_folder_open(undelete->store->folder->volume, folder);
    undelete->files = true;
    result = undelete->restored->by_pass ? keep_series(undelete, err) : 0;
    if (result == 0)
        result = take_heads(undelete, err);
    if (result != 0 && err->code == ERR_NOT_FOUND)
        error_set(err, ERR_NOT_FOUND, "there is nothing in the trash under %.40s", id);
    if (result == 0)
        result = visit_archive(
            undelete, (struct archive_visitor){.ctx = undelete, .metric = take_archived}, err);
    if (result == 0)
        result = take_again(undelete, folder, err);
    undelete->volume->close(undelete->volume);
    return result == 0 ? settle(undelete, err) : -1;
}

static int run(struct store *store, const char *id, struct removal *restored, struct error *err)
{
    struct undelete undelete = {
        .store = store,
        .restored = restored,
        .from_ms = restored->from_ms,
        .to_ms = restored->to_ms,
        .appender = appender_new(store),
        .records = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES),
    };
    int result;

    append_result_init(&undelete.result);
    result = take_all(&undelete, id, err);
    appender_free(undelete.appender);
    batch_destroy(&undelete.batch);
    buf_destroy(&undelete.block);
    columns_destroy(&undelete.samples);
    mem_free(undelete.records);
    return result;
}

int store_undelete(struct store *store, const char *id, const char *by, struct removal *restored,
                   struct error *err)
{
    int result;

    *restored = (struct removal){0};
    if (store_need_folder(store, err) != 0)
        return -1;
    lock_acquire(&store->background_lock);
    pass_trash_leave(store, id); /* if a pass adds to it, that ends here */
    lock_release(&store->background_lock);
    if (trash_read_manifest(store, id, restored, err) != 0)
        return -1;
    if (!trash_use(store, id))
        return error_set(err, ERR_BUSY, "another undelete is at work: try again");
    restored->time_ms = clock_wall_ms(store->clock);
    restored->series = restored->series_gone = 0;
    restored->chunks = restored->samples = 0;
    restored->first_ms = TIDE_LATEST_MS;
    restored->last_ms = TIDE_EARLIEST_MS;
    snprintf(restored->by, sizeof(restored->by), "%s", by);
    result = run(store, id, restored, err);
    restored->bytes = restored->chunks * SERIES_RECORD_BYTES;
    if (result == 0)
        result = trash_remove(store, id, err);
    trash_unuse(store);
    if (result != 0)
        return -1;
    counter_add(&store->counters.undeleted_samples, restored->samples);
    audit_write(store, "undelete", restored);
    log_info("a delete was brought back", "id=%s by=\"%s\" series=%" PRIu64 " samples=%" PRIu64, id,
             restored->by, restored->series, restored->samples);
    return 0;
}
