/* wal_replay.c - reading the log back (wal.h): in order, skipping damage, saying what was lost. */
#include "base/mem.h"
#include "disk/wal.h"
#include "disk/wal_file.h"
#include "disk/wal_segments.h"

/* One replay under way. */
struct replay {
    struct volume *volume;
    const struct wal_reader *reader;
    struct wal_replay_report *report;
    uint64_t last_record; /* number of the last sound record; 0: none yet */
    bool any_record;
};

static int visit(struct replay *replay, uint64_t segment, const struct wal_frame *frame,
                 struct error *err)
{
    if (replay->any_record && frame->number > replay->last_record + 1) {
        replay->report->records_lost += frame->number - replay->last_record - 1;
        if (replay->reader->lost != NULL)
            replay->reader->lost(replay->reader->ctx, segment, replay->last_record, frame->number);
    }
    replay->last_record = frame->number;
    replay->any_record = true;
    replay->report->records++;
    return replay->reader->record != NULL
               ? replay->reader->record(replay->reader->ctx, segment, frame, err)
               : 0;
}

/* A record of an earlier write that damage let us find again would go back in time: left out. */
static bool is_stale(const struct replay *replay, const struct wal_frame *frame)
{
    return replay->any_record && frame->number <= replay->last_record;
}

static int replay_bytes(struct replay *replay, uint64_t segment, const uint8_t *bytes, size_t len,
                        struct error *err)
{
    size_t at = WAL_HEADER_BYTES;

    while (at < len) {
        struct wal_frame frame;

        if (wal_frame_read(bytes + at, len - at, &frame) && !is_stale(replay, &frame)) {
            if (visit(replay, segment, &frame, err) != 0)
                return error_note(err, "log segment %016" PRIx64 " at byte %zu", segment, at);
            at += frame.size;
            replay->report->torn_bytes = 0;
        } else {
            size_t next = wal_frame_search(bytes, len, at + 1);

            replay->report->torn_bytes = next - at;
            if (next < len) {
                replay->report->bytes_lost += next - at;
                if (replay->reader->damaged != NULL)
                    replay->reader->damaged(replay->reader->ctx, segment, bytes + at, next - at);
            }
            at = next;
        }
    }
    return 0;
}

static int replay_segment(struct replay *replay, const struct wal_segment_entry *entry,
                          struct error *err)
{
    struct wal_header header;
    size_t len;
    uint8_t *bytes = wal_segment_read(replay->volume, entry, &len, err);
    int result;

    if (bytes == NULL)
        return -1;
    replay->report->torn_bytes = 0;
    if (wal_header_read(bytes, len, &header)) {
        replay->report->store_id = header.store_id;
        if (!replay->any_record && header.first_record != 0) {
            replay->last_record = header.first_record - 1;
            replay->any_record = true;
        }
    }
    result = replay_bytes(replay, entry->number, bytes, len, err);
    mem_free(bytes);
    return result;
}

int wal_replay(struct volume *volume, uint64_t from_segment, const struct wal_reader *reader,
               struct wal_replay_report *report, struct error *err)
{
    struct replay replay = {.volume = volume, .reader = reader, .report = report};
    struct wal_segments list = {0};
    uint64_t done = 0;
    int result;

    *report = (struct wal_replay_report){.next_segment = from_segment};
    result = wal_segments_list(volume, &list, err);
    for (size_t i = 0; result == 0 && i < list.count; i++) {
        report->next_segment = list.items[i].number + 1;
        done += list.items[i].size;
        if (list.items[i].number < from_segment)
            continue;
        result = replay_segment(&replay, &list.items[i], err);
        report->segments++;
        report->bytes += list.items[i].size;
        if (reader->progress != NULL)
            reader->progress(reader->ctx, done, list.bytes);
    }
    report->next_record = replay.last_record + 1;
    wal_segments_destroy(&list);
    return result;
}
