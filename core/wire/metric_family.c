/* metric_family.c - see metric_family.h. */
#include "wire/metric_family.h"

#include "base/number.h"
#include "wire/label_pairs.h"
#include "wire/protobuf.h"

enum { FAMILY_NAME = 1, FAMILY_HELP, FAMILY_TYPE, FAMILY_METRIC, FAMILY_UNIT };
enum {
    METRIC_LABEL = 1,
    METRIC_GAUGE,
    METRIC_COUNTER,
    METRIC_SUMMARY,
    METRIC_UNTYPED,
    METRIC_TIME,
    METRIC_HISTOGRAM
};
enum { TYPE_COUNTER, TYPE_GAUGE, TYPE_SUMMARY, TYPE_UNTYPED, TYPE_HISTOGRAM, TYPE_GAUGE_HISTOGRAM };
enum { SIMPLE_VALUE = 1, SIMPLE_EXEMPLAR = 2 };
enum { PARTS_COUNT = 1, PARTS_SUM = 2, PARTS_PART = 3, PARTS_COUNT_FLOAT = 4, PARTS_SCHEMA = 5 };
enum { PART_FIRST = 1, PART_SECOND = 2, PART_EXEMPLAR = 3, PART_COUNT_FLOAT = 4 };

struct decoder {
    struct push *push;
    struct batch *batch;
    struct append_result *result;
    size_t budget;
    struct protobuf_field name; /* of the family */
    uint64_t type;
    struct buf labels; /* pairs of the metric */
    struct buf block;
    int64_t time_ms;
    bool over_budget;
};

static bool is_bytes(const struct protobuf_field *field, uint32_t number)
{
    return protobuf_is(field, number, PROTOBUF_BYTES);
}

/* --- series ------------------------------------------------------------------------------------
 */

/* One series of the metric; `label` NULL: none beside the metric's own. */
static void add_series(struct decoder *decoder, const char *suffix, const char *label, double bound,
                       double value)
{
    struct buf *block = &decoder->block;
    size_t at;

    block->len = 0;
    label_pairs_put(block, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), "", 0);
    block->len--; /* the name's length follows, and the name */
    protobuf_put_uvarint(block, decoder->name.len + strlen(suffix));
    buf_append(block, decoder->name.bytes, decoder->name.len);
    buf_puts(block, suffix);
    if (label != NULL) {
        char text[NUMBER_MAX_BYTES];

        label_pairs_put(block, label, strlen(label), text, number_format_go(text, bound));
    }
    buf_append(block, decoder->labels.data, decoder->labels.len);
    at = block->len;
    if (at > decoder->budget) {
        decoder->over_budget = true;
        return;
    }
    decoder->budget -= at;
    batch_add_entry(decoder->batch,
                    (const uint8_t *)arena_dup(&decoder->batch->arena, block->data, at), at, 0);
    batch_add_sample(decoder->batch, decoder->time_ms, value);
}

/* Counter, gauge or untyped: field 1 is the value. */
static bool add_simple(struct decoder *decoder, const struct protobuf_field *message)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    double value = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, SIMPLE_VALUE, PROTOBUF_FIXED64))
            value = bits_double(field.value);
        else if (is_bytes(&field, SIMPLE_EXEMPLAR))
            decoder->push->skipped.exemplars++;
    }
    if (more < 0)
        return false;
    add_series(decoder, "", NULL, 0, value);
    return true;
}

/* A quantile: {1: quantile, 2: value}. */
static bool add_quantile(struct decoder *decoder, const struct protobuf_field *message)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    double quantile = 0, value = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, PART_FIRST, PROTOBUF_FIXED64))
            quantile = bits_double(field.value);
        else if (protobuf_is(&field, PART_SECOND, PROTOBUF_FIXED64))
            value = bits_double(field.value);
    }
    if (more == 0)
        add_series(decoder, "", "quantile", quantile, value);
    return more == 0;
}

