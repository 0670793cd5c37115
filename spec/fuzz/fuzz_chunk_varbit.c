/* fuzz_chunk_varbit.c - any bytes as a varbit payload: read or refused, in bounds, and fit to go
 * on. */
#include "fuzz_chunk_common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_decoder(CHUNK_VARBIT, data, size);
    return 0;
}
