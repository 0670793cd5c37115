/* fuzz_remote_write.c - bodies of remote write 1.0: any bytes are read or refused. */
#include "push_fuzz.h"
#include "wire/remote_write.h"
#include "wire/snappy_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf plain = {0};
    struct error err;

    push_fuzz_run(data, size, remote_write_decode);
    if (snappy_block_decode(data, size, 1 << 20, &plain, &err) == 0)
        push_fuzz_run(plain.data, plain.len, remote_write_decode);
    buf_destroy(&plain);
    return 0;
}
