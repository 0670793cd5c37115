/* trash.h - what was deleted on request, kept for a time so that it can come back.
 *
 * `trash/ID` is a folder in the layout of storage version 1 without label indexes: the deleted
 * series as they were, whole, their files linked. `again/` in it has what changed between that copy
 * and the delete. `manifest.json` says what of it was deleted; it is written last. After
 * `trash_ttl_ms` the folder goes, unless the clock is doubted. */
#ifndef TIDE_STORE_TRASH_H
#define TIDE_STORE_TRASH_H

#include "base/base.h"
#include "base/error.h"
#include "store/audit.h"
#include "store/store.h"

#define TRASH_FOLDER "trash"
#define TRASH_MANIFEST "manifest.json"
#define TRASH_AGAIN "again"
/* For trash_ttl_ms: nothing goes by itself. */
#define TRASH_FOREVER INT64_MAX

/**
 * What is in the trash, oldest first.
 *
 * @param list   out: owned array (mem_free), NULL when empty
 * @param count  out
 * @return 0, or -1 with err: IO, UNSUPPORTED (a store in memory)
 */
TIDE_NODISCARD int store_trash_list(struct store *store, struct removal **list, size_t *count,
                                    struct error *err);
/** When an entry goes; TIDE_LATEST_MS: never. */
int64_t store_trash_expires(struct store *store, const struct removal *removal);

/**
 * Removes an entry for good before its time.
 *
 * @param id  NULL: all of them
 * @param by  who asks, for the audit
 * @return 0, or -1 with err: INVALID, NOT_FOUND, BUSY (an undelete reads it), IO
 */
TIDE_NODISCARD int store_trash_remove(struct store *store, const char *id, const char *by,
                                      struct error *err);

#endif
