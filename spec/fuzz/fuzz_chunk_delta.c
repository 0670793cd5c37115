/* fuzz_chunk_delta.c - any bytes as a delta payload: read or refused, in bounds, and fit to go on.
 */
#include "fuzz_chunk_common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_decoder(CHUNK_DELTA, data, size);
    return 0;
}
