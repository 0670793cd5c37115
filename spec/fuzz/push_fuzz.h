/* push_fuzz.h - what every fuzz target of a push decoder does with the bytes.
 *
 * The body lies in memory of exactly its length, so that the sanitizer sees one byte too far; each
 * block is parsed, each text read to its end, and the batch's own invariants are checked. */
#ifndef TIDE_SPEC_PUSH_FUZZ_H
#define TIDE_SPEC_PUSH_FUZZ_H

#include <stdlib.h>

#include "base/mem.h"
#include "wire/push.h"

typedef int push_fuzz_decode(const uint8_t *body, size_t len, struct push *push,
                             struct batch *batch, struct append_result *result, struct error *err);

static volatile uint64_t push_fuzz_sum;

static void push_fuzz_touch(const char *text, size_t len)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += (unsigned char)text[i];
    push_fuzz_sum += sum;
}

static void push_fuzz_metadata(void *ctx, const struct metadata *metadata)
{
    (void)ctx;
    push_fuzz_touch(metadata->name, metadata->name_len);
    push_fuzz_touch(metadata->help, metadata->help_len);
    push_fuzz_touch(metadata->unit, metadata->unit_len);
}

static void push_fuzz_entry(const struct batch *batch, const struct batch_entry *entry)
{
    struct labels_builder labels;
    struct arena arena = {0};
    struct error err;

    if (entry->first_sample > batch->sample_count ||
        entry->sample_count > batch->sample_count - entry->first_sample)
        abort();
    labels_builder_init(&labels);
    if (batch->parse(entry->block, entry->block_len, batch->parse_ctx, &arena, &labels, &err) ==
        0) {
        for (size_t i = 0; i < labels.count; i++) {
            push_fuzz_touch(labels.list[i].name, labels.list[i].name_len);
            push_fuzz_touch(labels.list[i].value, labels.list[i].value_len);
        }
    } else if (err.code != ERR_INVALID) {
        abort();
    }
    labels_builder_destroy(&labels);
    arena_destroy(&arena);
}

static int push_fuzz_run(const uint8_t *data, size_t size, push_fuzz_decode *decode)
{
    uint8_t *body = malloc(size + (size == 0));
    struct push push = {.now_ms = 1700000000000, .on_metadata = push_fuzz_metadata};
    struct batch batch = {0};
    struct append_result result;
    struct error err;

    if (size != 0)
        memcpy(body, data, size);
    append_result_init(&result);
    if (decode(body, size, &push, &batch, &result, &err) == 0) {
        for (size_t i = 0; i < batch.entry_count; i++)
            push_fuzz_entry(&batch, &batch.entries[i]);
    } else if (err.code != ERR_INVALID && err.code != ERR_LIMIT) {
        abort();
    }
    batch_destroy(&batch);
    free(body);
    return 0;
}

#endif
