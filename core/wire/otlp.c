/* otlp.c - see otlp.h; http-protocols.md section 14. */
#include "wire/otlp.h"

#include "base/number.h"
#include "wire/label_pairs.h"
#include "wire/otlp_name.h"
#include "wire/protobuf.h"

enum {
    METRIC_NAME = 1,
    METRIC_HELP,
    METRIC_UNIT,
    METRIC_GAUGE = 5,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9,
    METRIC_EXPONENTIAL,
    METRIC_SUMMARY
};
enum { DATA_POINTS = 1, DATA_TEMPORALITY = 2, DATA_MONOTONIC = 3 };
enum { TEMPORALITY_DELTA = 1 };
enum { FLAG_NO_VALUE = 1 };

#define STALE_BITS 0x7ff0000000000002u

struct decoder {
    struct push *push;
    struct batch *batch;
    struct append_result *result;
    size_t budget;
    bool over_budget;
    struct buf resource; /* pairs: job, instance */
    struct buf info;     /* pairs: target_info's */
    struct buf point;    /* pairs: the point's attributes */
    struct buf name;     /* of the metric */
    struct buf label;    /* an attribute's name */
    struct buf scratch;
    int64_t newest_ms; /* of the resource's points */
};

/* One metric while its points are read. */
struct metric {
    uint32_t kind; /* METRIC_GAUGE ... */
    bool is_delta;
    bool is_monotonic;
};

struct text {
    const char *at;
    size_t len;
};

/* What the kinds of points have, by their own field numbers. */
struct point {
    int64_t time_ms;
    uint64_t flags;
    double value, sum;
    uint64_t count;
    bool has_sum, has_value;
    struct text buckets, bounds; /* packed fixed64 and doubles */
};

static struct text text_of(const struct protobuf_field *field)
{
    return (struct text){(const char *)field->bytes, field->len};
}

/* --- attributes --------------------------------------------------------------------------------
 */

enum { VALUE_TEXT = 1, VALUE_BOOL, VALUE_INT, VALUE_DOUBLE };

/* An AnyValue as label text into `out`; nothing for arrays, maps and bytes. */
static bool put_value(struct buf *out, const uint8_t *bytes, size_t len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        out->len = 0;
        if (protobuf_is(&field, VALUE_TEXT, PROTOBUF_BYTES))
            buf_append(out, field.bytes, field.len);
        else if (protobuf_is(&field, VALUE_BOOL, PROTOBUF_VARINT))
            buf_puts(out, field.value != 0 ? "true" : "false");
        else if (protobuf_is(&field, VALUE_INT, PROTOBUF_VARINT))
            buf_printf(out, "%" PRId64, (int64_t)field.value);
        else if (protobuf_is(&field, VALUE_DOUBLE, PROTOBUF_FIXED64))
            out->len += number_format_go((char *)buf_reserve(out, NUMBER_MAX_BYTES),
                                         bits_double(field.value));
    }
    return more == 0;
}

/* KeyValue: the key, and the value's text in the decoder's scratch. */
static bool read_attribute(struct decoder *decoder, const struct protobuf_field *message,
                           struct text *key)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    int more;

    *key = (struct text){"", 0};
    decoder->scratch.len = 0;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 1, PROTOBUF_BYTES))
            *key = text_of(&field);
        else if (protobuf_is(&field, 2, PROTOBUF_BYTES) &&
                 !put_value(&decoder->scratch, field.bytes, field.len))
            return false;
    }
    return more == 0;
}

static void put_pair(struct buf *out, const char *name, size_t name_len, const struct buf *value)
{
    label_pairs_put(out, name, name_len, (const char *)value->data, value->len);
}

/* The attribute whose value is in the decoder's scratch. */
static void put_attribute(struct decoder *decoder, struct buf *out, struct text key)
{
    struct buf *name = &decoder->label;

    name->len = 0;
    otlp_put_label_name(name, key.at, key.len);
    if (name->len != 0)
        put_pair(out, (const char *)name->data, name->len, &decoder->scratch);
}

