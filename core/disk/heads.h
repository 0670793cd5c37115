/* heads.h - heads.db, the checkpoint: series in memory with the chunks that no file has yet.
 *
 * Layout: format, section 13. Writes version 2 as 1.5.1 and later do (only unpersisted chunks, or
 * one placeholder), reads 1 and 2. Neither side keeps more than a series in memory. */
#ifndef TIDE_DISK_HEADS_H
#define TIDE_DISK_HEADS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "disk/volume.h"
#include "model/labels.h"

#define HEADS_FILE "heads.db"
/* The checkpoint before: kept for the metrics in it. */
#define HEADS_OLD_FILE "heads.db.old"
#define HEADS_OFFSET_UNKNOWN (-1)
#define HEADS_MTIME_UNKNOWN (-1)

/* A chunk descriptor. */
struct heads_chunk {
    int64_t first_ms;
    int64_t last_ms;
    const uint8_t *payload; /* 1024 bytes; NULL: the chunk is in the series file */
    int encoding;           /* -1 without payload */
};

/* One series of the file. */
struct heads_series {
    uint64_t fp;
    const struct labels *labels;
    int64_t watermark;      /* W: so many descriptors, the oldest, are of chunks in the file */
    int64_t offset;         /* O: index in the series file of descriptor 0; -1 unknown (then W is 0,
                               or, never in real files, (chunks in the file) - W is meant) */
    int64_t mtime_ns;       /* of the series file; -1 unknown or no file */
    int64_t saved_first_ms; /* if O != 0; TIDE_EARLIEST_MS: unknown. If O = 0: meaningless */
    const struct heads_chunk *chunks; /* oldest first; at least one. The last one is the open head
                                         if count > watermark */
    size_t count;
};

/* --- writing ------------------------------------------------------------------------------------
 */

/**
 * Appends the record of one series: pure memory, meant to run under the series' lock.
 *
 * Payloads must be complete (chunk_head_payload). A series of which everything is persisted has one
 * chunk without payload, watermark 1 and offset = chunks in the file - 1.
 */
void heads_record_put(struct buf *out, const struct heads_series *series);

struct heads_writer;

/** Begins a new heads.db beside the old one. NULL with err: IO. */
TIDE_NODISCARD struct heads_writer *heads_writer_begin(struct volume *volume, struct error *err);
/** Adds `count` records. @return 0, or -1 with err: IO (only discard is left) */
TIDE_NODISCARD int heads_writer_add(struct heads_writer *writer, const void *records, size_t len,
                                    uint64_t count, struct error *err);
/** Writes the number of series and, with `sync`, makes the bytes durable. No name yet. */
TIDE_NODISCARD int heads_writer_finish(struct heads_writer *writer, bool sync, struct error *err);
/** Its size and time, after finish. */
struct volume_stat heads_writer_stat(const struct heads_writer *writer);
/**
 * Renames it into place, durably, and frees the writer in any case.
 *
 * @param keep_old  the file before stays as heads.db.old (no error when that fails)
 * @param stat      out: size and mtime; may be NULL
 */
TIDE_NODISCARD int heads_writer_publish(struct heads_writer *writer, bool keep_old,
                                        struct volume_stat *stat, struct error *err);
/** Takes NULL. */
void heads_writer_discard(struct heads_writer *writer);

/* --- reading ------------------------------------------------------------------------------------
 */

enum heads_mode {
    HEADS_STRICT,  /* the first damage ends it */
    HEADS_SALVAGE, /* scan on for the next record that proves itself by its fingerprint */
};

struct heads_visitor {
    void *ctx;
    /** All is borrowed for the call (labels_ref keeps them). -1 with err ends the reading. */
    int (*series)(void *ctx, const struct heads_series *series, struct error *err);
    /** Bytes of the file; now and then. May be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
};

struct heads_result {
    int version;                /* 0: not reached */
    uint64_t series_total;      /* as the header says */
    uint64_t series_read;       /* visited */
    uint64_t chunks_to_persist; /* as the original counts them */
    uint64_t damages;           /* places where something was unreadable; 0: sound */
    uint64_t bytes_lost;        /* in those places */
    struct error problem;       /* the first of them, if any */
};

/**
 * Reads a checkpoint, calling visitor->series for each series that is complete and sound.
 *
 * Version 1 is given as version 2 (W from its flag). C = 0, W > C, O < -1 and unknown encodings are
 * damage. STRICT judges a fingerprint never; SALVAGE judges each: that of its metric, or a mapped
 * one; and it leaves out single chunks that cannot be chunks (their series comes with the others).
 *
 * @param name    HEADS_FILE, or another with that content
 * @param result  out, also on failure
 * @return 0; -1 with err: NOT_FOUND, IO, NOMEM, CORRUPT (STRICT: any damage; SALVAGE: not even a
 *         header), or what the visitor returned. SALVAGE returns 0 with result->damages.
 * Cost: one pass in pieces of 1 MiB; memory of the largest record.
 */
TIDE_NODISCARD int heads_read(struct volume *volume, const char *name, enum heads_mode mode,
                              const struct heads_visitor *visitor, struct heads_result *result,
                              struct error *err);

#endif
