/* fingerprint.c - see fingerprint.h. */
#include "model/fingerprint.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/mem.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x00000100000001b3u
#define SEPARATOR 0xff

static uint64_t fnv(uint64_t hash, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * FNV_PRIME;
    return hash;
}

static uint64_t hash_label(struct label label)
{
    uint64_t hash = fnv(FNV_BASIS, label.name, label.name_len);

    hash = (hash ^ SEPARATOR) * FNV_PRIME;
    return fnv(hash, label.value, label.value_len);
}

uint64_t fingerprint_of_list(const struct label *list, size_t count)
{
    uint64_t fp = 0;

    if (count == 0)
        return FNV_BASIS;
    for (size_t i = 0; i < count; i++)
        fp ^= hash_label(list[i]);
    return fp;
}

uint64_t fingerprint_of(const struct labels *labels)
{
    size_t count = labels_count(labels);
    uint64_t fp = 0;

    if (count == 0)
        return FNV_BASIS;
    for (size_t i = 0; i < count; i++)
        fp ^= hash_label(labels_at(labels, i));
    return fp;
}

static int compare_parts(const void *a, const void *b)
{
    const struct buf *x = a, *y = b;
    int order = memcmp(x->data, y->data, TIDE_MIN(x->len, y->len));

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

void fingerprint_unique_string(struct buf *out, const struct labels *labels)
{
    size_t count = labels_count(labels);
    struct buf *parts = mem_zalloc(count, sizeof(*parts));

    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(labels, i);

        buf_append(&parts[i], label.name, label.name_len);
        buf_putc(&parts[i], (char)SEPARATOR);
        buf_append(&parts[i], label.value, label.value_len);
    }
    qsort(parts, count, sizeof(*parts), compare_parts);
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_putc(out, (char)SEPARATOR);
        buf_append(out, parts[i].data, parts[i].len);
        buf_destroy(&parts[i]);
    }
    mem_free(parts);
}

void fingerprint_format(char *out, uint64_t fp)
{
    snprintf(out, FINGERPRINT_HEX_BYTES + 1, "%016" PRIx64, fp);
}

bool fingerprint_parse(const char *text, size_t len, uint64_t *fp)
{
    uint64_t value = 0;

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        int digit = hex_digit(text[i]);

        if (digit < 0 || value >> 60 != 0)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    *fp = value;
    return true;
}

int fingerprint_compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

size_t fingerprint_sort_unique(uint64_t *fps, size_t count)
{
    size_t kept = 0;

    if (count != 0)
        qsort(fps, count, sizeof(*fps), fingerprint_compare);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || fps[kept - 1] != fps[i])
            fps[kept++] = fps[i];
    }
    return kept;
}
