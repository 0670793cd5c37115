/* batch.c - see batch.h. */
#include "store/batch.h"

#include "base/bytes.h"
#include "base/mem.h"

void batch_destroy(struct batch *batch)
{
    mem_free(batch->entries);
    mem_free(batch->times_ms);
    mem_free(batch->values);
    arena_destroy(&batch->arena);
    *batch = (struct batch){0};
}

void batch_reset(struct batch *batch)
{
    batch->entry_count = 0;
    batch->sample_count = 0;
    batch->salt = NULL;
    batch->salt_len = 0;
    arena_reset(&batch->arena);
}

void batch_add_entry(struct batch *batch, const uint8_t *block, size_t len, uint32_t line)
{
    if (batch->entry_count == batch->entry_cap) {
        batch->entry_cap = batch->entry_cap != 0 ? batch->entry_cap * 2 : 256;
        batch->entries = mem_realloc(batch->entries, batch->entry_cap * sizeof(*batch->entries));
    }
    batch->entries[batch->entry_count++] = (struct batch_entry){
        .block = block,
        .block_len = (uint32_t)len,
        .first_sample = (uint32_t)batch->sample_count,
        .line = line,
    };
}

void batch_add_sample(struct batch *batch, int64_t time_ms, double value)
{
    if (batch->sample_count == batch->sample_cap) {
        batch->sample_cap = batch->sample_cap != 0 ? batch->sample_cap * 2 : 256;
        batch->times_ms =
            mem_realloc(batch->times_ms, batch->sample_cap * sizeof(*batch->times_ms));
        batch->values = mem_realloc(batch->values, batch->sample_cap * sizeof(*batch->values));
    }
    batch->times_ms[batch->sample_count] = time_ms;
    batch->values[batch->sample_count++] = value;
    batch->entries[batch->entry_count - 1].sample_count++;
}

static const uint8_t *get_text(const uint8_t *at, const uint8_t *end, const char **text,
                               uint32_t *text_len)
{
    uint64_t len;

    at = uvarint_get(at, end, &len);
    if (at == NULL || len > (uint64_t)(end - at) || len > UINT32_MAX)
        return NULL;
    *text = (const char *)at;
    *text_len = (uint32_t)len;
    return at + len;
}

const uint8_t *label_pair_next(const uint8_t *at, const uint8_t *end, struct label *pair)
{
    at = get_text(at, end, &pair->name, &pair->name_len);
    return at == NULL ? NULL : get_text(at, end, &pair->value, &pair->value_len);
}

int label_parse_pairs(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                      struct labels_builder *out, struct error *err)
{
    const uint8_t *at = block, *end = block + len;

    (void)ctx;
    (void)scratch;
    while (at < end) {
        struct label pair;

        at = label_pair_next(at, end, &pair);
        if (at == NULL)
            return error_set(err, ERR_INVALID, "a label block is cut off");
        labels_builder_set(out, pair.name, pair.name_len, pair.value, pair.value_len);
    }
    return 0;
}
