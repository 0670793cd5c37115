/* fuzz_remote_write2.c - any bytes are read or refused. */
#include "push_fuzz.h"
#include "wire/remote_write2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return push_fuzz_run(data, size, remote_write2_decode);
}
