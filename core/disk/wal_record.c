/* wal_record.c - frames and batches of the log (wal_record.h). Values: wal_value.c. */
#include "disk/wal_record.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

#define MARKER 0x314c5754u /* "TWL1" */
#define LABELS_MAX 1024

/* --- frames --- */

size_t wal_frame_size(size_t body_len)
{
    return (WAL_FRAME_BYTES + body_len + WAL_FRAME_ALIGN - 1) & ~(size_t)(WAL_FRAME_ALIGN - 1);
}

uint32_t wal_body_crc(const uint8_t *body, size_t len)
{
    return crc32c(0, body, len);
}

static uint32_t whole_crc(uint32_t body_crc, uint8_t type, uint64_t number)
{
    uint8_t tail[9];

    tail[0] = type;
    put_le64(tail + 1, number);
    return crc32c_mask(crc32c(body_crc, tail, sizeof(tail)));
}

void wal_frame_write(uint8_t *out, enum wal_record_type type, uint64_t number, const uint8_t *body,
                     size_t len, uint32_t body_crc)
{
    size_t used = WAL_FRAME_BYTES + len;

    put_le32(out, MARKER);
    put_le32(out + 4, (uint32_t)len);
    put_le32(out + 8, whole_crc(body_crc, (uint8_t)type, number));
    out[12] = (uint8_t)type;
    put_le64(out + 13, number);
    memcpy(out + WAL_FRAME_BYTES, body, len);
    memset(out + used, 0, wal_frame_size(len) - used);
}

bool wal_frame_read(const uint8_t *bytes, size_t len, struct wal_frame *frame)
{
    size_t body_len;

    if (len < WAL_FRAME_BYTES || get_le32(bytes) != MARKER)
        return false;
    body_len = get_le32(bytes + 4);
    if (body_len > WAL_BODY_MAX || wal_frame_size(body_len) > len)
        return false;
    frame->type = (enum wal_record_type)bytes[12];
    frame->number = get_le64(bytes + 13);
    frame->body = bytes + WAL_FRAME_BYTES;
    frame->body_len = body_len;
    frame->size = wal_frame_size(body_len);
    return get_le32(bytes + 8) ==
           whole_crc(wal_body_crc(frame->body, body_len), bytes[12], frame->number);
}

size_t wal_frame_search(const uint8_t *bytes, size_t len, size_t from)
{
    struct wal_frame frame;
    size_t at = (from + WAL_FRAME_ALIGN - 1) & ~(size_t)(WAL_FRAME_ALIGN - 1);

    for (; at < len; at += WAL_FRAME_ALIGN) {
        if (wal_frame_read(bytes + at, len - at, &frame))
            return at;
    }
    return len;
}

/* --- writing a batch --- */

static void reset_columns(struct wal_columns *columns)
{
    columns->ids.len = columns->times.len = columns->values.len = 0;
    columns->count = 0;
    columns->last_id = 0;
    columns->last_time_ms = 0;
}

void wal_batch_reset(struct wal_batch *batch)
{
    batch->bindings.len = batch->definitions.len = batch->late_rules.len = 0;
    batch->binding_count = batch->definition_count = 0;
    reset_columns(&batch->put);
    reset_columns(&batch->late);
}

static void destroy_columns(struct wal_columns *columns)
{
    buf_destroy(&columns->ids);
    buf_destroy(&columns->times);
    buf_destroy(&columns->values);
}

void wal_batch_destroy(struct wal_batch *batch)
{
    buf_destroy(&batch->bindings);
    buf_destroy(&batch->definitions);
    buf_destroy(&batch->late_rules);
    destroy_columns(&batch->put);
    destroy_columns(&batch->late);
    *batch = (struct wal_batch){0};
}

bool wal_batch_is_empty(const struct wal_batch *batch)
{
    return batch->binding_count == 0 && batch->definition_count == 0 && batch->put.count == 0 &&
           batch->late.count == 0;
}

static inline void append_uvarint(struct buf *out, uint64_t value)
{
    uint8_t *to = buf_room(out, VARINT_MAX_BYTES);

    if (TIDE_LIKELY(value < 0x80)) { /* most columns are small steps */
        *to = (uint8_t)value;
        out->len++;
    } else {
        out->len += uvarint_put(to, value);
    }
}

