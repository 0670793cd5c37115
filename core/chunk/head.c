/* head.c - chunks under construction: append with overflow and transcoding (format, section 8). */
#include "base/mem.h"
#include "chunk/bits.h"
#include "chunk/encoding.h"

/* Samples are moved from chunk to chunk in blocks. */
#define BLOCK_SAMPLES 256

/* Completed chunks of an append that may still fail. */
struct finished {
    enum chunk_encoding encoding;
    int64_t first_ms;
    int64_t last_ms;
    uint8_t payload[CHUNK_BYTES];
};

struct finished_list {
    struct finished *items;
    size_t len;
    size_t cap;
};

void *chunk_resize_heap(void *ctx, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)ctx;
    (void)old_bytes;
    if (new_bytes == 0) {
        mem_free(old);
        return NULL;
    }
    return mem_realloc(old, new_bytes);
}

void chunk_head_init(struct chunk_head *head, enum chunk_encoding encoding)
{
    memset(head, 0, sizeof(*head));
    head->encoding = (uint8_t)encoding;
    if (encoding != CHUNK_VARBIT) {
        head->time_width = 1;
        head->flags = 1;
    }
}

void chunk_head_destroy(struct chunk_head *head, const struct chunk_writer *writer)
{
    if (head->bytes != NULL)
        writer->resize(writer->ctx, head->bytes, (size_t)head->room_32 * CHUNK_ROOM_UNIT, 0);
    chunk_head_init(head, (enum chunk_encoding)head->encoding);
}

void chunk_head_grow(struct chunk_head *head, const struct chunk_writer *writer, size_t bytes)
{
    static const uint16_t sizes[] = {64,  96,  128, 160, 192, 224, 256, 320,
                                     384, 448, 512, 640, 768, 896, 1024};
    size_t old_bytes = (size_t)head->room_32 * CHUNK_ROOM_UNIT;
    size_t i = 0;

    TIDE_ASSERT(bytes <= CHUNK_BYTES);
    while (sizes[i] < bytes)
        i++;
    head->bytes = writer->resize(writer->ctx, head->bytes, old_bytes, sizes[i]);
    head->room_32 = (uint8_t)(sizes[i] / CHUNK_ROOM_UNIT);
}

static void finish(struct finished_list *list, const struct chunk_head *head)
{
    struct finished *item;

    if (list->len == list->cap) {
        list->cap = list->cap == 0 ? 1 : list->cap * 2;
        list->items = mem_realloc(list->items, list->cap * sizeof(*list->items));
    }
    item = &list->items[list->len++];
    item->encoding = (enum chunk_encoding)head->encoding;
    item->first_ms = head->first_ms;
    item->last_ms = head->last_ms;
    chunk_head_payload(head, item->payload);
}

static enum chunk_added add_to_encoding(struct chunk_head *head, const struct chunk_writer *writer,
                                        int64_t time_ms, double value, struct chunk_form *form)
{
    if (TIDE_UNLIKELY(head->sealed))
        return CHUNK_OVERFLOWS;
    switch (head->encoding) {
    case CHUNK_DELTA:
        return delta_add(head, writer, time_ms, value, form);
    case CHUNK_DOUBLE_DELTA:
        return double_delta_add(head, writer, time_ms, value, form);
    default:
        return varbit_add(head, writer, time_ms, value, form);
    }
}

static bool resolve(struct chunk_head *head, const struct chunk_writer *writer, int64_t time_ms,
                    double value, enum chunk_added how, const struct chunk_form *form,
                    struct finished_list *list);

/* Adds, whatever it takes; false: too early (head and list may have changed). */
static bool add(struct chunk_head *head, const struct chunk_writer *writer, int64_t time_ms,
                double value, struct finished_list *list)
{
    struct chunk_form form;
    enum chunk_added how = add_to_encoding(head, writer, time_ms, value, &form);

    return how == CHUNK_ADDED || resolve(head, writer, time_ms, value, how, &form, list);
}

/* All samples of `old`, as a reader decodes them, into `head`. */
static bool add_all(struct chunk_head *head, const struct chunk_writer *writer,
                    const struct chunk_head *old, struct finished_list *list)
{
    struct error err;
    struct chunk_reader reader;
    uint8_t bytes[CHUNK_BYTES];
    int64_t times_ms[BLOCK_SAMPLES];
    double values[BLOCK_SAMPLES];
    size_t len = chunk_head_snapshot(old, bytes);
    int count;

    if (len == 0)
        return true;
    if (chunk_reader_init(&reader, old->encoding, bytes, len, TIDE_EARLIEST_MS, TIDE_LATEST_MS,
                          &err) != 0)
        return false;
    while ((count = chunk_reader_read(&reader, times_ms, values, BLOCK_SAMPLES, &err)) > 0)
        for (int i = 0; i < count; i++)
            if (!add(head, writer, times_ms[i], values[i], list))
                return false;
    return count == 0;
}