static bool is_key(struct text key, const char *name)
{
    return key.len == strlen(name) && memcmp(key.at, name, key.len) == 0;
}

/* Resource: job and instance for all its series, the rest for target_info. */
static bool read_resource(struct decoder *decoder, const uint8_t *bytes, size_t len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    struct buf space = {0}, service = {0};
    bool good = true;
    int more = 0;

    while (good && (more = protobuf_next(&reader, &field)) > 0) {
        struct text key;

        if (!protobuf_is(&field, 1, PROTOBUF_BYTES))
            continue;
        good = read_attribute(decoder, &field, &key);
        if (!good)
            break;
        if (is_key(key, "service.namespace"))
            buf_append(&space, decoder->scratch.data, decoder->scratch.len);
        else if (is_key(key, "service.name"))
            buf_append(&service, decoder->scratch.data, decoder->scratch.len);
        else if (is_key(key, "service.instance.id"))
            put_pair(&decoder->resource, "instance", 8, &decoder->scratch);
        else
            put_attribute(decoder, &decoder->info, key);
    }
    if (space.len != 0 && service.len != 0)
        buf_putc(&space, '/');
    buf_append(&space, service.data, service.len);
    if (service.len != 0)
        put_pair(&decoder->resource, "job", 3, &space);
    buf_destroy(&space);
    buf_destroy(&service);
    return good && more == 0;
}

/* --- series ------------------------------------------------------------------------------------
 */

/* One sample of NAME+suffix{resource, attributes, extra="..."}. */
static void add_sample(struct decoder *decoder, const char *suffix, const char *extra,
                       const char *extra_value, size_t extra_len, const struct point *point,
                       double value)
{
    struct buf *made = &decoder->scratch;
    size_t name_len = decoder->name.len;
    uint8_t *block;

    if (point->flags & FLAG_NO_VALUE)
        value = bits_double(STALE_BITS);
    buf_puts(&decoder->name, suffix);
    made->len = 0;
    put_pair(made, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &decoder->name);
    decoder->name.len = name_len;
    buf_append(made, decoder->resource.data, decoder->resource.len);
    buf_append(made, decoder->point.data, decoder->point.len);
    if (extra != NULL)
        label_pairs_put(made, extra, strlen(extra), extra_value, extra_len);
    if (made->len > decoder->budget) {
        decoder->over_budget = true;
        return;
    }
    decoder->budget -= made->len;
    block = arena_alloc(&decoder->batch->arena, made->len);
    memcpy(block, made->data, made->len);
    batch_add_entry(decoder->batch, block, made->len, 0);
    batch_add_sample(decoder->batch, point->time_ms, value);
}

static void add_with_bound(struct decoder *decoder, const char *suffix, const char *label,
                           double bound, const struct point *point, double value)
{
    char text[NUMBER_PLAIN_MAX_BYTES];
    size_t len = number_format_plain(text, bound);

    add_sample(decoder, suffix, label, text, len, point, value);
}

static const char *add_histogram(struct decoder *decoder, const struct point *point)
{
    size_t buckets = point->buckets.len / 8, bounds = point->bounds.len / 8;
    uint64_t total = 0;

    if (point->buckets.len % 8 != 0 || point->bounds.len % 8 != 0 ||
        (buckets != 0 && buckets != bounds + 1))
        return "a histogram whose counts do not fit its bounds";
    for (size_t i = 0; i < bounds && buckets != 0; i++) {
        total += get_le64((const uint8_t *)point->buckets.at + i * 8);
        add_with_bound(decoder, "_bucket", "le",
                       bits_double(get_le64((const uint8_t *)point->bounds.at + i * 8)), point,
                       (double)total);
    }
    add_sample(decoder, "_bucket", "le", "+Inf", 4, point, (double)point->count);
    add_sample(decoder, "_count", NULL, NULL, 0, point, (double)point->count);
    if (point->has_sum)
        add_sample(decoder, "_sum", NULL, NULL, 0, point, point->sum);
    return NULL;
}

