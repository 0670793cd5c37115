/* remote_write2.c - see remote_write2.h; http-protocols.md section 10. */
#include "wire/remote_write2.h"

#include "base/mem.h"
#include "wire/label_pairs.h"
#include "wire/protobuf.h"

enum { REQUEST_SYMBOLS = 4, REQUEST_TIMESERIES = 5 };
enum { SERIES_REFS = 1, SERIES_SAMPLE, SERIES_HISTOGRAM, SERIES_EXEMPLAR, SERIES_METADATA };
enum { SAMPLE_VALUE = 1, SAMPLE_TIME = 2, SAMPLE_START = 3 };
enum { METADATA_TYPE = 1, METADATA_HELP_REF = 3, METADATA_UNIT_REF = 4 };

#define MAX_SYMBOLS ((size_t)4 << 20)
#define MAX_REFS 512 /* two a label */

struct symbol {
    uint32_t at; /* offset in the body */
    uint32_t len;
};

struct decoder {
    const uint8_t *body;
    struct push *push;
    struct batch *batch;
    struct symbol *symbols; /* owned */
    size_t symbol_count;
    size_t symbol_cap;
    size_t budget; /* bytes of blocks that may still be made */
};

/* One TimeSeries while it is read. */
struct series {
    uint32_t refs[MAX_REFS];
    size_t ref_count;
    size_t samples, histograms, exemplars;
    const uint8_t *metadata;
    size_t metadata_len;
    const char *problem; /* static */
};

static bool decode_sample(const uint8_t *bytes, size_t len, int64_t *time_ms, double *value)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    int more;

    *time_ms = 0;
    *value = 0;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, SAMPLE_VALUE, PROTOBUF_FIXED64))
            *value = bits_double(field.value);
        else if (protobuf_is(&field, SAMPLE_TIME, PROTOBUF_VARINT))
            *time_ms = (int64_t)field.value;
        else if (field.number <= SAMPLE_TIME)
            return false;
    }
    return more == 0;
}

static bool add_ref(const struct decoder *decoder, struct series *series, uint64_t ref)
{
    if (ref >= decoder->symbol_count)
        series->problem = "refers to a symbol past the table";
    else if (series->ref_count == MAX_REFS)
        series->problem = "has more than 256 labels";
    else
        series->refs[series->ref_count++] = (uint32_t)ref;
    return series->problem == NULL;
}

/* Packed, as proto3 writes them; single ones are legal too. */
static bool add_refs(const struct decoder *decoder, struct series *series,
                     const struct protobuf_field *field)
{
    const uint8_t *at = field->bytes, *end = at + field->len;

    while (at < end) {
        uint64_t ref = 0;

        at = protobuf_varint(at, end, &ref);
        if (at == NULL) {
            series->problem = "is broken protobuf";
            return false;
        }
        if (!add_ref(decoder, series, ref))
            return false;
    }
    return true;
}

/* One field of a TimeSeries; false with the series' problem. */
static bool take_field(struct decoder *decoder, struct series *series,
                       const struct protobuf_field *field)
{
    int64_t time_ms;
    double value;

    if (protobuf_is(field, SERIES_REFS, PROTOBUF_BYTES))
        return add_refs(decoder, series, field);
    if (protobuf_is(field, SERIES_REFS, PROTOBUF_VARINT))
        return add_ref(decoder, series, field->value);
    if (protobuf_is(field, SERIES_SAMPLE, PROTOBUF_BYTES)) {
        series->samples++;
        if (decode_sample(field->bytes, field->len, &time_ms, &value)) {
            batch_add_sample(decoder->batch, time_ms, value);
            return true;
        }
    } else if (protobuf_is(field, SERIES_HISTOGRAM, PROTOBUF_BYTES)) {
        series->histograms++;
        return true;
    } else if (protobuf_is(field, SERIES_EXEMPLAR, PROTOBUF_BYTES)) {
        series->exemplars++;
        return true;
    } else if (protobuf_is(field, SERIES_METADATA, PROTOBUF_BYTES)) {
        series->metadata = field->bytes;
        series->metadata_len = field->len;
        return true;
    } else if (field->number > SERIES_METADATA) {
        return true;
    }
    series->problem = "is broken protobuf";
    return false;
}

static const char *symbol_text(const struct decoder *decoder, uint64_t ref, size_t *len)
{
    *len = decoder->symbols[ref].len;
    return (const char *)decoder->body + decoder->symbols[ref].at;
}

/* The labels as a block of pairs in the arena; false when the budget is spent. */
static bool make_block(struct decoder *decoder, const struct series *series,
                       struct batch_entry *entry)
{
    size_t room = series->ref_count * 5;
    uint8_t *block, *at;

    for (size_t i = 0; i < series->ref_count; i++)
        room += decoder->symbols[series->refs[i]].len;
    if (room > decoder->budget)
        return false;
    decoder->budget -= room;
    block = at = arena_alloc(&decoder->batch->arena, room);
    for (size_t i = 0; i < series->ref_count; i++) {
        const struct symbol *symbol = &decoder->symbols[series->refs[i]];

        at += uvarint_put(at, symbol->len);
        memcpy(at, decoder->body + symbol->at, symbol->len);
        at += symbol->len;
    }
    entry->block = block;
    entry->block_len = (uint32_t)(at - block);
    return true;
}

