/* series_file.h - the chunks of one series on disk: append, read, drop.
 *
 * Layout: format, section 7: records of 1041 bytes, oldest first. Functions, no object: a series
 * file is its fingerprint. The caller sees to it that one thread at a time changes a file (the busy
 * flag of the series); readers need nothing, but compare what they got with what they expected,
 * for a rewrite may have moved it. All times are milliseconds since 1970, indexes count chunks.
 * Errors: CORRUPT (size is no multiple of a record), CONFLICT (not of the expected size),
 * NOT_FOUND, IO. A failure leaves the file as it was, unless it says otherwise. */
#ifndef TIDE_DISK_SERIES_FILE_H
#define TIDE_DISK_SERIES_FILE_H

#include "base/base.h"
#include "base/error.h"
#include "disk/volume.h"

#define SERIES_PAYLOAD_BYTES 1024
#define SERIES_HEADER_BYTES 17
#define SERIES_RECORD_BYTES 1041
/* Records in one write or read. */
#define SERIES_BATCH_RECORDS 62
/* "94/130327cc8add45.db" and its terminator. */
#define SERIES_FILE_NAME_BYTES 21
/* For `expected_chunks`: whatever is there; for `to`: the end. */
#define SERIES_CHUNKS_ANY UINT64_MAX
/* For mtime_ns: there is no file; nothing is known of it. */
#define SERIES_MTIME_NONE (-1)
#define SERIES_MTIME_UNKNOWN (-2)

/* A chunk to be written; payload is borrowed for the call. */
struct series_chunk {
    int64_t first_ms;
    int64_t last_ms;
    const uint8_t *payload; /* SERIES_PAYLOAD_BYTES */
    uint8_t encoding;
};

/* A record's 17 bytes. */
struct series_record {
    int64_t first_ms;
    int64_t last_ms;
    uint8_t encoding; /* as stored: may be none that exists */
};

struct series_file_stat {
    uint64_t chunks;
    int64_t mtime_ns;    /* or SERIES_MTIME_NONE */
    uint32_t rest_bytes; /* behind the last whole record: not 0 is damage */
};

void series_file_name(char name[SERIES_FILE_NAME_BYTES], uint64_t fp);
/** Folder ("94") and name ("130327cc8add45.db") back to a number: lower-case digits only. */
bool series_file_parse(const char *folder, const char *name, uint64_t *fp);

/** A missing file is 0 chunks with mtime_ns -1, not an error; so is a folder in its place. */
TIDE_NODISCARD int series_file_stat(struct volume *volume, uint64_t fp,
                                    struct series_file_stat *stat, struct error *err);

/**
 * Appends chunks, at most SERIES_BATCH_RECORDS in one write.
 *
 * @param expected_chunks  in the file now; 0 makes it. SERIES_CHUNKS_ANY asks the file first
 * @param sync             make it durable before returning (strategy "always")
 * @param stat             out: after the append; its chunks - count is the index of the first new
 *                         one. After a failure: as the file is then (SERIES_MTIME_UNKNOWN if not
 *                         even that can be asked). May be NULL
 * @return 0, or -1 with err: CONFLICT (nothing was written), IO (cut back to what it was)
 */
TIDE_NODISCARD int series_file_append(struct volume *volume, uint64_t fp, uint64_t expected_chunks,
                                      const struct series_chunk *chunks, size_t count, bool sync,
                                      struct series_file_stat *stat, struct error *err);

/**
 * Reads `count` consecutive records into `records` (count * SERIES_RECORD_BYTES), in one pread.
 *
 * @return 0, or -1 with err: NOT_FOUND, CONFLICT (the file ends before them), IO
 */
TIDE_NODISCARD int series_file_read(struct volume *volume, uint64_t fp, uint64_t index,
                                    size_t count, uint8_t *records, struct error *err);

/** The header of a record that series_file_read returned; its payload follows. Pure. */
struct series_record series_record_get(const uint8_t *record);
/** Writes whole records through a writer that replaces a series file. 0, or -1 with err: IO. */
TIDE_NODISCARD int series_records_write(struct volume_writer *writer,
                                        const struct series_chunk *chunks, size_t count,
                                        struct error *err);
/** Does the payload decode, and hold what the header says? Pure. */
bool series_record_is_sound(const uint8_t *record, struct series_record *header);
/** The 17 bytes. Pure. */
void series_record_put(uint8_t *out, const struct series_chunk *chunk);

