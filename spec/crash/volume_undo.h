/* volume_undo.h - a volume that dies at a chosen moment, and whose unsynced changes can be undone
 * afterwards, in any order per file, as after a loss of power.
 *
 * Every change goes through to the volume below at once. Beside it, in a folder of its own, a
 * journal says how to undo what no sync has covered yet: the size of a file up to which its bytes
 * are durable, and for creations, renames and removals a second link to what was there. The
 * journal is written before the change and settled after the sync, so whoever finds it after a
 * kill -9 can forget everything unsynced (undo_forget). Truncations count as durable at once. Of
 * key-value tables the unsynced end of LevelDB's log can be forgotten; its tables it syncs itself.
 *
 * Fault points are the changes, by name: "wal.append", "wal.sync", "wal.remove", "heads.write",
 * "heads.sync", "heads.rename", "series.append", "series.rename", "series.remove", "folder.sync",
 * "all.sync", "table.write", "other". */
#ifndef SPEC_CRASH_VOLUME_UNDO_H
#define SPEC_CRASH_VOLUME_UNDO_H

#include "disk/volume.h"

enum undo_style { UNDO_BEFORE, UNDO_TORN, UNDO_AFTER };

struct undo_kill {
    const char *point; /* NULL: none; "any": every change counts */
    uint64_t nth;      /* from 1: the process kills itself at this one */
    enum undo_style style;
};

/** `folder` is the data folder of `inner`, `beside` a folder for the journal. */
struct volume *volume_undo_new(struct volume *inner, const char *folder, const char *beside,
                               const struct undo_kill *kill);

/* The longest path in the data folder or beside it. */
#define PATH_BYTES 1200

/** The folder of a name, "" at the top, into `out`, which is returned. */
const char *undo_folder_of(const char *name, char *out, size_t size);

/** Undoes a part of what is in the journal, chosen by `seed`, and empties it. 0, or -1: printed. */
int undo_forget(const char *folder, const char *beside, uint64_t seed);
/** Empties the journal: as when only the process died. */
void undo_settle(const char *beside);

#endif
