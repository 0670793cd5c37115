/* offline.h - what the commands on a stopped folder share: the folder, a place for copies, and how
 * far they are. Errors are said on standard error. */
#ifndef TIDE_OFFLINE_H
#define TIDE_OFFLINE_H

#include "base/base.h"
#include "base/thread.h"
#include "disk/volume.h"
#include "scratch.h"
#include "store/store.h"

/* A data folder and a scratch folder; both are owned. */
struct offline {
    struct volume *folder;
    struct scratch scratch;         /* zeroed: none was asked for */
    struct store_progress progress; /* of the store that was opened last */
    struct thread signals;          /* cleans up when the command is stopped from outside */
    int64_t shown_ns;               /* when progress was shown last; one thread at a time */
};

/**
 * Opens the folder, which must exist.
 *
 * @param parent  where the scratch folder is made; NULL: $TMPDIR or /tmp
 * @return 0 (offline_close it), or -1: it was said on standard error what is wrong
 */
TIDE_NODISCARD int offline_open(struct offline *offline, const char *data, bool with_scratch,
                                const char *parent);
/** Closes both and removes the scratch folder. */
void offline_close(struct offline *offline);

/** Says on standard error how far something is, now and then: call it as often as you like. */
void offline_show_progress(struct offline *offline, const char *phase, uint64_t done,
                           uint64_t total);
/** The last line of progress is over. */
void offline_end_progress(void);

/**
 * Opens a store of the folder for reading or repair: no retention, no background. Shows progress.
 *
 * @param volume  the folder, or one over it; borrowed, must outlive the store, as `offline`
 * @param repair  check every chunk, make anew whatever can be
 * @return owned store, or NULL: it was said on standard error what is wrong
 */
TIDE_NODISCARD struct store *offline_open_store(struct offline *offline, struct volume *volume,
                                                bool repair);

#endif
