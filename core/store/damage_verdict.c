/* damage_verdict.c - what becomes of series whose files were found damaged: the policy's word.
 *
 * Whatever it says, the file as it was is in orphaned/ with its hint, but for "delete". Salvage
 * writes the sound records into a file of its own, and the series goes on as an archived one. */
#include <stdio.h>

#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/quarantine.h"
#include "store/folder.h"

/* Records that are held while the file is replaced; a larger file is quarantined whole. */
#define MAX_SALVAGED_BYTES ((uint64_t)256 << 20)

struct sound_records {
    uint8_t *bytes; /* of series files, one after the other */
    uint64_t count;
    uint64_t bad;
    uint64_t first_bad; /* index */
    int64_t first_ms;
    int64_t last_ms;
};

static bool is_sound(const uint8_t *bytes, const struct sound_records *before,
                     struct series_record *record)
{
    struct chunk_summary summary;
    struct error problem;

    *record = series_record_get(bytes);
    return (before->count == 0 || record->first_ms > before->last_ms) &&
           chunk_check(record->encoding, bytes + SERIES_HEADER_BYTES, CHUNK_BYTES, &summary,
                       &problem) == 0 &&
           summary.first_ms == record->first_ms && summary.last_ms == record->last_ms;
}

static void take_record(struct sound_records *sound, const uint8_t *bytes, uint64_t index)
{
    struct series_record record;

    if (!is_sound(bytes, sound, &record)) {
        if (sound->bad++ == 0)
            sound->first_bad = index;
        return;
    }
    memcpy(sound->bytes + sound->count * SERIES_RECORD_BYTES, bytes, SERIES_RECORD_BYTES);
    if (sound->count++ == 0)
        sound->first_ms = record.first_ms;
    sound->last_ms = record.last_ms;
}

/* The records of a file that are what they say. A file that cannot be read has none. */
static void find_sound(struct volume *volume, uint64_t fp, struct sound_records *sound)
{
    struct series_file_stat stat;
    struct error problem;
    uint8_t *batch;

    if (series_file_stat(volume, fp, &stat, &problem) != 0 || stat.chunks == 0 ||
        stat.chunks > MAX_SALVAGED_BYTES / SERIES_RECORD_BYTES)
        return;
    sound->bytes = mem_alloc((size_t)stat.chunks * SERIES_RECORD_BYTES);
    batch = mem_alloc((size_t)SERIES_BATCH_RECORDS * SERIES_RECORD_BYTES);
    for (uint64_t index = 0; index < stat.chunks;) {
        size_t count = (size_t)TIDE_MIN(stat.chunks - index, (uint64_t)SERIES_BATCH_RECORDS);

        if (series_file_read(volume, fp, index, count, batch, &problem) != 0) {
            sound->bad += stat.chunks - index;
            break;
        }
        for (size_t i = 0; i < count; i++)
            take_record(sound, batch + i * SERIES_RECORD_BYTES, index + i);
        index += count;
    }
    mem_free(batch);
    if (stat.rest_bytes != 0 && sound->bad++ == 0)
        sound->first_bad = stat.chunks;
}

static enum damage_verdict ask_policy(struct store *store, const struct damage_item *item,
                                      const struct labels *labels,
                                      const struct sound_records *sound)
{
    const struct policy *policy = store->options.policy;
    char file[SERIES_FILE_NAME_BYTES];
    const struct series_view view = {
        .labels = labels,
        .fp = item->fp,
        .first_ms = sound->count > 0 ? sound->first_ms : TIDE_EARLIEST_MS,
        .last_ms = sound->count > 0 ? sound->last_ms : TIDE_EARLIEST_MS,
        .chunks = sound->count + sound->bad,
        .bytes = (sound->count + sound->bad) * SERIES_RECORD_BYTES,
    };
    const struct damage damage = {
        .file = file,
        .text = item->text,
        .offset = sound->bad > 0 ? sound->first_bad * SERIES_RECORD_BYTES : 0,
        .chunks_sound = sound->count,
        .chunks_bad = sound->bad,
    };

    series_file_name(file, item->fp);
    if (policy == NULL || policy->quarantine == NULL)
        return DAMAGE_QUARANTINE;
    return policy->quarantine(policy->ctx, &view, &damage);
}

/* --- salvage -----------------------------------------------------------------------------------
 */

static int write_sound(struct volume *volume, uint64_t fp, const struct sound_records *sound,
                       struct error *err)
{
    struct series_chunk chunks[SERIES_BATCH_RECORDS];
    uint64_t written = 0;

    while (written < sound->count) {
        size_t count = (size_t)TIDE_MIN(sound->count - written, (uint64_t)SERIES_BATCH_RECORDS);

        for (size_t i = 0; i < count; i++) {
            const uint8_t *bytes = sound->bytes + (written + i) * SERIES_RECORD_BYTES;
            struct series_record record = series_record_get(bytes);

            chunks[i] = (struct series_chunk){record.first_ms, record.last_ms,
                                              bytes + SERIES_HEADER_BYTES, record.encoding};
        }
        if (series_file_append(volume, fp, written, chunks, count, true, NULL, err) != 0)
            return -1;
        written += count;
    }
    return 0;
}

