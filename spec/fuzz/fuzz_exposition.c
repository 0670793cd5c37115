/* fuzz_exposition.c - both text formats; the first byte's lowest bit chooses. */
#include "push_fuzz.h"
#include "wire/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    return push_fuzz_run(data + 1, size - 1,
                         data[0] & 1 ? exposition_decode_openmetrics : exposition_decode_text);
}
