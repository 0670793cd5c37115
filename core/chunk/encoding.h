/* encoding.h - what chunk.c and head.c ask of each encoding. Inside the room only. */
#ifndef TIDE_CHUNK_ENCODING_H
#define TIDE_CHUNK_ENCODING_H

#include "base/base.h"
#include "chunk/chunk.h"

#ifndef TIDE_CDEF

/* Where the buffer of a head begins in the payload: behind the fields that the head itself holds.
 */
#define DELTA_FIELDS 21        /* encoding 0; 1 with one sample */
#define DOUBLE_DELTA_FIELDS 37 /* encoding 1 */
#define VARBIT_FIELDS 38

/* Where a payload says how long it is. */
#define DELTA_USED_AT 19 /* bytes; of encoding 1: at 0 */
#define VARBIT_END_AT 36 /* bits */

#define VARBIT_CLOSED 0x80

enum chunk_added {
    CHUNK_ADDED,      /* the sample is in */
    CHUNK_OVERFLOWS,  /* the head stays, the sample begins a new chunk */
    CHUNK_TRANSCODES, /* all samples go into a new head of the form given, then this one */
    CHUNK_REFUSES,    /* too early */
};

/* The initial mode of a new head that an encoding transcodes into. */
struct chunk_form {
    uint8_t time_width;
    uint8_t value_width;
    uint8_t flags;
};

/* Makes the head's buffer hold `bytes` (at most CHUNK_BYTES). */
void chunk_head_grow(struct chunk_head *head, const struct chunk_writer *writer, size_t bytes);

static inline void chunk_head_reserve(struct chunk_head *head, const struct chunk_writer *writer,
                                      size_t bytes)
{
    if (TIDE_UNLIKELY(bytes > (size_t)head->room_32 * CHUNK_ROOM_UNIT))
        chunk_head_grow(head, writer, bytes);
}

/* Each encoding: add one sample, or say what must happen; fixed fields and samples into a payload;
 * what the writer needs from a payload that chunk_check has found good (buffer in place). */
enum chunk_added delta_add(struct chunk_head *head, const struct chunk_writer *writer,
                           int64_t time_ms, double value, struct chunk_form *form);
enum chunk_added double_delta_add(struct chunk_head *head, const struct chunk_writer *writer,
                                  int64_t time_ms, double value, struct chunk_form *form);
enum chunk_added varbit_add(struct chunk_head *head, const struct chunk_writer *writer,
                            int64_t time_ms, double value, struct chunk_form *form);

size_t varbit_bytes(const struct chunk_head *head);

void delta_snapshot(const struct chunk_head *head, uint8_t *out);
void double_delta_snapshot(const struct chunk_head *head, uint8_t *out);
void varbit_snapshot(const struct chunk_head *head, uint8_t *out);
/* Adds the footer to a snapshot that is followed by zeros. */
void varbit_put_footer(const struct chunk_head *head, uint8_t *payload);

void delta_load(struct chunk_head *head, const struct chunk_writer *writer, const uint8_t *payload);
void double_delta_load(struct chunk_head *head, const struct chunk_writer *writer,
                       const uint8_t *payload);
void varbit_load(struct chunk_head *head, const struct chunk_writer *writer, const uint8_t *payload,
                 const struct chunk_reader *at_end);

int delta_reader_init(struct chunk_reader *reader, const uint8_t *bytes, size_t len,
                      struct error *err);
int double_delta_reader_init(struct chunk_reader *reader, const uint8_t *bytes, size_t len,
                             struct error *err);
int varbit_reader_init(struct chunk_reader *reader, const uint8_t *bytes, size_t len,
                       struct error *err);

/* Up to `cap` samples from reader->index on; 0 at reader->count. */
size_t delta_read(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap);
size_t double_delta_read(struct chunk_reader *reader, int64_t *times_ms, double *values,
                         size_t cap);
int varbit_read(struct chunk_reader *reader, int64_t *times_ms, double *values, size_t cap,
                struct error *err);

/* chunk_check that leaves the reader behind the last sample. */
int chunk_check_to_end(int encoding, const uint8_t *bytes, size_t len,
                       struct chunk_summary *summary, struct chunk_reader *reader,
                       struct error *err);

/* Is v integral, and small enough? Comparisons come before any cast; NaN is neither. */
static inline bool is_int32(double v)
{
    return v >= -2147483648.0 && v <= 2147483647.0 && (double)(int32_t)v == v;
}

static inline bool is_int64(double v)
{
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 && (double)(int64_t)v == v;
}

#endif
#endif
