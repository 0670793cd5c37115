/* Reading heads.db: heads.h, second half. One pass over the file through a sliding window. */
#include "base/bytes.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/heads.h"
#include "disk/heads_format.h"
#include "model/fingerprint.h"

#define WINDOW_BYTES ((size_t)2 << 20)
/* So much behind a record is looked at to see whether the next one begins there. */
#define LOOKAHEAD_BYTES ((size_t)512 << 10)
/* A search looks at no more than this many bytes per byte of the file: made-up files could make it
 * look at each byte again and again. */
#define SEARCH_WORK 64

struct heads_reader {
    struct volume *volume;
    const char *name;
    enum heads_mode mode;
    const struct heads_visitor *visitor;
    struct heads_result *result;
    uint8_t *window;
    size_t window_cap;
    size_t begin; /* of what is not read yet, in the window */
    size_t end;
    uint64_t offset; /* in the file, of window[0] */
    uint64_t size;   /* of the file */
    uint64_t work;   /* of searches */
    struct heads_record record;
};

static uint64_t position(const struct heads_reader *reader)
{
    return reader->offset + reader->begin;
}

static bool at_end(const struct heads_reader *reader)
{
    return reader->offset + reader->end >= reader->size;
}

/* --- the window ---------------------------------------------------------------------------------
 */

/* Slides the window to what is not read yet; makes it larger when that fills it. */
static int make_room(struct heads_reader *reader, struct error *err)
{
    size_t kept = reader->end - reader->begin;
    uint8_t *window = reader->window;

    if (kept > reader->window_cap / 2) {
        window = mem_try_alloc(reader->window_cap * 2);
        if (window == NULL)
            return error_set(err, ERR_NOMEM, "%s: no memory for a record of %zu bytes",
                             reader->name, kept);
        reader->window_cap *= 2;
    }
    memmove(window, reader->window + reader->begin, kept);
    if (window != reader->window) {
        mem_free(reader->window);
        reader->window = window;
    }
    reader->offset += reader->begin;
    reader->begin = 0;
    reader->end = kept;
    return 0;
}

static int refill(struct heads_reader *reader, struct error *err)
{
    size_t got;

    if (make_room(reader, err) != 0 ||
        reader->volume->read(reader->volume, reader->name, reader->offset + reader->end,
                             reader->window + reader->end, reader->window_cap - reader->end, &got,
                             err) != 0)
        return -1;
    reader->end += got;
    if (got == 0)
        reader->size = reader->offset + reader->end; /* it became shorter */
    if (reader->visitor->progress != NULL)
        reader->visitor->progress(reader->visitor->ctx, position(reader), reader->size);
    return 0;
}

/* Has at least `len` bytes in the window, or all that are left. */
static int need(struct heads_reader *reader, size_t len, struct error *err)
{
    while (reader->end - reader->begin < len && !at_end(reader))
        if (refill(reader, err) != 0)
            return -1;
    return 0;
}

/* --- damage -------------------------------------------------------------------------------------
 */

static void note_damage(struct heads_reader *reader, const struct error *err)
{
    if (reader->result->damages++ == 0)
        reader->result->problem = *err;
}

/* Moves on to the next record that proves itself; to the end of the file if there is none. */
static int search(struct heads_reader *reader, struct error *err)
{
    uint64_t from = position(reader);
    uint64_t limit = (reader->size + WINDOW_BYTES) * SEARCH_WORK;

    while (position(reader) < reader->size) {
        const uint8_t *at;

        if (reader->end - reader->begin < LOOKAHEAD_BYTES && need(reader, WINDOW_BYTES, err) != 0)
            return -1;
        if (reader->begin == reader->end)
            break;
        at = reader->window + reader->begin;
        if (heads_record_begins(at, reader->end - reader->begin, &reader->work)) {
            /* A mapped fingerprint proves little: then the whole record must be in order. */
            if (get_be64(at + 1) > FINGERPRINT_MAX_MAPPED)
                break;
            if (heads_record_parse(&reader->record, reader->result->version, at,
                                   reader->end - reader->begin, err) == HEADS_PARSE_OK &&
                heads_record_sound(&reader->record))
                break;
            reader->work += reader->record.size;
        }
        if (reader->work > limit) {
            reader->begin = 0;
            reader->end = 0;
            reader->offset = reader->size;
            break;
        }
        reader->begin++;
    }
    reader->result->bytes_lost += position(reader) - from;
    return 0;
}