/* A bucket: {1: cumulative count, 2: upper bound, 4: the count of a float histogram}. */
static bool add_bucket(struct decoder *decoder, const struct protobuf_field *message,
                       bool *has_infinity)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    double bound = 0, count = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, PART_FIRST, PROTOBUF_VARINT))
            count = (double)field.value;
        else if (protobuf_is(&field, PART_SECOND, PROTOBUF_FIXED64))
            bound = bits_double(field.value);
        else if (protobuf_is(&field, PART_COUNT_FLOAT, PROTOBUF_FIXED64))
            count = bits_double(field.value);
        else if (is_bytes(&field, PART_EXEMPLAR))
            decoder->push->skipped.exemplars++;
    }
    if (more < 0)
        return false;
    *has_infinity |= bound > 0 && bound - bound != 0;
    add_series(decoder, "_bucket", "le", bound, count);
    return true;
}

/* Summary and histogram have their parts, count and sum in the same places. */
static bool add_parts(struct decoder *decoder, const struct protobuf_field *message, bool histogram)
{
    bool gauge = decoder->type == TYPE_GAUGE_HISTOGRAM, has_infinity = false, native = false;
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    double count = 0, sum = 0;
    size_t parts = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, PARTS_COUNT, PROTOBUF_VARINT))
            count = (double)field.value;
        else if (protobuf_is(&field, PARTS_SUM, PROTOBUF_FIXED64))
            sum = bits_double(field.value);
        else if (histogram && protobuf_is(&field, PARTS_COUNT_FLOAT, PROTOBUF_FIXED64))
            count = bits_double(field.value);
        else if (histogram && protobuf_is(&field, PARTS_SCHEMA, PROTOBUF_VARINT))
            native = true;
        if (!is_bytes(&field, PARTS_PART))
            continue;
        parts++;
        if (!(histogram ? add_bucket(decoder, &field, &has_infinity)
                        : add_quantile(decoder, &field)))
            return false;
    }
    if (more < 0)
        return false;
    if (native) {
        decoder->push->skipped.histograms++;
        if (parts == 0)
            return true;
    }
    if (histogram && !has_infinity)
        add_series(decoder, "_bucket", "le", bits_double(UINT64_C(0x7ff0000000000000)), count);
    add_series(decoder, gauge ? "_gsum" : "_sum", NULL, 0, sum);
    add_series(decoder, gauge ? "_gcount" : "_count", NULL, 0, count);
    return true;
}

/* --- metrics -----------------------------------------------------------------------------------
 */

static bool add_label(struct decoder *decoder, const struct protobuf_field *message)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field, name = {0}, value = {0};
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (is_bytes(&field, 1))
            name = field;
        else if (is_bytes(&field, 2))
            value = field;
    }
    label_pairs_put(&decoder->labels, (const char *)name.bytes, name.len, (const char *)value.bytes,
                    value.len);
    return more == 0;
}

/* Labels and time first: nothing promises that they come before the value. */
static bool read_labels(struct decoder *decoder, const struct protobuf_field *metric)
{
    struct protobuf_reader reader = protobuf_open(metric->bytes, metric->len);
    struct protobuf_field field;
    int more;

    decoder->labels.len = 0;
    decoder->time_ms = decoder->push->now_ms;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, METRIC_TIME, PROTOBUF_VARINT))
            decoder->time_ms = (int64_t)field.value;
        else if (is_bytes(&field, METRIC_LABEL) && !add_label(decoder, &field))
            return false;
    }
    return more == 0;
}

static bool add_values(struct decoder *decoder, const struct protobuf_field *metric)
{
    struct protobuf_reader reader = protobuf_open(metric->bytes, metric->len);
    struct protobuf_field field;
    bool good = true;

    while (good && protobuf_next(&reader, &field) > 0) {
        if (is_bytes(&field, METRIC_GAUGE) || is_bytes(&field, METRIC_COUNTER) ||
            is_bytes(&field, METRIC_UNTYPED))
            good = add_simple(decoder, &field);
        else if (is_bytes(&field, METRIC_SUMMARY) || is_bytes(&field, METRIC_HISTOGRAM))
            good = add_parts(decoder, &field, field.number == METRIC_HISTOGRAM);
    }
    return good;
}

