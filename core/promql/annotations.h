/* annotations.h - warnings and infos that a query gives beside its answer (promql.md 18).
 *
 * One entry per distinct text; the position is that of the one added last. A zeroed struct is
 * empty. One owner, not thread-safe. */
#ifndef TIDE_PROMQL_ANNOTATIONS_H
#define TIDE_PROMQL_ANNOTATIONS_H

#include "base/base.h"
#include "base/buf.h"

enum annotation_kind { ANNOTATION_WARNING, ANNOTATION_INFO };

/* At most so many entries of a kind are shown; one more says how many were left out. */
#define ANNOTATIONS_SHOWN 10

struct annotation {
    enum annotation_kind kind;
    char *text; /* owned, terminated: "PromQL warning: ...", without position */
    size_t len;
    uint32_t offset; /* byte of the query text that it is about */
    bool positioned;
    /* Buckets that were forced into order (promql.md 12.7): merged by text, written at the end. */
    bool forced;
    double min_bound, max_bound, max_diff;
    uint64_t samples;
    int64_t first_ms, last_ms;
};

struct annotations {
    struct annotation *items;
    size_t count;
    size_t cap;
    uint32_t *slots; /* number of an item + 1, by hash of its text; twice cap */
};

void annotations_destroy(struct annotations *annotations);
/**
 * Adds an entry, or moves the position of the one with the same text.
 *
 * @param text    without "PromQL warning: " in front and without a position behind
 * @param offset  byte offset into the query, or UINT32_MAX for none
 */
void annotations_add(struct annotations *annotations, enum annotation_kind kind, const char *text,
                     size_t len, uint32_t offset);
/** Adds "PromQL ..."-less text of the API level, such as "results truncated due to limit". */
void annotations_add_plain(struct annotations *annotations, enum annotation_kind kind,
                           const char *text);
/**
 * Notes that classic buckets of one group at one time were forced into order. Cases of the same
 * `name` (quoted metric name, may be empty) become one entry.
 */
void annotations_add_forced(struct annotations *annotations, const char *name, size_t name_len,
                            double min_bound, double max_bound, double max_diff, int64_t time_ms,
                            uint32_t offset);
/** Number of texts of a kind to show, the "N more ..." entry included. */
size_t annotations_shown(const struct annotations *annotations, enum annotation_kind kind);
/**
 * Appends the i-th shown text of a kind with its position, "text (LINE:COL)".
 *
 * @param query  the query as sent, to count lines; may be NULL: then positions are left out
 */
void annotations_write(const struct annotations *annotations, enum annotation_kind kind, size_t i,
                       const char *query, size_t query_len, struct buf *out);

#endif
