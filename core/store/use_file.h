/* use_file.h - what use_table.h knows, over a restart: use.db (disk/use_db.h).
 *
 * Written as a whole, beside each checkpoint and, when reads were counted, once an hour; so a crash
 * may take the counts of an hour. */
#ifndef TIDE_STORE_USE_FILE_H
#define TIDE_STORE_USE_FILE_H

#include "base/base.h"
#include "base/error.h"

#ifndef TIDE_CDEF

struct store;
struct volume;

/** After all series are there, before any push or query: what is in the file is laid over what the
 * store has made up so far. A damaged block is left out, with a warning: its series are as if they
 * had been seen for the first time now. Never fails: the file is no one's only copy of a sample. */
void use_file_load(struct store *store);
/** Writes it anew if something has changed; a failure is logged, and it is tried again. */
void use_file_save(struct store *store);
/** The same, at most once an hour. */
void use_file_save_due(struct store *store);
/** Writes it into another folder: a snapshot's. -1 with err: IO */
TIDE_NODISCARD int use_file_write(struct store *store, struct volume *volume, struct error *err);

#endif
#endif