static void tell_metadata(const struct decoder *decoder, const struct series *series)
{
    struct protobuf_reader reader = protobuf_open(series->metadata, series->metadata_len);
    struct metadata metadata = {.has_type = true};
    struct protobuf_field field;

    for (size_t i = 0; i + 1 < series->ref_count; i += 2) {
        size_t len;
        const char *name = symbol_text(decoder, series->refs[i], &len);

        if (len == strlen(LABEL_METRIC_NAME) && memcmp(name, LABEL_METRIC_NAME, len) == 0)
            metadata.name = symbol_text(decoder, series->refs[i + 1], &metadata.name_len);
    }
    while (protobuf_next(&reader, &field) > 0) {
        if (field.type != PROTOBUF_VARINT)
            continue;
        if (field.number == METADATA_TYPE && field.value < METADATA_TYPES)
            metadata.type = (enum metadata_type)field.value;
        else if (field.number == METADATA_HELP_REF && field.value < decoder->symbol_count)
            metadata.help = symbol_text(decoder, field.value, &metadata.help_len);
        else if (field.number == METADATA_UNIT_REF && field.value < decoder->symbol_count)
            metadata.unit = symbol_text(decoder, field.value, &metadata.unit_len);
    }
    if (metadata.name_len != 0)
        decoder->push->on_metadata(decoder->push->metadata_ctx, &metadata);
}

static void decode_series(struct decoder *decoder, struct series *series, const uint8_t *bytes,
                          size_t len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    int more;

    series->ref_count = series->samples = series->histograms = series->exemplars = 0;
    series->metadata = NULL;
    series->metadata_len = 0;
    series->problem = NULL;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (!take_field(decoder, series, &field))
            return;
    }
    if (more < 0)
        series->problem = "is broken protobuf";
    else if (series->ref_count % 2 != 0)
        series->problem = "has an odd number of label references";
    else if (series->samples != 0 && series->histograms != 0)
        series->problem = "has both samples and histograms";
    else if (series->samples == 0 && series->histograms == 0)
        series->problem = "has neither samples nor histograms";
}

static int take_series(struct decoder *decoder, const struct protobuf_field *field, size_t nth,
                       struct append_result *result, struct error *err)
{
    struct batch *batch = decoder->batch;
    size_t samples = batch->sample_count;
    struct series series;

    batch_add_entry(batch, NULL, 0, 0);
    decode_series(decoder, &series, field->bytes, field->len);
    if (series.problem != NULL) {
        batch->entry_count--;
        batch->sample_count = samples;
        append_result_refuse(result, REFUSED_MALFORMED, TIDE_MAX(series.samples, (size_t)1),
                             (uint32_t)batch->entry_count, 0, "series %zu of the request %s", nth,
                             series.problem);
        return 0;
    }
    decoder->push->skipped.exemplars += series.exemplars;
    decoder->push->skipped.histograms += series.histograms;
    if (series.metadata != NULL && decoder->push->on_metadata != NULL)
        tell_metadata(decoder, &series);
    if (series.samples == 0)
        batch->entry_count--;
    else if (!make_block(decoder, &series, &batch->entries[batch->entry_count - 1]))
        return error_set(err, ERR_LIMIT, "the labels of this request unfold to too many bytes");
    return 0;
}

static int add_symbol(struct decoder *decoder, const struct protobuf_field *field,
                      struct error *err)
{
    if (decoder->symbol_count == 0 && field->len != 0)
        return error_set(err, ERR_INVALID, "the first symbol is not the empty one");
    if (decoder->symbol_count == MAX_SYMBOLS)
        return error_set(err, ERR_LIMIT, "more than %zu symbols", MAX_SYMBOLS);
    if (decoder->symbol_count == decoder->symbol_cap) {
        decoder->symbol_cap = decoder->symbol_cap != 0 ? decoder->symbol_cap * 2 : 1024;
        decoder->symbols =
            mem_realloc(decoder->symbols, decoder->symbol_cap * sizeof(*decoder->symbols));
    }
    decoder->symbols[decoder->symbol_count++] =
        (struct symbol){(uint32_t)(field->bytes - decoder->body), (uint32_t)field->len};
    return 0;
}

/* The symbols of the whole request first: nothing promises that they come before the series. */
static int read_symbols(struct decoder *decoder, size_t len, struct error *err)
{
    struct protobuf_reader reader = protobuf_open(decoder->body, len);
    struct protobuf_field field;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, REQUEST_SYMBOLS, PROTOBUF_BYTES)) {
            if (add_symbol(decoder, &field, err) != 0)
                return -1;
        } else if (field.number <= REQUEST_TIMESERIES && field.type != PROTOBUF_BYTES) {
            break;
        } else if (field.number < REQUEST_SYMBOLS) {
            return error_set(err, ERR_INVALID,
                             "this is a remote write 1.0 request with the Content-Type of 2.0");
        }
    }
    if (more != 0)
        return error_set(err, ERR_INVALID,
                         "not a remote write 2.0 request: broken protobuf at byte %zu of %zu",
                         (size_t)(reader.at - decoder->body), len);
    return 0;
}

int remote_write2_decode(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                         struct append_result *result, struct error *err)
{
    struct decoder decoder = {
        .body = body, .push = push, .batch = batch, .budget = push_block_budget(len)};
    struct protobuf_reader reader = protobuf_open(body, len);
    struct protobuf_field field;
    size_t nth = 0;
    int status = 0;

    batch->format = LABEL_FORMAT_PAIRS;
    batch->parse = label_pairs_parse;
    batch->parse_ctx = NULL;
    if (len > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "body of %zu bytes is over 4 GiB", len);
    status = read_symbols(&decoder, len, err);
    while (status == 0 && protobuf_next(&reader, &field) > 0) {
        if (protobuf_is(&field, REQUEST_TIMESERIES, PROTOBUF_BYTES))
            status = take_series(&decoder, &field, ++nth, result, err);
    }
    mem_free(decoder.symbols);
    return status;
}
