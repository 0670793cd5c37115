/* fuzz_wal.c - frames and batches of the log: any bytes are read or refused, never followed. */
#include <stdlib.h>

#include "base/bytes.h"
#include "disk/wal_body.h"
#include "disk/wal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_define(void *ctx, uint64_t fp, const struct label *list, size_t count,
                        struct error *err)
{
    uint64_t *sum = ctx;

    (void)err;
    *sum += fp;
    for (size_t i = 0; i < count; i++) {
        if (list[i].name_len != 0)
            *sum += (uint8_t)list[i].name[list[i].name_len - 1];
        if (list[i].value_len != 0)
            *sum += (uint8_t)list[i].value[list[i].value_len - 1];
    }
    return 0;
}

static int count_bind(void *ctx, uint32_t wal_id, uint64_t fp, struct error *err)
{
    (void)err;
    *(uint64_t *)ctx += wal_id + fp;
    return 0;
}

static int count_put(void *ctx, uint32_t wal_id, int64_t time_ms, double value, struct error *err)
{
    (void)err;
    *(uint64_t *)ctx += wal_id + (uint64_t)time_ms + double_bits(value);
    return 0;
}

static int count_late(void *ctx, uint32_t wal_id, int64_t time_ms, double value,
                      enum wal_late_rule rule, struct error *err)
{
    if (rule > WAL_LATE_MAX)
        abort();
    return count_put(ctx, wal_id, time_ms, value, err);
}

static void read_bodies(const uint8_t *data, size_t size)
{
    struct wal_mark mark;
    struct wal_delete deleted;
    struct wal_edits edits;
    struct wal_merged merged;
    struct wal_state state;

    (void)!wal_mark_get(data, size, &mark);
    (void)!wal_state_get(data, size, &state);
    if (wal_delete_get(data, size, &deleted))
        wal_delete_destroy(&deleted);
    if (wal_edits_get(data, size, &edits))
        wal_edits_destroy(&edits);
    if (wal_merged_get(data, size, &merged))
        wal_merged_destroy(&merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t sum = 0;
    struct wal_batch_visitor visitor = {&sum, count_define, count_bind, count_put, count_late};
    struct wal_frame frame;
    struct error err;
    size_t at = wal_frame_search(data, size, 0);

    if (at < size && !wal_frame_read(data + at, size - at, &frame))
        abort();
    if (wal_batch_decode(data, size, &visitor, &err) != 0 && err.code != ERR_CORRUPT)
        abort();
    read_bodies(data, size);
    return 0;
}
