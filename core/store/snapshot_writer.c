/* snapshot_writer.c - see snapshot_parts.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "disk/mappings.h"
#include "disk/version.h"
#include "disk/volume_folder.h"
#include "store/snapshot_parts.h"

#define FLUSH_BYTES ((size_t)1 << 20)

/* --- names
 * ------------------------------------------------------------------------------------------- */

void snapshot_make_name(const struct store *store, char name[SNAPSHOT_NAME_BYTES])
{
    int64_t now_ms = clock_wall_ms(store->clock);
    time_t seconds = (time_t)(now_ms / 1000);
    uint64_t random = (uint64_t)clock_mono_ns(store->clock);
    struct tm utc;
    size_t len;

    /* Without random numbers the clock must do. */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random ^= (uint64_t)(uintptr_t)store << 20;
    gmtime_r(&seconds, &utc);
    len = strftime(name, SNAPSHOT_NAME_BYTES, "%Y%m%dT%H%M%SZ-", &utc);
    /* The milliseconds in front: names sort by time within a second too. */
    snprintf(name + len, SNAPSHOT_NAME_BYTES - len, "%03x%013" PRIx64, (unsigned)(now_ms % 1000),
             random & 0xfffffffffffff);
}

bool snapshot_parse_name(const char *name, int64_t *time_ms)
{
    static const char form[] = "00000000T000000Z-xxxxxxxxxxxxxxxx";
    struct tm utc = {0};

    if (strlen(name) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; form[i] != '\0'; i++) {
        bool digit = name[i] >= '0' && name[i] <= '9';
        bool hex = digit || (name[i] >= 'a' && name[i] <= 'f');

        if (form[i] == '0' ? !digit : form[i] == 'x' ? !hex : name[i] != form[i])
            return false;
    }
    if (strptime(name, "%Y%m%dT%H%M%SZ", &utc) == NULL)
        return false;
    *time_ms = (int64_t)timegm(&utc) * 1000;
    return true;
}

/* --- series
 * ------------------------------------------------------------------------------------------ */

/* A series of the stripe at work, and its file as it is in the folder. */
struct taken {
    uint64_t fp;
    int32_t file_chunks; /* as the series has it */
    bool tail_read;
    struct heads_file file;
};

/* The first chunks of a file that has more than the series knows of (a write whose end is not
 * known): those are in memory too. */
static int copy_part(struct snapshot_writer *writer, const char *name, uint64_t bytes,
                     struct error *err)
{
    struct volume *volume = writer->store->folder->volume;
    char to[VOLUME_NAME_MAX + 1];
    struct volume_writer *copy;

    snprintf(to, sizeof(to), "%s/%s", writer->folder, name);
    copy = volume->replace(volume, to, err);
    if (copy == NULL)
        return -1;
    if (copy->copy(copy, name, 0, bytes, err) != 0 || copy->finish(copy, false, err) != 0) {
        copy->discard(copy);
        return -1;
    }
    return copy->publish(copy, false, NULL, err);
}

/* The file in the folder as the series' record will have it. */
static int look_at_file(struct snapshot_writer *writer, struct taken *taken,
                        const struct series_file_stat *stat, struct error *err)
{
    struct volume *volume = writer->volume;
    struct series_record *records = NULL;
    size_t count = 0;

    taken->file.chunks = (int64_t)TIDE_MIN(stat->chunks, (uint64_t)INT32_MAX);
    taken->file.mtime_ns = stat->mtime_ns;
    writer->bytes_linked += stat->chunks * SERIES_RECORD_BYTES;
    if (stat->chunks == 0 || (taken->file_chunks >= 0 && !writer->skip_head))
        return 0; /* the series knows the rest */
    if (series_file_load(volume, taken->fp, stat->chunks - 1, stat->chunks, &records, &count,
                         err) != 0)
        return -1;
    taken->tail_read = count != 0;
    if (count != 0) {
        taken->file.tail_first_ms = records[0].first_ms;
        taken->file.tail_last_ms = records[0].last_ms;
    }
    mem_free(records);
    return 0;
}