static void add_metric(struct decoder *decoder, const struct protobuf_field *metric)
{
    struct batch *batch = decoder->batch;
    size_t entries = batch->entry_count, samples = batch->sample_count;

    if (read_labels(decoder, metric) && add_values(decoder, metric))
        return;
    batch->entry_count = entries;
    batch->sample_count = samples;
    append_result_refuse(decoder->result, REFUSED_MALFORMED, 1, (uint32_t)entries, 0,
                         "a metric of family \"%.*s\" is broken protobuf",
                         (int)TIDE_MIN(decoder->name.len, (size_t)100), decoder->name.bytes);
}

/* --- families ----------------------------------------------------------------------------------
 */

static void tell_metadata(const struct decoder *decoder, const struct protobuf_field *help,
                          const struct protobuf_field *unit)
{
    static const enum metadata_type types[] = {METADATA_COUNTER,   METADATA_GAUGE,
                                               METADATA_SUMMARY,   METADATA_UNKNOWN,
                                               METADATA_HISTOGRAM, METADATA_GAUGE_HISTOGRAM};
    const struct metadata metadata = {
        .name = (const char *)decoder->name.bytes,
        .name_len = decoder->name.len,
        .help = (const char *)help->bytes,
        .help_len = help->len,
        .unit = (const char *)unit->bytes,
        .unit_len = unit->len,
        .type = decoder->type < TIDE_COUNT(types) ? types[decoder->type] : METADATA_UNKNOWN,
        .has_type = true,
    };

    if (decoder->push->on_metadata != NULL && decoder->name.len > 0)
        decoder->push->on_metadata(decoder->push->metadata_ctx, &metadata);
}

/* Name and type first, then the metrics. @return false: broken */
static bool decode_family(struct decoder *decoder, const uint8_t *bytes, size_t len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field, help = {0}, unit = {0};
    int more;

    decoder->name = (struct protobuf_field){.bytes = bytes};
    decoder->type = TYPE_COUNTER;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (is_bytes(&field, FAMILY_NAME))
            decoder->name = field;
        else if (is_bytes(&field, FAMILY_HELP))
            help = field;
        else if (is_bytes(&field, FAMILY_UNIT))
            unit = field;
        else if (protobuf_is(&field, FAMILY_TYPE, PROTOBUF_VARINT))
            decoder->type = field.value;
    }
    if (more < 0)
        return false;
    tell_metadata(decoder, &help, &unit);
    reader = protobuf_open(bytes, len);
    while (protobuf_next(&reader, &field) > 0 && !decoder->over_budget) {
        if (is_bytes(&field, FAMILY_METRIC))
            add_metric(decoder, &field);
    }
    return true;
}

static int decode_families(struct decoder *decoder, const uint8_t *body, size_t len,
                           struct error *err)
{
    const uint8_t *at = body, *end = body + len;

    for (size_t nth = 1; at < end; nth++) {
        uint64_t size;

        at = uvarint_get(at, end, &size);
        if (at == NULL || size > (size_t)(end - at))
            return error_set(err, ERR_INVALID, "family %zu of the body is cut off", nth);
        if (!decode_family(decoder, at, (size_t)size))
            return error_set(err, ERR_INVALID, "family %zu of the body is broken protobuf", nth);
        if (decoder->over_budget)
            return error_set(err, ERR_LIMIT, "the labels of this request unfold to too many bytes");
        at += size;
    }
    return 0;
}

int metric_family_decode(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                         struct append_result *result, struct error *err)
{
    struct decoder decoder = {
        .push = push, .batch = batch, .result = result, .budget = push_block_budget(len)};
    int failed;

    batch->format = LABEL_FORMAT_PAIRS;
    batch->parse = label_pairs_parse;
    batch->parse_ctx = NULL;
    if (len > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "body of %zu bytes is over 4 GiB", len);
    failed = decode_families(&decoder, body, len, err);
    buf_destroy(&decoder.labels);
    buf_destroy(&decoder.block);
    return failed;
}
