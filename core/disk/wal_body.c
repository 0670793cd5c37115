/* wal_body.c - see wal_body.h. Numbers are varints, fingerprints 8 bytes, values 8 bytes, all
 * little-endian; lists have their count in front. */
#include "disk/wal_body.h"

#include "base/bytes.h"
#include "base/mem.h"

/* --- pieces --- */

static void put_number(struct buf *out, uint64_t value)
{
    out->len += uvarint_put(buf_reserve(out, VARINT_MAX_BYTES), value);
}

static void put_time(struct buf *out, int64_t time_ms)
{
    put_number(out, zigzag(time_ms));
}

static void put_word(struct buf *out, uint64_t value)
{
    put_le64(buf_reserve(out, sizeof(value)), value);
    out->len += sizeof(value);
}

/* What is left of a body; `at` is NULL once it was too short. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static uint64_t get_number(struct reader *in)
{
    uint64_t value = 0;

    if (in->at != NULL)
        in->at = uvarint_get(in->at, in->end, &value);
    return value;
}

static int64_t get_time(struct reader *in)
{
    int64_t value = 0;

    if (in->at != NULL)
        in->at = varint_get(in->at, in->end, &value);
    return value;
}

static uint64_t get_word(struct reader *in)
{
    uint64_t value = 0;

    if (in->at != NULL && in->end - in->at < 8)
        in->at = NULL;
    if (in->at != NULL) {
        value = get_le64(in->at);
        in->at += 8;
    }
    return value;
}

static const char *get_text(struct reader *in, size_t *len)
{
    uint64_t size = get_number(in);
    const char *text = (const char *)in->at;

    *len = (size_t)size;
    if (in->at != NULL && size > (uint64_t)(in->end - in->at))
        in->at = NULL;
    if (in->at != NULL)
        in->at += size;
    return text;
}

/* A count of items that take at least `least` bytes each: no more memory than the body can fill. */
static size_t get_count(struct reader *in, size_t least)
{
    uint64_t count = get_number(in);

    if (in->at != NULL && count > (uint64_t)(in->end - in->at) / least)
        in->at = NULL;
    return in->at != NULL ? (size_t)count : 0;
}

static bool is_whole(const struct reader *in)
{
    return in->at != NULL && in->at == in->end;
}

static void put_fps(struct buf *out, const uint64_t *fps, size_t count)
{
    put_number(out, count);
    for (size_t i = 0; i < count; i++)
        put_word(out, fps[i]);
}

static uint64_t *get_fps(struct reader *in, size_t *count)
{
    uint64_t *fps;

    *count = get_count(in, 8);
    fps = mem_alloc(TIDE_MAX(*count, (size_t)1) * sizeof(*fps));
    for (size_t i = 0; i < *count; i++)
        fps[i] = get_word(in);
    return fps;
}

/* --- INTENT, CHECKPOINT --- */

void wal_mark_put(struct buf *out, const struct wal_mark *mark)
{
    put_word(out, mark->segment);
    put_word(out, mark->heads_size);
    put_word(out, (uint64_t)mark->heads_mtime_ns);
}

bool wal_mark_get(const uint8_t *body, size_t len, struct wal_mark *mark)
{
    struct reader in = {body, body + len};

    mark->segment = get_word(&in);
    mark->heads_size = get_word(&in);
    mark->heads_mtime_ns = (int64_t)get_word(&in);
    return is_whole(&in);
}

/* --- DELETE --- */

void wal_delete_put(struct buf *out, const struct wal_delete *record)
{
    size_t len = strlen(record->trash_id);

    put_time(out, record->range.from_ms);
    put_time(out, record->range.to_ms);
    put_number(out, len);
    buf_append(out, record->trash_id, len);
    put_fps(out, record->fps, record->count);
}

