/* quarantine.h - orphaned/: series files that were put aside, each with a hint (format, section
 * 16).
 */
#ifndef TIDE_DISK_QUARANTINE_H
#define TIDE_DISK_QUARANTINE_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"
#include "model/labels.h"

#define QUARANTINE_FOLDER "orphaned"

/**
 * Moves the series file to orphaned/ and writes the hint beside it. A missing file is fine: only
 * the hint is written; the hint is written, as well as it can be, even if the move failed.
 *
 * @param labels  NULL: "[UNKNOWN METRIC]"
 * @param reason  NULL or "": "[UNKNOWN REASON]"
 * @return 0, or -1 with err: IO (the file is where it was)
 */
TIDE_NODISCARD int quarantine_series(struct volume *volume, uint64_t fp,
                                     const struct labels *labels, const char *reason,
                                     struct error *err);
/** Moves what is in the place of a series file, or of its folder, and is none to orphaned/. */
TIDE_NODISCARD int quarantine_obstacle(struct volume *volume, uint64_t fp, struct error *err);
/** The same for the folder alone ("94"): a file with its name goes to orphaned/file-94. */
TIDE_NODISCARD int quarantine_folder_name(struct volume *volume, const char *folder,
                                          struct error *err);

#endif
