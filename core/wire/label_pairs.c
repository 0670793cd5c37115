/* label_pairs.c - see label_pairs.h. */
#include "wire/label_pairs.h"

#include "base/bytes.h"

int label_add_unique(struct labels_builder *out, const char *name, size_t name_len,
                     const char *value, size_t value_len, struct error *err)
{
    size_t before = out->count;

    if (name_len == 0)
        return error_set(err, ERR_INVALID, "empty label name");
    labels_builder_set(out, name, name_len, value, value_len);
    if (out->count == before)
        return error_set(err, ERR_INVALID, "label \"%.*s\" is given twice",
                         (int)TIDE_MIN(name_len, (size_t)200), name);
    return 0;
}

int label_pairs_parse(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                      struct labels_builder *out, struct error *err)
{
    const uint8_t *at = block, *end = len > 0 ? block + len : block;

    (void)ctx;
    (void)scratch;
    while (at < end) {
        struct label pair;

        at = label_pair_next(at, end, &pair);
        if (at == NULL)
            return error_set(err, ERR_INVALID, "label block of %zu bytes is cut off", len);
        if (label_add_unique(out, pair.name, pair.name_len, pair.value, pair.value_len, err) != 0)
            return -1;
    }
    return 0;
}

static void put_text(struct buf *out, const char *text, size_t len)
{
    buf_reserve(out, VARINT_MAX_BYTES);
    out->len += uvarint_put(out->data + out->len, len);
    buf_append(out, text, len);
}

void label_pairs_put(struct buf *out, const char *name, size_t name_len, const char *value,
                     size_t value_len)
{
    put_text(out, name, name_len);
    put_text(out, value, value_len);
}

static bool is_present(const struct labels_builder *labels, const struct label *label)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->list[i].value_len != 0 && labels->list[i].name_len == label->name_len &&
            memcmp(labels->list[i].name, label->name, label->name_len) == 0)
            return true;
    }
    return false;
}

static int parse_with_extra(const uint8_t *block, size_t len, const void *ctx,
                            struct arena *scratch, struct labels_builder *out, struct error *err)
{
    const struct label_extra *extra = ctx;

    if (extra->inner(block, len, extra->inner_ctx, scratch, out, err) != 0)
        return -1;
    for (size_t i = 0; i < extra->count; i++) {
        const struct label *label = &extra->list[i];

        if (!extra->only_absent || !is_present(out, label))
            labels_builder_set(out, label->name, label->name_len, label->value, label->value_len);
    }
    return 0;
}

void label_extra_apply(struct label_extra *extra, struct batch *batch)
{
    if (extra->count == 0)
        return;
    extra->inner = batch->parse;
    extra->inner_ctx = batch->parse_ctx;
    extra->salt.len = 0;
    buf_append(&extra->salt, batch->salt, batch->salt_len);
    buf_putc(&extra->salt, extra->only_absent ? 'a' : 's');
    for (size_t i = 0; i < extra->count; i++)
        label_pairs_put(&extra->salt, extra->list[i].name, extra->list[i].name_len,
                        extra->list[i].value, extra->list[i].value_len);
    batch->parse = parse_with_extra;
    batch->parse_ctx = extra;
    batch->salt = extra->salt.data;
    batch->salt_len = extra->salt.len;
}

void label_extra_destroy(struct label_extra *extra)
{
    buf_destroy(&extra->salt);
    *extra = (struct label_extra){0};
}
