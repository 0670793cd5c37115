/* archive.h - the two archive indexes: fingerprint -> metric, fingerprint -> time range.
 *
 * Layout: format, section 14. fingerprint -> metric is the only place that knows the metrics of
 * archived series, so changes are synced before the series leaves memory: in batches of up to
 * ARCHIVE_BATCH, for a synced write costs as much for one as for many. Thread-safe; a batch has one
 * owner. Errors: IO, CORRUPT. */
#ifndef TIDE_DISK_ARCHIVE_H
#define TIDE_DISK_ARCHIVE_H

#include "base/base.h"
#include "base/error.h"
#include "disk/kv.h"
#include "disk/volume.h"
#include "model/labels.h"

#define ARCHIVE_METRICS "archived_fingerprint_to_metric"
#define ARCHIVE_RANGES "archived_fingerprint_to_timerange"
#define ARCHIVE_BATCH 256

struct archive;

/**
 * Opens (makes) both. A damaged index is not the end: what of the metrics can be read is saved,
 * what cannot goes to orphaned/, and the time ranges are made anew, empty. Then *damaged is set,
 * and recovery must run: it finds ranges in the series files and metrics in the label index.
 *
 * @return owned, or NULL with err: CONFLICT (open elsewhere), IO
 */
TIDE_NODISCARD struct archive *archive_open(struct volume *volume, bool *damaged,
                                            struct error *err);
/** The same in a folder that was in use before: a missing index is a damaged one. */
TIDE_NODISCARD struct archive *archive_open_existing(struct volume *volume, bool *damaged,
                                                     struct error *err);
/** The same for one that turned out to be damaged while it was read. Nobody may have it open. */
TIDE_NODISCARD struct archive *archive_open_salvaged(struct volume *volume, struct error *err);
/** Frees it in any case. */
TIDE_NODISCARD int archive_close(struct archive *archive, struct error *err);

/** Owned labels in *labels, NULL when the series is not archived. -1 with err: CORRUPT, IO */
TIDE_NODISCARD int archive_metric(struct archive *archive, uint64_t fp, struct labels **labels,
                                  struct error *err);
/** *found is false when there is no entry. */
TIDE_NODISCARD int archive_range(struct archive *archive, uint64_t fp, int64_t *first_ms,
                                 int64_t *last_ms, bool *found, struct error *err);

/* Changes of both indexes. Zeroed is empty; reset by write. */
struct archive_batch {
    struct kv_batch metrics;
    struct kv_batch ranges;
    struct buf scratch;
    size_t count; /* changes of series */
};

void archive_put(struct archive_batch *batch, uint64_t fp, const struct labels *labels,
                 int64_t first_ms, int64_t last_ms);
/** The range alone: retention moved its begin. */
void archive_put_range(struct archive_batch *batch, uint64_t fp, int64_t first_ms, int64_t last_ms);
/** Both entries go; missing ones are fine. */
void archive_delete(struct archive_batch *batch, uint64_t fp);
void archive_delete_range(struct archive_batch *batch, uint64_t fp);
void archive_batch_destroy(struct archive_batch *batch);
/** Writes metrics, then ranges, and empties the batch. On failure the batch is kept: write it
 * again. `sync`: durable before it returns. */
TIDE_NODISCARD int archive_write(struct archive *archive, struct archive_batch *batch, bool sync,
                                 struct error *err);

struct archive_visitor {
    void *ctx;
    /** A sound entry; labels are borrowed. In scan_metrics. */
    int (*metric)(void *ctx, uint64_t fp, const struct labels *labels, struct error *err);
    /** In scan_ranges. */
    int (*range)(void *ctx, uint64_t fp, int64_t first_ms, int64_t last_ms, struct error *err);
    /** An entry that cannot be read; fp is 0 when not even its key can. May be NULL: then it is an
     * error CORRUPT of the scan. */
    int (*damaged)(void *ctx, uint64_t fp, const char *what, struct error *err);
};

/** Visits the entries with from <= fingerprint <= to, ascending. Ranges of fingerprints may be
 * scanned by several threads at once. */
TIDE_NODISCARD int archive_scan_metrics(struct archive *archive, uint64_t from, uint64_t to,
                                        const struct archive_visitor *visitor, struct error *err);
TIDE_NODISCARD int archive_scan_ranges(struct archive *archive, uint64_t from, uint64_t to,
                                       const struct archive_visitor *visitor, struct error *err);

#endif
