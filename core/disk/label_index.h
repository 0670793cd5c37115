/* label_index.h - the two label indexes on disk: pair -> fingerprints, name -> values.
 *
 * Layout: format, section 14. They are written so that the original can read them, and read when
 * a metric must be found again; queries are answered from memory (core/store). They can be made
 * anew from the metrics at any time. Thread-safe; a batch has one owner. Errors: IO, CORRUPT. */
#ifndef TIDE_DISK_LABEL_INDEX_H
#define TIDE_DISK_LABEL_INDEX_H

#include "base/base.h"
#include "base/error.h"
#include "disk/codable.h"
#include "disk/kv.h"
#include "disk/volume.h"

#define LABEL_INDEX_NAMES "labelname_to_labelvalues"
#define LABEL_INDEX_PAIRS "labelpair_to_fingerprints"

struct label_index;

/** Opens (makes) both. NULL with err: CORRUPT (label_index_remove and open again), IO. */
TIDE_NODISCARD struct label_index *label_index_open(struct volume *volume, struct error *err);
/** The same, but none is made: NOT_FOUND. `salvage`: one that is damaged is read as well as it can
 * be; what cannot be read of it is lost. */
TIDE_NODISCARD struct label_index *label_index_open_existing(struct volume *volume, bool salvage,
                                                             struct error *err);
/** Frees it in any case. */
TIDE_NODISCARD int label_index_close(struct label_index *index, struct error *err);
/** Removes both folders; not while open. */
TIDE_NODISCARD int label_index_remove(struct volume *volume, struct error *err);

/* Sets to write. Zeroed is empty; reset and reuse it. */
struct label_index_batch {
    struct kv_batch pairs;
    struct kv_batch names;
    struct buf key; /* scratch */
    struct buf value;
};

/** The whole set of a pair; ascending fingerprints. None: the key is deleted. */
void label_index_put_pair(struct label_index_batch *batch, const char *name, size_t name_len,
                          const char *value, size_t value_len, const uint64_t *fps, size_t count);
/** The whole set of a name; ascending values. None: the key is deleted. */
void label_index_put_name(struct label_index_batch *batch, const char *name, size_t name_len,
                          const struct codable_string *values, size_t count);
/** Bytes that it holds: write it at some megabytes. */
size_t label_index_batch_bytes(const struct label_index_batch *batch);
void label_index_batch_destroy(struct label_index_batch *batch);
/** Writes pairs, then names, and empties the batch. On failure the batch is kept. */
TIDE_NODISCARD int label_index_write(struct label_index *index, struct label_index_batch *batch,
                                     bool sync, struct error *err);

/** Fingerprints of a pair, ascending; owned (mem_free); none: NULL and 0. */
TIDE_NODISCARD int label_index_pair(struct label_index *index, const char *name, size_t name_len,
                                    const char *value, size_t value_len, uint64_t **fps,
                                    size_t *count, struct error *err);
/** Visits every pair with its set (in stored order, borrowed). */
TIDE_NODISCARD int label_index_scan_pairs(struct label_index *index,
                                          int (*visit)(void *ctx, struct codable_string name,
                                                       struct codable_string value,
                                                       const uint64_t *fps, size_t count,
                                                       struct error *err),
                                          void *ctx, struct error *err);
/** Visits every name with its values (in stored order, borrowed). */
TIDE_NODISCARD int label_index_scan_names(struct label_index *index,
                                          int (*visit)(void *ctx, struct codable_string name,
                                                       const struct codable_string *values,
                                                       size_t count, struct error *err),
                                          void *ctx, struct error *err);

#endif
