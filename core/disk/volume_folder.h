/* volume_folder.h - a folder of a volume, seen as a volume of its own.
 *
 * Snapshots and the trash hold the layout of a whole data folder below `snapshots/ID` and
 * `trash/ID`; everything that writes or reads that layout takes a volume. Names are the folder's;
 * content comes in from outside by the outer volume's share. There is no lock and no marker here
 * (UNSUPPORTED): the outer volume has them. Threads and errors as volume.h. */
#ifndef TIDE_DISK_VOLUME_FOLDER_H
#define TIDE_DISK_VOLUME_FOLDER_H

#include "disk/volume.h"

/**
 * Views a folder, which need not exist yet. Nothing is made here.
 *
 * @param outer   borrowed, must live longer
 * @param folder  "snapshots/20261128T180000Z-6b1f"; copied
 * @return owned volume (its close); never NULL
 */
struct volume *volume_folder_open(struct volume *outer, const char *folder);

#endif
