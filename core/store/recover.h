/* recover.h - what the files of crash recovery share. */
#ifndef TIDE_STORE_RECOVER_H
#define TIDE_STORE_RECOVER_H

#include <stdio.h>
#include <stdlib.h>

#include "disk/quarantine.h"
#include "store/folder.h"

struct fp_list {
    uint64_t *fps;
    size_t count;
    size_t cap;
};

/* One recovery; single-threaded. */
struct recovery {
    struct store *store;
    struct volume *volume;
    struct archive_batch archive; /* corrections, written at the end */
    struct fp_list seen;          /* files of known series */
    struct fp_list orphans;       /* files of unknown ones; sorted when recover_orphans begins */
    struct store_recovery *done;  /* counts */
};

void recovery_quarantine(struct recovery *recovery, uint64_t fp, const struct labels *labels,
                         const char *reason);
/** The series goes on without a file. Its stripe is locked. */
void recovery_forget_file_locked(struct recovery *recovery, struct series *series);
/** Finds the metrics of files without owner, or quarantines them. */
int recover_orphans(struct recovery *recovery, struct error *err);

/** Adopts a file of the recovered metric: a series with closed head. 0, 1: no sound chunk, -1. */
int recovery_adopt(struct recovery *recovery, uint64_t fp, const struct labels *labels,
                   struct error *err);

#endif
