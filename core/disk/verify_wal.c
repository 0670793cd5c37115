/* verify_wal.c - the write-ahead log of a folder that was not closed cleanly. A torn tail is none
 * of its damages: a crash leaves it. */
#include <stdio.h>

#include "disk/verify_parts.h"
#include "disk/wal.h"
#include "disk/wal_file.h"

static void see_damage(void *ctx, uint64_t segment, const uint8_t *bytes, size_t len)
{
    char name[WAL_NAME_BYTES];

    (void)bytes;
    wal_file_name(name, segment);
    verify_report(ctx, VERIFY_DAMAGE, name, -1, "%zu bytes between sound records are none", len);
}

static void see_lost(void *ctx, uint64_t segment, uint64_t after, uint64_t before)
{
    char name[WAL_NAME_BYTES];

    wal_file_name(name, segment);
    verify_report(ctx, VERIFY_DAMAGE, name, -1,
                  "%" PRIu64 " records are missing behind number %" PRIu64, before - after - 1,
                  after);
}

int verify_wal(struct verify *verify, struct error *err)
{
    struct wal_reader reader = {.ctx = verify, .damaged = see_damage, .lost = see_lost};
    struct wal_replay_report report;

    return wal_replay(verify->volume, 0, &reader, &report, err);
}
