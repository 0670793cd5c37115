/* wal_find.c - where a replay begins (wal.h).
 *
 * The header of a segment names the checkpoint that was the last when it was begun, so the newest
 * segment tells all but what happened while it was written. Only when none of that fits the
 * heads.db that is there are older segments read, for an INTENT of it. */
#include "base/mem.h"
#include "disk/wal.h"
#include "disk/wal_file.h"
#include "disk/wal_segments.h"

static bool names(const struct wal_mark *mark, const struct volume_stat *heads)
{
    return mark->heads_size == heads->size &&
           (heads->size == 0 || mark->heads_mtime_ns == heads->mtime_ns);
}

/* What the records of one segment say of checkpoints. */
struct found {
    bool has_mark;
    struct wal_mark mark;
    bool has_intent; /* behind the mark */
    struct wal_mark intent;
};

static void see_frame(struct found *found, const struct wal_frame *frame)
{
    struct wal_mark mark;

    if (frame->type != WAL_CHECKPOINT && frame->type != WAL_INTENT)
        return;
    if (!wal_mark_get(frame->body, frame->body_len, &mark))
        return;
    found->has_intent = frame->type == WAL_INTENT;
    if (frame->type == WAL_CHECKPOINT) {
        found->has_mark = true;
        found->mark = mark;
    } else {
        found->intent = mark;
    }
}

static void see_frames(struct found *found, const uint8_t *bytes, size_t len)
{
    size_t at = WAL_HEADER_BYTES;

    while (at < len) {
        struct wal_frame frame;

        if (wal_frame_read(bytes + at, len - at, &frame)) {
            see_frame(found, &frame);
            at += frame.size;
        } else {
            at = wal_frame_search(bytes, len, at + 1);
        }
    }
}

/* Reads one segment into what is known; `newest` sets it, older ones add an INTENT that fits. */
static int see_segment(struct volume *volume, const struct wal_segment_entry *entry,
                       const struct volume_stat *heads, struct wal_start *start, struct error *err)
{
    struct found found = {0};
    struct wal_header header;
    size_t len;
    uint8_t *bytes = wal_segment_read(volume, entry, &len, err);
    bool whole;

    if (bytes == NULL)
        return -1;
    whole = wal_header_read(bytes, len, &header);
    see_frames(&found, bytes, len);
    mem_free(bytes);
    if (whole && start->found && header.store_id != start->store_id)
        start->mixed = true;
    if (!start->found && (whole || found.has_mark)) {
        start->found = true;
        start->store_id = whole ? header.store_id : 0;
        start->mark = found.has_mark ? found.mark : header.mark;
    }
    if (found.has_intent && !start->has_intent && names(&found.intent, heads)) {
        start->has_intent = true;
        start->intent = found.intent;
    }
    return 0;
}

int wal_find(struct volume *volume, const struct volume_stat *heads, struct wal_start *start,
             struct error *err)
{
    struct wal_segments list = {0};
    int result;

    *start = (struct wal_start){0};
    result = wal_segments_list(volume, &list, err);
    for (size_t i = list.count; result == 0 && i-- > 0;) {
        if (start->found && (names(&start->mark, heads) || start->has_intent ||
                             list.items[i].number < start->mark.segment))
            break;
        result = see_segment(volume, &list.items[i], heads, start, err);
    }
    if (result == 0 && !start->found && list.count != 0) { /* no header is readable: all of it */
        start->found = true;
        start->mark.heads_size = UINT64_MAX;
    }
    wal_segments_destroy(&list);
    return result;
}
