/* disk_room.c - see disk_room.h. */
#include "store/disk_room.h"

#include <stdio.h>

#include "base/logger.h"
#include "base/metrics.h"
#include "disk/heads.h"
#include "store/folder.h"

/* A clean stop writes heads.db beside the old one: a chunk for each open head and each chunk that
 * no file has, and about so much for a series. */
#define STOP_CHUNK_BYTES 1041u
#define STOP_SERIES_BYTES 192u
/* Percent of all inodes: a new series is a new file. */
#define FILES_NONE 2u
#define FILES_TIGHT 4u

#define MIB ((uint64_t)1 << 20)

static uint64_t needed_bytes(const struct store *store)
{
    const struct store_counters *counters = &store->counters;
    uint64_t chunks = gauge_read(&counters->open_heads) + gauge_read(&counters->chunks_to_persist);

    return store->options.min_free_bytes +
           2 * (chunks * STOP_CHUNK_BYTES + gauge_read(&counters->active) * STOP_SERIES_BYTES);
}

static bool files_below(const struct volume_space *space, uint64_t percent)
{
    return space->free_files != UINT64_MAX &&
           space->free_files / percent < space->total_files / 100;
}

static enum disk_room_level judge(const struct volume_space *space, uint64_t need)
{
    if (space->free_bytes < need || files_below(space, FILES_NONE))
        return DISK_ROOM_NONE;
    if (space->free_bytes < need + need / 4 || files_below(space, FILES_TIGHT))
        return DISK_ROOM_TIGHT;
    return DISK_ROOM_PLENTY;
}

static void tell(const struct store *store, enum disk_room_level level)
{
    char text[160];

    disk_room_describe(store, text, sizeof(text));
    if (level == DISK_ROOM_NONE)
        log_error("the disk is nearly full: pushes are refused until there is room", "room=\"%s\"",
                  text);
    else if (level == DISK_ROOM_TIGHT)
        log_warn("the disk is filling up: no new series are taken", "room=\"%s\"", text);
    else
        log_info("there is room on the disk again", "room=\"%s\"", text);
}

void disk_room_look(struct store *store)
{
    struct disk_room *room = &store->room;
    struct volume_space space;
    struct error ignored;
    int level;

    if (store->folder == NULL || store->options.min_free_bytes == 0 ||
        store->folder->volume->space(store->folder->volume, &space, &ignored) != 0)
        return;
    gauge_put(&room->free_bytes, space.free_bytes);
    gauge_put(&room->need_bytes, needed_bytes(store));
    gauge_put(&room->free_files, space.free_files);
    gauge_put(&room->total_files, space.total_files);
    level = (int)judge(&space, gauge_read(&room->need_bytes));
    if (__atomic_exchange_n(&room->level, level, __ATOMIC_RELAXED) != level)
        tell(store, (enum disk_room_level)level);
}

enum disk_room_level disk_room_level(const struct store *store)
{
    return (enum disk_room_level)__atomic_load_n(&store->room.level, __ATOMIC_RELAXED);
}

void disk_room_describe(const struct store *store, char *out, size_t size)
{
    const struct disk_room *room = &store->room;
    uint64_t files = gauge_read(&room->free_files), total = gauge_read(&room->total_files);
    int len = snprintf(out, size, "%" PRIu64 " MiB free where %" PRIu64 " are needed",
                       gauge_read(&room->free_bytes) / MIB,
                       (gauge_read(&room->need_bytes) + MIB - 1) / MIB);

    if (files != UINT64_MAX && len > 0 && (size_t)len < size)
        snprintf(out + len, size - (size_t)len, ", %" PRIu64 " of %" PRIu64 " inodes free", files,
                 total);
}

int disk_room_may_append(const struct store *store, struct error *err)
{
    char text[160];

    if (TIDE_LIKELY(disk_room_level(store) != DISK_ROOM_NONE))
        return 0;
    disk_room_describe(store, text, sizeof(text));
    return error_set(err, ERR_BUSY,
                     "the disk is nearly full: %s (storage.min_free_space): try again", text);
}

static double read_value(void *ctx)
{
    return (double)gauge_read(ctx);
}

static double read_level(void *ctx)
{
    return (double)disk_room_level(ctx);
}

void disk_room_register(struct store *store, struct metrics *metrics)
{
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_storage_free_bytes",
                     "Free bytes of the data folder's file system.", "", read_value,
                     &store->room.free_bytes);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_storage_needed_free_bytes",
                     "Below so many free bytes pushes are refused.", "", read_value,
                     &store->room.need_bytes);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_storage_room_level",
                     "0: there is room on the disk; 1: no new series; 2: pushes are refused.", "",
                     read_level, store);
}
