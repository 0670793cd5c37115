/* volume_fault.h - a volume that fails on demand, for specs. Wraps another, which it does not own.
 *
 * Every operation that is one of the armed kinds counts. Operation number `after` + 1 from now on
 * fails (and the next `times` - 1 of them). Key-value tables opened through it pass by: their
 * writes count as FAULT_KV. Thread-safe: counts are atomic. */
#ifndef TIDE_DISK_VOLUME_FAULT_H
#define TIDE_DISK_VOLUME_FAULT_H

#include "base/base.h"
#include "disk/volume.h"

enum fault_kind {
    FAULT_OPEN = 1 << 0,   /* begin of replace, open of tables */
    FAULT_WRITE = 1 << 1,  /* append; write, copy, patch of a replacement */
    FAULT_READ = 1 << 2,   /* read, stat, list */
    FAULT_SYNC = 1 << 3,   /* sync of any kind, also the one asked for in another call */
    FAULT_RENAME = 1 << 4, /* publish, move, share */
    FAULT_REMOVE = 1 << 5, /* remove, remove_folder */
    FAULT_RESIZE = 1 << 6, /* truncate */
    FAULT_KV = 1 << 7,     /* get, write and scan of tables */
    FAULT_ANY = 0xff,
};

/* What a failing write leaves behind. */
enum fault_style {
    FAULT_CLEAN, /* nothing was written */
    FAULT_TORN,  /* half of the bytes are there, and nobody cut them back: as a crash leaves it */
    FAULT_AFTER, /* everything was done, but an error is returned: an answer that was lost */
};

struct volume *volume_fault_new(struct volume *inner);
/** Arms it. `sys_errno`: EIO, ENOSPC ... `times`: UINT64_MAX is for good. */
void volume_fault_arm(struct volume *volume, int kinds, uint64_t after, uint64_t times,
                      int sys_errno, enum fault_style style);
/** Every operation takes so much longer from now on, as on a slow disk. */
void volume_fault_slow(struct volume *volume, uint32_t microseconds);
/** The volume says that it has so much room from now on, whatever there is; NULL: what there is. */
void volume_fault_space(struct volume *volume, const struct volume_space *space);
/** Nothing fails any more. */
void volume_fault_disarm(struct volume *volume);
/** Operations of the armed kinds since it was armed, failed ones included. */
uint64_t volume_fault_count(const struct volume *volume);
/** How many of them failed. */
uint64_t volume_fault_failed(const struct volume *volume);

#endif
