/* recover.h - what the files of crash recovery share. */
#ifndef TIDE_STORE_RECOVER_H
#define TIDE_STORE_RECOVER_H

#include <stdio.h>
#include <stdlib.h>

#include "disk/quarantine.h"
#include "store/folder.h"

/* One file of a folder. */
struct found_file {
    uint64_t fp;
    struct volume_stat stat;
};

/* A part of one recovery: one thread's, until they are merged into the first. */
struct recovery {
    struct store *store;
    struct volume *volume;
    struct archive_batch archive; /* corrections, written at the end */
    struct fp_list seen;          /* files of known series; sorted when they are merged */
    struct fp_list orphans;       /* files of unknown ones; the same */
    struct fp_list gone;          /* series of which nothing was found */
    struct store_recovery done;   /* counts */
};

void recovery_quarantine(struct recovery *recovery, uint64_t fp, const struct labels *labels,
                         const char *reason);
/** Nothing of the series was found; the log may yet have some of it. Its stripe is locked. */
void recovery_gone_locked(struct recovery *recovery, struct series *series);
/** The series goes on without a file. Its stripe is locked. */
void recovery_forget_file_locked(struct recovery *recovery, struct series *series);
/** Brings a file and its series to agree. 0; 1: nobody knows the series; -1 with err */
int recovery_known_file(struct recovery *recovery, struct found_file *file, struct error *err);
/** Behind which time the records of the file are in heads.db or the log; TIDE_LATEST_MS: not known.
 */
int64_t recovery_boundary_locked(const struct series *series);
/** Cuts off the records that begin behind it, if the log covers them; an empty file goes. */
int recovery_cut_covered(struct recovery *recovery, struct found_file *file, int64_t boundary_ms,
                         struct error *err);
/** Finds the metrics of files without owner, or quarantines them. */
int recover_orphans(struct recovery *recovery, struct error *err);

/** Adopts a file of the recovered metric: a series with closed head. 0, 1: no sound chunk, -1. */
int recovery_adopt(struct recovery *recovery, uint64_t fp, const struct labels *labels,
                   struct error *err);

#endif
