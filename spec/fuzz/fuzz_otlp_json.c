/* fuzz_otlp_json.c - OTLP metrics in JSON: any bytes are read or refused. */
#include "push_fuzz.h"
#include "wire/otlp_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return push_fuzz_run(data, size, otlp_json_decode);
}
