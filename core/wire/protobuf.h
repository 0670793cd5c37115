/* protobuf.h - the wire format of Protocol Buffers, field by field: a bounded reader, a writer.
 *
 * The reader knows no schema: it yields one field after the other and never leaves [at, end).
 * Unknown fields are skipped by not looking at them. Groups (wire types 3 and 4) are refused, as
 * are field number 0, lengths past the end and varints of more than 64 bits. Pure, inline. */
#ifndef TIDE_WIRE_PROTOBUF_H
#define TIDE_WIRE_PROTOBUF_H

#include "base/base.h"
#include "base/buf.h"
#include "base/bytes.h"

enum protobuf_type {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5,
};

struct protobuf_field {
    uint32_t number;
    uint32_t type;        /* enum protobuf_type */
    uint64_t value;       /* of VARINT and FIXED; a double's bits are bits_double(value) */
    const uint8_t *bytes; /* of BYTES; borrowed */
    size_t len;
};

/* What is left to read of a message. */
struct protobuf_reader {
    const uint8_t *at;
    const uint8_t *end;
};

#ifndef TIDE_CDEF

static inline struct protobuf_reader protobuf_open(const uint8_t *bytes, size_t len)
{
    return (struct protobuf_reader){bytes, bytes + len};
}

/** A varint; most are one byte. NULL as uvarint_get. */
static inline const uint8_t *protobuf_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    if (TIDE_LIKELY(at < end && *at < 0x80)) {
        *value = *at;
        return at + 1;
    }
    return uvarint_get(at, end, value);
}

/** Reads the next field. @return 1 with *field set, 0 at the end, -1 when the bytes are broken */
static inline int protobuf_next(struct protobuf_reader *reader, struct protobuf_field *field)
{
    const uint8_t *at = reader->at, *end = reader->end;
    uint64_t tag, len;

    if (at == end)
        return 0;
    at = protobuf_varint(at, end, &tag);
    if (TIDE_UNLIKELY(at == NULL || tag < 8 || tag > UINT32_MAX))
        return -1;
    field->number = (uint32_t)(tag >> 3);
    field->type = (uint32_t)(tag & 7);
    switch (field->type) {
    case PROTOBUF_VARINT:
        at = protobuf_varint(at, end, &field->value);
        if (TIDE_UNLIKELY(at == NULL))
            return -1;
        break;
    case PROTOBUF_FIXED64:
        if (TIDE_UNLIKELY(end - at < 8))
            return -1;
        field->value = get_le64(at);
        at += 8;
        break;
    case PROTOBUF_BYTES:
        at = protobuf_varint(at, end, &len);
        if (TIDE_UNLIKELY(at == NULL || len > (size_t)(end - at)))
            return -1;
        field->bytes = at;
        field->len = (size_t)len;
        at += len;
        break;
    case PROTOBUF_FIXED32:
        if (TIDE_UNLIKELY(end - at < 4))
            return -1;
        field->value = get_le32(at);
        at += 4;
        break;
    default:
        return -1;
    }
    reader->at = at;
    return 1;
}

/** True when the field has this number and type; a known number of another type is not it. */
static inline bool protobuf_is(const struct protobuf_field *field, uint32_t number,
                               enum protobuf_type type)
{
    return field->number == number && field->type == (uint32_t)type;
}

/* --- writing: each appends to a buffer ---------------------------------------------------------
 */

static inline void protobuf_put_uvarint(struct buf *out, uint64_t value)
{
    buf_reserve(out, VARINT_MAX_BYTES);
    out->len += uvarint_put(out->data + out->len, value);
}

static inline void protobuf_put_tag(struct buf *out, uint32_t number, enum protobuf_type type)
{
    protobuf_put_uvarint(out, (uint64_t)number << 3 | (uint64_t)type);
}

static inline void protobuf_put_number(struct buf *out, uint32_t number, uint64_t value)
{
    protobuf_put_tag(out, number, PROTOBUF_VARINT);
    protobuf_put_uvarint(out, value);
}

static inline void protobuf_put_double(struct buf *out, uint32_t number, double value)
{
    protobuf_put_tag(out, number, PROTOBUF_FIXED64);
    buf_reserve(out, 8);
    put_le64(out->data + out->len, double_bits(value));
    out->len += 8;
}

static inline void protobuf_put_bytes(struct buf *out, uint32_t number, const void *bytes,
                                      size_t len)
{
    protobuf_put_tag(out, number, PROTOBUF_BYTES);
    protobuf_put_uvarint(out, len);
    buf_append(out, bytes, len);
}

/** Bytes that a length-delimited field of `len` bytes takes, with a tag of one byte. */
static inline size_t protobuf_bytes_size(size_t len)
{
    uint8_t scratch[VARINT_MAX_BYTES];

    return 1 + uvarint_put(scratch, len) + len;
}

#endif
#endif
