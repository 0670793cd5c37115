/* wal_body.h - bodies of the log's records besides BATCH (wal_record.h), as bytes and back.
 *
 * Pure functions. Reading fills structs whose arrays are owned by the struct (destroy it); false
 * means cut off or malformed, and then nothing is to be destroyed. */
#ifndef TIDE_DISK_WAL_BODY_H
#define TIDE_DISK_WAL_BODY_H

#include "base/base.h"
#include "base/buf.h"
#include "disk/wal_record.h"

/* INTENT and CHECKPOINT: everything before `segment` is in this heads.db. A rename keeps size and
 * time, so the same words tell it before and after. */
struct wal_mark {
    uint64_t segment;
    uint64_t heads_size;
    int64_t heads_mtime_ns;
};

void wal_mark_put(struct buf *out, const struct wal_mark *mark);
bool wal_mark_get(const uint8_t *body, size_t len, struct wal_mark *mark);

struct wal_range {
    int64_t from_ms; /* both inclusive */
    int64_t to_ms;
};

struct wal_late {
    int64_t time_ms;
    double value;
    enum wal_late_rule rule;
};

/* DELETE: the range of these series is gone; what was in it is in the trash under this id. */
struct wal_delete {
    struct wal_range range;
    char trash_id[64]; /* terminated; "": it was not kept */
    uint64_t *fps;
    size_t count;
};

void wal_delete_put(struct buf *out, const struct wal_delete *record);
bool wal_delete_get(const uint8_t *body, size_t len, struct wal_delete *record);
void wal_delete_destroy(struct wal_delete *record);

/* EDITS: what is pending for one series as of a checkpoint: deletes, then late samples. */
struct wal_edits {
    uint64_t fp;
    struct wal_range *ranges;
    size_t range_count;
    struct wal_late *lates;
    size_t late_count;
};

void wal_edits_put(struct buf *out, const struct wal_edits *record);
bool wal_edits_get(const uint8_t *body, size_t len, struct wal_edits *record);
void wal_edits_destroy(struct wal_edits *record);

/* MERGED: late samples and deletes of these series that were logged before record `before` are in
 * the series files, durable. */
struct wal_merged {
    uint64_t before;
    uint64_t *fps;
    size_t count;
};

void wal_merged_put(struct buf *out, const struct wal_merged *record);
bool wal_merged_get(const uint8_t *body, size_t len, struct wal_merged *record);
void wal_merged_destroy(struct wal_merged *record);

/* STATE: a key and a value that must not be forgotten while the log lives. */
struct wal_state {
    const char *key; /* borrowed from the body, not terminated */
    size_t key_len;
    const char *value;
    size_t value_len;
};

void wal_state_put(struct buf *out, const struct wal_state *state);
bool wal_state_get(const uint8_t *body, size_t len, struct wal_state *state);

#endif
