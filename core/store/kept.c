/* kept.c - series that an undelete brought back from a pass of retention: that pass would drop them
 * again at once. So retention leaves them alone, whole, until the rules or the configuration are
 * others, or undelete_hold_ms is over. `retention.kept` remembers them: a line and fingerprints. */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "base/mem.h"
#include "store/pass_parts.h"

#define KEPT_FILE "retention.kept"
#define HEADER_BYTES 96 /* padded with spaces, ends with a line */
#define FP_BYTES 8

bool kept_holds(const struct store *store, uint64_t fp, uint64_t rules)
{
    const struct kept *kept = &store->folder->kept;
    size_t low = 0, high = kept->count;

    if (kept->count == 0 || kept->rules != rules || store->folder->pass_now_ms >= kept->until_ms)
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (kept->fps[middle] < fp)
            low = middle + 1;
        else
            high = middle;
    }
    return low < kept->count && kept->fps[low] == fp;
}

/* --- the file
 * ----------------------------------------------------------------------------------------- */

static int save(struct store *store, struct error *err)
{
    const struct kept *kept = &store->folder->kept;
    struct volume *volume = store->folder->volume;
    struct volume_writer *writer = volume->replace(volume, KEPT_FILE, err);
    size_t size = kept->count * FP_BYTES;
    uint8_t *bytes;
    char header[HEADER_BYTES + 1], line[HEADER_BYTES];
    int result;

    if (writer == NULL)
        return -1;
    bytes = mem_alloc(size + 1);
    for (size_t i = 0; i < kept->count; i++)
        put_le64(bytes + i * FP_BYTES, kept->fps[i]);
    snprintf(line, sizeof(line), "tidemark kept 1 %016" PRIx64 " %" PRId64 " %zu %08x", kept->rules,
             kept->until_ms, kept->count, crc32c(0, bytes, size));
    snprintf(header, sizeof(header), "%-*s\n", HEADER_BYTES - 1, line);
    if (writer->write(writer, header, HEADER_BYTES, err) != 0 ||
        writer->write(writer, bytes, size, err) != 0 || writer->finish(writer, true, err) != 0) {
        writer->discard(writer);
        result = -1;
    } else {
        result = writer->publish(writer, true, NULL, err);
    }
    mem_free(bytes);
    return result;
}

static int read_fps(struct store *store, size_t count, uint32_t sum, struct error *err)
{
    struct kept *kept = &store->folder->kept;
    struct volume *volume = store->folder->volume;
    uint8_t *bytes = mem_try_alloc(count * FP_BYTES + 1);
    size_t got = 0;
    int result = 0;

    if (bytes == NULL ||
        volume->read(volume, KEPT_FILE, HEADER_BYTES, bytes, count * FP_BYTES, &got, err) != 0 ||
        got != count * FP_BYTES || crc32c(0, bytes, got) != sum)
        result = -1;
    if (result == 0) {
        kept->fps = mem_alloc((count + 1) * sizeof(*kept->fps));
        for (size_t i = 0; i < count; i++)
            kept->fps[i] = get_le64(bytes + i * FP_BYTES);
        kept->count = count;
    }
    mem_free(bytes);
    return result;
}

/* Without it the next pass is one that nobody expects: surveyed, and into the trash. */
static void forget_all(struct store *store)
{
    log_error(KEPT_FILE " cannot be read: what an undelete brought back may be dropped again, into "
                        "the trash",
              NULL);
    store->folder->kept = (struct kept){0};
    store->folder->pass_guard.settled = 0;
    store->folder->pass_guard.passed_ms = TIDE_EARLIEST_MS;
}

int kept_open(struct store *store, struct error *err)
{
    struct kept *kept = &store->folder->kept;
    struct volume *volume = store->folder->volume;
    char header[HEADER_BYTES + 1];
    struct volume_stat stat;
    unsigned sum;
    size_t got = 0, count;

    if (volume->read(volume, KEPT_FILE, 0, header, HEADER_BYTES, &got, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    header[got] = '\0';
    if (volume->stat(volume, KEPT_FILE, &stat, err) != 0)
        return -1;
    if (sscanf(header, "tidemark kept 1 %" SCNx64 " %" SCNd64 " %zu %x", &kept->rules,
               &kept->until_ms, &count, &sum) != 4 ||
        count > stat.size / FP_BYTES || read_fps(store, count, sum, err) != 0)
        forget_all(store);
    return 0;
}

/* --- adding
 * ----------------------------------------------------------------------------------------- */

static int compare_fps(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int kept_add(struct store *store, const uint64_t *fps, size_t count, struct error *err)
{
    struct kept *kept = &store->folder->kept;
    uint64_t rules = retention_name_now(store);
    int64_t now_ms = clock_wall_ms(store->clock);
    size_t unique = 0;

    if (kept->rules != rules || now_ms >= kept->until_ms)
        kept->count = 0;
    kept->fps = mem_realloc(kept->fps, (kept->count + count + 1) * sizeof(*kept->fps));
    if (count != 0)
        memcpy(kept->fps + kept->count, fps, count * sizeof(*fps));
    count += kept->count;
    qsort(kept->fps, count, sizeof(*kept->fps), compare_fps);
    for (size_t i = 0; i < count; i++) {
        if (unique == 0 || kept->fps[unique - 1] != kept->fps[i])
            kept->fps[unique++] = kept->fps[i];
    }
    kept->count = unique;
    kept->rules = rules;
    if (__builtin_add_overflow(now_ms, store->options.undelete_hold_ms, &kept->until_ms))
        kept->until_ms = TIDE_LATEST_MS;
    return save(store, err);
}
