/* fuzz_json_lines.c - any bytes are read or refused, whole and in parts alike. */
#include "push_fuzz.h"
#include "wire/json_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first part ends in the middle; what it leaves is read together with the rest. */
static int decode_in_parts(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                           struct append_result *result, struct error *err)
{
    uint32_t line = 0;
    size_t used, rest;

    if (json_lines_decode_part(body, len / 2, false, &line, &used, push, batch, result, err) != 0)
        return -1;
    if (used > len / 2)
        abort();
    return json_lines_decode_part(body + used, len - used, true, &line, &rest, push, batch, result,
                                  err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    push_fuzz_run(data, size, json_lines_decode);
    return push_fuzz_run(data, size, decode_in_parts);
}
