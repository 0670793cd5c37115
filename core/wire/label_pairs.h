/* label_pairs.h - label blocks that decoders make, and labels that a request adds to all series.
 *
 * LABEL_FORMAT_PAIRS: uvarint length and bytes, name and value in turn. Decoders whose format has
 * no contiguous label bytes (symbols, JSON, attributes) write such blocks. */
#ifndef TIDE_WIRE_LABEL_PAIRS_H
#define TIDE_WIRE_LABEL_PAIRS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "store/batch.h"

/** label_parser of LABEL_FORMAT_PAIRS; texts are borrowed from the block. */
int label_pairs_parse(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                      struct labels_builder *out, struct error *err);
/** Appends one pair. */
void label_pairs_put(struct buf *out, const char *name, size_t name_len, const char *value,
                     size_t value_len);

/**
 * Adds a label that must be new; an empty value says that the label is absent.
 *
 * @return 0, or -1 with err: INVALID (empty name, or a name twice)
 */
TIDE_NODISCARD int label_add_unique(struct labels_builder *out, const char *name, size_t name_len,
                                    const char *value, size_t value_len, struct error *err);

/* Labels that the request itself adds (?extra_label=, a push group, a database) to those of its
 * series. One owner; must outlive the batch it was applied to. */
struct label_extra {
    struct label *list; /* borrowed texts */
    size_t count;
    bool only_absent;    /* false: they win over labels of the same name; true: they fill gaps */
    label_parser *inner; /* set by label_extra_apply */
    const void *inner_ctx;
    struct buf salt; /* owned */
};

/** Puts itself before the batch's parser and into its salt. After decoding; no-op for none. */
void label_extra_apply(struct label_extra *extra, struct batch *batch);
/** Frees the salt; the list is the caller's. Safe on a zeroed one. */
void label_extra_destroy(struct label_extra *extra);

#endif
