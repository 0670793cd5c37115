#include "base/bytes.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/codable.h"
#include "disk/heads_format.h"
#include "model/fingerprint.h"

#define FLAG_HEAD_PERSISTED 1
/* Flags and fingerprint, before the metric. */
#define METRIC_AT 9
#define FIRST_CHUNKS 16
/* Metrics with more labels are not found when the record before them is damaged. */
#define SCAN_LABELS_MAX 128

void heads_record_destroy(struct heads_record *record)
{
    labels_unref(record->labels);
    mem_free(record->chunks);
    *record = (struct heads_record){0};
}

/* A varint; tells bytes that end early from a number that is too long. */
static enum heads_parse get_number(const uint8_t **p, const uint8_t *end, int64_t *value,
                                   const char *what, struct error *err)
{
    const uint8_t *next = varint_get(*p, end, value);

    if (next != NULL) {
        *p = next;
        return HEADS_PARSE_OK;
    }
    if (end - *p < VARINT_MAX_BYTES)
        return HEADS_PARSE_MORE;
    error_set(err, ERR_CORRUPT, "%s is no number", what);
    return HEADS_PARSE_DAMAGE;
}

static enum heads_parse damage(struct error *err, const char *what, int64_t value)
{
    error_set(err, ERR_CORRUPT, "%s %" PRId64, what, value);
    return HEADS_PARSE_DAMAGE;
}

/* Steps over a string; what is behind its end may still be missing. */
static enum heads_parse skip_string(const uint8_t **p, const uint8_t *end, struct error *err)
{
    enum heads_parse state;
    int64_t len;

    state = get_number(p, end, &len, "string length", err);
    if (state != HEADS_PARSE_OK)
        return state;
    if (len < 0 || (uint64_t)len > HEADS_METRIC_MAX)
        return damage(err, "impossible string length", len);
    if (len > end - *p)
        return HEADS_PARSE_MORE;
    *p += len;
    return HEADS_PARSE_OK;
}

static enum heads_parse get_metric(struct heads_record *record, const uint8_t **p,
                                   const uint8_t *end, struct error *err)
{
    const uint8_t *begin = *p, *at = *p;
    int64_t count, i;
    enum heads_parse state = get_number(&at, end, &count, "label count", err);

    if (state != HEADS_PARSE_OK)
        return state;
    if (count < 0 || (uint64_t)count > HEADS_METRIC_MAX / 2)
        return damage(err, "impossible label count", count);
    for (i = 0; i < 2 * count; i++) {
        state = skip_string(&at, end, err);
        if (state != HEADS_PARSE_OK)
            return state;
        if ((size_t)(at - begin) > HEADS_METRIC_MAX)
            return damage(err, "metric longer than", (int64_t)HEADS_METRIC_MAX);
    }
    *p = codable_get_metric(begin, at, &record->labels);
    if (*p == NULL)
        return damage(err, "a label name twice, or an empty one, among", count);
    record->series.labels = record->labels;
    return HEADS_PARSE_OK;
}

/* Everything between metric and chunks; *count is the number of chunks. */
static enum heads_parse get_fields(struct heads_series *series, int version, bool head_persisted,
                                   const uint8_t **p, const uint8_t *end, int64_t *count,
                                   struct error *err)
{
    enum heads_parse state = HEADS_PARSE_OK;

    series->watermark = 0;
    series->mtime_ns = HEADS_MTIME_UNKNOWN;
    if (version == HEADS_VERSION_2) {
        state = get_number(p, end, &series->watermark, "persist watermark", err);
        if (state == HEADS_PARSE_OK && series->watermark < 0)
            return damage(err, "negative persist watermark", series->watermark);
        if (state == HEADS_PARSE_OK)
            state = get_number(p, end, &series->mtime_ns, "modification time", err);
    }
    if (state == HEADS_PARSE_OK)
        state = get_number(p, end, &series->offset, "chunk offset", err);
    if (state == HEADS_PARSE_OK && series->offset < HEADS_OFFSET_UNKNOWN)
        return damage(err, "impossible chunk offset", series->offset);
    if (state == HEADS_PARSE_OK)
        state = get_number(p, end, &series->saved_first_ms, "first time", err);
    if (state == HEADS_PARSE_OK)
        state = get_number(p, end, count, "chunk count", err);
    if (state != HEADS_PARSE_OK)
        return state;
    if (*count <= 0 || (uint64_t)*count > HEADS_CHUNKS_MAX)
        return damage(err, "impossible chunk count", *count);
    if (version == HEADS_VERSION_1)
        series->watermark = head_persisted ? *count : *count - 1;
    if (series->watermark > *count)
        return damage(err, "persist watermark beyond the chunks:", series->watermark);
    return HEADS_PARSE_OK;
}

/* The array grows with what is really there, not with what a count says. */
static bool add_chunk(struct heads_record *record, const struct heads_chunk *chunk)
{
    if (record->series.count == record->chunk_cap) {
        size_t cap = record->chunk_cap == 0 ? FIRST_CHUNKS : record->chunk_cap * 2;
        struct heads_chunk *chunks = mem_try_alloc(cap * sizeof(*chunks));

        if (chunks == NULL)
            return false;
        if (record->series.count > 0)
            memcpy(chunks, record->chunks, record->series.count * sizeof(*chunks));
        mem_free(record->chunks);
        record->chunks = chunks;
        record->chunk_cap = cap;
    }
    record->chunks[record->series.count++] = *chunk;
    return true;
}