static bool add_quantile(struct decoder *decoder, const struct protobuf_field *message,
                         const struct point *point)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;
    double quantile = 0, value = 0;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 1, PROTOBUF_FIXED64))
            quantile = bits_double(field.value);
        else if (protobuf_is(&field, 2, PROTOBUF_FIXED64))
            value = bits_double(field.value);
    }
    if (more == 0)
        add_with_bound(decoder, "", "quantile", quantile, point, value);
    return more == 0;
}

static const char *add_summary(struct decoder *decoder, const struct protobuf_field *message,
                               const struct point *point)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    struct protobuf_field field;

    while (protobuf_next(&reader, &field) > 0) {
        if (protobuf_is(&field, 6, PROTOBUF_BYTES) && !add_quantile(decoder, &field, point))
            return "a quantile that is broken protobuf";
    }
    add_sample(decoder, "_sum", NULL, NULL, 0, point, point->sum);
    add_sample(decoder, "_count", NULL, NULL, 0, point, (double)point->count);
    return NULL;
}

/* --- points ------------------------------------------------------------------------------------
 */

static void take_number_field(struct point *point, const struct protobuf_field *field)
{
    if (protobuf_is(field, 4, PROTOBUF_FIXED64))
        point->value = bits_double(field->value);
    else if (protobuf_is(field, 6, PROTOBUF_FIXED64))
        point->value = (double)(int64_t)field->value;
    else if (protobuf_is(field, 8, PROTOBUF_VARINT))
        point->flags = field->value;
    point->has_value |= field->number == 4 || field->number == 6;
}

static void take_distribution_field(struct point *point, const struct protobuf_field *field,
                                    bool is_summary)
{
    if (protobuf_is(field, 4, PROTOBUF_FIXED64)) {
        point->count = field->value;
    } else if (protobuf_is(field, 5, PROTOBUF_FIXED64)) {
        point->sum = bits_double(field->value);
        point->has_sum = true;
    } else if (protobuf_is(field, 6, PROTOBUF_BYTES) && !is_summary) {
        point->buckets = text_of(field);
    } else if (protobuf_is(field, 7, PROTOBUF_BYTES) && !is_summary) {
        point->bounds = text_of(field);
    } else if (protobuf_is(field, is_summary ? 8 : 10, PROTOBUF_VARINT)) {
        point->flags = field->value;
    }
}

/* Reads one point into *point and its attributes into decoder->point. */
static bool read_point(struct decoder *decoder, const struct metric *metric,
                       const struct protobuf_field *message, struct point *point)
{
    struct protobuf_reader reader = protobuf_open(message->bytes, message->len);
    bool is_number = metric->kind == METRIC_GAUGE || metric->kind == METRIC_SUM;
    bool is_summary = metric->kind == METRIC_SUMMARY;
    uint32_t attributes = is_number || is_summary ? 7 : 9, exemplars = is_number ? 5 : 8;
    struct protobuf_field field;
    int more;

    *point = (struct point){.time_ms = decoder->push->now_ms};
    decoder->point.len = 0;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, attributes, PROTOBUF_BYTES)) {
            struct text key;

            if (!read_attribute(decoder, &field, &key))
                return false;
            put_attribute(decoder, &decoder->point, key);
        } else if (protobuf_is(&field, 3, PROTOBUF_FIXED64)) {
            if (field.value != 0)
                point->time_ms = (int64_t)(field.value / 1000000);
        } else if (protobuf_is(&field, exemplars, PROTOBUF_BYTES) && !is_summary) {
            decoder->push->skipped.exemplars++;
        } else if (is_number) {
            take_number_field(point, &field);
        } else {
            take_distribution_field(point, &field, is_summary);
        }
    }
    return more == 0;
}