bool wal_delete_get(const uint8_t *body, size_t len, struct wal_delete *record)
{
    struct reader in = {body, body + len};
    const char *id;
    size_t id_len;

    *record = (struct wal_delete){0};
    record->range.from_ms = get_time(&in);
    record->range.to_ms = get_time(&in);
    id = get_text(&in, &id_len);
    if (in.at == NULL || id_len >= sizeof(record->trash_id))
        return false;
    memcpy(record->trash_id, id, id_len);
    record->fps = get_fps(&in, &record->count);
    if (is_whole(&in))
        return true;
    wal_delete_destroy(record);
    return false;
}

void wal_delete_destroy(struct wal_delete *record)
{
    mem_free(record->fps);
    *record = (struct wal_delete){0};
}

/* --- EDITS --- */

void wal_edits_put(struct buf *out, const struct wal_edits *record)
{
    put_word(out, record->fp);
    put_number(out, record->range_count);
    for (size_t i = 0; i < record->range_count; i++) {
        put_time(out, record->ranges[i].from_ms);
        put_time(out, record->ranges[i].to_ms);
    }
    put_number(out, record->late_count);
    for (size_t i = 0; i < record->late_count; i++) {
        uint64_t bits;

        memcpy(&bits, &record->lates[i].value, sizeof(bits));
        put_time(out, record->lates[i].time_ms);
        put_word(out, bits);
        buf_putc(out, (char)record->lates[i].rule);
    }
}

static void get_ranges(struct reader *in, struct wal_edits *record)
{
    record->range_count = get_count(in, 2);
    record->ranges = mem_alloc(TIDE_MAX(record->range_count, (size_t)1) * sizeof(*record->ranges));
    for (size_t i = 0; i < record->range_count; i++) {
        record->ranges[i].from_ms = get_time(in);
        record->ranges[i].to_ms = get_time(in);
    }
}

static void get_lates(struct reader *in, struct wal_edits *record)
{
    record->late_count = get_count(in, 10);
    record->lates = mem_alloc(TIDE_MAX(record->late_count, (size_t)1) * sizeof(*record->lates));
    for (size_t i = 0; i < record->late_count; i++) {
        struct wal_late *late = &record->lates[i];
        uint64_t bits, rule;

        late->time_ms = get_time(in);
        bits = get_word(in);
        rule = get_number(in);
        memcpy(&late->value, &bits, sizeof(bits));
        if (rule > WAL_LATE_MAX)
            in->at = NULL;
        late->rule = (enum wal_late_rule)rule;
    }
}

bool wal_edits_get(const uint8_t *body, size_t len, struct wal_edits *record)
{
    struct reader in = {body, body + len};

    *record = (struct wal_edits){.fp = get_word(&in)};
    get_ranges(&in, record);
    get_lates(&in, record);
    if (is_whole(&in))
        return true;
    wal_edits_destroy(record);
    return false;
}

void wal_edits_destroy(struct wal_edits *record)
{
    mem_free(record->ranges);
    mem_free(record->lates);
    *record = (struct wal_edits){0};
}

/* --- MERGED --- */

void wal_merged_put(struct buf *out, const struct wal_merged *record)
{
    put_word(out, record->before);
    put_fps(out, record->fps, record->count);
}

bool wal_merged_get(const uint8_t *body, size_t len, struct wal_merged *record)
{
    struct reader in = {body, body + len};

    record->before = get_word(&in);
    record->fps = get_fps(&in, &record->count);
    if (is_whole(&in))
        return true;
    wal_merged_destroy(record);
    return false;
}

void wal_merged_destroy(struct wal_merged *record)
{
    mem_free(record->fps);
    *record = (struct wal_merged){0};
}

/* --- STATE --- */

void wal_state_put(struct buf *out, const struct wal_state *state)
{
    put_number(out, state->key_len);
    buf_append(out, state->key, state->key_len);
    put_number(out, state->value_len);
    buf_append(out, state->value, state->value_len);
}

bool wal_state_get(const uint8_t *body, size_t len, struct wal_state *state)
{
    struct reader in = {body, body + len};

    state->key = get_text(&in, &state->key_len);
    state->value = get_text(&in, &state->value_len);
    return is_whole(&in);
}
