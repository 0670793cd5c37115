/* chunk.h - the three chunk encodings of storage version 1: append, snapshot, read, check.
 *
 * Source: format, sections 7 to 11 and 18. A *payload* is the 1024 bytes that series files and
 * heads.db hold. A *head* is a chunk under construction: its fixed fields (times, values, widths,
 * offsets) are in one cache line, its encoded samples in a small buffer that grows through
 * size classes; a payload is made of both when somebody asks. Nothing here takes a lock or
 * knows files: the owner of a head guards it, everything else is pure.
 *
 * Ways to use it
 *   write:  chunk_head_init, chunk_head_append (again and again), chunk_head_destroy
 *   read a head: chunk_head_snapshot under the owner's lock, chunk_reader on the copy outside
 *   persist a head: chunk_head_payload
 *   restart: chunk_head_load
 *   read a payload: chunk_reader_init, chunk_reader_read until it returns 0
 *   outside payload: chunk_bounds (cheap), chunk_check (everything) */
#ifndef TIDE_CHUNK_CHUNK_H
#define TIDE_CHUNK_CHUNK_H

#include "base/base.h"
#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CHUNK_BYTES 1024
/* More samples than any valid chunk holds (varbit, constant value, regular times: 125060). */
#define CHUNK_MAX_SAMPLES 131072

/* The byte in front of a payload. */
enum chunk_encoding {
    CHUNK_DELTA = 0,
    CHUNK_DOUBLE_DELTA = 1,
    CHUNK_VARBIT = 2,
    CHUNK_ENCODINGS = 3,
};

/* How a writer decides between the modes of an encoding. Readers need not know. */
enum chunk_mode {
    CHUNK_EXACT,    /* every sample comes back bit for bit (-0.0, NaN payloads, 6.1 then 0.1) */
    CHUNK_ORIGINAL, /* the bytes of Prometheus 1.8.2, with its losses (format, section 8) */
};

/* A chunk that became complete: valid during the call only. */
struct chunk_complete {
    enum chunk_encoding encoding;
    int64_t first_ms;
    int64_t last_ms;
    const uint8_t *payload; /* CHUNK_BYTES */
};

/* What appends need from their owner; may live on the stack of the call. */
struct chunk_writer {
    enum chunk_encoding default_encoding; /* of every chunk that an overflow begins */
    enum chunk_mode mode;
    void *ctx;
    /* Memory of a head's buffer. old is NULL with old_bytes 0 at first; the first
     * min(old_bytes, new_bytes) bytes are kept; new_bytes 0 frees and returns NULL. Sizes are
     * those above. Never NULL otherwise. (chunk_resize_heap serves who has no slabs.)
     */
    void *(*resize)(void *ctx, void *old, size_t old_bytes, size_t new_bytes);
    /* Takes the completed chunks of an append, oldest first, after it has succeeded. */
    void (*complete)(void *ctx, const struct chunk_complete *chunk);
};

/* The open chunk of a series: 64 bytes, meant to be embedded. Zeroed: empty, encoding 0.
 * Members up to `encoding` may be read by the owner, the rest is chunk's own.
 * first_* and last_* mean something once used != 0 (chunk_head_is_empty). */
struct chunk_head {
    uint8_t *bytes; /* encoded samples behind the fixed fields; NULL while there are none */
    int64_t first_ms;
    int64_t last_ms; /* time of the newest sample */
    double first_value;
    double last_value;   /* value of the newest sample, bit for bit as a reader gets it */
    uint16_t used;       /* as stored: bytes (encodings 0, 1) or next bit offset (2); 0: empty */
    uint8_t encoding;    /* enum chunk_encoding */
    uint8_t room_32;     /* size of the buffer, in units of CHUNK_ROOM_UNIT bytes */
    uint8_t time_width;  /* encodings 0, 1: tb */
    uint8_t value_width; /* encodings 0, 1: vb */
    uint8_t flags;       /* encodings 0, 1: the integer flag; varbit: the flags byte */
    uint8_t sealed;      /* takes no more samples: the next append begins a new chunk */
    union {
        struct {
            uint32_t first_delta; /* D1 */
            uint32_t last_delta;  /* footer: delta to the previous sample */
            uint32_t last_code;   /* footer: last value delta, or window of the last XOR */
            uint16_t counter_at;  /* footer: bit offset of the zero-run counter, 0: none */
            uint8_t counter;      /* its value */
            uint8_t spare;
        } varbit;
        struct {
            int64_t time_delta; /* base time delta, as stored */
            double value_delta; /* base value delta, as stored */
        } slope;                /* double-delta */
    };
};

/* Buffers of heads have 64 to 256 bytes in steps of 32, then by a fifth or so more, 1024 at most.
 */
#define CHUNK_ROOM_UNIT 32

/** resize of struct chunk_writer on the heap; ctx is not used. */
void *chunk_resize_heap(void *ctx, void *old, size_t old_bytes, size_t new_bytes);

/** An empty head without a buffer. */
void chunk_head_init(struct chunk_head *head, enum chunk_encoding encoding);
/** Gives the buffer back and empties the head (its encoding stays). Safe on an empty one. */
void chunk_head_destroy(struct chunk_head *head, const struct chunk_writer *writer);