/* NULL, or why the point is refused. */
static const char *decode_point(struct decoder *decoder, const struct metric *metric,
                                const struct protobuf_field *message)
{
    struct point point;

    if (!read_point(decoder, metric, message, &point))
        return "a data point that is broken protobuf";
    if (metric->is_delta)
        return "delta temporality: set the exporter's preference to cumulative";
    decoder->newest_ms = TIDE_MAX(decoder->newest_ms, point.time_ms);
    if (metric->kind == METRIC_HISTOGRAM)
        return add_histogram(decoder, &point);
    if (metric->kind == METRIC_SUMMARY)
        return add_summary(decoder, message, &point);
    if (!point.has_value && (point.flags & FLAG_NO_VALUE) == 0) {
        decoder->push->skipped.empty++;
        return NULL;
    }
    add_sample(decoder, "", NULL, NULL, 0, &point, point.value);
    return NULL;
}

static void take_point(struct decoder *decoder, const struct metric *metric,
                       const struct protobuf_field *message)
{
    struct batch *batch = decoder->batch;
    size_t entries = batch->entry_count, samples = batch->sample_count;
    const char *problem;

    if (metric->kind == METRIC_EXPONENTIAL) {
        decoder->push->skipped.histograms++;
        return;
    }
    problem = decode_point(decoder, metric, message);
    if (problem == NULL)
        return;
    batch->entry_count = entries;
    batch->sample_count = samples;
    append_result_refuse(decoder->result, REFUSED_MALFORMED, 1, (uint32_t)entries, 0,
                         "metric \"%.*s\": %s", (int)TIDE_MIN(decoder->name.len, (size_t)80),
                         decoder->name.data != NULL ? (const char *)decoder->name.data : "",
                         problem);
}

/* --- metrics -----------------------------------------------------------------------------------
 */

static enum metadata_type type_of(const struct metric *metric)
{
    switch (metric->kind) {
    case METRIC_GAUGE:
        return METADATA_GAUGE;
    case METRIC_SUM:
        return metric->is_monotonic ? METADATA_COUNTER : METADATA_GAUGE;
    case METRIC_SUMMARY:
        return METADATA_SUMMARY;
    default:
        return METADATA_HISTOGRAM;
    }
}

/* All points of a Gauge, Sum, Histogram or Summary; its own fields may stand behind them. */
static bool decode_data(struct decoder *decoder, struct metric *metric, struct text name,
                        struct text help, struct text unit, struct text data)
{
    struct protobuf_reader reader = protobuf_open((const uint8_t *)data.at, data.len);
    struct protobuf_field field;
    struct metadata metadata;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (metric->kind == METRIC_GAUGE || metric->kind == METRIC_SUMMARY)
            continue;
        if (protobuf_is(&field, DATA_TEMPORALITY, PROTOBUF_VARINT))
            metric->is_delta = field.value == TEMPORALITY_DELTA;
        else if (protobuf_is(&field, DATA_MONOTONIC, PROTOBUF_VARINT))
            metric->is_monotonic = field.value != 0;
    }
    if (more < 0)
        return false;
    decoder->name.len = 0;
    otlp_put_metric_name(&decoder->name, name.at, name.len, unit.at, unit.len,
                         metric->kind == METRIC_GAUGE,
                         metric->kind == METRIC_SUM && metric->is_monotonic);
    metadata = (struct metadata){(const char *)decoder->name.data,
                                 decoder->name.len,
                                 help.at,
                                 help.len,
                                 unit.at,
                                 unit.len,
                                 type_of(metric),
                                 true};
    if (decoder->push->on_metadata != NULL && decoder->name.len != 0)
        decoder->push->on_metadata(decoder->push->metadata_ctx, &metadata);
    reader = protobuf_open((const uint8_t *)data.at, data.len);
    while (protobuf_next(&reader, &field) > 0) {
        if (protobuf_is(&field, DATA_POINTS, PROTOBUF_BYTES))
            take_point(decoder, metric, &field);
    }
    return true;
}

