/* eval_labels.h - parts of label sets, and numbers for label sets: what grouping and matching need.
 *
 * Owned by one evaluation, one thread. */
#ifndef TIDE_PROMQL_EVAL_LABELS_H
#define TIDE_PROMQL_EVAL_LABELS_H

#include "base/base.h"
#include "model/labels.h"
#include "promql/ast.h"

/* A set of label blocks, numbered in the order of their first appearance. Zeroed is empty. */
struct label_set_map {
    const struct labels **sets; /* owned references */
    size_t count;
    size_t cap;
    uint32_t *slots; /* number + 1, 0 is free */
    size_t slot_count;
};

/** The number of a label set; it is added (the reference taken over or released) when new. */
size_t label_set_map_put(struct label_set_map *map, const struct labels *labels, bool *is_new);
void label_set_map_destroy(struct label_set_map *map);

/** True when one of the names is this. */
bool label_names_has(const struct query_texts *names, const char *text, size_t len);
/** Only the named labels. Owned. */
struct labels *labels_keep(const struct labels *labels, const struct query_texts *names);
/** All but the named labels and, if asked, __name__. Owned. */
struct labels *labels_drop(const struct labels *labels, const struct query_texts *names,
                           bool drop_metric_name);
/** Without __name__, __type__ and __unit__. Owned. */
struct labels *labels_drop_metadata(const struct labels *labels);
/** True for __name__, __type__ and __unit__. */
bool label_is_metadata(const char *name, size_t len);

/* Numbers for the parts of label sets that on(...), ignoring(...), by(...) or without(...) leave,
 * in order of their first appearance. A part that is known already is found without building it. */
struct label_part_map {
    const struct query_texts *names;
    bool keeps;            /* the named labels; else all but them and __name__ */
    struct labels **parts; /* owned references */
    uint64_t *hashes;
    size_t count;
    size_t cap;
    uint32_t *slots; /* number + 1, 0 is free */
};

/** The number of the part of `labels`. */
size_t label_part_map_put(struct label_part_map *map, const struct labels *labels, bool *is_new);
void label_part_map_destroy(struct label_part_map *map);

#endif
