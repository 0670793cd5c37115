/* metadata_table.h - what pushes said about metrics: type, help and unit by name, for
 * /api/v1/metadata.
 *
 * In memory only, bounded: a name that finds no room is left out. The last word counts. All
 * functions are thread-safe. */
#ifndef TIDE_HTTP_METADATA_TABLE_H
#define TIDE_HTTP_METADATA_TABLE_H

#include "base/base.h"
#include "base/buf.h"
#include "wire/push.h"

struct metadata_table;

/** @param max_bytes  of names, helps and units together */
struct metadata_table *metadata_table_new(size_t max_bytes);
/** Takes NULL. */
void metadata_table_free(struct metadata_table *table);
/** A metadata_sink; ctx is the table. Each part that is said replaces what was said before. */
void metadata_table_put(void *table, const struct metadata *metadata);

/** Is this metric to be listed? */
typedef bool metadata_filter(void *ctx, const char *name, size_t len);
/**
 * Appends {"name":[{"type":"counter","help":"...","unit":""}],...}, in order of name.
 *
 * @param filter  called under the table's lock; NULL: all
 * @param limit   names; 0: all
 */
void metadata_table_write(struct metadata_table *table, metadata_filter *filter, void *ctx,
                          size_t limit, struct buf *out);

#endif
