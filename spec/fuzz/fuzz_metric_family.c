/* fuzz_metric_family.c - the client model in protobuf: any bytes are read or refused. */
#include "push_fuzz.h"
#include "wire/metric_family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return push_fuzz_run(data, size, metric_family_decode);
}
