/* chunk_list.h - the chunks that a series has, one by one: where each lies, what it takes, and
 * whether it can be read. Also of files that were put aside.
 *
 * For people who look: consoles and admin routes. Thread-safe; a stripe is held as long as for a
 * query. Damage is a row of the list, not an error. */
#ifndef TIDE_STORE_CHUNK_LIST_H
#define TIDE_STORE_CHUNK_LIST_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "model/labels.h"

struct store;

enum chunk_place {
    CHUNK_IN_FILE,
    CHUNK_IN_BOTH,   /* in the file, and still in memory */
    CHUNK_IN_MEMORY, /* complete, and waits for the file */
    CHUNK_IN_HEAD,   /* takes samples; closes by itself */
};

/** "file", "file and memory", "memory", "head". Static. */
const char *chunk_place_name(enum chunk_place place);

/* Payloads have 1,024 bytes; an open head takes what it uses. */
struct chunk_row {
    int64_t first_ms;
    int64_t last_ms;
    int64_t offset;      /* of its record in the file, bytes; -1: it is in no file */
    const char *problem; /* why it cannot be read, as a whole; NULL: it can. In the arena */
    uint32_t samples;    /* that can be read */
    uint16_t bytes;      /* that mean something; 0: not known */
    uint8_t encoding;    /* as stored: may be none that exists */
    uint8_t place;       /* enum chunk_place */
};

struct chunk_list {
    uint64_t fp;
    struct labels *labels; /* one reference; NULL: not known */
    bool archived;
    bool more;              /* the limit ended the list */
    uint64_t file_bytes;    /* 0: there is no file */
    uint32_t rest_bytes;    /* behind the last whole record: not 0 is damage */
    uint32_t late;          /* late samples that no chunk holds yet */
    struct chunk_row *rows; /* in order of place and time */
    size_t count;
    size_t cap;
    struct arena arena;
};

/* Which chunks: those that overlap the times, both inclusive. */
struct chunk_request {
    int64_t from_ms;
    int64_t to_ms;
    size_t limit;         /* rows; the oldest are listed */
    const int *cancelled; /* atomic; may be NULL */
};

/**
 * Lists the chunks of a series, in memory or archived, the oldest first.
 *
 * @param list  zeroed; chunk_list_destroy it in any case
 * @return 0, or -1 with err: NOT_FOUND, BUSY (its file changes faster than it can be read),
 *         CANCELLED, IO
 * Cost: reads the file up to the last chunk listed; decodes what it lists.
 */
TIDE_NODISCARD int store_chunk_list(struct store *store, uint64_t fp,
                                    const struct chunk_request *request, struct chunk_list *list,
                                    struct error *err);
void chunk_list_destroy(struct chunk_list *list);

/* --- orphaned/ ---------------------------------------------------------------------------------
 */

/* What was put aside there. */
struct quarantined {
    char name[96]; /* in orphaned/: "94/130327cc8add45.db" */
    uint64_t fp;   /* if is_series */
    bool is_series;
    bool is_missing; /* only the hint is there */
    uint64_t size_bytes;
    int64_t changed_ms;
    const char *metric; /* of the hint, in the list's arena; NULL: there is none */
    const char *reason;
};

struct quarantine_list {
    struct quarantined *items;
    size_t count;
    size_t total; /* that there are, counted up to 100,000 */
    struct arena arena;
};

/**
 * What is in quarantine, in order of names.
 *
 * @param limit  entries to list
 * @param list   zeroed; quarantine_list_destroy it in any case
 * @return 0, or -1 with err: IO, UNSUPPORTED (a store in memory)
 */
TIDE_NODISCARD int store_quarantine_list(struct store *store, size_t limit,
                                         struct quarantine_list *list, struct error *err);
void quarantine_list_destroy(struct quarantine_list *list);
/** The chunks of a series file in orphaned/, as store_chunk_list; NOT_FOUND: it is not there. */
TIDE_NODISCARD int store_quarantine_look(struct store *store, uint64_t fp,
                                         const struct chunk_request *request,
                                         struct chunk_list *list, struct error *err);

#endif
