#include "disk/kv.h"

#include "base/bytes.h"

#define CHANGE_DELETE 0
#define CHANGE_PUT 1

static void put_bytes(struct buf *out, const void *bytes, size_t len)
{
    uint8_t *at = buf_reserve(out, VARINT_MAX_BYTES);

    out->len += uvarint_put(at, len);
    buf_append(out, bytes, len);
}

void kv_batch_put(struct kv_batch *batch, const void *key, size_t key_len, const void *value,
                  size_t value_len)
{
    buf_putc(&batch->bytes, CHANGE_PUT);
    put_bytes(&batch->bytes, key, key_len);
    put_bytes(&batch->bytes, value, value_len);
    batch->count++;
}

void kv_batch_delete(struct kv_batch *batch, const void *key, size_t key_len)
{
    buf_putc(&batch->bytes, CHANGE_DELETE);
    put_bytes(&batch->bytes, key, key_len);
    batch->count++;
}

void kv_batch_reset(struct kv_batch *batch)
{
    batch->bytes.len = 0;
    batch->count = 0;
}

void kv_batch_destroy(struct kv_batch *batch)
{
    buf_destroy(&batch->bytes);
    batch->count = 0;
}

static const uint8_t *get_bytes(const uint8_t *p, const uint8_t *end, const uint8_t **bytes,
                                size_t *len)
{
    uint64_t n;

    p = uvarint_get(p, end, &n);
    TIDE_ASSERT(p != NULL && n <= (size_t)(end - p));
    *bytes = p;
    *len = (size_t)n;
    return p + n;
}

bool kv_batch_next(const struct kv_batch *batch, size_t *at, struct kv_change *change)
{
    const uint8_t *p, *end;
    bool put;

    if (*at >= batch->bytes.len)
        return false;
    p = batch->bytes.data + *at;
    end = batch->bytes.data + batch->bytes.len;
    put = *p++ == CHANGE_PUT;
    p = get_bytes(p, end, &change->key, &change->key_len);
    change->value = NULL;
    change->value_len = 0;
    if (put)
        p = get_bytes(p, end, &change->value, &change->value_len);
    *at = (size_t)(p - batch->bytes.data);
    return true;
}
