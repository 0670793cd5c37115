/* codable.h - the composite encodings of heads.db and the indexes (format, section 12).
 *
 * put functions append to a buffer. get functions read from [p, end), never pass it, and return
 * where the next thing begins, or NULL for damage: cut off, negative or impossible counts. Pure. */
#ifndef TIDE_DISK_CODABLE_H
#define TIDE_DISK_CODABLE_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/labels.h"

#define CODABLE_FINGERPRINT_BYTES 8

/* A borrowed byte string. */
struct codable_string {
    const char *bytes;
    size_t len;
};

void codable_put_uvarint(struct buf *out, uint64_t value);
void codable_put_varint(struct buf *out, int64_t value);
void codable_put_string(struct buf *out, const char *bytes, size_t len);
/** The labels in order of name. */
void codable_put_metric(struct buf *out, const struct labels *labels);
void codable_put_fingerprint(struct buf *out, uint64_t fp);
/** In the order given: sort before. */
void codable_put_fingerprints(struct buf *out, const uint64_t *fps, size_t count);
void codable_put_label_pair(struct buf *out, const char *name, size_t name_len, const char *value,
                            size_t value_len);
void codable_put_label_values(struct buf *out, const struct codable_string *values, size_t count);
void codable_put_time_range(struct buf *out, int64_t first_ms, int64_t last_ms);

const uint8_t *codable_get_uvarint(const uint8_t *p, const uint8_t *end, uint64_t *value);
const uint8_t *codable_get_varint(const uint8_t *p, const uint8_t *end, int64_t *value);
const uint8_t *codable_get_string(const uint8_t *p, const uint8_t *end,
                                  struct codable_string *string);
/** Counts and skips a metric's labels; *count is their number. */
const uint8_t *codable_skip_metric(const uint8_t *p, const uint8_t *end, size_t *count);
/** A metric as an owned block in *labels. NULL too for a name twice or an empty name. */
const uint8_t *codable_get_metric(const uint8_t *p, const uint8_t *end, struct labels **labels);
const uint8_t *codable_get_fingerprint(const uint8_t *p, const uint8_t *end, uint64_t *fp);
/** An owned array (mem_free), as stored: unsorted. *fps is NULL when there are none. */
const uint8_t *codable_get_fingerprints(const uint8_t *p, const uint8_t *end, uint64_t **fps,
                                        size_t *count);
const uint8_t *codable_get_label_pair(const uint8_t *p, const uint8_t *end,
                                      struct codable_string *name, struct codable_string *value);
/** An owned array (mem_free) of strings that point into [p, end). */
const uint8_t *codable_get_label_values(const uint8_t *p, const uint8_t *end,
                                        struct codable_string **values, size_t *count);
const uint8_t *codable_get_time_range(const uint8_t *p, const uint8_t *end, int64_t *first_ms,
                                      int64_t *last_ms);

#endif