static void append_text(struct buf *out, const char *text, size_t len)
{
    append_uvarint(out, len);
    buf_append(out, text, len);
}

static void append_fp(struct buf *out, uint64_t fp)
{
    put_le64(buf_reserve(out, sizeof(fp)), fp);
    out->len += sizeof(fp);
}

void wal_batch_bind(struct wal_batch *batch, uint32_t wal_id, uint64_t fp)
{
    append_uvarint(&batch->bindings, wal_id);
    append_fp(&batch->bindings, fp);
    batch->binding_count++;
}

void wal_batch_define(struct wal_batch *batch, uint64_t fp, const struct labels *labels)
{
    size_t count = labels_count(labels);

    append_fp(&batch->definitions, fp);
    append_uvarint(&batch->definitions, count);
    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(labels, i);

        append_text(&batch->definitions, label.name, label.name_len);
        append_text(&batch->definitions, label.value, label.value_len);
    }
    batch->definition_count++;
}

static void add_sample(struct wal_columns *columns, uint32_t wal_id, int64_t time_ms, double value)
{
    int64_t id_step = (int64_t)wal_id - (int64_t)columns->last_id;
    uint64_t time_step = (uint64_t)time_ms - (uint64_t)columns->last_time_ms;

    append_uvarint(&columns->ids, zigzag(id_step));
    append_uvarint(&columns->times, zigzag((int64_t)time_step));
    columns->values.len += wal_value_put(buf_room(&columns->values, 16), value);
    columns->last_id = wal_id;
    columns->last_time_ms = time_ms;
    columns->count++;
}

void wal_batch_put(struct wal_batch *batch, uint32_t wal_id, int64_t time_ms, double value)
{
    add_sample(&batch->put, wal_id, time_ms, value);
}

void wal_batch_put_late(struct wal_batch *batch, uint32_t wal_id, int64_t time_ms, double value,
                        enum wal_late_rule rule)
{
    add_sample(&batch->late, wal_id, time_ms, value);
    buf_putc(&batch->late_rules, (char)rule);
}

static void encode_columns(const struct wal_columns *columns, struct buf *out)
{
    append_uvarint(out, columns->count);
    append_uvarint(out, columns->ids.len);
    append_uvarint(out, columns->times.len);
    append_uvarint(out, columns->values.len);
    buf_append(out, columns->ids.data, columns->ids.len);
    buf_append(out, columns->times.data, columns->times.len);
    buf_append(out, columns->values.data, columns->values.len);
}

void wal_batch_encode(const struct wal_batch *batch, struct buf *out)
{
    append_uvarint(out, batch->definition_count);
    buf_append(out, batch->definitions.data, batch->definitions.len);
    append_uvarint(out, batch->binding_count);
    buf_append(out, batch->bindings.data, batch->bindings.len);
    encode_columns(&batch->put, out);
    encode_columns(&batch->late, out);
    buf_append(out, batch->late_rules.data, batch->late_rules.len);
}

/* --- reading a batch --- */

static int cut_off(const char *part, struct error *err)
{
    return error_set(err, ERR_CORRUPT, "log record: %s cut off or malformed", part);
}

static const uint8_t *read_text(const uint8_t *p, const uint8_t *end, const char **text,
                                uint32_t *len)
{
    uint64_t size;

    p = uvarint_get(p, end, &size);
    if (p == NULL || size > (uint64_t)(end - p))
        return NULL;
    *text = (const char *)p;
    *len = (uint32_t)size;
    return p + size;
}

static const uint8_t *read_definition(const uint8_t *p, const uint8_t *end, uint64_t *fp,
                                      struct label *list, uint64_t *count)
{
    if (end - p < 8)
        return NULL;
    *fp = get_le64(p);
    p = uvarint_get(p + 8, end, count);
    if (p == NULL || *count > LABELS_MAX)
        return NULL;
    for (uint64_t i = 0; i < *count; i++) {
        p = read_text(p, end, &list[i].name, &list[i].name_len);
        if (p != NULL)
            p = read_text(p, end, &list[i].value, &list[i].value_len);
        if (p == NULL)
            return NULL;
    }
    return p;
}

