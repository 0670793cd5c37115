#include "disk/mappings.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "disk/codable.h"
#include "model/fingerprint.h"

#define MAGIC "PrometheusMappings"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)
#define FORMAT_VERSION 1
/* 2^20 metrics of 16 KiB: a sound file is far smaller. */
#define FILE_MAX_BYTES ((uint64_t)16 << 30)

/* --- the list -----------------------------------------------------------------------------------
 */

void mappings_destroy(struct mappings *mappings)
{
    size_t i;

    for (i = 0; i < mappings->count; i++)
        mem_free(mappings->items[i].unique);
    mem_free(mappings->items);
    *mappings = (struct mappings){0};
}

void mappings_add(struct mappings *mappings, uint64_t raw, const uint8_t *unique, size_t unique_len,
                  uint64_t fp)
{
    if (mappings->count == mappings->cap) {
        mappings->cap = mappings->cap == 0 ? 16 : mappings->cap * 2;
        mappings->items = mem_realloc(mappings->items, mappings->cap * sizeof(*mappings->items));
    }
    mappings->items[mappings->count++] =
        (struct mappings_item){raw, fp, (uint8_t *)mem_dup(unique, unique_len), unique_len};
    mappings->highest = TIDE_MAX(mappings->highest, fp);
}

static int compare_strings(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int order = memcmp(a, b, TIDE_MIN(a_len, b_len));

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* By raw fingerprint, then unique string. */
static int compare_keys(const void *left, const void *right)
{
    const struct mappings_item *a = left, *b = right;

    if (a->raw != b->raw)
        return a->raw < b->raw ? -1 : 1;
    return compare_strings(a->unique, a->unique_len, b->unique, b->unique_len);
}

/* Then by number: of doubles the oldest, lowest number stays. */
static int compare_items(const void *left, const void *right)
{
    const struct mappings_item *a = left, *b = right;
    int order = compare_keys(a, b);

    return order != 0 ? order : (a->fp > b->fp) - (a->fp < b->fp);
}

static void sort(struct mappings *mappings)
{
    size_t i, kept = 0;

    if (mappings->sorted == mappings->count)
        return;
    qsort(mappings->items, mappings->count, sizeof(*mappings->items), compare_items);
    for (i = 0; i < mappings->count; i++) {
        if (kept > 0 && compare_keys(&mappings->items[kept - 1], &mappings->items[i]) == 0)
            mem_free(mappings->items[i].unique);
        else
            mappings->items[kept++] = mappings->items[i];
    }
    mappings->count = kept;
    mappings->sorted = kept;
}

bool mappings_find(struct mappings *mappings, uint64_t raw, const uint8_t *unique,
                   size_t unique_len, uint64_t *fp)
{
    struct mappings_item key = {raw, 0, (uint8_t *)(uintptr_t)unique, unique_len};
    const struct mappings_item *item;

    sort(mappings);
    if (mappings->count == 0)
        return false;
    item = bsearch(&key, mappings->items, mappings->count, sizeof(key), compare_keys);
    if (item == NULL)
        return false;
    *fp = item->fp;
    return true;
}

/* --- the bytes ----------------------------------------------------------------------------------
 */

void mappings_encode(struct mappings *mappings, struct buf *out)
{
    size_t i, j, raws = 0;

    sort(mappings);
    for (i = 0; i < mappings->count; i++)
        raws += i == 0 || mappings->items[i].raw != mappings->items[i - 1].raw;
    buf_append(out, MAGIC, MAGIC_BYTES);
    codable_put_uvarint(out, FORMAT_VERSION);
    codable_put_uvarint(out, raws);
    for (i = 0; i < mappings->count; i = j) {
        uint64_t raw = mappings->items[i].raw;

        for (j = i; j < mappings->count && mappings->items[j].raw == raw; j++)
            continue;
        codable_put_fingerprint(out, raw);
        codable_put_uvarint(out, j - i);
        for (j = i; j < mappings->count && mappings->items[j].raw == raw; j++) {
            codable_put_uvarint(out, mappings->items[j].unique_len);
            buf_append(out, mappings->items[j].unique, mappings->items[j].unique_len);
            codable_put_fingerprint(out, mappings->items[j].fp);
        }
    }
}

/* The mappings of one raw fingerprint; NULL when they are cut off. */
static const uint8_t *decode_raw(struct mappings *mappings, const uint8_t *p, const uint8_t *end)
{
    uint64_t raw, count, len, fp, i;

    p = codable_get_fingerprint(p, end, &raw);
    if (p != NULL)
        p = codable_get_uvarint(p, end, &count);
    for (i = 0; p != NULL && i < count; i++) {
        const uint8_t *unique = codable_get_uvarint(p, end, &len);

        if (unique == NULL || len > (uint64_t)(end - unique))
            return NULL;
        p = codable_get_fingerprint(unique + len, end, &fp);
        if (p != NULL)
            mappings_add(mappings, raw, unique, (size_t)len, fp);
    }
    return p;
}

static const uint8_t *decode_all(struct mappings *mappings, const uint8_t *p, const uint8_t *end)
{
    uint64_t raws, i;

    p = codable_get_uvarint(p, end, &raws);
    for (i = 0; p != NULL && i < raws; i++)
        p = decode_raw(mappings, p, end);
    return p;
}

int mappings_decode(struct mappings *mappings, const uint8_t *bytes, size_t len, struct error *err)
{
    const uint8_t *p, *end = bytes + len;
    size_t before = mappings->count, sorted = mappings->sorted;
    uint64_t highest = mappings->highest, version;

    if (len < MAGIC_BYTES || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return error_set(err, ERR_CORRUPT, MAPPINGS_FILE ": it does not begin with \"" MAGIC "\"");
    p = codable_get_uvarint(bytes + MAGIC_BYTES, end, &version);
    if (p == NULL || version != FORMAT_VERSION)
        return error_set(err, ERR_CORRUPT, MAPPINGS_FILE ": unknown format version, need %d",
                         FORMAT_VERSION);
    if (decode_all(mappings, p, end) != NULL)
        return 0;
    while (mappings->count > before)
        mem_free(mappings->items[--mappings->count].unique);
    mappings->sorted = sorted;
    mappings->highest = highest;
    return error_set(err, ERR_CORRUPT, MAPPINGS_FILE ": it is cut off");
}

/* --- the file -----------------------------------------------------------------------------------
 */

int mappings_read(struct volume *volume, struct mappings *mappings, struct error *err)
{
    struct volume_stat stat;
    uint8_t *bytes;
    size_t got;
    int status;

    if (volume->stat(volume, MAPPINGS_FILE, &stat, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    if (stat.size > FILE_MAX_BYTES)
        return error_set(err, ERR_CORRUPT, MAPPINGS_FILE ": %" PRIu64 " bytes cannot be sound",
                         stat.size);
    bytes = mem_try_alloc((size_t)stat.size + 1);
    if (bytes == NULL)
        return error_set(err, ERR_NOMEM, "no memory for " MAPPINGS_FILE " (%" PRIu64 " bytes)",
                         stat.size);
    status = volume->read(volume, MAPPINGS_FILE, 0, bytes, (size_t)stat.size, &got, err);
    if (status == 0)
        status = mappings_decode(mappings, bytes, got, err);
    mem_free(bytes);
    return status;
}

int mappings_write(struct volume *volume, struct mappings *mappings, struct error *err)
{
    struct volume_writer *writer = volume->replace(volume, MAPPINGS_FILE, err);
    struct buf bytes = {0};
    int status;

    if (writer == NULL)
        return -1;
    mappings_encode(mappings, &bytes);
    status = writer->write(writer, bytes.data, bytes.len, err);
    if (status == 0)
        status = writer->finish(writer, true, err);
    buf_destroy(&bytes);
    if (status != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, true, NULL, err);
}
