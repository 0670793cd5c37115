/* labels.h - a metric: labels as one immutable, sorted, reference-counted block.
 *
 * Invariants: names are unique, not empty, in byte order; values are not empty (an empty value is
 * an absent label, format section 5). Bytes are not validated here (label_limits in the push does).
 * Blocks are immutable and their count is atomic, so they may be shared among threads. */
#ifndef TIDE_MODEL_LABELS_H
#define TIDE_MODEL_LABELS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

#define LABEL_METRIC_NAME "__name__"

/* A borrowed label; the bytes are somebody else's and not terminated. */
struct label {
    const char *name;
    const char *value;
    uint32_t name_len;
    uint32_t value_len;
};

struct labels;

/**
 * Makes a block from labels in any order; empty values are left out.
 *
 * @return owned reference, or NULL with err: ERR_INVALID (a name twice, or an empty name)
 */
TIDE_NODISCARD struct labels *labels_new(const struct label *list, size_t count, struct error *err);
/** The same for labels that are sorted, unique and without empty values already: cannot fail. */
struct labels *labels_new_sorted(const struct label *list, size_t count);
struct labels *labels_ref(const struct labels *labels);
/** Takes NULL. */
void labels_unref(const struct labels *labels);

size_t labels_count(const struct labels *labels);
/** The i-th label in byte order of names, borrowed from the block. */
struct label labels_at(const struct labels *labels, size_t i);
/** Looks a name up; false (and *label untouched) when absent. */
bool labels_find(const struct labels *labels, const char *name, size_t name_len,
                 struct label *label);

bool labels_equal(const struct labels *a, const struct labels *b);
/** Canonical order (promql.md 2.2): by name, then value, then fewer labels first. < 0, 0, > 0. */
int labels_compare(const struct labels *a, const struct labels *b);
/** XXH64 of names and values with their lengths (promql.md 2.3); kept in the block once asked for.
 */
uint64_t labels_hash(const struct labels *labels);

/* A label set in the making: start from a block or from nothing, set and delete, then build. */
struct labels_builder {
    struct label *list; /* not sorted; deleted ones have value_len 0 */
    size_t count;
    size_t cap;
};

void labels_builder_init(struct labels_builder *builder);
void labels_builder_destroy(struct labels_builder *builder);
/** Empties it and, when base is not NULL, starts with its labels (borrowed: base must outlive). */
void labels_builder_reset(struct labels_builder *builder, const struct labels *base);
/** Sets (replaces) a label; bytes are borrowed until the build. An empty value deletes. */
void labels_builder_set(struct labels_builder *builder, const char *name, size_t name_len,
                        const char *value, size_t value_len);
void labels_builder_delete(struct labels_builder *builder, const char *name, size_t name_len);
/** An owned block of what was set. */
struct labels *labels_builder_build(struct labels_builder *builder);

/** Quotes as Go's %q: for hint files and error texts (format section 16). */
void labels_quote(struct buf *out, const char *text, size_t len);
/** name{l1="v1", l2="v2"}: hint files and logs (format section 16). */
void labels_format_metric(struct buf *out, const struct labels *labels);
/** {__name__="up", job="x"}: PromQL's error texts (promql.md 2.2). */
void labels_format_set(struct buf *out, const struct labels *labels);

#endif
