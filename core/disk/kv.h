/* kv.h - the seam to ordered key-value tables: the four indexes of storage version 1.
 *
 * Keys are compared bytewise. LevelDB stands behind it (format, sections 14 and 15); a volume opens
 * tables by name (volume.h, open_kv). All functions are thread-safe. Errors: IO, CORRUPT. */
#ifndef TIDE_DISK_KV_H
#define TIDE_DISK_KV_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

struct kv_options {
    size_t block_cache_bytes;  /* 0: 8 MiB */
    size_t write_buffer_bytes; /* 0: 4 MiB, as the original */
    bool must_exist;           /* do not make it: NOT_FOUND */
    bool salvage;              /* damaged: make it readable first; what cannot be read is lost */
};

/* Changes that are applied together. Zeroed is empty; one owner; reset and reuse it. */
struct kv_batch {
    struct buf bytes; /* internal */
    size_t count;
};

void kv_batch_put(struct kv_batch *batch, const void *key, size_t key_len, const void *value,
                  size_t value_len);
void kv_batch_delete(struct kv_batch *batch, const void *key, size_t key_len);
void kv_batch_reset(struct kv_batch *batch);
void kv_batch_destroy(struct kv_batch *batch);

/* One change of a batch; pointers go into it. */
struct kv_change {
    const uint8_t *key;
    size_t key_len;
    const uint8_t *value; /* NULL: delete */
    size_t value_len;
};

/** Walks a batch: *at begins at 0. False at the end. */
bool kv_batch_next(const struct kv_batch *batch, size_t *at, struct kv_change *change);

struct kv {
    /** The value of a key into `value` (emptied first). @return 0 with *found, or -1 with err */
    int (*get)(struct kv *kv, const void *key, size_t key_len, struct buf *value, bool *found,
               struct error *err);
    /** Applies all changes of a batch, or none. `sync`: durable before it returns. */
    int (*write)(struct kv *kv, const struct kv_batch *batch, bool sync, struct error *err);
    /**
     * Visits the keys from `from` (inclusive, NULL: the first) to `to` (exclusive, NULL: to the
     * end) in order, as of the moment of the call. Pointers are valid during the visit.
     *
     * @return 0, or -1 with err: of the table, or what visit returned -1 with
     */
    int (*scan)(struct kv *kv, const void *from, size_t from_len, const void *to, size_t to_len,
                int (*visit)(void *ctx, const void *key, size_t key_len, const void *value,
                             size_t value_len, struct error *err),
                void *ctx, struct error *err);
    /** Closes and frees it in any case. @return 0, or -1 with err */
    int (*close)(struct kv *kv, struct error *err);
};

/**
 * Opens a LevelDB directory of the local file system (made, unless must_exist).
 *
 * @return owned table (its close), or NULL with err: NOT_FOUND, CORRUPT (remove the folder and
 *         make it anew, if it can be), CONFLICT (open elsewhere), IO
 */
TIDE_NODISCARD struct kv *kv_leveldb_open(const char *path, const struct kv_options *options,
                                          struct error *err);

#endif