static int decode_definitions(const uint8_t **at, const uint8_t *end,
                              const struct wal_batch_visitor *visitor, struct error *err)
{
    struct label *list;
    uint64_t n, fp, count;
    int result = 0;

    *at = uvarint_get(*at, end, &n);
    if (*at == NULL)
        return cut_off("definitions", err);
    if (n == 0)
        return 0;
    list = mem_alloc(LABELS_MAX * sizeof(*list));
    for (uint64_t i = 0; i < n && result == 0; i++) {
        *at = read_definition(*at, end, &fp, list, &count);
        result = *at != NULL ? visitor->define(visitor->ctx, fp, list, count, err)
                             : cut_off("definition", err);
    }
    mem_free(list);
    return result;
}

static int decode_bindings(const uint8_t **at, const uint8_t *end,
                           const struct wal_batch_visitor *visitor, struct error *err)
{
    uint64_t n;

    *at = uvarint_get(*at, end, &n);
    if (*at == NULL)
        return cut_off("bindings", err);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id;

        *at = uvarint_get(*at, end, &id);
        if (*at == NULL || id > UINT32_MAX || end - *at < 8)
            return cut_off("binding", err);
        if (visitor->bind(visitor->ctx, (uint32_t)id, get_le64(*at), err) != 0)
            return -1;
        *at += 8;
    }
    return 0;
}

/* The four numbers in front of a set of columns, and where each column begins. */
struct columns_view {
    uint64_t count;
    const uint8_t *ids, *times, *values, *end;
};

static const uint8_t *read_columns_view(const uint8_t *p, const uint8_t *end,
                                        struct columns_view *view)
{
    uint64_t sizes[3];

    p = uvarint_get(p, end, &view->count);
    for (size_t i = 0; i < TIDE_COUNT(sizes) && p != NULL; i++)
        p = uvarint_get(p, end, &sizes[i]);
    if (p == NULL)
        return NULL;
    view->ids = p;
    for (size_t i = 0; i < TIDE_COUNT(sizes); i++) {
        if (sizes[i] > (uint64_t)(end - p))
            return NULL;
        p += sizes[i];
        if (i == 0)
            view->times = p;
        else if (i == 1)
            view->values = p;
    }
    view->end = p;
    return p;
}

static int decode_columns(const struct columns_view *view, const uint8_t *rules,
                          const struct wal_batch_visitor *visitor, struct error *err)
{
    const uint8_t *ids = view->ids, *times = view->times, *values = view->values;
    int64_t id = 0;
    uint64_t time_ms = 0;

    for (uint64_t i = 0; i < view->count; i++) {
        int64_t id_step = 0, time_step = 0;
        double value = 0;
        int result;

        ids = varint_get(ids, view->times, &id_step);
        times = varint_get(times, view->values, &time_step);
        values = wal_value_get(values, view->end, &value);
        if (ids == NULL || times == NULL || values == NULL)
            return cut_off("sample", err);
        if (__builtin_add_overflow(id, id_step, &id) || id < 0 || id > UINT32_MAX)
            return cut_off("sample", err);
        time_ms += (uint64_t)time_step;
        result = rules == NULL
                     ? visitor->put(visitor->ctx, (uint32_t)id, (int64_t)time_ms, value, err)
                     : visitor->late(visitor->ctx, (uint32_t)id, (int64_t)time_ms, value,
                                     (enum wal_late_rule)rules[i], err);
        if (result != 0)
            return -1;
    }
    return 0;
}

int wal_batch_decode(const uint8_t *body, size_t len, const struct wal_batch_visitor *visitor,
                     struct error *err)
{
    const uint8_t *p = body, *end = body + len;
    struct columns_view put, late;

    if (decode_definitions(&p, end, visitor, err) != 0)
        return -1;
    if (visitor->bind == NULL)
        return 0;
    if (decode_bindings(&p, end, visitor, err) != 0)
        return -1;
    p = read_columns_view(p, end, &put);
    if (p == NULL)
        return cut_off("samples", err);
    if (decode_columns(&put, NULL, visitor, err) != 0)
        return -1;
    p = read_columns_view(p, end, &late);
    if (p == NULL || late.count != (uint64_t)(end - p))
        return cut_off("late samples", err);
    for (uint64_t i = 0; i < late.count; i++) {
        if (p[i] > WAL_LATE_MAX)
            return cut_off("late samples", err);
    }
    return decode_columns(&late, p, visitor, err);
}
