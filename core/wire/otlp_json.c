/* otlp_json.c - see otlp_json.h. */
#include "wire/otlp_json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "base/number.h"
#include "wire/otlp.h"
#include "wire/protobuf.h"

/* --- the messages, as far as otlp.c reads them -------------------------------------------------
 */

enum kind {
    KIND_MESSAGE, /* one, or a list of them */
    KIND_TEXT,
    KIND_BOOL,
    KIND_NUMBER, /* a varint: enum, uint32, int64 */
    KIND_FIXED,  /* (s)fixed64; a list is packed */
    KIND_DOUBLE, /* a list is packed */
};

struct message;

struct member {
    const char *name; /* NULL: the last */
    uint32_t number;
    enum kind kind;
    const struct message *message; /* of KIND_MESSAGE */
};

struct message {
    const struct member *members;
};

#define MESSAGE(name, ...)                                                                         \
    static const struct member name##_members[] = {__VA_ARGS__, {0}};                              \
    static const struct message name = {name##_members}

/* An exemplar, a point of an exponential histogram: only counted. */
static const struct member no_members[] = {{0}};
static const struct message counted = {no_members};

MESSAGE(any_value, {"stringValue", 1, KIND_TEXT, NULL}, {"boolValue", 2, KIND_BOOL, NULL},
        {"intValue", 3, KIND_NUMBER, NULL}, {"doubleValue", 4, KIND_DOUBLE, NULL});
MESSAGE(key_value, {"key", 1, KIND_TEXT, NULL}, {"value", 2, KIND_MESSAGE, &any_value});
MESSAGE(number_point, {"timeUnixNano", 3, KIND_FIXED, NULL}, {"asDouble", 4, KIND_DOUBLE, NULL},
        {"exemplars", 5, KIND_MESSAGE, &counted}, {"asInt", 6, KIND_FIXED, NULL},
        {"attributes", 7, KIND_MESSAGE, &key_value}, {"flags", 8, KIND_NUMBER, NULL});
MESSAGE(histogram_point, {"timeUnixNano", 3, KIND_FIXED, NULL}, {"count", 4, KIND_FIXED, NULL},
        {"sum", 5, KIND_DOUBLE, NULL}, {"bucketCounts", 6, KIND_FIXED, NULL},
        {"explicitBounds", 7, KIND_DOUBLE, NULL}, {"exemplars", 8, KIND_MESSAGE, &counted},
        {"attributes", 9, KIND_MESSAGE, &key_value}, {"flags", 10, KIND_NUMBER, NULL});
MESSAGE(quantile, {"quantile", 1, KIND_DOUBLE, NULL}, {"value", 2, KIND_DOUBLE, NULL});
MESSAGE(summary_point, {"timeUnixNano", 3, KIND_FIXED, NULL}, {"count", 4, KIND_FIXED, NULL},
        {"sum", 5, KIND_DOUBLE, NULL}, {"quantileValues", 6, KIND_MESSAGE, &quantile},
        {"attributes", 7, KIND_MESSAGE, &key_value}, {"flags", 8, KIND_NUMBER, NULL});
MESSAGE(gauge, {"dataPoints", 1, KIND_MESSAGE, &number_point});
MESSAGE(sum, {"dataPoints", 1, KIND_MESSAGE, &number_point},
        {"aggregationTemporality", 2, KIND_NUMBER, NULL}, {"isMonotonic", 3, KIND_BOOL, NULL});
MESSAGE(histogram, {"dataPoints", 1, KIND_MESSAGE, &histogram_point},
        {"aggregationTemporality", 2, KIND_NUMBER, NULL});
MESSAGE(exponential, {"dataPoints", 1, KIND_MESSAGE, &counted});
MESSAGE(summary, {"dataPoints", 1, KIND_MESSAGE, &summary_point});
MESSAGE(metric, {"name", 1, KIND_TEXT, NULL}, {"description", 2, KIND_TEXT, NULL},
        {"unit", 3, KIND_TEXT, NULL}, {"gauge", 5, KIND_MESSAGE, &gauge},
        {"sum", 7, KIND_MESSAGE, &sum}, {"histogram", 9, KIND_MESSAGE, &histogram},
        {"exponentialHistogram", 10, KIND_MESSAGE, &exponential},
        {"summary", 11, KIND_MESSAGE, &summary});
MESSAGE(scope_metrics, {"metrics", 2, KIND_MESSAGE, &metric});
MESSAGE(resource, {"attributes", 1, KIND_MESSAGE, &key_value});
MESSAGE(resource_metrics, {"resource", 1, KIND_MESSAGE, &resource},
        {"scopeMetrics", 2, KIND_MESSAGE, &scope_metrics});
MESSAGE(request, {"resourceMetrics", 1, KIND_MESSAGE, &resource_metrics});

/* --- single values -----------------------------------------------------------------------------
 */

/* A 64-bit integer as its bits; fractions are none. Numbers above 2^53 lose their last digits in
 * JSON, which is why senders write strings. */
static bool take_integer(const cJSON *value, uint64_t *bits)
{
    const char *text = value->valuestring;
    char *end;

    if (cJSON_IsNumber(value)) {
        double number = value->valuedouble;

        if (number != floor(number) || number < -9223372036854775808.0 ||
            number >= 18446744073709551616.0)
            return false;
        *bits = number < 0 ? (uint64_t)(int64_t)number : (uint64_t)number;
        return true;
    }
    if (!cJSON_IsString(value) || text[0] == '\0' || strlen(text) > 20 ||
        strspn(text + (text[0] == '-'), "0123456789") != strlen(text + (text[0] == '-')))
        return false;
    errno = 0;
    *bits = text[0] == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool take_double(const cJSON *value, double *number)
{
    if (cJSON_IsNumber(value)) {
        *number = value->valuedouble;
        return true;
    }
    return cJSON_IsString(value) &&
           number_parse(value->valuestring, strlen(value->valuestring), number, NULL);
}

/* --- members -----------------------------------------------------------------------------------
 */

static int put_message(struct buf *out, const struct message *message, const cJSON *object,
                       struct error *err);

static int wrong_type(const struct member *member, const char *what, struct error *err)
{
    return error_set(err, ERR_INVALID, "not an OTLP metrics request: \"%s\" is not %s",
                     member->name, what);
}

/* A field whose length is known when it ends: room for the longest varint comes first. */
static int put_nested(struct buf *out, const struct member *member, const cJSON *object,
                      struct error *err)
{
    size_t begin, len, width;
    uint8_t prefix[VARINT_MAX_BYTES];

    if (!cJSON_IsObject(object))
        return wrong_type(member, "an object", err);
    protobuf_put_tag(out, member->number, PROTOBUF_BYTES);
    buf_reserve(out, VARINT_MAX_BYTES);
    begin = out->len;
    out->len += VARINT_MAX_BYTES;
    if (put_message(out, member->message, object, err) != 0)
        return -1;
    len = out->len - begin - VARINT_MAX_BYTES;
    width = uvarint_put(prefix, len);
    memcpy(out->data + begin, prefix, width);
    memmove(out->data + begin + width, out->data + begin + VARINT_MAX_BYTES, len);
    out->len = begin + width + len;
    return 0;
}

/* Eight bytes of a fixed64 or a double. */
static int put_word(struct buf *out, const struct member *member, const cJSON *value,
                    struct error *err)
{
    double number;
    uint64_t bits;

    if (member->kind == KIND_DOUBLE) {
        if (!take_double(value, &number))
            return wrong_type(member, "a number", err);
        bits = double_bits(number);
    } else if (!take_integer(value, &bits)) {
        return wrong_type(member, "a 64-bit integer", err);
    }
    buf_reserve(out, 8);
    put_le64(out->data + out->len, bits);
    out->len += 8;
    return 0;
}

static int put_words(struct buf *out, const struct member *member, const cJSON *value,
                     struct error *err)
{
    const cJSON *item;

    if (!cJSON_IsArray(value)) {
        protobuf_put_tag(out, member->number, PROTOBUF_FIXED64);
        return put_word(out, member, value, err);
    }
    protobuf_put_tag(out, member->number, PROTOBUF_BYTES);
    protobuf_put_uvarint(out, (uint64_t)cJSON_GetArraySize(value) * 8);
    cJSON_ArrayForEach(item, value)
    {
        if (put_word(out, member, item, err) != 0)
            return -1;
    }
    return 0;
}

static int put_single(struct buf *out, const struct member *member, const cJSON *value,
                      struct error *err)
{
    uint64_t number;

    switch (member->kind) {
    case KIND_TEXT:
        if (!cJSON_IsString(value))
            return wrong_type(member, "a string", err);
        protobuf_put_bytes(out, member->number, value->valuestring, strlen(value->valuestring));
        return 0;
    case KIND_BOOL:
        if (!cJSON_IsBool(value))
            return wrong_type(member, "true or false", err);
        protobuf_put_number(out, member->number, cJSON_IsTrue(value) ? 1 : 0);
        return 0;
    case KIND_NUMBER:
        if (!take_integer(value, &number))
            return wrong_type(member, "an integer", err);
        protobuf_put_number(out, member->number, number);
        return 0;
    case KIND_MESSAGE:
        return put_nested(out, member, value, err);
    default:
        return put_words(out, member, value, err);
    }
}

static int put_member(struct buf *out, const struct member *member, const cJSON *value,
                      struct error *err)
{
    const cJSON *item;

    if (cJSON_IsNull(value))
        return 0;
    if (member->kind != KIND_MESSAGE || !cJSON_IsArray(value))
        return put_single(out, member, value, err);
    cJSON_ArrayForEach(item, value)
    {
        if (put_nested(out, member, item, err) != 0)
            return -1;
    }
    return 0;
}

static int put_message(struct buf *out, const struct message *message, const cJSON *object,
                       struct error *err)
{
    const cJSON *value;

    cJSON_ArrayForEach(value, object)
    {
        const struct member *member = message->members;

        while (member->name != NULL && strcmp(member->name, value->string) != 0)
            member++;
        if (member->name != NULL && put_member(out, member, value, err) != 0)
            return -1;
    }
    return 0;
}

/* --- the whole ---------------------------------------------------------------------------------
 */

/* Not fewer values than the text has: what stands in strings counts too. */
static size_t most_values(const uint8_t *body, size_t len)
{
    size_t count = 1;

    for (size_t i = 0; i < len; i++)
        count += body[i] == ',' || body[i] == '[' || body[i] == '{';
    return count;
}

int otlp_json_decode(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                     struct append_result *result, struct error *err)
{
    struct buf message = {0};
    cJSON *object;
    int status;

    if (most_values(body, len) > OTLP_JSON_MAX_VALUES)
        return error_set(err, ERR_LIMIT, "more than %zu values in one request",
                         OTLP_JSON_MAX_VALUES);
    buf_reserve(&message, 1); /* an empty request is a message of no bytes, not none */
    object = cJSON_ParseWithLength((const char *)body, len);
    if (!cJSON_IsObject(object))
        status = error_set(err, ERR_INVALID, "not an OTLP metrics request: not a JSON object");
    else
        status = put_message(&message, &request, object, err);
    cJSON_Delete(object);
    if (status == 0)
        status = otlp_decode(message.data, message.len, push, batch, result, err);
    buf_destroy(&message);
    return status;
}