static enum heads_parse get_chunk(struct heads_chunk *chunk, bool in_file, const uint8_t **p,
                                  const uint8_t *end, struct error *err)
{
    enum heads_parse state;

    *chunk = (struct heads_chunk){.encoding = -1};
    if (in_file) {
        state = get_number(p, end, &chunk->first_ms, "first time", err);
        return state == HEADS_PARSE_OK ? get_number(p, end, &chunk->last_ms, "last time", err)
                                       : state;
    }
    if (end - *p < 1)
        return HEADS_PARSE_MORE;
    if (end - *p < 1 + CHUNK_BYTES)
        return HEADS_PARSE_MORE;
    chunk->encoding = **p;
    chunk->payload = *p + 1;
    *p += 1 + CHUNK_BYTES;
    if (chunk->encoding >= CHUNK_ENCODINGS)
        return damage(err, "unknown chunk encoding", chunk->encoding);
    if (chunk_bounds(chunk->encoding, chunk->payload, CHUNK_BYTES, &chunk->first_ms,
                     &chunk->last_ms, err) != 0)
        return HEADS_PARSE_DAMAGE;
    return HEADS_PARSE_OK;
}

static enum heads_parse get_chunks(struct heads_record *record, int64_t count, const uint8_t **p,
                                   const uint8_t *end, struct error *err)
{
    struct heads_chunk chunk;
    int64_t i;

    for (i = 0; i < count; i++) {
        enum heads_parse state = get_chunk(&chunk, i < record->series.watermark, p, end, err);

        if (state == HEADS_PARSE_DAMAGE && chunk.payload != NULL && record->lenient) {
            if (record->bad_chunks++ == 0)
                record->bad_problem = *err;
            continue;
        }
        if (state != HEADS_PARSE_OK)
            return state;
        if (!add_chunk(record, &chunk))
            return damage(err, "no memory for the chunks of a series:", count);
        record->chunks_complete += chunk.payload != NULL && i < count - 1;
    }
    if (record->series.count == 0)
        return damage(err, "no readable chunk of", count);
    return HEADS_PARSE_OK;
}

enum heads_parse heads_record_parse(struct heads_record *record, int version, const uint8_t *bytes,
                                    size_t len, struct error *err)
{
    const uint8_t *p = bytes + METRIC_AT, *end = bytes + len;
    enum heads_parse state;
    int64_t count = 0;

    labels_unref(record->labels);
    record->labels = NULL;
    record->series = (struct heads_series){0};
    record->chunks_complete = 0;
    record->bad_chunks = 0;
    if (len < METRIC_AT)
        return HEADS_PARSE_MORE;
    record->series.fp = get_be64(bytes + 1);
    state = get_metric(record, &p, end, err);
    if (state == HEADS_PARSE_OK)
        state = get_fields(&record->series, version, (bytes[0] & FLAG_HEAD_PERSISTED) != 0, &p, end,
                           &count, err);
    if (state == HEADS_PARSE_OK)
        state = get_chunks(record, count, &p, end, err);
    record->series.chunks = record->chunks;
    record->size = (size_t)(p - bytes);
    return state;
}

/* --- proofs -------------------------------------------------------------------------------------
 */

/* True for the number of this metric, or one that was given out. */
static bool proves(uint64_t fp, uint64_t sum)
{
    return fp == sum || (fp > 0 && fp <= FINGERPRINT_MAX_MAPPED);
}

bool heads_record_proven(const struct heads_record *record)
{
    return proves(record->series.fp, fingerprint_of(record->labels));
}

bool heads_record_begins(const uint8_t *bytes, size_t len, uint64_t *work)
{
    const uint8_t *p = bytes + METRIC_AT, *end = bytes + len;
    struct label list[SCAN_LABELS_MAX];
    struct codable_string name, value;
    size_t used = 0;
    int64_t count, i;

    if (len <= METRIC_AT || bytes[0] > FLAG_HEAD_PERSISTED)
        return false;
    p = varint_get(p, end, &count);
    if (p == NULL || count < 0 || count > SCAN_LABELS_MAX)
        return false;
    /* Most candidates end at their first label. */
    for (i = 0; i < count; i++) {
        const uint8_t *from = p;

        p = codable_get_label_pair(p, end, &name, &value);
        *work += p == NULL ? 1 : (uint64_t)(p - from);
        if (p == NULL || name.len == 0 || name.len > HEADS_METRIC_MAX ||
            value.len > HEADS_METRIC_MAX)
            return false;
        if (value.len > 0)
            list[used++] =
                (struct label){name.bytes, value.bytes, (uint32_t)name.len, (uint32_t)value.len};
    }
    return proves(get_be64(bytes + 1), fingerprint_of_list(list, used)) && (used > 0 || count == 0);
}

bool heads_record_sound(const struct heads_record *record)
{
    const struct heads_series *series = &record->series;
    struct error unused;
    size_t i;

    for (i = 0; i < series->count; i++) {
        const struct heads_chunk *chunk = &series->chunks[i];

        if (chunk->last_ms < chunk->first_ms ||
            (i > 0 && chunk->first_ms <= series->chunks[i - 1].last_ms))
            return false;
        if (chunk->payload != NULL &&
            chunk_check(chunk->encoding, chunk->payload, CHUNK_BYTES, NULL, &unused) != 0)
            return false;
    }
    return true;
}