/* Gives the series' file a second name in the folder. */
static int share_file(struct snapshot_writer *writer, struct taken *taken, struct error *err)
{
    struct volume *volume = writer->store->folder->volume;
    char name[SERIES_FILE_NAME_BYTES], to[VOLUME_NAME_MAX + 1];
    struct series_file_stat stat;
    uint64_t known;

    if (taken->file_chunks == 0)
        return 0;
    series_file_name(name, taken->fp);
    snprintf(to, sizeof(to), "%s/%s", writer->folder, name);
    if (volume->share(volume, name, to, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1; /* lost: what is in memory is taken */
    if (series_file_stat(writer->volume, taken->fp, &stat, err) != 0)
        return -1;
    known = taken->file_chunks < 0 ? stat.chunks : (uint64_t)taken->file_chunks;
    if (stat.rest_bytes != 0 || stat.chunks > known) {
        known = TIDE_MIN(known, stat.chunks);
        if (copy_part(writer, name, known * SERIES_RECORD_BYTES, err) != 0 ||
            series_file_stat(writer->volume, taken->fp, &stat, err) != 0)
            return -1;
    }
    return look_at_file(writer, taken, &stat, err);
}

static bool take(const struct series *series, struct taken *taken)
{
    if (!series->has_samples && !series->archived)
        return false;
    *taken = (struct taken){
        .fp = series->fp,
        .file_chunks = series->archived ? FILE_CHUNKS_UNKNOWN : series->file_chunks,
    };
    return true;
}

uint32_t snapshot_memory_sum(const struct series *series)
{
    uint8_t head[CHUNK_BYTES];
    uint32_t sum = 0;

    if (series->archived)
        return 0;
    for (uint32_t i = series->persisted; i < series->chunk_count; i++)
        sum = crc32c(sum, series->chunks[i]->payload, CHUNK_BYTES);
    if (!series_has_head(series))
        return sum;
    chunk_head_payload(&series->head, head);
    return crc32c(sum, head, sizeof(head));
}

/* Under its stripe: what the folder's indexes and heads.db say of the series. */
static void capture(struct snapshot_writer *writer, struct series *series,
                    const struct taken *taken)
{
    struct store *store = writer->store;
    struct labels *labels;

    if (!series->archived) {
        struct heads_file file = taken->file;

        if (file.chunks != 0 && !taken->tail_read) {
            file.tail_first_ms = series->tail_first_ms;
            file.tail_last_ms = series->last_ms;
        }
        if (!heads_capture_series(store, series, &file, writer->skip_head, &writer->heads))
            return;
        if (writer->sums)
            writer->memory_sum = snapshot_memory_sum(series);
    } else {
        labels = series_labels_locked(store, series);
        archive_put(&writer->batch, series->fp, labels,
                    series->first_known ? series->first_ms : TIDE_EARLIEST_MS, series->last_ms);
        labels_unref(labels);
        writer->archived++;
    }
    roaring_bitmap_add(writer->ids, series->id);
}

static int add_taken(struct snapshot_writer *writer, struct taken *taken, struct error *err)
{
    struct stripe *stripe;
    struct series *series;

    if (share_file(writer, taken, err) != 0)
        return -1;
    series = lock_fp(writer->store, taken->fp, &stripe);
    if (series != NULL) {
        capture(writer, series, taken);
        lock_release(&stripe->stripe_lock);
    }
    if (writer->batch.count >= ARCHIVE_BATCH &&
        archive_write(writer->archive, &writer->batch, false, err) != 0)
        return -1;
    return heads_capture_flush(&writer->heads, writer->heads_writer, FLUSH_BYTES, err);
}

int snapshot_writer_add(struct snapshot_writer *writer, uint64_t fp, struct error *err)
{
    struct stripe *stripe;
    struct series *series = lock_fp(writer->store, fp, &stripe);
    struct taken taken;
    bool wanted;

    if (series == NULL)
        return 0;
    wanted = take(series, &taken);
    writer->memory_sum = 0;
    lock_release(&stripe->stripe_lock);
    return wanted ? add_taken(writer, &taken, err) : 0;
}

int snapshot_writer_add_stripe(struct snapshot_writer *writer, struct stripe *stripe,
                               struct error *err)
{
    struct taken *list;
    size_t count = 0;
    int result = 0;

    lock_acquire(&stripe->stripe_lock);
    list = mem_alloc(((size_t)stripe->used + 1) * sizeof(*list));
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        if (stripe->slots[i] != NULL)
            count += take(stripe->slots[i], &list[count]);
    }
    lock_release(&stripe->stripe_lock);
    for (size_t i = 0; i < count && result == 0; i++)
        result = add_taken(writer, &list[i], err);
    mem_free(list);
    return result;
}

/* --- the folder
 * -------------------------------------------------------------------------------------- */

int snapshot_writer_begin(struct snapshot_writer *writer, struct store *store, const char *folder,
                          bool skip_head, struct error *err)
{
    struct volume *volume = store->folder->volume;
    bool ranges_lost;

    *writer = (struct snapshot_writer){
        .store = store, .ids = roaring_bitmap_create(), .skip_head = skip_head};
    snprintf(writer->folder, sizeof(writer->folder), "%s", folder);
    writer->volume = volume_folder_open(volume, folder);
    if (volume->remove_folder(volume, folder, err) != 0 ||
        volume->make_folder(volume, folder, err) != 0 ||
        version_check(writer->volume, true, NULL, err) != 0)
        return -1;
    writer->archive = archive_open(writer->volume, &ranges_lost, err);
    if (writer->archive == NULL)
        return -1;
    writer->heads_writer = heads_writer_begin(writer->volume, err);
    return writer->heads_writer != NULL ? 0 : -1;
}

static int write_mappings(struct snapshot_writer *writer, struct error *err)
{
    struct mappings mappings = {0};
    int result;

    mappings_collect(writer->store, &mappings);
    result = mappings_write(writer->volume, &mappings, err);
    mappings_destroy(&mappings);
    return result;
}

int snapshot_writer_finish(struct snapshot_writer *writer, struct error *err)
{
    struct heads_writer *heads = writer->heads_writer;

    if (archive_write(writer->archive, &writer->batch, true, err) != 0 ||
        heads_capture_flush(&writer->heads, heads, 1, err) != 0 ||
        heads_writer_finish(heads, true, err) != 0)
        return -1;
    writer->heads_writer = NULL;
    if (heads_writer_publish(heads, false, NULL, err) != 0)
        return -1;
    return write_mappings(writer, err);
}

int snapshot_writer_close(struct snapshot_writer *writer, int result, struct error *err)
{
    struct error problem;

    heads_writer_discard(writer->heads_writer);
    heads_capture_destroy(&writer->heads);
    if (writer->archive != NULL &&
        archive_close(writer->archive, result == 0 ? err : &problem) != 0)
        result = -1;
    archive_batch_destroy(&writer->batch);
    roaring_bitmap_free(writer->ids);
    writer->volume->close(writer->volume);
    return result;
}
