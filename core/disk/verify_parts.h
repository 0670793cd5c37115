/* verify_parts.h - what the files of verify share. For verify*.c only. */
#ifndef TIDE_DISK_VERIFY_PARTS_H
#define TIDE_DISK_VERIFY_PARTS_H

#include "disk/mappings.h"
#include "disk/verify.h"
#include "model/labels.h"

/* What heads.db and the archive say of one series. */
struct verify_series {
    uint64_t fp;
    int64_t file_chunks; /* O + W of heads.db; -1: not known, or archived */
    int64_t mtime_ns;    /* of heads.db; -1: not known */
    int64_t first_ms;    /* of the archive's range */
    int64_t last_ms;
    bool in_heads;
    bool archived;
    bool has_range;
    bool seen; /* its file is there */
};

struct verify {
    struct volume *volume;
    const struct verify_options *options;
    struct verify_summary *summary;
    struct mappings mappings;
    struct verify_series *series; /* sorted by fp once all are known */
    size_t series_count;
    size_t series_cap;
    uint64_t *entries; /* hashes of (name, value, fp) that the pair index has to hold; sorted */
    size_t entry_count;
    size_t entry_cap;
};

/** Reports a finding. `chunk` -1: the file as a whole. */
void verify_report(struct verify *verify, enum verify_kind kind, const char *file, int64_t chunk,
                   const char *format, ...) TIDE_PRINTF(5, 6);
/** Adds a series of heads.db or the archive; its labels are what the label index has to know. */
struct verify_series *verify_add_series(struct verify *verify, const char *file, uint64_t fp,
                                        const struct labels *labels);
/** NULL when nobody knows it. After sorting. */
struct verify_series *verify_find_series(struct verify *verify, uint64_t fp);
/** Hash of one entry of the pair index. */
uint64_t verify_entry_hash(const char *name, size_t name_len, const char *value, size_t value_len,
                           uint64_t fp);

/** verify_index.c: archive metrics into the table of series; then, sorted, ranges. */
int verify_archive_metrics(struct verify *verify, struct error *err);
int verify_archive_ranges(struct verify *verify, struct error *err);
/** The label indexes against the sorted entries. */
int verify_label_index(struct verify *verify, struct error *err);
/** verify_wal.c: the log, if there is one. */
int verify_wal(struct verify *verify, struct error *err);
/** verify_use.c: use.db, if there is one. */
int verify_use(struct verify *verify, struct error *err);
/** verify_files.c: every series file. */
int verify_series_files(struct verify *verify, struct error *err);

#endif