/**
 * Adds a sample. It may move the head into a wider form, and may complete chunks.
 *
 * @param time_ms  later than head->last_ms: the caller has checked. (Earlier times are refused as
 *                 the original does, which is not in every case.)
 * @return number of completed chunks (writer->complete was called for each; the head is then the
 *         chunk behind them), or -1 with err: CORRUPT (order of time; the head is as it was)
 * Cost: about 10 ns; touches the head's cache line and the end of its buffer. May call resize.
 */
TIDE_NODISCARD int chunk_head_append(struct chunk_head *head, const struct chunk_writer *writer,
                                     int64_t time_ms, double value, struct error *err);

/**
 * Appends samples one after the other, up to the first that is refused.
 *
 * @return samples added: `count`, or fewer with err: CORRUPT
 */
TIDE_NODISCARD size_t chunk_head_append_all(struct chunk_head *head,
                                            const struct chunk_writer *writer,
                                            const int64_t *times_ms, const double *values,
                                            size_t count, struct error *err);

#ifndef TIDE_CDEF
static inline bool chunk_head_is_empty(const struct chunk_head *head)
{
    return head->used == 0;
}
#endif

/** Bytes that a snapshot takes: fixed fields and encoded samples; 0 when empty. At most
 * CHUNK_BYTES. */
size_t chunk_head_bytes(const struct chunk_head *head);
/**
 * The first chunk_head_bytes() bytes of the payload as of now: enough to read every sample.
 *
 * @param out  CHUNK_BYTES
 * @return bytes written
 * Cost: a memcpy; meant to run under the owner's lock.
 */
size_t chunk_head_snapshot(const struct chunk_head *head, uint8_t *out);
/** All CHUNK_BYTES as series files and heads.db hold it (varbit: with footer). Not when empty. */
void chunk_head_payload(const struct chunk_head *head, uint8_t *out);

/**
 * Opens a payload for further appends; every sample of it is checked (chunk_check).
 *
 * A varbit payload whose fields for the writer contradict its samples is opened sealed: it is kept
 * byte for byte and the next append begins a new chunk.
 *
 * @param head  initialised; what it holds is dropped
 * @return 0, or -1 with err: CORRUPT (head is empty then)
 */
TIDE_NODISCARD int chunk_head_load(struct chunk_head *head, const struct chunk_writer *writer,
                                   int encoding, const uint8_t *payload, struct error *err);

/* Reads a payload or snapshot from its first sample on. Lives on the stack; needs no end. */
struct chunk_reader {
    const uint8_t *bytes; /* the copy below, or the caller's */
    int64_t from_ms;
    int64_t to_ms;
    uint32_t index; /* next sample */
    uint32_t count; /* encodings 0, 1: end of the samples wanted */
    uint8_t encoding;
    uint8_t step; /* varbit: what comes next */
    uint8_t done;
    uint8_t time_width;
    uint8_t value_width;
    uint8_t integer;
    uint32_t position; /* varbit: bits */
    uint32_t end;
    uint32_t run;
    uint32_t counter_at; /* varbit: where the counter of the last run is, 0: no run at the end */
    uint8_t value_encoding;
    uint8_t closed;
    uint8_t leading;
    uint8_t significant;
    uint32_t delta_first;
    int64_t time_ms;
    int64_t delta_ms;
    int64_t value_delta; /* varbit integers; double-delta: base time delta */
    double value;
    double value_slope; /* double-delta */
    uint8_t copy[CHUNK_BYTES + 16];
};

/**
 * Prepares to read samples with from_ms <= time <= to_ms.
 *
 * @param encoding  the byte as it came: any value
 * @param bytes     `len` bytes of a payload or snapshot; borrowed until the last read
 * @return 0, or -1 with err: CORRUPT (fixed fields)
 */
TIDE_NODISCARD int chunk_reader_init(struct chunk_reader *reader, int encoding,
                                     const uint8_t *bytes, size_t len, int64_t from_ms,
                                     int64_t to_ms, struct error *err);
/**
 * Decodes the next samples into the arrays, in the order of the chunk.
 *
 * @param cap  room; at least 256 to be fast, at least 1
 * @return samples written, 0 at the end, or -1 with err: CORRUPT (samples before the damage have
 *         been returned by earlier calls)
 * Order of time is as stored: only chunk_check judges it.
 */
TIDE_NODISCARD int chunk_reader_read(struct chunk_reader *reader, int64_t *times_ms, double *values,
                                     size_t cap, struct error *err);

struct chunk_summary {
    size_t samples; /* after a failure: those in front of the damage */
    size_t bytes;   /* of the payload that mean something, its fixed fields with them */
    int64_t first_ms;
    int64_t last_ms;
    double first_value;
    double last_value;
};

/**
 * First and last time by the fixed fields (and the last entry), without decoding.
 *
 * @return 0, or -1 with err: CORRUPT
 */
TIDE_NODISCARD int chunk_bounds(int encoding, const uint8_t *bytes, size_t len, int64_t *first_ms,
                                int64_t *last_ms, struct error *err);
/**
 * Reads every sample of an outside payload: fields in bounds, at least one sample, times strictly
 * increasing, bounds equal to the decoded ones (format, section 18).
 *
 * @param summary  out; may be NULL
 * @return 0, or -1 with err: CORRUPT
 */
TIDE_NODISCARD int chunk_check(int encoding, const uint8_t *bytes, size_t len,
                               struct chunk_summary *summary, struct error *err);

/** "delta", "double-delta", "varbit"; "unknown" otherwise. Static. */
const char *chunk_encoding_name(int encoding);

#ifdef __cplusplus
}
#endif

#endif