static bool decode_metric(struct decoder *decoder, const uint8_t *bytes, size_t len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct text name = {"", 0}, help = {"", 0}, unit = {"", 0}, data = {"", 0};
    struct metric metric = {0};
    struct protobuf_field field;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (field.type != PROTOBUF_BYTES)
            continue;
        if (field.number == METRIC_NAME) {
            name = text_of(&field);
        } else if (field.number == METRIC_HELP) {
            help = text_of(&field);
        } else if (field.number == METRIC_UNIT) {
            unit = text_of(&field);
        } else if (field.number == METRIC_GAUGE || field.number == METRIC_SUM ||
                   (field.number >= METRIC_HISTOGRAM && field.number <= METRIC_SUMMARY)) {
            metric.kind = field.number;
            data = text_of(&field);
        }
    }
    if (more < 0)
        return false;
    return metric.kind == 0 || decode_data(decoder, &metric, name, help, unit, data);
}

/* ScopeMetrics, then Metric: field 2 of both the messages above. */
static bool decode_scope(struct decoder *decoder, const uint8_t *bytes, size_t len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    int more;

    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 2, PROTOBUF_BYTES) &&
            !decode_metric(decoder, field.bytes, field.len))
            return false;
    }
    return more == 0;
}

/* target_info{resource attributes} 1, at the time of the newest point. */
static void add_target_info(struct decoder *decoder)
{
    struct point point = {.time_ms = decoder->newest_ms};

    if (decoder->newest_ms == INT64_MIN || decoder->resource.len == 0 || decoder->info.len == 0)
        return;
    decoder->name.len = decoder->point.len = 0;
    buf_puts(&decoder->name, "target_info");
    buf_append(&decoder->point, decoder->info.data, decoder->info.len);
    add_sample(decoder, "", NULL, NULL, 0, &point, 1);
}

static bool decode_resource_metrics(struct decoder *decoder, const uint8_t *bytes, size_t len)
{
    struct protobuf_reader reader = protobuf_open(bytes, len);
    struct protobuf_field field;
    int more;

    decoder->resource.len = decoder->info.len = 0;
    decoder->newest_ms = INT64_MIN;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (protobuf_is(&field, 1, PROTOBUF_BYTES) &&
            !read_resource(decoder, field.bytes, field.len))
            return false;
    }
    reader = protobuf_open(bytes, len);
    while (more == 0 && protobuf_next(&reader, &field) > 0) {
        if (protobuf_is(&field, 2, PROTOBUF_BYTES) &&
            !decode_scope(decoder, field.bytes, field.len))
            return false;
    }
    if (more == 0)
        add_target_info(decoder);
    return more == 0;
}

int otlp_decode(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                struct append_result *result, struct error *err)
{
    struct decoder decoder = {
        .push = push, .batch = batch, .result = result, .budget = push_block_budget(len)};
    struct protobuf_reader reader = protobuf_open(body, len);
    struct protobuf_field field;
    bool good = true;
    int more = 0;

    batch->format = LABEL_FORMAT_PAIRS;
    batch->parse = label_pairs_parse;
    batch->parse_ctx = NULL;
    while (good && !decoder.over_budget && (more = protobuf_next(&reader, &field)) > 0) {
        if (field.number == 1)
            good = field.type == PROTOBUF_BYTES &&
                   decode_resource_metrics(&decoder, field.bytes, field.len);
    }
    buf_destroy(&decoder.resource);
    buf_destroy(&decoder.info);
    buf_destroy(&decoder.point);
    buf_destroy(&decoder.name);
    buf_destroy(&decoder.label);
    buf_destroy(&decoder.scratch);
    if (decoder.over_budget)
        return error_set(err, ERR_LIMIT, "the labels of this request unfold to too many bytes");
    if (!good || more < 0)
        return error_set(err, ERR_INVALID, "not an OTLP metrics request: broken protobuf");
    return 0;
}
