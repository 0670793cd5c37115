/* fuzz_codable.c - the values of the indexes: any bytes are read or refused, never followed.
 *
 * The first byte chooses the type. What was read and is written again reads the same. */
#include <stdlib.h>

#include "base/mem.h"
#include "disk/codable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void metric(const uint8_t *p, const uint8_t *end)
{
    struct labels *labels, *again;
    struct buf out = {0};
    size_t count;
    const uint8_t *skipped = codable_skip_metric(p, end, &count);
    const uint8_t *next = codable_get_metric(p, end, &labels);

    if (next == NULL)
        return;
    if (next != skipped || labels_count(labels) > count)
        abort();
    codable_put_metric(&out, labels);
    if (codable_get_metric(out.data, out.data + out.len, &again) != out.data + out.len ||
        !labels_equal(labels, again))
        abort();
    labels_unref(labels);
    labels_unref(again);
    buf_destroy(&out);
}

static void fingerprints(const uint8_t *p, const uint8_t *end)
{
    uint64_t *fps, *again;
    size_t count, more;
    struct buf out = {0};

    if (codable_get_fingerprints(p, end, &fps, &count) == NULL)
        return;
    codable_put_fingerprints(&out, fps, count);
    if (codable_get_fingerprints(out.data, out.data + out.len, &again, &more) == NULL ||
        more != count || (count > 0 && memcmp(fps, again, count * sizeof(*fps)) != 0))
        abort();
    mem_free(fps);
    mem_free(again);
    buf_destroy(&out);
}

static void label_values(const uint8_t *p, const uint8_t *end)
{
    struct codable_string *values;
    size_t count, i;

    if (codable_get_label_values(p, end, &values, &count) == NULL)
        return;
    for (i = 0; i < count; i++)
        if ((const uint8_t *)values[i].bytes < p ||
            values[i].len > (size_t)(end - (const uint8_t *)values[i].bytes))
            abort();
    mem_free(values);
}

static void small(const uint8_t *p, const uint8_t *end)
{
    struct codable_string name, value;
    int64_t first, last;
    uint64_t number;

    if (codable_get_label_pair(p, end, &name, &value) != NULL &&
        (const uint8_t *)value.bytes + value.len > end)
        abort();
    if (codable_get_time_range(p, end, &first, &last) > end ||
        codable_get_uvarint(p, end, &number) > end ||
        codable_get_fingerprint(p, end, &number) > end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(const uint8_t *p, const uint8_t *end) = {metric, fingerprints,
                                                                          label_values, small};

    if (size > 0)
        kinds[data[0] % TIDE_COUNT(kinds)](data + 1, data + size);
    return 0;
}