/* --- records ------------------------------------------------------------------------------------
 */

static int cut_off(const struct heads_reader *reader, struct error *err)
{
    return error_set(err, ERR_CORRUPT,
                     "the file is cut off there (%" PRIu64 " of %" PRIu64 " series read)",
                     reader->result->series_read, reader->result->series_total);
}

/* Reads the record at hand, with all of its bytes in the window. 1: sound so far; 0: damaged, err
 * says why; -1: the file cannot be read. */
static int parse_whole(struct heads_reader *reader, struct error *err)
{
    for (;;) {
        enum heads_parse state =
            heads_record_parse(&reader->record, reader->result->version,
                               reader->window + reader->begin, reader->end - reader->begin, err);

        if (state == HEADS_PARSE_MORE && !at_end(reader)) {
            if (refill(reader, err) != 0)
                return -1;
            continue;
        }
        reader->result->chunks_to_persist += reader->record.chunks_complete;
        if (state == HEADS_PARSE_MORE)
            cut_off(reader, err);
        return state == HEADS_PARSE_OK;
    }
}

/* A record whose length is damaged swallows a part of the next one, or ends too early: it is
 * believed if the next one begins behind it, or if all of it is in order. With bad chunks left out
 * it must be followed by another, or by the end. As parse_whole. */
static int check_neighbour(struct heads_reader *reader, struct error *err)
{
    size_t size = reader->record.size;
    const uint8_t *next;

    if (!heads_record_proven(&reader->record)) {
        error_set(err, ERR_CORRUPT, "fingerprint %016" PRIx64 " is not that of its metric",
                  reader->record.series.fp);
        return 0;
    }
    if (reader->end - reader->begin < size + LOOKAHEAD_BYTES && !at_end(reader)) {
        if (need(reader, size + LOOKAHEAD_BYTES, err) != 0)
            return -1;
        /* The bytes have moved. */
        if (heads_record_parse(&reader->record, reader->result->version,
                               reader->window + reader->begin, reader->end - reader->begin,
                               err) != HEADS_PARSE_OK)
            return 0;
    }
    next = reader->window + reader->begin + size;
    if (heads_record_begins(next, reader->end - reader->begin - size, &reader->work) ||
        (reader->record.bad_chunks > 0 ? position(reader) + size == reader->size
                                       : heads_record_sound(&reader->record)))
        return 1;
    error_set(err, ERR_CORRUPT, "series %016" PRIx64 " does not end where it says",
              reader->record.series.fp);
    return 0;
}

static int visit(struct heads_reader *reader, struct error *err)
{
    reader->begin += reader->record.size;
    reader->result->series_read++;
    return reader->visitor->series(reader->visitor->ctx, &reader->record.series, err);
}

static int read_strict(struct heads_reader *reader, struct error *err)
{
    while (reader->result->series_read < reader->result->series_total) {
        int sound = parse_whole(reader, err);

        if (sound == 0) {
            note_damage(reader, err);
            error_note(err, "%s, byte %" PRIu64, reader->name, position(reader));
        }
        if (sound != 1 || visit(reader, err) != 0)
            return -1;
    }
    return 0;
}

/* Behind the last record the header counts: true if the count is what is damaged. */
static bool more_follow(struct heads_reader *reader)
{
    return heads_record_begins(reader->window + reader->begin, reader->end - reader->begin,
                               &reader->work);
}

static int skip_damage(struct heads_reader *reader, struct error *err)
{
    note_damage(reader, err);
    if (position(reader) < reader->size && reader->begin < reader->end) {
        reader->begin++;
        reader->result->bytes_lost++;
    }
    return search(reader, err);
}

