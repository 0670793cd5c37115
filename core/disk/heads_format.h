/* heads_format.h - the bytes of heads.db, for heads_write.c, heads_parse.c and heads_read.c only.
 */
#ifndef TIDE_DISK_HEADS_FORMAT_H
#define TIDE_DISK_HEADS_FORMAT_H

#include "base/base.h"
#include "base/error.h"
#include "disk/heads.h"

#define HEADS_MAGIC "PrometheusHeads"
#define HEADS_MAGIC_BYTES (sizeof(HEADS_MAGIC) - 1)
#define HEADS_VERSION_1 1
#define HEADS_VERSION_2 2
/* Where the number of series is: behind magic and a version of one byte. */
#define HEADS_COUNT_AT 16
#define HEADS_HEADER_BYTES 24
/* The longest metric that is believed, and the most descriptors of one series. */
#define HEADS_METRIC_MAX ((size_t)16 << 20)
#define HEADS_CHUNKS_MAX ((size_t)1 << 24)

enum heads_parse {
    HEADS_PARSE_OK,
    HEADS_PARSE_MORE,   /* the bytes end inside the record */
    HEADS_PARSE_DAMAGE, /* err says what */
};

/* A record, read from bytes that it points into. Reused for all records of a file. */
struct heads_record {
    struct heads_series series;
    struct labels *labels; /* owned until the next parse; series.labels is the same */
    struct heads_chunk *chunks;
    size_t chunk_cap;
    size_t size;              /* bytes it takes */
    bool lenient;             /* set by the reader: a chunk that cannot be one is left out ... */
    size_t bad_chunks;        /* ... and counted here; then the record has to prove its end */
    struct error bad_problem; /* of the first of them */
    uint64_t chunks_complete; /* complete chunks that wait for persistence, also of a record that
                                 turned out damaged */
};

void heads_record_destroy(struct heads_record *record);
/** Reads the record at the begin of `bytes`. `version` is 1 or 2. */
enum heads_parse heads_record_parse(struct heads_record *record, int version, const uint8_t *bytes,
                                    size_t len, struct error *err);
/** True if the fingerprint is that of the metric, or a mapped one. */
bool heads_record_proven(const struct heads_record *record);
/** True if flags, fingerprint and metric at the begin of `bytes` are those of a record that is
 * proven. *work grows by the bytes looked at. */
bool heads_record_begins(const uint8_t *bytes, size_t len, uint64_t *work);
/** True if all chunks decode and follow each other in time. */
bool heads_record_sound(const struct heads_record *record);

#endif
