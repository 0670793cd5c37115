/* fuzz_otlp.c - OTLP metrics: any bytes are read or refused. */
#include "push_fuzz.h"
#include "wire/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return push_fuzz_run(data, size, otlp_decode);
}
