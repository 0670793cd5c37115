/* wal_record.h - the records of the write-ahead log as bytes: frames, and the packing of samples.
 *
 * Pure functions over memory; no files, no locks. A frame is
 *
 *     u32 marker   "TWL1", lets a reader find the next sound record after damage
 *     u32 length   of the body
 *     u32 crc      masked CRC-32C over body, type and number (in this order, so that only the last
 *                  nine bytes are summed where the number is given out)
 *     u8  type     enum wal_record_type
 *     u64 number   counts up over all segments: a gap says how many records were lost
 *     body, then zeros up to a multiple of 8
 *
 * All numbers are little-endian. No value depends on an earlier record, so damage costs one record.
 */
#ifndef TIDE_DISK_WAL_RECORD_H
#define TIDE_DISK_WAL_RECORD_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/labels.h"

#define WAL_FRAME_BYTES 21
#define WAL_FRAME_ALIGN 8
#define WAL_BODY_MAX ((size_t)64 << 20)

enum wal_record_type {
    WAL_BATCH = 1,  /* what a push changed: definitions, samples */
    WAL_DELETE,     /* fingerprints, from, to, trash id */
    WAL_EDITS,      /* one series: pending deletes, then pending late puts */
    WAL_MERGED,     /* late puts of these series up to here are in the series files, durable */
    WAL_INTENT,     /* a checkpoint is about to be renamed into place */
    WAL_CHECKPOINT, /* it is; replay starts at its position */
    WAL_STATE,      /* highest mapped number, confirmations */
};

/* How a late sample meets one of the same time. */
enum wal_late_rule { WAL_LATE_LAST, WAL_LATE_FIRST, WAL_LATE_MAX };

/* A frame found in a segment; body points into the caller's bytes. */
struct wal_frame {
    enum wal_record_type type;
    uint64_t number;
    const uint8_t *body;
    size_t body_len;
    size_t size; /* of the whole frame with its padding */
};

/** Bytes of the whole frame for a body of `body_len`. */
size_t wal_frame_size(size_t body_len);
/** CRC of a body, computed where no lock is held; for wal_frame_write. */
uint32_t wal_body_crc(const uint8_t *body, size_t len);
/** Writes frame and body to `out`, which has room for wal_frame_size(len). */
void wal_frame_write(uint8_t *out, enum wal_record_type type, uint64_t number, const uint8_t *body,
                     size_t len, uint32_t body_crc);
/**
 * Reads the frame at `bytes`.
 *
 * @return true if a whole, sound frame begins there; false: torn or damaged
 */
bool wal_frame_read(const uint8_t *bytes, size_t len, struct wal_frame *frame);
/** Offset (a multiple of 8) of the next sound frame behind `from`; len if there is none. */
size_t wal_frame_search(const uint8_t *bytes, size_t len, size_t from);

/* A BATCH body in the making. Zeroed is empty; one owner; reset and reuse it. */
struct wal_batch {
    struct buf bindings;
    struct buf definitions;
    struct wal_columns {
        struct buf ids;
        struct buf times;
        struct buf values;
        uint64_t count;
        uint32_t last_id;
        int64_t last_time_ms;
    } put, late;
    struct buf late_rules;
    uint64_t binding_count;
    uint64_t definition_count;
};

void wal_batch_reset(struct wal_batch *batch);
void wal_batch_destroy(struct wal_batch *batch);
bool wal_batch_is_empty(const struct wal_batch *batch);
/** From here on `wal_id` means `fp` in this segment. */
void wal_batch_bind(struct wal_batch *batch, uint32_t wal_id, uint64_t fp);
/** The labels of a series: once in its life, before its first binding. */
void wal_batch_define(struct wal_batch *batch, uint64_t fp, const struct labels *labels);
void wal_batch_put(struct wal_batch *batch, uint32_t wal_id, int64_t time_ms, double value);
void wal_batch_put_late(struct wal_batch *batch, uint32_t wal_id, int64_t time_ms, double value,
                        enum wal_late_rule rule);
/** Appends the body to `out`. */
void wal_batch_encode(const struct wal_batch *batch, struct buf *out);

/* Who is told what a BATCH body holds, in the order: definitions, bindings, puts, late puts.
 * Each returns 0, or -1 with err, which ends the reading. */
struct wal_batch_visitor {
    void *ctx;
    int (*define)(void *ctx, uint64_t fp, const struct label *list, size_t count,
                  struct error *err);
    int (*bind)(void *ctx, uint32_t wal_id, uint64_t fp, struct error *err);
    int (*put)(void *ctx, uint32_t wal_id, int64_t time_ms, double value, struct error *err);
    int (*late)(void *ctx, uint32_t wal_id, int64_t time_ms, double value, enum wal_late_rule rule,
                struct error *err);
};

/**
 * Reads a BATCH body; only its definitions when the visitor has no `bind`.
 *
 * @return 0, or -1 with err: CORRUPT (cut off or malformed; what came before was visited), or what
 *         the visitor said
 */
TIDE_NODISCARD int wal_batch_decode(const uint8_t *body, size_t len,
                                    const struct wal_batch_visitor *visitor, struct error *err);

/** Packs one value: 1 to 9 bytes to `out`; returns how many. Keeps all 64 bits. */
size_t wal_value_put(uint8_t *out, double value);
/** Reads it back from [p, end); NULL if cut off. */
const uint8_t *wal_value_get(const uint8_t *p, const uint8_t *end, double *value);

#endif
