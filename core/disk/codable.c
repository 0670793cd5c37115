#include "disk/codable.h"

#include "base/bytes.h"

/* --- writing ------------------------------------------------------------------------------------
 */

void codable_put_uvarint(struct buf *out, uint64_t value)
{
    uint8_t *at = buf_reserve(out, VARINT_MAX_BYTES);

    out->len += uvarint_put(at, value);
}

void codable_put_varint(struct buf *out, int64_t value)
{
    uint8_t *at = buf_reserve(out, VARINT_MAX_BYTES);

    out->len += varint_put(at, value);
}

void codable_put_string(struct buf *out, const char *bytes, size_t len)
{
    codable_put_varint(out, (int64_t)len);
    buf_append(out, bytes, len);
}

void codable_put_metric(struct buf *out, const struct labels *labels)
{
    size_t count = labels_count(labels);
    size_t i;

    codable_put_varint(out, (int64_t)count);
    for (i = 0; i < count; i++) {
        struct label label = labels_at(labels, i);

        codable_put_label_pair(out, label.name, label.name_len, label.value, label.value_len);
    }
}

void codable_put_fingerprint(struct buf *out, uint64_t fp)
{
    put_be64(buf_reserve(out, CODABLE_FINGERPRINT_BYTES), fp);
    out->len += CODABLE_FINGERPRINT_BYTES;
}

void codable_put_fingerprints(struct buf *out, const uint64_t *fps, size_t count)
{
    size_t i;

    codable_put_varint(out, (int64_t)count);
    buf_reserve(out, count * CODABLE_FINGERPRINT_BYTES);
    for (i = 0; i < count; i++)
        codable_put_fingerprint(out, fps[i]);
}

void codable_put_label_pair(struct buf *out, const char *name, size_t name_len, const char *value,
                            size_t value_len)
{
    codable_put_string(out, name, name_len);
    codable_put_string(out, value, value_len);
}

void codable_put_label_values(struct buf *out, const struct codable_string *values, size_t count)
{
    size_t i;

    codable_put_varint(out, (int64_t)count);
    for (i = 0; i < count; i++)
        codable_put_string(out, values[i].bytes, values[i].len);
}

void codable_put_time_range(struct buf *out, int64_t first_ms, int64_t last_ms)
{
    codable_put_varint(out, first_ms);
    codable_put_varint(out, last_ms);
}

/* --- reading ------------------------------------------------------------------------------------
 */

const uint8_t *codable_get_uvarint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    return uvarint_get(p, end, value);
}

const uint8_t *codable_get_varint(const uint8_t *p, const uint8_t *end, int64_t *value)
{
    return varint_get(p, end, value);
}

const uint8_t *codable_get_string(const uint8_t *p, const uint8_t *end,
                                  struct codable_string *string)
{
    int64_t len;

    p = varint_get(p, end, &len);
    if (p == NULL || len < 0 || (uint64_t)len > (uint64_t)(end - p))
        return NULL;
    string->bytes = (const char *)p;
    string->len = (size_t)len;
    return p + len;
}

/* A count of things that take at least `least` bytes each. */
static const uint8_t *get_count(const uint8_t *p, const uint8_t *end, size_t least, size_t *count)
{
    int64_t n;

    p = varint_get(p, end, &n);
    if (p == NULL || n < 0 || (uint64_t)n > (uint64_t)(end - p) / least)
        return NULL;
    *count = (size_t)n;
    return p;
}

const uint8_t *codable_skip_metric(const uint8_t *p, const uint8_t *end, size_t *count)
{
    struct codable_string string;
    size_t i;

    p = get_count(p, end, 2, count);
    for (i = 0; p != NULL && i < 2 * *count; i++)
        p = codable_get_string(p, end, &string);
    return p;
}

const uint8_t *codable_get_metric(const uint8_t *p, const uint8_t *end, struct labels **labels)
{
    struct label few[64];
    struct label *list = few;
    struct codable_string name, value;
    struct error unused;
    size_t count, i;

    *labels = NULL;
    p = get_count(p, end, 2, &count);
    if (p == NULL)
        return NULL;
    if (count > TIDE_COUNT(few)) {
        list = mem_try_alloc(count * sizeof(*list));
        if (list == NULL)
            return NULL;
    }
    for (i = 0; p != NULL && i < count; i++) {
        p = codable_get_label_pair(p, end, &name, &value);
        if (p == NULL || name.len > UINT32_MAX || value.len > UINT32_MAX) {
            p = NULL;
            break;
        }
        list[i] = (struct label){name.bytes, value.bytes, (uint32_t)name.len, (uint32_t)value.len};
    }
    if (p != NULL)
        *labels = labels_new(list, count, &unused);
    if (list != few)
        mem_free(list);
    return *labels == NULL ? NULL : p;
}

const uint8_t *codable_get_fingerprint(const uint8_t *p, const uint8_t *end, uint64_t *fp)
{
    if (end - p < CODABLE_FINGERPRINT_BYTES)
        return NULL;
    *fp = get_be64(p);
    return p + CODABLE_FINGERPRINT_BYTES;
}

const uint8_t *codable_get_fingerprints(const uint8_t *p, const uint8_t *end, uint64_t **fps,
                                        size_t *count)
{
    size_t i;

    *fps = NULL;
    p = get_count(p, end, CODABLE_FINGERPRINT_BYTES, count);
    if (p == NULL || *count == 0)
        return p;
    *fps = mem_try_alloc(*count * sizeof(**fps));
    if (*fps == NULL)
        return NULL;
    for (i = 0; i < *count; i++, p += CODABLE_FINGERPRINT_BYTES)
        (*fps)[i] = get_be64(p);
    return p;
}

const uint8_t *codable_get_label_pair(const uint8_t *p, const uint8_t *end,
                                      struct codable_string *name, struct codable_string *value)
{
    p = codable_get_string(p, end, name);
    return p == NULL ? NULL : codable_get_string(p, end, value);
}

const uint8_t *codable_get_label_values(const uint8_t *p, const uint8_t *end,
                                        struct codable_string **values, size_t *count)
{
    size_t i;

    *values = NULL;
    p = get_count(p, end, 1, count);
    if (p == NULL || *count == 0)
        return p;
    *values = mem_try_alloc(*count * sizeof(**values));
    if (*values == NULL)
        return NULL;
    for (i = 0; p != NULL && i < *count; i++)
        p = codable_get_string(p, end, &(*values)[i]);
    if (p == NULL) {
        mem_free(*values);
        *values = NULL;
    }
    return p;
}

const uint8_t *codable_get_time_range(const uint8_t *p, const uint8_t *end, int64_t *first_ms,
                                      int64_t *last_ms)
{
    p = varint_get(p, end, first_ms);
    return p == NULL ? NULL : varint_get(p, end, last_ms);
}
