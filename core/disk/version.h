/* version.h - VERSION: whether this folder is ours to open (format, section 3). */
#ifndef TIDE_DISK_VERSION_H
#define TIDE_DISK_VERSION_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"

#define VERSION_FILE "VERSION"

/**
 * Checks VERSION, before the lock is taken; an empty folder gets one. Names that begin with '.'
 * and a folder lost+found count as nothing.
 *
 * @param make     write VERSION into an empty folder; without, an empty folder is NOT_FOUND
 * @param created  out: it was written now; may be NULL
 * @return 0, or -1 with err: UNSUPPORTED (another version, or not a number, or an unknown kind of
 *         folder: the text says what was found), IO
 */
TIDE_NODISCARD int version_check(struct volume *volume, bool make, bool *created,
                                 struct error *err);

#endif