/**
 * Loads the headers of chunks `from` .. `to` - 1 (`to` is cut to the end of the file).
 *
 * @param records  out: owned array (mem_free), NULL when empty
 * @param count    out
 * @return 0, or -1 with err: NOT_FOUND, CORRUPT (a last piece of a record), IO, NOMEM
 */
TIDE_NODISCARD int series_file_load(struct volume *volume, uint64_t fp, uint64_t from, uint64_t to,
                                    struct series_record **records, size_t *count,
                                    struct error *err);

/**
 * Finds the last sound chunk of a file of which nothing is known, before it is appended to; what is
 * behind it (a torn write, damage) is cut off.
 *
 * @param stat  out: as the file is then
 * @param last  out: unchanged when no chunk is left
 * @return 0, or -1 with err: CORRUPT (there is a file, and no sound chunk in it: left as it is), IO
 */
TIDE_NODISCARD int series_file_settle(struct volume *volume, uint64_t fp,
                                      struct series_file_stat *stat, struct series_record *last,
                                      struct error *err);

/** Deletes the file; a missing one is fine. */
TIDE_NODISCARD int series_file_delete(struct volume *volume, uint64_t fp, struct error *err);

/* --- drop and persist (behaviour, section 7) ----------------------------------------------------
 */

enum series_drop_action {
    SERIES_DROP_NOTHING,
    SERIES_DROP_APPEND,  /* nothing goes; the new chunks are appended */
    SERIES_DROP_REWRITE, /* the chunks that stay, and the new ones, into a new file */
    SERIES_DROP_DELETE,  /* all dropped */
};

/* What one call of drop decided, and its results. */
struct series_drop {
    enum series_drop_action action;
    uint64_t dropped;             /* new chunks that were too old included */
    uint64_t offset;              /* index of the first appended chunk in the resulting file, or the
                                     number of chunks in it if none */
    int64_t first_ms;             /* of the first chunk that stays; 0 when all_dropped */
    bool all_dropped;             /* nothing is left */
    struct series_file_stat stat; /* after publish: of the resulting file */

    /* For the steps below. */
    uint64_t fp;
    uint64_t chunks_before; /* in the file */
    uint64_t keep_from;     /* index of the first record that stays */
    size_t new_skipped;     /* leading new chunks that are too old */
    size_t new_count;       /* new chunks behind them */
    struct volume_writer *replacement;
};

/**
 * Decides what to drop; reads headers only, changes nothing.
 *
 * @param expected_chunks  in the file; SERIES_CHUNKS_ANY: do not compare
 * @param before_ms        chunks that end before this may go
 * @param min_ratio        a rewrite happens only if more than floor(total * ratio) chunks can go;
 *                         1 and more acts like 0, a negative one is INVALID (as the vectors have
 * it)
 * @param chunks           new ones, oldest first, newer than all in the file; may be none
 * @return 0, or -1 with err: CORRUPT (empty or torn file), CONFLICT, INVALID, IO
 * Cost: one read of up to 62 records in the common case.
 */
TIDE_NODISCARD int series_file_drop_plan(struct volume *volume, uint64_t fp,
                                         uint64_t expected_chunks, int64_t before_ms,
                                         double min_ratio, const struct series_chunk *chunks,
                                         size_t count, struct series_drop *drop, struct error *err);
/**
 * Writes the bytes of a plan. APPEND: done after this. REWRITE: beside the old file, which still
 * holds until publish; so 256 of these can share one sync_all.
 *
 * @param chunks  the same as in the plan
 * @param sync    this file alone is made durable here
 * @return 0, or -1 with err: IO, CONFLICT; the file is as it was and the drop is discarded
 */
TIDE_NODISCARD int series_file_drop_write(struct volume *volume, struct series_drop *drop,
                                          const struct series_chunk *chunks, bool sync,
                                          struct error *err);
/** REWRITE: the new file takes its name. DELETE: the file goes. `sync_folder`: durable. Others: 0.
 */
TIDE_NODISCARD int series_file_drop_publish(struct volume *volume, struct series_drop *drop,
                                            bool sync_folder, struct error *err);
/** Gives a drop up that was planned or written but not published. */
void series_file_drop_discard(struct series_drop *drop);
/** Plan, write and publish in one. `sync`: all durable before it returns. */
TIDE_NODISCARD int series_file_drop(struct volume *volume, uint64_t fp, uint64_t expected_chunks,
                                    int64_t before_ms, double min_ratio,
                                    const struct series_chunk *chunks, size_t count, bool sync,
                                    struct series_drop *drop, struct error *err);

#endif
