/* volume_overlay.h - a volume over another one that stays as it is: what is changed goes elsewhere.
 *
 * So a folder can be opened, recovered and read without a byte of it being written. A file that is
 * changed is copied into `upper` first, tables as a whole when they are opened. Thread-safe as any
 * volume. Nothing of it is meant to last: syncs do nothing. */
#ifndef TIDE_DISK_VOLUME_OVERLAY_H
#define TIDE_DISK_VOLUME_OVERLAY_H

#include "base/base.h"
#include "disk/volume.h"

/**
 * @param lower  never written to; its lock is only taken as a guard. Borrowed
 * @param upper  empty; gets what changes. Borrowed; its owner empties it again
 * @return owned volume (its close)
 */
struct volume *volume_overlay_new(struct volume *lower, struct volume *upper);

#endif