static int read_salvage(struct heads_reader *reader, struct error *err)
{
    struct heads_result *result = reader->result;

    for (;;) {
        int sound;

        if (need(reader, LOOKAHEAD_BYTES, err) != 0)
            return -1;
        if (reader->begin == reader->end) {
            if (result->series_read < result->series_total && result->damages == 0) {
                cut_off(reader, err);
                note_damage(reader, err);
            }
            return 0;
        }
        if (result->series_read >= result->series_total && result->damages == 0) {
            if (!more_follow(reader))
                return 0;
            error_set(err, ERR_CORRUPT, "more series than the header says");
            note_damage(reader, err);
        }
        sound = parse_whole(reader, err);
        if (sound == 1)
            sound = check_neighbour(reader, err);
        if (sound < 0)
            return -1;
        if (sound == 1 && reader->record.bad_chunks > 0) {
            note_damage(reader, &reader->record.bad_problem);
            result->bytes_lost += reader->record.bad_chunks * (1 + CHUNK_BYTES);
        }
        if (sound == 1 ? visit(reader, err) != 0 : skip_damage(reader, err) != 0)
            return -1;
    }
}

/* --- the header ---------------------------------------------------------------------------------
 */

static int read_header(struct heads_reader *reader, struct error *err)
{
    struct heads_result *result = reader->result;
    const uint8_t *p, *end;
    int64_t version;

    if (need(reader, WINDOW_BYTES, err) != 0)
        return -1;
    p = reader->window;
    end = p + reader->end;
    if (reader->end < HEADS_MAGIC_BYTES || memcmp(p, HEADS_MAGIC, HEADS_MAGIC_BYTES) != 0)
        return error_set(err, ERR_CORRUPT, "it does not begin with \"" HEADS_MAGIC "\"");
    p = varint_get(p + HEADS_MAGIC_BYTES, end, &version);
    if (p == NULL || (version != HEADS_VERSION_1 && version != HEADS_VERSION_2))
        return error_set(err, ERR_CORRUPT, "unknown format version, need %d or %d", HEADS_VERSION_1,
                         HEADS_VERSION_2);
    if (end - p < 8)
        return error_set(err, ERR_CORRUPT, "its header is cut off");
    result->version = (int)version;
    result->series_total = get_be64(p);
    reader->begin = (size_t)(p + 8 - reader->window);
    return 0;
}

static int read_all(struct heads_reader *reader, struct error *err)
{
    bool salvage = reader->mode == HEADS_SALVAGE;

    if (read_header(reader, err) == 0)
        return salvage ? read_salvage(reader, err) : read_strict(reader, err);
    if (err->code != ERR_CORRUPT)
        return -1;
    note_damage(reader, err);
    if (salvage) {
        reader->result->version = HEADS_VERSION_2;
        if (search(reader, err) != 0)
            return -1;
        if (position(reader) < reader->size)
            return read_salvage(reader, err);
        reader->result->version = 0;
        *err = reader->result->problem;
    }
    return error_note(err, "%s", reader->name);
}

int heads_read(struct volume *volume, const char *name, enum heads_mode mode,
               const struct heads_visitor *visitor, struct heads_result *result, struct error *err)
{
    struct heads_reader reader = {
        .volume = volume, .name = name, .mode = mode, .visitor = visitor, .result = result};
    struct volume_stat stat;
    int status;

    *result = (struct heads_result){0};
    if (volume->stat(volume, name, &stat, err) != 0)
        return -1;
    reader.size = stat.size;
    reader.record.lenient = mode == HEADS_SALVAGE;
    reader.window_cap = stat.size < WINDOW_BYTES ? (size_t)stat.size + 1 : WINDOW_BYTES;
    reader.window = mem_alloc(reader.window_cap);
    status = read_all(&reader, err);
    heads_record_destroy(&reader.record);
    mem_free(reader.window);
    return status;
}
