/* otlp_json.h - OTLP metrics in JSON: the protobuf message of otlp.h in protobuf's JSON mapping, as
 * OTLP restricts it (http-protocols.md section 14): lowerCamelCase keys, enums as integers, 64-bit
 * integers as strings or numbers, doubles as numbers or "NaN", "Infinity", "-Infinity".
 *
 * The message is made of the text and read by otlp.c, so both mean the same. Unknown keys and null
 * are skipped. A value of the wrong type makes the whole request invalid, as with other servers. */
#ifndef TIDE_WIRE_OTLP_JSON_H
#define TIDE_WIRE_OTLP_JSON_H

#include "base/base.h"
#include "wire/push.h"

/* Values in one request: each takes 64 bytes while it is read. */
#define OTLP_JSON_MAX_VALUES ((size_t)1 << 21)

/**
 * Decodes a request (decompressed) as otlp_decode does.
 *
 * @return 0, or -1 with err: INVALID (not JSON, a value of the wrong type; or as otlp_decode),
 *         LIMIT (over OTLP_JSON_MAX_VALUES; or as otlp_decode)
 */
TIDE_NODISCARD int otlp_json_decode(const uint8_t *body, size_t len, struct push *push,
                                    struct batch *batch, struct append_result *result,
                                    struct error *err);

#endif
