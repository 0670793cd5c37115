/* scratch.h - a folder for what a command needs only while it runs. */
#ifndef TIDE_SCRATCH_H
#define TIDE_SCRATCH_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"

/* Zeroed: there is none. */
struct scratch {
    struct volume *volume; /* owned */
    char *path;            /* owned */
};

/**
 * Makes a fresh folder.
 *
 * @param parent  where; NULL: $TMPDIR or /tmp
 * @return 0, or -1 with err: IO. scratch_remove it in any case
 */
TIDE_NODISCARD int scratch_make(struct scratch *scratch, const char *parent, struct error *err);
/** Removes the folder with all in it, and frees nothing: for a signal that ends the process while
 * another thread works there. Says on standard error what stays. */
void scratch_clear(const struct scratch *scratch);
/** Removes the folder with all in it and frees; says on standard error what stays. */
void scratch_remove(struct scratch *scratch);

#endif