static bool transcode(struct chunk_head *head, const struct chunk_writer *writer, int64_t time_ms,
                      double value, const struct chunk_form *form, struct finished_list *list)
{
    struct chunk_head fresh;

    chunk_head_init(&fresh, (enum chunk_encoding)head->encoding);
    fresh.flags = form->flags;
    fresh.time_width = form->time_width;
    fresh.value_width = form->value_width;
    if (!add_all(&fresh, writer, head, list) || !add(&fresh, writer, time_ms, value, list)) {
        chunk_head_destroy(&fresh, writer);
        return false;
    }
    chunk_head_destroy(head, writer);
    *head = fresh;
    return true;
}

static bool overflow(struct chunk_head *head, const struct chunk_writer *writer, int64_t time_ms,
                     double value, struct finished_list *list)
{
    struct chunk_head fresh;

    chunk_head_init(&fresh, writer->default_encoding);
    if (!add(&fresh, writer, time_ms, value, list)) {
        chunk_head_destroy(&fresh, writer);
        return false;
    }
    finish(list, head);
    chunk_head_destroy(head, writer);
    *head = fresh;
    return true;
}

static bool resolve(struct chunk_head *head, const struct chunk_writer *writer, int64_t time_ms,
                    double value, enum chunk_added how, const struct chunk_form *form,
                    struct finished_list *list)
{
    switch (how) {
    case CHUNK_OVERFLOWS:
        return overflow(head, writer, time_ms, value, list);
    case CHUNK_TRANSCODES:
        return transcode(head, writer, time_ms, value, form, list);
    default:
        return false;
    }
}

/* The rare ways of an append: everything that is not a sample put behind the others. */
static int append_slowly(struct chunk_head *head, const struct chunk_writer *writer,
                         int64_t time_ms, double value, enum chunk_added how,
                         const struct chunk_form *form, struct error *err)
{
    struct finished_list list = {0};
    int64_t last_ms = head->last_ms;
    int result = -1;

    if (resolve(head, writer, time_ms, value, how, form, &list)) {
        for (size_t i = 0; i < list.len; i++) {
            struct chunk_complete chunk = {list.items[i].encoding, list.items[i].first_ms,
                                           list.items[i].last_ms, list.items[i].payload};

            writer->complete(writer->ctx, &chunk);
        }
        result = (int)list.len;
    } else {
        error_set(err, ERR_CORRUPT,
                  "sample at %" PRId64 " ms does not follow in a %s chunk that ends at %" PRId64
                  " ms",
                  time_ms, chunk_encoding_name(head->encoding), last_ms);
    }
    mem_free(list.items);
    return result;
}

int chunk_head_append(struct chunk_head *head, const struct chunk_writer *writer, int64_t time_ms,
                      double value, struct error *err)
{
    struct chunk_form form;
    enum chunk_added how = add_to_encoding(head, writer, time_ms, value, &form);

    if (TIDE_LIKELY(how == CHUNK_ADDED))
        return 0;
    return append_slowly(head, writer, time_ms, value, how, &form, err);
}

size_t chunk_head_append_all(struct chunk_head *head, const struct chunk_writer *writer,
                             const int64_t *times_ms, const double *values, size_t count,
                             struct error *err)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (chunk_head_append(head, writer, times_ms[i], values[i], err) < 0)
            break;
    return i;
}

size_t chunk_head_bytes(const struct chunk_head *head)
{
    if (chunk_head_is_empty(head))
        return 0;
    switch (head->encoding) {
    case CHUNK_DELTA:
    case CHUNK_DOUBLE_DELTA:
        return head->used;
    default:
        return varbit_bytes(head);
    }
}

size_t chunk_head_snapshot(const struct chunk_head *head, uint8_t *out)
{
    size_t bytes = chunk_head_bytes(head);

    if (bytes == 0)
        return 0;
    switch (head->encoding) {
    case CHUNK_DELTA:
        delta_snapshot(head, out);
        break;
    case CHUNK_DOUBLE_DELTA:
        double_delta_snapshot(head, out);
        break;
    default:
        varbit_snapshot(head, out);
        break;
    }
    return bytes;
}

void chunk_head_payload(const struct chunk_head *head, uint8_t *out)
{
    size_t bytes = chunk_head_snapshot(head, out);

    TIDE_ASSERT(bytes != 0);
    memset(out + bytes, 0, CHUNK_BYTES - bytes);
    if (head->encoding == CHUNK_VARBIT)
        varbit_put_footer(head, out);
}

int chunk_head_load(struct chunk_head *head, const struct chunk_writer *writer, int encoding,
                    const uint8_t *payload, struct error *err)
{
    struct chunk_summary summary;
    struct chunk_reader at_end;

    chunk_head_destroy(head, writer);
    if (chunk_check_to_end(encoding, payload, CHUNK_BYTES, &summary, &at_end, err) != 0)
        return -1;
    chunk_head_init(head, (enum chunk_encoding)encoding);
    switch (encoding) {
    case CHUNK_DELTA:
        delta_load(head, writer, payload);
        break;
    case CHUNK_DOUBLE_DELTA:
        double_delta_load(head, writer, payload);
        break;
    default:
        varbit_load(head, writer, payload, &at_end);
        return 0;
    }
    head->last_ms = summary.last_ms;
    head->last_value = summary.last_value;
    return 0;
}
