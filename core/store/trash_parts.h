/* trash_parts.h - the trash between delete, undelete and maintenance. For this room only. */
#ifndef TIDE_STORE_TRASH_PARTS_H
#define TIDE_STORE_TRASH_PARTS_H

#include "store/folder.h"
#include "store/trash.h"

/** Says what was deleted, durably: trash/ID/manifest.json. */
int trash_write_manifest(struct store *store, const struct removal *removal, struct error *err);
/** A missing or broken one is a delete that was interrupted. -1 with err: INVALID (the id), IO */
int trash_read_manifest(struct store *store, const char *id, struct removal *removal,
                        struct error *err);
/** Nobody else reads or removes an entry meanwhile; false: somebody does. */
bool trash_use(struct store *store, const char *id);
void trash_unuse(struct store *store);
/** Removes an entry. -1 with err: NOT_FOUND, IO */
int trash_remove(struct store *store, const char *id, struct error *err);
/** What is due by age, now and then. */
int trash_tick(struct store *store, struct error *err);

#endif