/* The series is gone from memory and its file from its place: both come back with what is sound. A
 * push may have made the series anew meanwhile: then that one gets the file. */
static int bring_back(struct store *store, uint64_t fp, const struct labels *labels,
                      const struct sound_records *sound, struct error *err)
{
    struct archive_batch batch = {0};
    struct stripe *stripe;
    struct series *series;
    int result = write_sound(store->folder->volume, fp, sound, err);

    if (result == 0) {
        archive_put(&batch, fp, labels, sound->first_ms, sound->last_ms);
        result = archive_write(store->folder->archive, &batch, true, err);
        archive_batch_destroy(&batch);
    }
    if (result != 0)
        return -1;
    folder_note_archived(store->folder, &fp, 1);
    if (load_series(store, fp, labels, true) == NULL)
        folder_note_unarchived(store->folder, fp);
    series = lock_fp(store, fp, &stripe);
    if (series == NULL)
        return 0;
    series->first_ms = sound->first_ms;
    series->first_known = true;
    if (series->archived) {
        series->last_ms = sound->last_ms;
        series->has_samples = true;
    } else {
        series->file_chunks = FILE_CHUNKS_UNKNOWN;
        series->mtime_ns = MTIME_UNKNOWN;
    }
    lock_release(&stripe->stripe_lock);
    return 0;
}

/* --- one series --------------------------------------------------------------------------------
 */

/* The damaged file leaves its place. */
static void put_aside(struct store *store, const struct damage_item *item,
                      const struct labels *labels, bool delete)
{
    struct volume *volume = store->folder->volume;
    struct error problem;
    int failed = delete ? series_file_delete(volume, item->fp, &problem)
                        : quarantine_series(volume, item->fp, labels, item->text, &problem);

    if (failed) {
        counter_add(&store->counters.quarantine_failed, 1);
        log_error("a series could not be quarantined", "fp=%016" PRIx64 " problem=\"%s\"", item->fp,
                  problem.text);
        return;
    }
    counter_add(&store->counters.quarantined, 1);
    log_warn(delete ? "damaged series deleted, as a rule says" : "series quarantined",
             "fp=%016" PRIx64 " reason=\"%s\"", item->fp, item->text);
}

static void audit_damage(struct store *store, const struct sound_records *sound)
{
    struct removal removal = {
        .by = "quarantine rule",
        .time_ms = clock_wall_ms(store->clock),
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = TIDE_LATEST_MS,
        .first_ms = sound->first_ms,
        .last_ms = sound->last_ms,
        .series = 1,
        .series_gone = 1,
        .chunks = sound->count + sound->bad,
        .bytes = (sound->count + sound->bad) * SERIES_RECORD_BYTES,
    };

    audit_write(store, "damage", &removal);
}

static void deal_with(struct store *store, const struct damage_item *item, struct labels *labels)
{
    struct sound_records sound = {0};
    enum damage_verdict verdict;
    struct stripe *stripe;
    struct series *series;
    struct error problem;

    find_sound(store->folder->volume, item->fp, &sound);
    policy_tell(store, STORE_EVENT_DAMAGE, labels, item->text);
    verdict = ask_policy(store, item, labels, &sound);
    put_aside(store, item, labels, verdict == DAMAGE_DELETE);
    if (verdict == DAMAGE_DELETE)
        audit_damage(store, &sound);
    series = lock_fp(store, item->fp, &stripe);
    if (series != NULL)
        (void)!purge_series(store, stripe, series);
    if (verdict == DAMAGE_SALVAGE && sound.count > 0) {
        if (bring_back(store, item->fp, labels, &sound, &problem) == 0)
            log_warn("sound chunks of a damaged series stay",
                     "fp=%016" PRIx64 " sound=%" PRIu64 " bad=%" PRIu64, item->fp, sound.count,
                     sound.bad);
        else
            log_error("a damaged series could not be salvaged", "fp=%016" PRIx64 " problem=\"%s\"",
                      item->fp, problem.text);
    }
    mem_free(sound.bytes);
}

static void quarantine_one(struct store *store, const struct damage_item *item)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, item->fp, &stripe);
    struct labels *labels;

    if (series == NULL)
        return;
    if (series->busy) { /* not while others have its file: it is found again */
        series->broken = false;
        lock_release(&stripe->stripe_lock);
        return;
    }
    series->busy = true;
    labels = series_labels_locked(store, series);
    lock_release(&stripe->stripe_lock);
    deal_with(store, item, labels);
    labels_unref(labels);
}

void quarantine_damaged(struct store *store)
{
    struct damage_item item;

    while (damage_list_take(&store->damage, &item))
        quarantine_one(store, &item);
}
